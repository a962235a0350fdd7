# SPDX-License-Identifier: Apache-2.0
"""Any map file to Gaussians and back; which format it is, its first bytes and its suffix say."""

import hashlib
from pathlib import Path

from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import MapFormatError
from ros2_clickgs.io.compressed_ply import load_compressed_ply
from ros2_clickgs.io.inria_ply import load_inria_ply, save_inria_ply
from ros2_clickgs.io.ply import read_ply
from ros2_clickgs.io.splat_file import load_splat
from ros2_clickgs.io.spz import GZIP_MAGIC, SPZ_MAGIC, load_spz, save_spz

READABLE = ".ply, .compressed.ply, .splat or .spz"
CONVERT = f"give {READABLE}; splat-transform converts others"


def load_map(path: str | Path) -> Gaussians:
    """Return the Gaussians of a map file, activated, on the CPU.

    A map is kept in its file's frame, but .spz is turned from right-up-back to right-down-front,
    which is what the .ply of the same scene holds.

    Args:
        path: .ply (as the original 3DGS code writes it), PlayCanvas .compressed.ply, .splat, or
            .spz of version 2 or 3.

    Raises:
        MapFormatError: the file is missing, broken, or not a 3D Gaussian Splatting map.
    """
    path = Path(path)
    try:
        return _load(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise MapFormatError(path, f"cannot be read ({reason})", "check the path") from error


def _load(path: Path) -> Gaussians:
    with path.open("rb") as file:
        head = file.read(4)
    if not head:
        raise MapFormatError(path, "is empty", "copy or export the map again")
    if head.startswith(b"ply"):
        return _load_ply(path)
    if head.startswith(GZIP_MAGIC) or head == SPZ_MAGIC:
        return load_spz(path)
    if path.suffix.lower() == ".splat":
        return load_splat(path)
    if path.suffix.lower() in (".ply", ".spz"):
        problem = f"is no {path.suffix} file: it begins with {head!r}"
        raise MapFormatError(path, problem, "copy or export the map again")
    raise MapFormatError(path, f"has the unknown suffix '{path.suffix}'", CONVERT)


def _load_ply(path: Path) -> Gaussians:
    tables = read_ply(path)
    if "vertex" not in tables:
        raise MapFormatError(path, "has no table 'vertex'", "export the map again as binary PLY")
    if "chunk" in tables and "packed_position" in tables["vertex"].columns:
        return load_compressed_ply(path, tables)
    return load_inria_ply(path, tables["vertex"])


def save_map(path: str | Path, gaussians: Gaussians) -> None:
    """Write a map as .ply (exact) or .spz (about ten times smaller, quantised), atomically.

    Raises:
        MapFormatError: the suffix is neither, or the map does not fit the format.
    """
    path = Path(path)
    if path.suffix.lower() == ".spz":
        save_spz(path, gaussians)
    elif path.suffix.lower() == ".ply" and not path.name.lower().endswith(".compressed.ply"):
        save_inria_ply(path, gaussians)
    else:
        raise MapFormatError(path, "cannot be written", "name the output .ply or .spz")


def map_sha256(path: str | Path) -> str:
    """Return the sha256 of the file's bytes, in hexadecimal: labels and features remember it.

    Raises:
        MapFormatError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        reason = error.strerror or str(error)
        raise MapFormatError(path, f"cannot be read ({reason})", "check the path") from error
    return digest.hexdigest()
