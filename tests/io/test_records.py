# SPDX-License-Identifier: Apache-2.0
"""Records come back bit for bit, and are small where their numbers are alike."""

import io

import numpy as np
import pytest
import torch

from ros2_clickgs.errors import FileFormatError
from ros2_clickgs.io.records import CHECK, decoded, encoded, packed, read_records, unpacked

ARRAYS = [
    np.array([], np.float32),
    np.array([np.nan, -0.0, np.inf, 1e-42], np.float32),
    np.array([2**31 - 1, -(2**31), 0, 5], np.int32),
    np.array([2**63 - 1, -(2**63), 7], np.int64),
    np.array([0.1, -1e300]),
    np.array([True, False, True]),
    np.arange(6, dtype=np.int32).reshape(2, 3)[:, ::2],
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_arrays_come_back_bit_for_bit(array):
    array = np.ascontiguousarray(array)
    back = unpacked(packed(array), array.dtype, array.size)
    assert back.tobytes() == array.tobytes()
    found = decoded("x", encoded(["name", {"a": torch.from_numpy(array)}])[16:])[1]["a"]
    assert found.numpy().tobytes() == array.tobytes()
    assert found.shape == array.shape


def test_arrays_of_the_first_files_are_read():
    text = b'{"a": {"dtype": "<f4", "shape": [2]}, "b": {"dtype": "<i4", "shape": []}}'
    payload = CHECK.pack(len(text)) + text + np.array([1.5, -2], "<f4").tobytes() + b"\5\0\0\0"
    found = decoded("x", payload)
    assert (found["a"].tolist(), found["b"].tolist()) == ([1.5, -2.0], 5)


def test_a_block_of_another_length_is_no_array():
    block = packed(np.zeros(100, np.float32))
    for count in (99, 101, 0):
        with pytest.raises(ValueError, match="are no"):
            unpacked(block, np.dtype("f4"), count)


def test_a_record_that_makes_no_sense_is_damage():
    whole = bytearray(encoded({"a": torch.ones(3)})[16:])
    whole[-5] ^= 1
    with pytest.raises(FileFormatError, match="makes no sense"):
        decoded("x", bytes(whole))


def test_a_view_of_twelve_objects_takes_five_bytes_per_gaussian_that_it_sees():
    seed = torch.Generator().manual_seed(0)
    rows = torch.randperm(100_000, generator=seed)[:30_000].sort().values.int()
    seen = torch.rand(30_000, generator=seed)
    votes_for = torch.zeros(12, 30_000)
    for row in range(12):
        votes_for[row, 2000 * row : 2000 * row + 1000] = seen[:1000]
    record = encoded([["add_view", {"rows": rows, "seen": seen, "votes_for": votes_for}]])
    assert len(record) < 5 * len(rows) + 4 * 12 * 1000
    (found,) = read_records("x", io.BytesIO(record), 0)
    assert torch.equal(found.content[0][1]["votes_for"], votes_for)
