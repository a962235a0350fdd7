# SPDX-License-Identifier: Apache-2.0
"""Affordances of a map's Gaussians in a file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ros2_clickgs.core.affordances.options import AffordanceScores
from ros2_clickgs.errors import FileFormatError, ShapeError
from ros2_clickgs.io.affordances import load_affordances, save_affordances


def test_affordances_come_back_in_the_promised_types(tmp_path: Path) -> None:
    scores = torch.tensor([[0.0, 0.0], [0.3, 0.7]])
    made = AffordanceScores.of(["background", "grasp"], scores)
    save_affordances(tmp_path / "A.npz", made)
    with np.load(tmp_path / "A.npz", allow_pickle=False) as arrays:
        assert arrays["scores"].dtype == np.float32
        assert arrays["labels"].dtype == np.int32
        assert arrays["classes"].tolist() == ["background", "grasp"]
    back = load_affordances(tmp_path / "A.npz")
    assert torch.equal(back.scores, made.scores)
    assert back.labels.tolist() == [-1, 1]


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "A.npz"
    np.savez(path, classes=np.array(["a"]), scores=np.zeros((3, 2)), labels=np.zeros(3, int))
    with pytest.raises(ShapeError, match="scores"):
        load_affordances(path)
    np.savez(path, classes=np.array(["a"]), labels=np.zeros(3, int))
    with pytest.raises(FileFormatError, match="lacks the array 'scores'"):
        load_affordances(path)
