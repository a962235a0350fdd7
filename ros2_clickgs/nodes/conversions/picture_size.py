# SPDX-License-Identifier: Apache-2.0
"""The size a JPEG or PNG claims, read before anything is decoded."""

JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers of ITU-T T.81, table B.1."""


def picture_size(encoded: bytes) -> tuple[int, int]:
    """Return (width, height) in px; (0, 0) when the bytes are neither a JPEG nor a PNG."""
    if encoded[:8] == b"\x89PNG\r\n\x1a\n":
        return int.from_bytes(encoded[16:20], "big"), int.from_bytes(encoded[20:24], "big")
    if encoded[:2] == b"\xff\xd8":
        return _jpeg_size(encoded)
    return 0, 0


def _jpeg_size(encoded: bytes) -> tuple[int, int]:
    """Walk the segments to the first start of frame."""
    at = 2
    while at + 9 <= len(encoded) and encoded[at] == 0xFF:
        if encoded[at + 1] in JPEG_SIZE_MARKERS:
            height, width = encoded[at + 5 : at + 7], encoded[at + 7 : at + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        at += 2 + max(int.from_bytes(encoded[at + 2 : at + 4], "big"), 2)
    return 0, 0
