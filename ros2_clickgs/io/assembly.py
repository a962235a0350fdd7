# SPDX-License-Identifier: Apache-2.0
"""From blocks of decoded rows to a checked map. Every map reader ends here."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import MapFormatError

BLOCK_ROWS = 1 << 12
"""Rows decoded at a time: they fit a CPU cache; a multiple of 256."""
MAX_MAGNITUDE = 1e12
"""Beyond this a square no longer fits float32 comfortably; no real map comes near."""
MIN_SCALE_M = 1e-12
"""Scales that underflow to zero are kept this thin, in m: still positive, never visible."""
CLEAN_UP = "remove that Gaussian (`splat-transform --filter-nan`) or export again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some consecutive Gaussians of a file, activated, not yet checked."""

    means: Float[np.ndarray, "B 3"]
    """Centres, in m."""
    quats: Float[np.ndarray, "B 4"]
    """Orientations, wxyz, any length but zero."""
    scales: Float[np.ndarray, "B 3"]
    """Standard deviations, in m, >= 0."""
    opacities: Float[np.ndarray, " B"]
    """Peak opacities, in [0, 1]."""
    sh: Float[np.ndarray, "B S 3"]
    """Colour coefficients, DC first."""


def assemble(path: Path, count: int, sh_count: int, blocks: Iterable[Block]) -> Gaussians:
    """Return the map that the blocks make up.

    Args:
        path: the file, for messages.
        count: number of Gaussians; the caller has seen that the file is long enough for them.
        sh_count: colour coefficients per channel: 1, 4, 9 or 16.
        blocks: all rows in order.

    Raises:
        MapFormatError: the map is empty, or a Gaussian is not finite, has a quaternion of length
            0 or a negative scale.
    """
    if count == 0:
        raise MapFormatError(path, "holds no Gaussians", "export the map again")
    shapes = {
        "means": (3,), "quats": (4,), "scales": (3,), "opacities": (), "sh": (sh_count, 3),
    }  # fmt: skip
    arrays = {name: np.empty((count, *row), np.float32) for name, row in shapes.items()}
    start = 0
    with np.errstate(all="ignore"):
        for block in blocks:
            rows = slice(start, start + len(block.means))
            for name, array in arrays.items():
                array[rows] = getattr(block, name)
            _check_and_normalize(path, start, {name: a[rows] for name, a in arrays.items()})
            start = rows.stop
    return Gaussians(**{name: torch.from_numpy(array) for name, array in arrays.items()})


def _check_and_normalize(path: Path, start: int, rows: dict[str, np.ndarray]) -> None:
    for name, values in rows.items():
        if not (values.max() <= MAX_MAGNITUDE and values.min() >= -MAX_MAGNITUDE):
            bad = ~(np.abs(values) <= MAX_MAGNITUDE).reshape(len(values), -1).all(axis=1)
            raise _bad_row(path, start, bad, f"{name} that are not finite numbers", values)
    if rows["scales"].min() < 0:
        bad = (rows["scales"] < 0).any(axis=1)
        raise _bad_row(path, start, bad, "a negative scale", rows["scales"])
    lengths = np.linalg.norm(rows["quats"], axis=1, keepdims=True)
    if lengths.min() < 1e-9:
        bad = lengths[:, 0] < 1e-9
        raise _bad_row(path, start, bad, "a quaternion of length 0", rows["quats"])
    rows["quats"] /= lengths
    np.maximum(rows["scales"], MIN_SCALE_M, out=rows["scales"])


def _bad_row(
    path: Path, start: int, bad: np.ndarray, what: str, values: np.ndarray
) -> MapFormatError:
    first = int(bad.argmax())
    shown = np.array2string(values[first].ravel()[:4], precision=4, separator=", ")
    return MapFormatError(path, f"Gaussian {start + first} has {what}: {shown}", CLEAN_UP)
