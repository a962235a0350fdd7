# SPDX-License-Identifier: Apache-2.0
"""Trains two blobs with a checkpoint after every iteration, until it is killed.

python -m tests.io.training_process CHECKPOINT [ITERATION]: it stops for ever in the middle of
writing the checkpoint of that iteration.
"""

import sys
import time
from pathlib import Path

import torch

from ros2_clickgs.core.features.training import Trainer
from ros2_clickgs.io.features import load_checkpoint, save_checkpoint
from tests.core.features.training_scene import OPTIONS, blob_rasterizer, blob_views

ABOUT = "abc"
write_whole = torch.save


def write_half(content: dict, path: Path) -> None:
    """Write a file's first half and wait to be killed."""
    write_whole(content, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    print("half", flush=True)
    time.sleep(600)


def main(path: Path, half_at: int = 0) -> None:
    """Train, or go on, and tell each iteration whose checkpoint is written."""
    rasterizer = blob_rasterizer()
    trainer = Trainer(rasterizer, blob_views(rasterizer), OPTIONS)
    if path.exists():
        load_checkpoint(path, trainer, ABOUT)
    while not trainer.is_done:
        trainer.step()
        if trainer.iteration == half_at:
            torch.save = write_half
        save_checkpoint(path, trainer, ABOUT)
        print(trainer.iteration, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
