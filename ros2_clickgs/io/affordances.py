# SPDX-License-Identifier: Apache-2.0
"""What a map's Gaussians afford, in an .npz: `classes`, `scores` [N, C], `labels` [N]."""

from pathlib import Path

import numpy as np
import torch

from ros2_clickgs.core.affordances.options import AffordanceScores
from ros2_clickgs.errors import ShapeError
from ros2_clickgs.io.atomic import atomic_path
from ros2_clickgs.io.npz import NpzReader

MAKE_AGAIN = "make it again with `clickgs affordance`"


def save_affordances(path: str | Path, affordances: AffordanceScores) -> None:
    """Write the affordances of a whole map's Gaussians atomically."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            classes=np.array(affordances.classes, dtype=np.str_),
            scores=affordances.scores.cpu().numpy().astype(np.float32),
            labels=affordances.labels.cpu().numpy().astype(np.int32),
        )


def load_affordances(path: str | Path) -> AffordanceScores:
    """Return affordances from an .npz; nothing is unpickled.

    Raises:
        FileFormatError: the file is broken.
        ShapeError: its arrays do not fit each other.
    """
    with NpzReader(path, MAKE_AGAIN) as arrays:
        classes = arrays.texts("classes")
        scores = arrays.numbers("scores", np.float32)
        labels = arrays.numbers("labels", np.int32)
    expected = (len(labels), len(classes))
    if scores.shape != expected:
        raise ShapeError(f"{path}: scores", expected=str(expected), actual=scores.shape)
    return AffordanceScores(
        classes=classes, scores=torch.from_numpy(scores), labels=torch.from_numpy(labels)
    )
