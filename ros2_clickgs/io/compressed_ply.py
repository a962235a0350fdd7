# SPDX-License-Identifier: Apache-2.0
"""PlayCanvas .compressed.ply: 16 bytes per Gaussian, relative to the bounds of chunks of 256.

Format: https://blog.playcanvas.com/compressing-gaussian-splats/ and playcanvas/splat-transform.
"""

from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path

import numpy as np

from ros2_clickgs.core.harmonics import C0
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import MapFormatError
from ros2_clickgs.io.assembly import BLOCK_ROWS, Block, assemble
from ros2_clickgs.io.inria_ply import SH_COUNT_OF_REST, rest_names
from ros2_clickgs.io.ply import PlyTable

CHUNK_ROWS = 256
AXES = ("x", "y", "z")
SCALE_AXES = ("scale_x", "scale_y", "scale_z")
CHANNELS = ("r", "g", "b")
PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
SH_RANGE = 8.0
"""Coefficients of degree 1 to 3 are stored in [-4, 4]."""
EXPORT_AGAIN = "export the map again with SuperSplat or splat-transform"


def load_compressed_ply(path: Path, tables: dict[str, PlyTable]) -> Gaussians:
    """Return the activated map of the tables `chunk`, `vertex` and, if there, `sh`.

    Raises:
        MapFormatError: a table or column is missing or of another type, or tables disagree.
    """
    chunks, vertices, sh = tables["chunk"], tables["vertex"], tables.get("sh")
    _check_columns(path, chunks, _bounds(*AXES, *SCALE_AXES), "f4")
    if _has_color_bounds(chunks.columns):
        _check_columns(path, chunks, _bounds(*CHANNELS), "f4")
    _check_columns(path, vertices, PACKED, "u4")
    if chunks.count != -(-vertices.count // CHUNK_ROWS):
        problem = f"has {chunks.count} chunks for {vertices.count} Gaussians"
        raise MapFormatError(path, f"{problem}, not one per {CHUNK_ROWS}", EXPORT_AGAIN)
    rest_count = len(sh.columns) if sh else 0
    if sh:
        _check_columns(path, sh, rest_names(rest_count), "u1")
    if rest_count not in SH_COUNT_OF_REST or (sh and sh.count != vertices.count):
        problem = f"has an 'sh' table of {rest_count} columns that does not fit its Gaussians"
        raise MapFormatError(path, problem, EXPORT_AGAIN)
    blocks = _decode(chunks, vertices, sh)
    return assemble(path, vertices.count, SH_COUNT_OF_REST[rest_count], blocks)


def _bounds(*axes: str) -> list[str]:
    return [f"{bound}_{axis}" for axis in axes for bound in ("min", "max")]


def _has_color_bounds(columns: tuple[str, ...]) -> bool:
    return not set(columns).isdisjoint(_bounds(*CHANNELS))


def _check_columns(path: Path, table: PlyTable, names: Sequence[str], kind: str) -> None:
    types = {name: table.dtype[name].newbyteorder("=") for name in table.columns}
    bad = [name for name in names if types.get(name) != np.dtype(kind)]
    if bad:
        problem = f"lacks {', '.join(bad)} of a compressed map, or has them in another type"
        raise MapFormatError(path, problem, EXPORT_AGAIN)


def _decode(chunks: PlyTable, vertices: PlyTable, sh: PlyTable | None) -> Iterator[Block]:
    bounds = np.concatenate(list(chunks.blocks()) or [np.empty(0, chunks.dtype)])
    sh_blocks = sh.blocks() if sh else repeat(None)
    for i, (rows, sh_rows) in enumerate(zip(vertices.blocks(), sh_blocks, strict=False)):
        first = i * BLOCK_ROWS // CHUNK_ROWS
        chunk_of_row = bounds[first + np.arange(len(rows)) // CHUNK_ROWS]
        position, scale = (_unpack_11_10_11(rows[name]) for name in PACKED[::2])
        color = rows["packed_color"][:, None] >> np.uint32([24, 16, 8, 0]) & 255
        rgb = color[:, :3] / np.float32(255)
        if _has_color_bounds(chunks.columns):
            rgb = _between(chunk_of_row, CHANNELS, rgb)
        yield Block(
            means=_between(chunk_of_row, AXES, position),
            quats=_unpack_quats(rows["packed_rotation"]),
            scales=np.exp(_between(chunk_of_row, SCALE_AXES, scale)),
            opacities=color[:, 3] / np.float32(255),
            sh=_colors(rgb, sh_rows),
        )


def _unpack_11_10_11(packed: np.ndarray) -> np.ndarray:
    bits = packed[:, None] >> np.uint32([21, 11, 0]) & np.uint32([2047, 1023, 2047])
    return bits / np.float32([2047, 1023, 2047])


def _unpack_quats(packed: np.ndarray) -> np.ndarray:
    """Return quaternions (wxyz) whose largest component, named by the top 2 bits, is left out."""
    bits = packed[:, None] >> np.uint32([20, 10, 0]) & 1023
    others = ((bits / 1023 - 0.5) * np.sqrt(2)).astype(np.float32)
    largest = np.sqrt(np.maximum(0, 1 - (others**2).sum(axis=1, keepdims=True)))
    order = np.array([[0, 1, 2, 3], [1, 0, 2, 3], [1, 2, 0, 3], [1, 2, 3, 0]])[packed >> 30]
    return np.take_along_axis(np.concatenate([largest, others], axis=1), order, axis=1)


def _between(chunk_of_row: np.ndarray, axes: tuple[str, ...], t: np.ndarray) -> np.ndarray:
    low = np.stack([chunk_of_row[f"min_{axis}"] for axis in axes], axis=1)
    high = np.stack([chunk_of_row[f"max_{axis}"] for axis in axes], axis=1)
    return low * (1 - t) + high * t


def _colors(rgb: np.ndarray, sh_rows: np.ndarray | None) -> np.ndarray:
    dc = (rgb[:, None] - 0.5) / C0
    if sh_rows is None:
        return dc
    levels = np.stack([sh_rows[name] for name in rest_names(len(sh_rows.dtype))], axis=1)
    unit = np.where(levels == 0, 0, np.where(levels == 255, 1, (levels + 0.5) / 256))
    rest = ((unit - 0.5) * SH_RANGE).reshape(len(rgb), 3, -1).transpose(0, 2, 1)
    return np.concatenate([dc, rest], axis=1)
