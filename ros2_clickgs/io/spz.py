# SPDX-License-Identifier: Apache-2.0
"""Niantic's .spz, versions 2 and 3: gzip around a header and one packed section per attribute.

Format: https://github.com/nianticlabs/spz. The file's axes are right-up-back; here they are turned
to the right-down-front of .ply, and back on writing.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import MapFormatError
from ros2_clickgs.io import spz_codec as codec
from ros2_clickgs.io.assembly import BLOCK_ROWS, Block, assemble
from ros2_clickgs.io.atomic import atomic_path

GZIP_MAGIC = b"\x1f\x8b"
SPZ_MAGIC = b"NGSP"
HEADER = struct.Struct("<4sIIBBBx")
SH_COUNT_OF_DEGREE = (1, 4, 9, 16)
COLOR_SCALE = 0.15
"""Colours are stored as 0.5 + 0.15 sh_dc, so that values outside [0, 1] survive."""
FRACTIONAL_BITS = 12
"""Positions are written in steps of 2^-12 m, coarser where they would not fit 24 bits."""
HAS_EXTENSIONS = 2
"""Flag bit: records (type, length, payload) follow the sections."""
COORDINATE_SYSTEM_RECORD = struct.pack("<II", 0xADBE0003, 4)
RIGHT_UP_BACK = (0, 4)
"""Values of that record that mean the usual axes (unspecified, RUB)."""
MAX_EXTENSION_BYTES = 1 << 16
MAX_EXPANSION = 100
"""A real scene shrinks 1.2 to 10 times; a hostile gzip expands 1000 times."""
ALWAYS_ALLOWED_BYTES = 1 << 26
RESAVE = "save it as .spz version 2 or 3, or as .ply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the sections of a file look like."""

    version: int
    """2 or 3: they differ in how quaternions are packed."""
    count: int
    """Number of Gaussians."""
    sh_count: int
    """Colour coefficients per channel, DC included."""
    fractional_bits: int
    """Positions are integers times 2^-bits, in m."""
    flags: int
    """Bit field."""

    def section_widths(self) -> tuple[int, ...]:
        """Bytes per Gaussian of means, opacities, colours, scales, quaternions and SH."""
        return (9, 1, 3, 3, 3 if self.version == 2 else 4, 3 * (self.sh_count - 1))


def load_spz(path: Path) -> Gaussians:
    """Return the map of a .spz file, turned to right-down-front.

    Raises:
        MapFormatError: the file is broken, of another version, of SH degree 4, or claims far more
            than it can hold.
    """
    header, payload = _inflate(path)
    return assemble(path, header.count, header.sh_count, _decode(header, payload))


def _inflate(path: Path) -> tuple[Header, np.ndarray]:
    packed = path.read_bytes()
    if packed.startswith(SPZ_MAGIC):
        raise MapFormatError(path, "is .spz of version 4 or uncompressed", RESAVE)
    inflater = zlib.decompressobj(wbits=31)
    try:
        head = inflater.decompress(packed, HEADER.size)
        header = _header(path, head)
        wanted = header.count * sum(header.section_widths())
        if wanted > max(ALWAYS_ALLOWED_BYTES, MAX_EXPANSION * len(packed)):
            problem = f"claims {header.count} Gaussians, more than {len(packed)} bytes can hold"
            raise MapFormatError(path, problem, "copy or export the map again")
        payload = inflater.decompress(inflater.unconsumed_tail, wanted) if wanted else b""
        extensions = inflater.decompress(inflater.unconsumed_tail, MAX_EXTENSION_BYTES)
    except zlib.error as error:
        problem = f"has broken gzip contents ({error})"
        raise MapFormatError(path, problem, "copy the file again") from None
    is_cut = not inflater.eof and not inflater.unconsumed_tail
    if len(payload) < wanted or is_cut:
        problem = f"is truncated: {len(payload)} of {wanted} bytes of {header.count} Gaussians"
        raise MapFormatError(path, problem, "copy or export the map again")
    if header.flags & HAS_EXTENSIONS:
        _check_axes(path, extensions)
    return header, np.frombuffer(payload, np.uint8)


