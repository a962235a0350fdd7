# SPDX-License-Identifier: Apache-2.0
"""Files of plain arrays (.npz), read without trust: sizes are checked and nothing is unpickled."""

import logging
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ros2_clickgs.errors import FileFormatError, MapMismatchError

MAX_EXPANSION = 1100
"""Deflate cannot shrink further; a member that claims more is not what it says."""
BROKEN_NPZ = (
    OSError, ValueError, KeyError, EOFError, MemoryError, NotImplementedError, RuntimeError,
    SyntaxError, TypeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What zipfile and numpy raise on damaged archives."""
log = logging.getLogger(__name__)


class NpzReader:
    """An open .npz; whatever is wrong with it is a FileFormatError with the remedy."""

    def __init__(self, path: str | Path, remedy: str) -> None:
        self._path, self._remedy = path, remedy

    def __enter__(self) -> "NpzReader":
        try:
            with Path(self._path).open("rb") as file, zipfile.ZipFile(file) as archive:
                self._check_sizes(archive)
            self._arrays = np.load(self._path, allow_pickle=False)
        except FileFormatError:
            raise
        except BROKEN_NPZ as error:
            raise self._told(error) from None
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        self._arrays.close()

    def check_map(self, what: str, map_sha256: str | None) -> str:
        """Return the hash of the map that the file is for.

        Args:
            what: what the file holds, for the log.
            map_sha256: hash of the map at hand; None takes any, with a warning in the log.

        Raises:
            FileFormatError: the file does not say which map it is for.
            MapMismatchError: it is for another map.
        """
        made_for = "".join(self.texts("map_sha256")[:1])
        if map_sha256 is None:
            log.warning("%s: not checked which map these %s belong to", self._path, what)
        elif not made_for:
            raise self.error("does not say which map it is for")
        elif made_for != map_sha256:
            raise MapMismatchError(self._path, made_for=made_for, given=map_sha256)
        return made_for

    def numbers(self, name: str, dtype: Any, default: np.ndarray | None = None) -> np.ndarray:
        """Return an array of finite numbers; `default`, if given, where there is none."""
        if name not in self._arrays and default is not None:
            return default
        values = self._read(name)
        if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
            raise self.error(f"'{name}' does not hold finite numbers")
        if np.dtype(dtype).kind == "i" and values.dtype.kind == "f":
            raise self.error(f"'{name}' does not hold whole numbers")
        return values.astype(dtype)

    def texts(self, name: str) -> list[str]:
        """Return texts; none where the file has no such array."""
        if name not in self._arrays:
            return []
        values = np.atleast_1d(self._read(name))
        if values.ndim != 1 or (values.size and values.dtype.kind != "U"):
            raise self.error(f"'{name}' does not hold text")
        return [str(value) for value in values]

    def _read(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            raise self.error(f"lacks the array '{name}'")
        try:
            return self._arrays[name]
        except BROKEN_NPZ as error:
            raise self._told(error) from None

    def _check_sizes(self, archive: zipfile.ZipFile) -> None:
        held = Path(self._path).stat().st_size
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        for member in archive.infolist():
            if member.file_size > MAX_EXPANSION * min(member.compress_size, held):
                problem = f"claims {member.file_size} bytes of '{member.filename}'"
                raise self.error(f"{problem}, more than it can hold")
            with archive.open(member) as file:
                shape, _, dtype = read_header[np.lib.format.read_magic(file)](file)
            if np.prod(shape, dtype=float) * max(dtype.itemsize, 1) > member.file_size:
                problem = f"claims {shape} values of '{member.filename}'"
                raise self.error(f"{problem}, more than it holds")

    def error(self, problem: str) -> FileFormatError:
        """Return what is wrong with the file, with the remedy."""
        return FileFormatError(self._path, problem, self._remedy)

    def _told(self, error: BaseException) -> FileFormatError:
        if isinstance(error, FileNotFoundError):
            return FileFormatError(self._path, "does not exist", "check the path")
        return self.error(f"is no .npz of plain arrays ({str(error)[:80]})")
