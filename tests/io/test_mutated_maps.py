# SPDX-License-Identifier: Apache-2.0
"""Ten thousand damaged maps: each loads as a valid map or is refused; none crashes or hangs."""

import gzip
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.io.maps import load_map
from tests.io.map_samples import (
    compressed_tables,
    inria_columns,
    ply_bytes,
    random_map,
    splat_bytes,
    spz_bytes,
    spz_payload,
)

PLY = ply_bytes(("vertex", inria_columns(6, 9)))
SPZ_2, SPZ_3 = (spz_payload(random_map(6, 4), version) for version in (2, 3))


def plain(contents: bytes) -> Callable[[random.Random], bytes]:
    return lambda rng: mutated(contents, rng)


def zipped(payload: bytes) -> Callable[[random.Random], bytes]:
    return lambda rng: gzip.compress(mutated(payload, rng), compresslevel=1)


def edited_header(contents: bytes) -> Callable[[random.Random], bytes]:
    head, end, body = contents.partition(b"end_header\n")
    return lambda rng: edit_lines(head, rng) + end + body


SOURCES = {
    "ply": ("map.ply", plain(PLY)),
    "ply degree 3": ("map.ply", plain(ply_bytes(("vertex", inria_columns(4, 45))))),
    "ply header": ("map.ply", edited_header(PLY)),
    "ply text": ("map.ply", plain(ply_bytes(("vertex", inria_columns(3, 0)), text=True))),
    "ply big-endian": (
        "map.ply", plain(ply_bytes(("vertex", inria_columns(4, 0)), byte_order=">")),
    ),
    "compressed": ("map.compressed.ply", plain(ply_bytes(*compressed_tables(20, 9)))),
    "compressed header": (
        "map.compressed.ply", edited_header(ply_bytes(*compressed_tables(20, 9))),
    ),
    "splat": ("map.splat", plain(splat_bytes(random_map(8, 1)))),
    "spz": ("map.spz", plain(spz_bytes(random_map(6, 4)))),
    "spz 2 inside": ("map.spz", zipped(SPZ_2)),
    "spz 3 inside": ("map.spz", zipped(SPZ_3)),
}  # fmt: skip


def mutated(contents: bytes, rng: random.Random) -> bytes:
    """Return the contents with one to four pieces of damage."""
    out = bytearray(contents)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(out) + 1), rng.randint(1, 24)
        match rng.randrange(6):
            case 0 if out:
                out[at % len(out)] ^= 1 << rng.randrange(8)
            case 1:
                out[at : at + length] = rng.randbytes(length)
            case 2:
                out[at:at] = rng.randbytes(length)
            case 3:
                del out[at : at + length]
            case 4:
                del out[at:]
            case 5:
                out[at : at + length] = rng.choice([b"\0", b"\xff", b"\x7f"]) * length
    return bytes(out)


def edit_lines(head: bytes, rng: random.Random) -> bytes:
    """Return a PLY header with lines changed, repeated, moved or lost."""
    lines = head.splitlines(keepends=True)
    numbers = [b"0", b"1", b"7", b"-1", b"999999999999999", b"1e9", b"0x10", b"\xb2"]
    words = [b"list", b"double", b"uchar", b"element", b"property", b"x", b"sh", b"", *numbers]
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(1, len(lines))
        parts = lines[at].split(b" ")
        match rng.randrange(4):
            case 0:
                parts[rng.randrange(len(parts))] = rng.choice(words)
                lines[at] = b" ".join(parts).rstrip() + b"\n"
            case 1:
                lines.insert(rng.randrange(1, len(lines)), lines[at])
            case 2:
                lines[at], lines[-1] = lines[-1], lines[at]
            case 3 if len(lines) > 2:
                del lines[at]
    return b"".join(lines)


def assert_valid(gaussians: Gaussians) -> None:
    assert len(gaussians) > 0
    for name in ("means", "quats", "scales", "opacities", "sh"):
        assert torch.isfinite(getattr(gaussians, name)).all(), name
    assert (gaussians.quats.norm(dim=-1) - 1).abs().max() < 1e-4
    assert gaussians.scales.min() > 0
    assert gaussians.opacities.min() >= 0
    assert gaussians.opacities.max() <= 1


def load_mutants(folder: Path, count: int) -> dict[str, int]:
    """Load mutants of every source in turn; return how many loaded and were refused."""
    outcomes = {"loaded": 0, "refused": 0}
    for seed in range(count):
        rng = random.Random(seed)
        name, mutate = list(SOURCES.values())[seed % len(SOURCES)]
        path = folder / name
        path.unlink(missing_ok=True)
        path.write_bytes(mutate(rng))
        start = time.perf_counter()
        try:
            assert_valid(load_map(path))
            outcomes["loaded"] += 1
        except ClickGSError:
            outcomes["refused"] += 1
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        assert time.perf_counter() - start < 5, f"seed {seed} hangs"
    return outcomes


def test_mutated_maps(tmp_path: Path) -> None:
    count = 10_000
    peak_before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = load_mutants(tmp_path, count)
    assert outcomes["loaded"] > count / 20, "the mutants should not all be trivially broken"
    assert outcomes["refused"] > count / 3
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_before_kib
    assert peak_kib < 400 * 1024
