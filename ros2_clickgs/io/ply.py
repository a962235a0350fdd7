# SPDX-License-Identifier: Apache-2.0
"""The PLY container: named tables of fixed-size rows, read in blocks and never beyond the file.

Written by hand because the header of a damaged file must be refused before anything is allocated.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib.recfunctions import unstructured_to_structured

from ros2_clickgs.errors import MapFormatError
from ros2_clickgs.io.assembly import BLOCK_ROWS

MAX_HEADER_BYTES = 1 << 16
END_OF_HEADER = re.compile(rb"\nend_header[ \t]*\r?\n")
TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip
BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
EXPORT_AGAIN = "export the map again as binary PLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlyTable:
    """One element of a PLY file, known to fit in it."""

    path: Path
    """The file."""
    count: int
    """Number of rows."""
    dtype: np.dtype
    """Columns of a row, packed."""
    start: int
    """Byte at which the rows begin; for text, the byte at which all rows of the file begin."""
    lines_before: int | None
    """For text: lines between `start` and the first row. None for binary."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in file order."""
        return self.dtype.names or ()

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, as structured arrays of at most BLOCK_ROWS."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            for _ in islice(file, self.lines_before or 0):
                pass
            for first in range(0, self.count, BLOCK_ROWS):
                rows = min(BLOCK_ROWS, self.count - first)
                yield self._read(file, rows)

    def _read(self, file: BinaryIO, rows: int) -> np.ndarray:
        return self._binary(file, rows) if self.lines_before is None else self._text(file, rows)

    def _binary(self, file: BinaryIO, rows: int) -> np.ndarray:
        block = file.read(rows * self.dtype.itemsize)
        if len(block) < rows * self.dtype.itemsize:
            raise MapFormatError(self.path, "ended while it was read", EXPORT_AGAIN)
        return np.frombuffer(block, self.dtype)

    def _text(self, file: BinaryIO, rows: int) -> np.ndarray:
        words = b" ".join(islice(file, rows)).split()
        if len(words) != rows * len(self.columns):
            problem = f"is truncated: {rows} rows of {len(self.columns)} numbers end early"
            raise MapFormatError(self.path, problem, EXPORT_AGAIN)
        try:
            table = np.array(words).astype(np.float64).reshape(rows, -1)
        except ValueError as error:
            problem = f"has text where a number should be ({error})"
            raise MapFormatError(self.path, problem, EXPORT_AGAIN) from None
        return unstructured_to_structured(table, self.dtype)


def read_ply(path: Path) -> dict[str, PlyTable]:
    """Return the tables of a PLY file by name; only the header is read.

    Tables from the first one with list columns on are left out: their rows have no fixed size.

    Raises:
        MapFormatError: the header is broken, or claims more rows than the file holds.
    """
    with path.open("rb") as file:
        head = file.read(MAX_HEADER_BYTES)
    end = END_OF_HEADER.search(head)
    if not head.startswith(b"ply") or end is None:
        raise MapFormatError(path, "has no PLY header ('ply' ... 'end_header')", EXPORT_AGAIN)
    lines = [line.split() for line in head[: end.start()].decode("latin-1").splitlines()[1:]]
    byte_order = _byte_order(path, lines)
    start, lines_before, tables = end.end(), 0, {}
    for name, count, columns in _elements(path, lines):
        if None in columns.values():
            break
        dtype = _dtype(path, columns, byte_order)
        is_text = byte_order == "="
        tables[name] = PlyTable(
            path=path, count=count, dtype=dtype, start=start,
            lines_before=lines_before if is_text else None,
        )  # fmt: skip
        _check_fits(tables[name], name)
        lines_before += count
        start += 0 if is_text else count * dtype.itemsize
    return tables


def _byte_order(path: Path, lines: list[list[str]]) -> str:
    for words in lines:
        if len(words) == 3 and words[0] == "format" and words[1] in BYTE_ORDERS:
            return BYTE_ORDERS[words[1]]
    raise MapFormatError(path, "has no known 'format' line in its PLY header", EXPORT_AGAIN)


def _elements(path: Path, lines: list[list[str]]) -> list[tuple[str, int, dict[str, str | None]]]:
    elements: list[tuple[str, int, dict[str, str | None]]] = []
    for words in lines:
        match words:
            case ["element", name, count] if re.fullmatch("[0-9]{1,15}", count):
                elements.append((name, int(count), {}))
            case ["property", "list", _, _, name] if elements:
                elements[-1][2][name] = None
            case ["property", kind, name] if elements and kind in TYPES:
                if name in elements[-1][2]:
                    raise MapFormatError(path, f"has two properties '{name}'", EXPORT_AGAIN)
                elements[-1][2][name] = TYPES[kind]
            case [] | ["comment" | "format" | "obj_info", *_]:
                pass
            case _:
                line = " ".join(words)[:60]
                raise MapFormatError(path, f"has a broken PLY header line: {line!r}", EXPORT_AGAIN)
    return elements


def _dtype(path: Path, columns: dict[str, str | None], byte_order: str) -> np.dtype:
    if not columns:
        raise MapFormatError(path, "has a PLY element without properties", EXPORT_AGAIN)
    return np.dtype([(name, byte_order + str(kind)) for name, kind in columns.items()])


def _check_fits(table: PlyTable, name: str) -> None:
    held = table.path.stat().st_size - table.start
    row_bytes = table.dtype.itemsize
    if table.lines_before is not None:
        row_bytes = 2 * len(table.columns)
    if table.count * row_bytes > held + (table.lines_before is not None):
        problem = (
            f"is truncated: its header claims {table.count} rows of '{name}' "
            f"({table.count * row_bytes} bytes), {max(held, 0)} bytes follow"
        )
        raise MapFormatError(table.path, problem, "copy or export the map again")
