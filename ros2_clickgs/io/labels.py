# SPDX-License-Identifier: Apache-2.0
"""Labels of a map's Gaussians in an .npz that remembers which map it was made for."""

import logging
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ros2_clickgs.errors import ClickGSError, FileFormatError, MapMismatchError, ShapeError
from ros2_clickgs.io.atomic import atomic_path

MAX_EXPANSION = 1100
"""Deflate cannot shrink further; a member that claims more is not what it says."""
MAKE_AGAIN = "make the labels again with `clickgs segment`"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Which object each Gaussian belongs to, and the votes that said so."""

    labels: Int[Tensor, " N"]
    """-1 never seen, 0 background, above 0 the object's id; int32."""
    votes_for: Float[Tensor, "L N"] = field(default_factory=lambda: torch.zeros(0, 0))
    """Row l - 1: votes that label l got, in pixel-equivalents; no rows where unknown."""
    votes_against: Float[Tensor, "L N"] = field(default_factory=lambda: torch.zeros(0, 0))
    """Row l - 1: votes that label l did not get."""
    names: list[str] = field(default_factory=list)
    """Name of label l at l - 1; may be shorter than there are labels."""
    map_sha256: str = ""
    """Hash of the map file; empty where unknown."""

    def __post_init__(self) -> None:
        if self.labels.ndim != 1:
            raise ShapeError("labels", expected="(N,)", actual=tuple(self.labels.shape))
        shape = tuple(self.votes_for.shape)
        if tuple(self.votes_against.shape) != shape:
            actual = tuple(self.votes_against.shape)
            raise ShapeError("votes_against", expected=f"{shape} like votes_for", actual=actual)
        if self.votes_for.ndim != 2 or (shape[0] and shape[1] != len(self.labels)):
            raise ShapeError("votes_for", expected=f"(L, {len(self.labels)})", actual=shape)


def save_labels(path: str | Path, labels: Labels) -> None:
    """Write labels atomically."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            labels=labels.labels.cpu().numpy().astype(np.int32),
            votes_for=labels.votes_for.cpu().numpy().astype(np.float32),
            votes_against=labels.votes_against.cpu().numpy().astype(np.float32),
            names=np.array(labels.names, dtype=np.str_),
            map_sha256=np.array(labels.map_sha256),
        )


def load_labels(path: str | Path, map_sha256: str | None) -> Labels:
    """Return labels from an .npz; nothing is unpickled. Only `labels` must be there.

    Args:
        path: the file.
        map_sha256: hash of the map that the labels are for. None takes labels of any map, with a
            warning in the log: then their number is all that can be checked.

    Raises:
        FileFormatError: the file is broken, or does not say which map it is for.
        MapMismatchError: it is for another map.
        ShapeError: its arrays do not fit each other.
    """
    with _opened(path) as arrays:
        made_for = _text(path, arrays, "map_sha256")
        if map_sha256 is None:
            log.warning("%s: not checked which map these labels belong to", path)
        elif not made_for:
            raise FileFormatError(path, "does not say which map it is for", MAKE_AGAIN)
        elif made_for != map_sha256:
            raise MapMismatchError(path, made_for=made_for, given=map_sha256)
        labels = _numbers(path, arrays, "labels", np.int32)
        no_votes = np.zeros((0, labels.size), np.float32)
        votes = {
            name: torch.from_numpy(_numbers(path, arrays, name, np.float32, no_votes))
            for name in ("votes_for", "votes_against")
        }
        names = _texts(path, arrays, "names")
    return Labels(labels=torch.from_numpy(labels), **votes, names=names, map_sha256=made_for)


@contextmanager
def _opened(path: str | Path) -> Iterator[np.lib.npyio.NpzFile]:
    try:
        with Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
            _check_sizes(path, archive)
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except ClickGSError:
        raise
    except FileNotFoundError:
        raise FileFormatError(path, "does not exist", "check the path") from None
    except BROKEN_NPZ as error:
        problem = f"is no .npz of plain arrays ({str(error)[:80]})"
        raise FileFormatError(path, problem, MAKE_AGAIN) from None


BROKEN_NPZ = (
    OSError, ValueError, KeyError, EOFError, MemoryError, NotImplementedError, RuntimeError,
    SyntaxError, TypeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What zipfile and numpy raise on damaged archives."""


def _check_sizes(path: str | Path, archive: zipfile.ZipFile) -> None:
    held = Path(path).stat().st_size
    for member in archive.infolist():
        if member.file_size > MAX_EXPANSION * min(member.compress_size, held):
            problem = f"claims {member.file_size} bytes of '{member.filename}'"
            raise FileFormatError(path, f"{problem}, more than it can hold", MAKE_AGAIN)
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0
            shape, _, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(
                file
            )
        if np.prod(shape, dtype=float) * max(dtype.itemsize, 1) > member.file_size:
            problem = f"claims {shape} values of '{member.filename}'"
            raise FileFormatError(path, f"{problem}, more than it holds", MAKE_AGAIN)


def _numbers(path, arrays, name: str, dtype, default: np.ndarray | None = None) -> np.ndarray:
    if name not in arrays and default is not None:
        return default
    if name not in arrays:
        raise FileFormatError(path, f"lacks the array '{name}'", MAKE_AGAIN)
    values = arrays[name]
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise FileFormatError(path, f"'{name}' does not hold finite numbers", MAKE_AGAIN)
    if np.dtype(dtype).kind == "i" and values.dtype.kind == "f":
        raise FileFormatError(path, f"'{name}' does not hold whole numbers", MAKE_AGAIN)
    return values.astype(dtype)


def _texts(path: str | Path, arrays: np.lib.npyio.NpzFile, name: str) -> list[str]:
    values = np.atleast_1d(arrays[name]) if name in arrays else np.array([], np.str_)
    if values.ndim != 1 or (values.size and values.dtype.kind != "U"):
        raise FileFormatError(path, f"'{name}' does not hold text", MAKE_AGAIN)
    return [str(value) for value in values]


def _text(path: str | Path, arrays: np.lib.npyio.NpzFile, name: str) -> str:
    return "".join(_texts(path, arrays, name)[:1])
