# SPDX-License-Identifier: Apache-2.0
"""Records one after the other in a file: a torn last one is told from damage; no pickle.

A record is its length, a checksum of its content, a checksum of these twelve bytes, its content.
"""

import json
import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ros2_clickgs.errors import FileFormatError

HEAD = struct.Struct("<QI")
CHECK = struct.Struct("<I")
DTYPES = {"<i4", "<i8", "<f4", "<f8", "|b1"}
"""Numbers that arrays may hold."""
LEVEL = 1
"""Of zlib: the fastest; higher ones save little."""
DAMAGED = "restore it from a copy, or move it away to begin anew"


class Record(NamedTuple):
    """What one record says, and where the next one begins."""

    content: Any
    """JSON, with tensors in it."""
    end: int
    """In bytes from the start of the file."""


def encoded(content: Any) -> bytes:
    """Return the bytes of a record.

    Args:
        content: lists, dictionaries, numbers and texts as JSON has them, and tensors.
    """
    blocks: list[bytes] = []
    text = json.dumps(content, default=lambda tensor: _described(tensor, blocks)).encode()
    payload = b"".join([CHECK.pack(len(text)), text, *blocks])
    head = HEAD.pack(len(payload), zlib.crc32(payload))
    return head + CHECK.pack(zlib.crc32(head)) + payload


def _described(tensor: Tensor, blocks: list[bytes]) -> dict[str, Any]:
    array = np.ascontiguousarray(tensor.detach().cpu().numpy())
    blocks.append(packed(array))
    return {"dtype": array.dtype.str, "shape": list(tensor.shape), "bytes": len(blocks[-1])}


def packed(array: np.ndarray) -> bytes:
    """Return an array's bytes made fewer: row numbers as steps, bytes of like weight together."""
    flat = array.reshape(-1)
    if flat.dtype.kind == "i":
        flat = np.diff(flat, prepend=flat.dtype.type(0))
    weighed = flat.view(np.uint8).reshape(-1, array.itemsize).T
    return zlib.compress(weighed.tobytes(), LEVEL)


def unpacked(block: bytes, dtype: np.dtype, count: int) -> np.ndarray:
    """Return the array (flat, so many numbers) that `packed` made a block of, bit for bit.

    Raises:
        ValueError: the block holds something else.
    """
    size = count * dtype.itemsize
    content = zlib.decompressobj().decompress(block, size + 1)
    if len(content) != size:
        raise ValueError(f"{len(content)} bytes or more are no {count} numbers of {dtype}")
    weighed = np.frombuffer(content, np.uint8).reshape(dtype.itemsize, count)
    flat = weighed.T.copy().reshape(-1).view(dtype)
    return np.cumsum(flat, dtype=dtype) if dtype.kind == "i" else flat


def read_records(path: object, file: BinaryIO, start: int) -> Iterator[Record]:
    """Yield the records from a place on; stop at the end or at a torn last record.

    Raises:
        FileFormatError: a record is damaged that was once whole.
    """
    size = file.seek(0, 2)
    file.seek(start)
    while (place := file.tell()) < size:
        head = file.read(HEAD.size + CHECK.size)
        if len(head) < HEAD.size + CHECK.size or not any(head):
            return
        length, checksum = HEAD.unpack_from(head)
        if zlib.crc32(head[: HEAD.size]) != CHECK.unpack_from(head, HEAD.size)[0]:
            if not any(file.read()):  # blocks that never reached the disk
                return
            raise FileFormatError(path, f"is damaged at byte {place}", DAMAGED)
        if length > size - file.tell():
            return
        payload = file.read(length)
        if zlib.crc32(payload) != checksum:
            if file.tell() == size:
                return
            raise FileFormatError(path, f"is damaged at byte {place}", DAMAGED)
        yield Record(decoded(path, payload), file.tell())


def decoded(path: object, payload: bytes) -> Any:
    """Return what a record's content says.

    Raises:
        FileFormatError: it is not what `encoded` writes.
    """
    arrays = _Arrays(payload)
    try:
        (length,) = CHECK.unpack_from(payload)
        arrays.place = CHECK.size + length
        return json.loads(payload[CHECK.size : arrays.place], object_hook=arrays.tensor_or_dict)
    except (struct.error, zlib.error, ValueError, TypeError, RecursionError) as error:
        problem = f"holds a record that makes no sense ({str(error)[:80]})"
        raise FileFormatError(path, problem, DAMAGED) from None


class _Arrays:
    """Takes the arrays behind a record's text, in the order in which that mentions them."""

    def __init__(self, payload: bytes) -> None:
        self.payload, self.place = payload, 0

    def tensor_or_dict(self, found: dict[str, Any]) -> Any:
        if set(found) - {"bytes"} != {"dtype", "shape"}:
            return found
        numbers = [*found["shape"], found.get("bytes", 0)]
        if found["dtype"] not in DTYPES or not all(type(n) is int and n >= 0 for n in numbers):
            raise ValueError(f"no array is {found}")
        dtype, count = np.dtype(found["dtype"]), math.prod(found["shape"])
        if "bytes" in found:
            array = unpacked(self._taken(found["bytes"]), dtype, count)
        else:  # the first files had arrays as they are in memory
            array = np.frombuffer(self._taken(count * dtype.itemsize), dtype, count).copy()
        return torch.from_numpy(array.reshape(found["shape"]))

    def _taken(self, length: int) -> bytes:
        self.place += length
        return self.payload[self.place - length : self.place]