def _header(path: Path, head: bytes) -> Header:
    if len(head) < HEADER.size:
        raise MapFormatError(path, "is truncated: its header is cut", "copy the map again")
    if not head.startswith(SPZ_MAGIC):
        problem = f"is gzip, but not of a .spz: it begins with {head[:4]!r}"
        raise MapFormatError(path, problem, "unpack it first, or give a map")
    _, version, count, degree, fractional_bits, flags = HEADER.unpack(head)
    if version not in (2, 3):
        raise MapFormatError(path, f"is .spz of version {version}", RESAVE)
    if degree >= len(SH_COUNT_OF_DEGREE):
        raise MapFormatError(path, f"has SH degree {degree}", "export it with degree 0 to 3")
    if fractional_bits > 24:
        problem = f"has {fractional_bits} fractional bits in 24-bit positions"
        raise MapFormatError(path, problem, "export the map again")
    return Header(
        version=version, count=count, sh_count=SH_COUNT_OF_DEGREE[degree],
        fractional_bits=fractional_bits, flags=flags,
    )  # fmt: skip


def _check_axes(path: Path, extensions: bytes) -> None:
    _, found, after = extensions.partition(COORDINATE_SYSTEM_RECORD)
    if found and int.from_bytes(after[:4], "little") not in RIGHT_UP_BACK:
        raise MapFormatError(path, "is stored in other axes than right-up-back", RESAVE)


def _decode(header: Header, payload: np.ndarray) -> Iterator[Block]:
    widths = header.section_widths()
    ends = np.cumsum(widths) * header.count
    sections = [payload[end - w * header.count : end] for end, w in zip(ends, widths, strict=True)]
    tables = [s.reshape(header.count, w) for s, w in zip(sections, widths, strict=True)]
    unpack_quats = codec.unpack_first_three if header.version == 2 else codec.unpack_smallest_three
    for start in range(0, header.count, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        means, alphas, colors, scales, quats, rest = (table[rows] for table in tables)
        dc = (colors[:, None] / np.float32(255) - 0.5) / COLOR_SCALE
        sh = np.concatenate([dc, codec.unpack_rest(rest, header.sh_count)], axis=1)
        yield Block(
            means=codec.unpack_fixed24(means, header.fractional_bits) * codec.TURN_MEANS,
            quats=unpack_quats(quats) * codec.TURN_QUATS_WXYZ,
            scales=np.exp(scales / np.float32(16) - 10),
            opacities=alphas[:, 0] / np.float32(255),
            sh=sh * codec.TURN_SH[: header.sh_count, None],
        )


def save_spz(path: Path, gaussians: Gaussians) -> None:
    """Write the map as .spz of version 3, turned to right-up-back.

    Raises:
        MapFormatError: a position lies beyond the 8,388 km that 24 bits can tell.
    """
    arrays = {name: getattr(gaussians, name).cpu().numpy() for name in Block.__slots__}
    reach = float(np.abs(arrays["means"]).max(initial=2.0**-FRACTIONAL_BITS))
    bits = min(FRACTIONAL_BITS, int(np.floor(np.log2((2**23 - 1) / reach))))
    if bits < 0:
        problem = f"cannot hold positions as far out as {reach:.3g} m"
        raise MapFormatError(path, problem, "prune the map, or write .ply")
    degree = SH_COUNT_OF_DEGREE.index(arrays["sh"].shape[1])
    header = HEADER.pack(SPZ_MAGIC, 3, len(gaussians), degree, bits, 0)
    with atomic_path(path) as temporary, gzip.open(temporary, "wb", compresslevel=6) as file:
        file.write(header)
        for section in _encode(arrays, bits):
            file.write(section.tobytes())


def _encode(arrays: dict[str, np.ndarray], fractional_bits: int) -> Iterator[np.ndarray]:
    sh = arrays["sh"] * codec.TURN_SH[: arrays["sh"].shape[1], None]
    yield codec.pack_fixed24(arrays["means"] * codec.TURN_MEANS, fractional_bits)
    yield codec.as_bytes(arrays["opacities"] * 255)
    yield codec.as_bytes((0.5 + COLOR_SCALE * sh[:, 0]) * 255)
    yield codec.as_bytes((np.log(arrays["scales"]) + 10) * 16)
    yield codec.pack_smallest_three(arrays["quats"] * codec.TURN_QUATS_WXYZ)
    yield codec.pack_rest(sh[:, 1:])
