# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment of a training, also while a checkpoint is written: the end is the same."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ros2_clickgs.core.features.training import Trainer
from ros2_clickgs.io.features import load_checkpoint
from tests.core.features.training_scene import OPTIONS, blob_rasterizer, blob_views
from tests.io.training_process import ABOUT


def new_trainer() -> Trainer:
    rasterizer = blob_rasterizer()
    return Trainer(rasterizer, blob_views(rasterizer), OPTIONS)


def finished(trainer: Trainer) -> torch.Tensor:
    while not trainer.is_done:
        trainer.step()
    return trainer.features


def started(path: Path, *words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.io.training_process", str(path), *words]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)


def test_killed_while_a_checkpoint_is_written(tmp_path) -> None:
    path = tmp_path / "c.pt"
    with started(path, "65") as process:
        told = [line.strip() for line in iter(process.stdout.readline, "half\n")]
        process.kill()
    assert told[-1] == "64"
    trainer = new_trainer()
    load_checkpoint(path, trainer, ABOUT)
    assert trainer.iteration == 64
    assert torch.equal(finished(trainer), finished(new_trainer()))


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path) -> None:
    path, rng, told = tmp_path / "c.pt", random.Random(3), 0
    for _ in range(5):
        with started(path) as process:
            told = int(process.stdout.readline() or told)
            time.sleep(rng.uniform(0, 0.3))
            process.kill()
            for line in process.stdout.read().splitlines(keepends=True):
                told = int(line) if line.endswith("\n") else told
        trainer = new_trainer()
        load_checkpoint(path, trainer, ABOUT)
        assert told <= trainer.iteration <= told + 1
    assert torch.equal(finished(trainer), finished(new_trainer()))
