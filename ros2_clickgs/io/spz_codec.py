# SPDX-License-Identifier: Apache-2.0
"""Numbers as .spz packs them, and the turn between its axes and those of .ply.

Format: https://github.com/nianticlabs/spz. Pure arrays; the file around them is in spz.py.
"""

import numpy as np
from jaxtyping import Float, UInt8

TURN_MEANS = np.float32([1, -1, -1])
"""Right-up-back to right-down-front, half a turn about x; its own inverse."""
TURN_QUATS_WXYZ = np.float32([1, 1, -1, -1])
"""The same turn F as a change of basis: R becomes F R F."""
TURN_SH = np.float32([1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1])
"""The same turn on SH coefficients: -1 where the basis function is odd in (y, z)."""
SMALLEST_THREE_MAX = 511


def unpack_fixed24(packed: UInt8[np.ndarray, "B 9"], bits: int) -> Float[np.ndarray, "B 3"]:
    """Return numbers from little-endian 24-bit fixed point with `bits` after the point."""
    low, middle, high = packed.reshape(-1, 3, 3).astype(np.int32).transpose(2, 0, 1)
    integers = low | middle << 8 | high << 16
    return np.ldexp((integers ^ 0x800000) - 0x800000, -bits).astype(np.float32)


def pack_fixed24(values: Float[np.ndarray, "B 3"], bits: int) -> UInt8[np.ndarray, "B 9"]:
    """Return little-endian 24-bit fixed point with `bits` after the point."""
    integers = np.rint(np.ldexp(values.astype(np.float64), bits)).astype("<i4")
    return integers.view(np.uint8).reshape(-1, 3, 4)[:, :, :3].reshape(-1, 9)


def unpack_first_three(packed: UInt8[np.ndarray, "B 3"]) -> Float[np.ndarray, "B 4"]:
    """Return quaternions (wxyz, w >= 0) of version 2, which stores x, y and z."""
    xyz = packed / np.float32(127.5) - 1
    w = np.sqrt(np.maximum(0, 1 - (xyz**2).sum(axis=1, keepdims=True)))
    return np.concatenate([w, xyz], axis=1)


def unpack_smallest_three(packed: UInt8[np.ndarray, "B 4"]) -> Float[np.ndarray, "B 4"]:
    """Return quaternions (wxyz) of version 3, which leaves the largest of xyzw out.

    From the top: 2 bits name the one left out, then a sign and 9 bits for each of the others.
    """
    words = np.ascontiguousarray(packed).view("<u4")
    fields = words >> np.uint32([20, 10, 0])
    others = (fields & SMALLEST_THREE_MAX) * np.float32(np.sqrt(0.5) / SMALLEST_THREE_MAX)
    others = np.where(fields & 512, -others, others)
    largest = np.sqrt(np.maximum(0, 1 - (others**2).sum(axis=1, keepdims=True)))
    parts = np.concatenate([largest, others], axis=1)
    place = np.array([[3, 0, 1, 2], [3, 1, 0, 2], [3, 1, 2, 0], [0, 1, 2, 3]])
    return np.take_along_axis(parts, place[words[:, 0] >> 30], axis=1)


def pack_smallest_three(quats: Float[np.ndarray, "B 4"]) -> UInt8[np.ndarray, "B 4"]:
    """Return unit quaternions (wxyz) as version 3 packs them."""
    xyzw = quats[:, [1, 2, 3, 0]]
    largest = np.abs(xyzw).argmax(axis=1)
    sign = np.where(np.take_along_axis(xyzw, largest[:, None], axis=1) < 0, -1, 1)
    kept = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])[largest]
    others = np.take_along_axis(xyzw, kept, axis=1) * sign
    levels = np.rint(np.abs(others) * (np.sqrt(2) * SMALLEST_THREE_MAX)).astype(np.uint32)
    fields = np.minimum(levels, SMALLEST_THREE_MAX) | (others < 0).astype(np.uint32) << 9
    words = (fields << np.uint32([20, 10, 0])).sum(axis=1) | largest.astype(np.uint32) << 30
    return words.astype("<u4").view(np.uint8).reshape(-1, 4)


def unpack_rest(packed: UInt8[np.ndarray, "B R"], sh_count: int) -> Float[np.ndarray, "B S1 3"]:
    """Return the `sh_count` - 1 SH coefficients above DC; channels vary fastest in the file."""
    return (packed.reshape(len(packed), sh_count - 1, 3) - np.float32(128)) / 128


def pack_rest(rest: Float[np.ndarray, "B S1 3"]) -> UInt8[np.ndarray, "B R"]:
    """Return the SH coefficients above DC in the steps that Niantic's writer takes."""
    steps = np.repeat([8, 16], [3, 12])[: rest.shape[1], None]
    levels = np.rint(rest.astype(np.float64) * 128 / steps) * steps + 128
    return as_bytes(levels).reshape(len(rest), -1)


def as_bytes(levels: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Return the nearest bytes."""
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
