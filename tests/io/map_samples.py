# SPDX-License-Identifier: Apache-2.0
"""Small maps and their bytes, packed one number at a time: the slow twins of the readers."""

import gzip
import io
import math
import struct

import numpy as np
import torch
from plyfile import PlyData, PlyElement

from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.io.inria_ply import MEANS, QUATS, SCALES, SH_DC, rest_names

INRIA_COLUMNS = (*MEANS, "nx", "ny", "nz", *SH_DC, *rest_names(45), "opacity", *SCALES, *QUATS)


def random_map(count: int = 12, sh_count: int = 16, seed: int = 0) -> Gaussians:
    """Return Gaussians within the range that every format holds."""
    g = torch.Generator().manual_seed(seed)
    return Gaussians(
        means=torch.randn(count, 3, generator=g) * 2,
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=g), dim=-1),
        scales=torch.exp(torch.randn(count, 3, generator=g) - 4),
        opacities=torch.rand(count, generator=g) * 0.98 + 0.01,
        sh=torch.rand(count, sh_count, 3, generator=g) * 1.6 - 0.8,
    )


def inria_columns(count: int = 12, rest: int = 45, seed: int = 0) -> np.ndarray:
    """Return a random table with the original columns; quaternions are not normalised."""
    names = [n for n in INRIA_COLUMNS if not n.startswith("f_rest_") or int(n[7:]) < rest]
    values = np.random.default_rng(seed).normal(size=(count, len(names))).astype("<f4")
    return values.view([(name, "<f4") for name in names])[:, 0]


def ply_bytes(*tables: tuple[str, np.ndarray], text: bool = False, byte_order: str = "<") -> bytes:
    """Return the .ply of named tables, as plyfile writes it."""
    elements = [PlyElement.describe(table, name) for name, table in tables]
    file = io.BytesIO()
    PlyData(elements, text=text, byte_order="=" if text else byte_order).write(file)
    return file.getvalue()


def compressed_tables(count: int = 300, rest: int = 0, seed: int = 0) -> list:
    """Return random tables of a .compressed.ply with sane bounds."""
    rng = np.random.default_rng(seed)
    chunk_count = -(-count // 256)
    axes = ["x", "y", "z", "scale_x", "scale_y", "scale_z", "r", "g", "b"]
    groups = [[f"{bound}_{axis}" for axis in axes] for bound in ("min", "max")]
    chunks = np.zeros(chunk_count, [(name, "<f4") for group in groups for name in group])
    for low, high in zip(*groups, strict=True):
        chunks[low] = rng.uniform(-4, -1, chunk_count)
        chunks[high] = chunks[low] + rng.uniform(0.5, 2, chunk_count)
    names = ["packed_position", "packed_rotation", "packed_scale", "packed_color"]
    vertices = np.zeros(count, [(name, "<u4") for name in names])
    for name in names:
        vertices[name] = rng.integers(0, 2**32, count)
    tables = [("chunk", chunks), ("vertex", vertices)]
    if rest:
        sh = np.zeros(count, [(name, "u1") for name in rest_names(rest)])
        for name in sh.dtype.names:
            sh[name] = rng.integers(0, 256, count)
        tables.append(("sh", sh))
    return tables


def splat_bytes(gaussians: Gaussians) -> bytes:
    """Return the .splat of a map."""
    rows = []
    for i in range(len(gaussians)):
        rgb = 0.5 + 0.28209479177387814 * gaussians.sh[i, 0]
        rgba = [*(255 * rgb).tolist(), 255 * gaussians.opacities[i].item()]
        quat = (gaussians.quats[i] * 128 + 128).tolist()
        floats = [*gaussians.means[i].tolist(), *gaussians.scales[i].tolist()]
        rows.append(struct.pack("<6f8B", *floats, *map(byte, (*rgba, *quat))))
    return b"".join(rows)


def spz_payload(right_up_back: Gaussians, version: int, flags: int = 0) -> bytes:
    """Return the unzipped .spz of a map that is already in the file's axes."""
    g, count = right_up_back, len(right_up_back)
    degree = {1: 0, 4: 1, 9: 2, 16: 3}[g.sh.shape[1]]
    header = struct.pack("<IIIBBBB", 0x5053474E, version, count, degree, 12, flags, 0)
    means = [round(v * 4096) & 0xFFFFFF for v in g.means.flatten().tolist()]
    rotations = [pack_quat(quat.tolist(), version) for quat in g.quats]
    return b"".join([
        header,
        *(struct.pack("<I", mean)[:3] for mean in means),
        bytes(byte(255 * o) for o in g.opacities.tolist()),
        bytes(byte(255 * (0.5 + 0.15 * c)) for c in g.sh[:, 0].flatten().tolist()),
        bytes(byte(16 * (math.log(s) + 10)) for s in g.scales.flatten().tolist()),
        *rotations,
        bytes(byte(128 + 128 * c) for c in g.sh[:, 1:].flatten().tolist()),
    ])  # fmt: skip


def spz_bytes(right_up_back: Gaussians, version: int = 3, flags: int = 0) -> bytes:
    """Return the .spz of a map that is already in the file's axes."""
    return gzip.compress(spz_payload(right_up_back, version, flags))


def pack_quat(wxyz: list[float], version: int) -> bytes:
    """Return a quaternion as version 2 or 3 stores it."""
    w, x, y, z = wxyz
    if version == 2:
        sign = -1 if w < 0 else 1
        return bytes(byte(127.5 + 127.5 * sign * v) for v in (x, y, z))
    xyzw = [x, y, z, w]
    largest = max(range(4), key=lambda i: abs(xyzw[i]))
    word = largest
    for i in range(4):
        if i != largest:
            is_negative = (xyzw[i] < 0) != (xyzw[largest] < 0)
            word = word << 10 | is_negative << 9 | int(511 * abs(xyzw[i]) * math.sqrt(2) + 0.5)
    return struct.pack("<I", word)


def byte(value: float) -> int:
    """Return the nearest byte."""
    return min(255, max(0, round(value)))
