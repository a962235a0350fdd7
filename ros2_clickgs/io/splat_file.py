# SPDX-License-Identifier: Apache-2.0
"""The .splat of antimatter15's web viewer: 32 bytes per Gaussian, no header, one colour."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ros2_clickgs.core.harmonics import C0
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import MapFormatError
from ros2_clickgs.io.assembly import BLOCK_ROWS, Block, assemble

ROW = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])
"""Centre (m), standard deviation (m), colour and opacity, quaternion wxyz as 128 + 128 q."""


def load_splat(path: Path) -> Gaussians:
    """Return the map of a .splat file.

    Raises:
        MapFormatError: the file is not a whole number of rows, or a row is no Gaussian.
    """
    count, rest = divmod(path.stat().st_size, ROW.itemsize)
    if rest:
        problem = f"is truncated or no .splat: {rest} bytes follow the last row of {ROW.itemsize}"
        raise MapFormatError(path, problem, "copy or export the map again")
    return assemble(path, count, 1, _decode(path))


def _decode(path: Path) -> Iterator[Block]:
    with path.open("rb") as file:
        while len(rows := np.frombuffer(file.read(BLOCK_ROWS * ROW.itemsize), ROW)):
            colors = rows["rgba"] / np.float32(255)
            yield Block(
                means=rows["mean"],
                quats=(rows["quat"] - np.float32(128)) / 128,
                scales=rows["scale"],
                opacities=colors[:, 3],
                sh=(colors[:, None, :3] - 0.5) / C0,
            )
