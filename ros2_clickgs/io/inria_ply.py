# SPDX-License-Identifier: Apache-2.0
"""The .ply of the original 3DGS code (Kerbl et al. 2023): logarithms and logits by column."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import MapFormatError
from ros2_clickgs.io.assembly import BLOCK_ROWS, Block, assemble
from ros2_clickgs.io.atomic import atomic_path
from ros2_clickgs.io.ply import PlyTable

MEANS = ("x", "y", "z")
NORMALS = ("nx", "ny", "nz")
SH_DC = ("f_dc_0", "f_dc_1", "f_dc_2")
SCALES = ("scale_0", "scale_1", "scale_2")
QUATS = ("rot_0", "rot_1", "rot_2", "rot_3")
REQUIRED = (*MEANS, *SH_DC, "opacity", *SCALES, *QUATS)
SH_COUNT_OF_REST = {0: 1, 9: 4, 24: 9, 45: 16}
"""Coefficients per channel, DC included, for each number of f_rest columns."""


def load_inria_ply(path: Path, vertices: PlyTable) -> Gaussians:
    """Return the activated map of the table `vertex`.

    Raises:
        MapFormatError: a column is missing, the f_rest columns make no SH degree 0 to 3, or a
            value is not finite. An opacity logit may be infinite: other tools write it for 1.
    """
    missing = [name for name in REQUIRED if name not in vertices.columns]
    if missing:
        raise MapFormatError(
            path,
            f"lacks the columns {', '.join(missing)}",
            "give a 3D Gaussian Splatting map; for plain points or RGB-D frames, "
            "make one with `clickgs build-map`",
        )
    rest_count = sum(name.startswith("f_rest_") for name in vertices.columns)
    rest = rest_names(rest_count)
    if rest_count not in SH_COUNT_OF_REST or not set(rest) <= set(vertices.columns):
        problem = f"has {rest_count} f_rest columns"
        raise MapFormatError(path, problem, "0, 9, 24 or 45 (SH degree 0 to 3) are needed")
    sh_count = SH_COUNT_OF_REST[rest_count]
    return assemble(path, vertices.count, sh_count, _decode(vertices, rest))


def rest_names(count: int) -> tuple[str, ...]:
    """Return the names of the f_rest columns: all of red, then green, then blue."""
    return tuple(f"f_rest_{i}" for i in range(count))


def _decode(vertices: PlyTable, rest: tuple[str, ...]) -> Iterator[Block]:
    for rows in vertices.blocks():
        shN = _columns(rows, rest).reshape(len(rows), 3, -1).transpose(0, 2, 1)
        yield Block(
            means=_columns(rows, MEANS),
            quats=_columns(rows, QUATS),
            scales=np.exp(_columns(rows, SCALES)),
            opacities=1 / (1 + np.exp(-_columns(rows, ("opacity",))[:, 0])),
            sh=np.concatenate([_columns(rows, SH_DC)[:, None], shN], axis=1),
        )


def _columns(rows: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    out = np.empty((len(rows), len(names)), np.float32)
    for i, name in enumerate(names):
        out[:, i] = rows[name]
    return out


def save_inria_ply(path: Path, gaussians: Gaussians) -> None:
    """Write the map as binary .ply with the original columns (normals are zero)."""
    rest = rest_names(3 * (gaussians.sh.shape[1] - 1))
    names = (*MEANS, *NORMALS, *SH_DC, *rest, "opacity", *SCALES, *QUATS)
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(gaussians)}"]
    header += [*(f"property float {name}" for name in names), "end_header", ""]
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write("\n".join(header).encode())
        for start in range(0, len(gaussians), BLOCK_ROWS):
            file.write(_encode(gaussians, slice(start, start + BLOCK_ROWS)).tobytes())


def _encode(gaussians: Gaussians, rows: slice) -> np.ndarray:
    means, sh = gaussians.means[rows].cpu(), gaussians.sh[rows].cpu()
    opacities = gaussians.opacities[rows].cpu().double().clamp(1e-7, 1 - 1e-7)
    columns = (
        means,
        torch.zeros_like(means),
        sh[:, 0],
        sh[:, 1:].mT.flatten(1),
        torch.logit(opacities)[:, None],
        gaussians.scales[rows].cpu().double().log(),
        gaussians.quats[rows].cpu(),
    )
    return torch.cat([column.float() for column in columns], dim=1).numpy().astype("<f4")
