# SPDX-License-Identifier: Apache-2.0
"""Every broken map gets one line: which file, what is wrong, what to do."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ros2_clickgs.errors import MapFormatError
from ros2_clickgs.io.maps import load_map, map_sha256, save_map
from tests.io.map_samples import (
    compressed_tables,
    inria_columns,
    ply_bytes,
    random_map,
    splat_bytes,
    spz_bytes,
    spz_payload,
)

PLY = ply_bytes(("vertex", inria_columns(8, 9)))
TEXT = ply_bytes(("vertex", inria_columns(8, 9)), text=True)
COMPRESSED = ply_bytes(*compressed_tables(300, 9))
SPLAT = splat_bytes(random_map(8, 1))
SPZ = spz_bytes(random_map(8, 4))
SPZ_PAYLOAD = spz_payload(random_map(8, 4), 3)
COORDINATES = struct.pack("<III", 0xADBE0003, 4, 6)


def with_value(column: str, value: float) -> bytes:
    columns = inria_columns(8, 9)
    columns[column][5] = value
    return ply_bytes(("vertex", columns))


def without(*names: str) -> bytes:
    columns = inria_columns(8, 9)
    kept = [name for name in columns.dtype.names if name not in names]
    table = np.zeros(8, [(name, "<f4") for name in kept])
    return ply_bytes(("vertex", table))


def edited(original: bytes, old: bytes, new: bytes) -> bytes:
    assert old in original
    return original.replace(old, new, 1)


def zero_quats() -> bytes:
    columns = inria_columns(8, 9)
    for i in range(4):
        columns[f"rot_{i}"][2] = 0
    return ply_bytes(("vertex", columns))


def negative_scale() -> bytes:
    return SPLAT[:12] + struct.pack("<f", -0.5) + SPLAT[16:]


def spz_header(at: int, value: int, size: int = 1) -> bytes:
    field = value.to_bytes(size, "little")
    return gzip.compress(SPZ_PAYLOAD[:at] + field + SPZ_PAYLOAD[at + size :])


CASES = {
    "empty file": ("map.ply", b"", "is empty"),
    "no map at all": ("map.ply", b"\x89PNG....", "is no .ply file"),
    "unknown suffix": ("map.ksplat", b"\0" * 64, "unknown suffix '.ksplat'; give .ply"),
    "header never ends": ("map.ply", PLY[:100], "no PLY header"),
    "cut in the header": ("map.ply", PLY[: PLY.index(b"end_header")], "no PLY header"),
    "unknown encoding": ("map.ply", edited(PLY, b"little", b"middle"), "no known 'format'"),
    "unknown type": ("map.ply", edited(PLY, b"float x", b"half x"), "broken PLY header line"),
    "property twice": ("map.ply", edited(PLY, b"float y", b"float x"), "two properties 'x'"),
    "negative count": ("map.ply", edited(PLY, b"vertex 8", b"vertex -8"), "broken PLY header"),
    "no vertices": ("map.ply", edited(PLY, b"vertex 8", b"point 8"), "no table 'vertex'"),
    "no rows": ("map.ply", edited(PLY, b"vertex 8", b"vertex 0"), "holds no Gaussians"),
    "cut rows": ("map.ply", PLY[:-1], "claims 8 rows of 'vertex'"),
    "claims a million million rows": (
        "map.ply", edited(PLY, b"vertex 8", b"vertex 1000000000000"), "is truncated",
    ),
    "claims more rows as text": (
        "map.ply", edited(TEXT, b"vertex 8", b"vertex 1000000000000"), "is truncated",
    ),
    "cut text": ("map.ply", TEXT[: -len(TEXT) // 8], "end early"),
    "words for numbers": ("map.ply", TEXT[:-20] + b"NOT_A_NUMBER\n", "text where a number should"),
    "rows of varying length": (
        "map.ply",
        edited(PLY, b"property float x", b"property list uchar int x"), "no table 'vertex'",
    ),
    "a mesh": ("map.ply", without("f_dc_0", "opacity", "rot_3"), "lacks the columns f_dc_0, opa"),
    "odd SH": ("map.ply", without("f_rest_8"), "has 8 f_rest columns; 0, 9, 24 or 45"),
    "a gap in SH": ("map.ply", edited(PLY, b"f_rest_3", b"f_rest_9"), "has 9 f_rest columns"),
    "NaN": ("map.ply", with_value("x", np.nan), "Gaussian 5 has means that are not finite"),
    "infinite": ("map.ply", with_value("f_rest_4", np.inf), "Gaussian 5 has sh that are not fin"),
    "overflow": ("map.ply", with_value("scale_0", 100), "Gaussian 5 has scales that are not fin"),
    "NaN opacity": ("map.ply", with_value("opacity", np.nan), "Gaussian 5 has opacities"),
    "absurd": ("map.ply", with_value("z", 1e30), "Gaussian 5 has means"),
    "zero quaternion": ("map.ply", zero_quats(), "Gaussian 2 has a quaternion of length 0"),
    "cut compressed": ("map.compressed.ply", COMPRESSED[:-5], "rows of 'sh'"),
    "too few chunks": (
        "map.compressed.ply", edited(COMPRESSED, b"chunk 2", b"chunk 1"), "has 1 chunks for 300",
    ),
    "compressed without bounds": (
        "map.compressed.ply", edited(COMPRESSED, b"float min_x", b"float mean"), "lacks min_x",
    ),
    "compressed without rotation": (
        "map.compressed.ply", edited(COMPRESSED, b"uint packed_rot", b"uint pocked_rot"), "lacks",
    ),
    "compressed sh of another size": (
        "map.compressed.ply", edited(COMPRESSED, b"sh 300", b"sh 299"), "'sh' table",
    ),
    "cut .splat": ("map.splat", SPLAT[:-3], "29 bytes follow the last row of 32"),
    "negative scale": ("map.splat", negative_scale(), "Gaussian 0 has a negative scale"),
    "zero quaternion in .splat": ("map.splat", SPLAT[:28] + b"\x80" * 4 + SPLAT[32:], "length 0"),
    "cut .spz": ("map.spz", SPZ[: len(SPZ) // 2], "is truncated"),
    "cut by one byte": ("map.spz", SPZ[:-1], "is truncated"),
    "flipped bits in .spz": ("map.spz", SPZ[:60] + b"\0\0\0\0" + SPZ[64:], "gzip"),
    "not gzip": ("map.spz", b"PK\3\4", "is no .spz file"),
    "another gzip": ("map.spz", gzip.compress(b"hello, this is no map"), "not of a .spz"),
    "version 4": ("map.spz", b"NGSP\4\0\0\0" + b"\0" * 40, "save it as .spz version 2 or 3"),
    "version 7": ("map.spz", spz_header(4, 7), "is .spz of version 7"),
    "degree 4": ("map.spz", spz_header(12, 4), "SH degree 4; export it with degree 0 to 3"),
    "fractional bits": ("map.spz", spz_header(13, 99), "99 fractional bits"),
    "claims more than there is": ("map.spz", spz_header(8, 5000, 4), "of 5000 Gaussians"),
    "claims 4 thousand million": ("map.spz", spz_header(8, 2**32 - 1, 4), "more than"),
    "no Gaussians in .spz": ("map.spz", spz_header(8, 0, 4), "holds no Gaussians"),
    "other axes": (
        "map.spz", gzip.compress(spz_payload(random_map(8, 4), 3, 2) + COORDINATES), "other axes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_clear_line(tmp_path: Path, case: str) -> None:
    name, contents, expected = CASES[case]
    path = tmp_path / name
    path.write_bytes(contents)
    with pytest.raises(MapFormatError) as caught:
        load_map(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert expected in message
    assert "; " in message, "no remedy"
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize("read", [load_map, map_sha256])
def test_paths_that_are_no_files(tmp_path: Path, read: Callable) -> None:
    for path in (tmp_path / "absent.ply", tmp_path):
        with pytest.raises(MapFormatError, match="cannot be read"):
            read(path)


def test_a_gzip_bomb_is_refused_before_it_expands(tmp_path: Path) -> None:
    header = struct.pack("<4sIIBBBx", b"NGSP", 3, 20_000_000, 3, 12, 0)
    (tmp_path / "bomb.spz").write_bytes(gzip.compress(header + b"\0" * 20_000_000))
    with pytest.raises(MapFormatError, match="claims 20000000 Gaussians, more than"):
        load_map(tmp_path / "bomb.spz")


@pytest.mark.parametrize("name", ["map.splat", "map.compressed.ply", "map"])
def test_formats_that_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(MapFormatError, match=r"name the output \.ply or \.spz"):
        save_map(tmp_path / name, random_map())


def test_a_map_too_wide_for_spz(tmp_path: Path) -> None:
    gaussians = random_map(3, 1)
    gaussians.means[0, 0] = 1e9
    with pytest.raises(MapFormatError, match="cannot hold positions as far out as 1e"):
        save_map(tmp_path / "map.spz", gaussians)
    assert not list(tmp_path.iterdir())
