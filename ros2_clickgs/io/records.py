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
    arrays: list[np.ndarray] = []
    text = json.dumps(content, default=lambda tensor: _described(tensor, arrays)).encode()
    blocks = [CHECK.pack(len(text)), text, *(array.tobytes() for array in arrays)]
    payload = b"".join(blocks)
    head = HEAD.pack(len(payload), zlib.crc32(payload))
    return head + CHECK.pack(zlib.crc32(head)) + payload


def _described(tensor: Tensor, arrays: list[np.ndarray]) -> dict[str, Any]:
    array = np.ascontiguousarray(tensor.detach().cpu().numpy())
    arrays.append(array)
    return {"dtype": array.dtype.str, "shape": list(tensor.shape)}


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
    except (struct.error, ValueError, TypeError, RecursionError) as error:
        problem = f"holds a record that makes no sense ({str(error)[:80]})"
        raise FileFormatError(path, problem, DAMAGED) from None


class _Arrays:
    """Takes the arrays behind a record's text, in the order in which that mentions them."""

    def __init__(self, payload: bytes) -> None:
        self.payload, self.place = payload, 0

    def tensor_or_dict(self, found: dict[str, Any]) -> Any:
        if set(found) != {"dtype", "shape"}:
            return found
        if found["dtype"] not in DTYPES or not all(
            type(n) is int and n >= 0 for n in found["shape"]
        ):
            raise ValueError(f"no array is {found}")
        count = math.prod(found["shape"])
        array = np.frombuffer(self.payload, np.dtype(found["dtype"]), count, self.place)
        self.place += array.nbytes
        return torch.from_numpy(array.reshape(found["shape"]).copy())
