# SPDX-License-Identifier: Apache-2.0
"""Each format against a slow twin that unpacks one Gaussian at a time."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ros2_clickgs.io.maps import load_map, save_map
from tests.io.map_samples import (
    compressed_tables,
    inria_columns,
    ply_bytes,
    random_map,
    splat_bytes,
    spz_bytes,
)


def unpack_compressed_row(i: int, chunk: np.void, vertex: np.void) -> dict[str, list[float]]:
    """Return row i of a .compressed.ply, by the format's description."""

    def bits(word: str, shift: int, count: int) -> float:
        return (int(vertex[word]) >> shift & (1 << count) - 1) / ((1 << count) - 1)

    def between(axis: str, t: float) -> float:
        low, high = float(chunk[f"min_{axis}"]), float(chunk[f"max_{axis}"])
        return low + (high - low) * t

    layout = list(zip("xyz", (21, 11, 0), (11, 10, 11), strict=True))
    others = [(bits("packed_rotation", s, 10) - 0.5) * math.sqrt(2) for s in (20, 10, 0)]
    others.insert(
        int(vertex["packed_rotation"]) >> 30, math.sqrt(max(0, 1 - sum(v * v for v in others)))
    )
    length = math.sqrt(sum(v * v for v in others))
    rgb = [between(c, bits("packed_color", s, 8)) for c, s in zip("rgb", (24, 16, 8), strict=True)]
    return {
        "means": [between(axis, bits("packed_position", s, n)) for axis, s, n in layout],
        "quats": [v / length for v in others],
        "scales": [
            math.exp(between(f"scale_{axis}", bits("packed_scale", s, n))) for axis, s, n in layout
        ],
        "opacities": bits("packed_color", 0, 8),
        "dc": [(c - 0.5) / 0.28209479177387814 for c in rgb],
    }


@pytest.mark.parametrize("rest", [0, 9, 24, 45])
def test_compressed_ply_agrees_with_its_slow_twin(tmp_path: Path, rest: int) -> None:
    tables = compressed_tables(4700, rest)
    (tmp_path / "map.compressed.ply").write_bytes(ply_bytes(*tables))
    gaussians = load_map(tmp_path / "map.compressed.ply")
    (_, chunks), (_, vertices) = tables[:2]
    for i in (0, 255, 256, 4095, 4096, 4699):
        slow = unpack_compressed_row(i, chunks[i // 256], vertices[i])
        for name in ("means", "quats", "scales", "opacities"):
            expected = torch.tensor(slow[name])
            torch.testing.assert_close(getattr(gaussians, name)[i], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            gaussians.sh[i, 0], torch.tensor(slow["dc"]), rtol=1e-4, atol=1e-5
        )
    if rest:
        sh = tables[2][1]
        per_channel = rest // 3
        for k, channel in ((0, 0), (per_channel - 1, 1), (1, 2)):
            level = int(sh[f"f_rest_{channel * per_channel + k}"][7])
            unit = {0: 0.0, 255: 1.0}.get(level, (level + 0.5) / 256)
            assert gaussians.sh[7, 1 + k, channel].item() == pytest.approx(
                (unit - 0.5) * 8, abs=1e-5
            )


def test_compressed_ply_without_colour_bounds(tmp_path: Path) -> None:
    tables = compressed_tables(10)
    names = [name for name in tables[0][1].dtype.names if name[4:] not in ("r", "g", "b")]
    plain = np.zeros(1, [(name, "<f4") for name in names])
    for name in names:
        plain[name] = tables[0][1][name]
    tables[0] = ("chunk", plain)
    (tmp_path / "map.ply").write_bytes(ply_bytes(*tables))
    red = (int(tables[1][1]["packed_color"][3]) >> 24) / 255
    dc = load_map(tmp_path / "map.ply").sh[3, 0, 0].item()
    assert 0.5 + 0.28209479177387814 * dc == pytest.approx(red, abs=1e-5)


def test_splat_rows(tmp_path: Path) -> None:
    gaussians = random_map(20, 1)
    (tmp_path / "map.splat").write_bytes(splat_bytes(gaussians))
    loaded = load_map(tmp_path / "map.splat")
    assert torch.equal(loaded.means, gaussians.means)
    assert torch.equal(loaded.scales, gaussians.scales)
    assert (loaded.opacities - gaussians.opacities).abs().max() < 0.5 / 255 + 1e-6
    assert (loaded.sh - gaussians.sh).abs().max() < 0.5 / 255 / 0.28 + 1e-6
    assert ((loaded.quats * gaussians.quats).sum(-1).abs() > 0.9999).all()


def test_an_infinite_opacity_logit_is_one(tmp_path: Path) -> None:
    columns = inria_columns(4, 0)
    columns["opacity"][:2] = [np.inf, -np.inf]
    (tmp_path / "map.ply").write_bytes(ply_bytes(("vertex", columns)))
    assert load_map(tmp_path / "map.ply").opacities[:2].tolist() == [1, 0]


def test_scales_that_underflow_stay_positive(tmp_path: Path) -> None:
    columns = inria_columns(4, 0)
    columns["scale_1"] = -200
    (tmp_path / "map.ply").write_bytes(ply_bytes(("vertex", columns)))
    assert load_map(tmp_path / "map.ply").scales.min() > 0


def test_other_columns_and_tables_do_not_matter(tmp_path: Path) -> None:
    columns = inria_columns(6, 9)
    extra = [("object", "u1"), *columns.dtype.descr[::-1], ("time", "<f8")]
    shuffled = np.zeros(6, extra)
    for name in columns.dtype.names:
        shuffled[name] = columns[name]
    tables = [("camera", np.zeros(3, [("fov", "<f8")])), ("vertex", shuffled)]
    (tmp_path / "a.ply").write_bytes(ply_bytes(("vertex", columns)))
    (tmp_path / "b.ply").write_bytes(ply_bytes(*tables))
    a, b = load_map(tmp_path / "a.ply"), load_map(tmp_path / "b.ply")
    assert torch.equal(a.means, b.means)
    assert torch.equal(a.sh, b.sh)


def test_the_contents_decide_over_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "map.ply").write_bytes(spz_bytes(random_map(3, 1)))
    (tmp_path / "map").write_bytes(ply_bytes(("vertex", inria_columns(4))))
    assert len(load_map(tmp_path / "map.ply")) == 3
    assert len(load_map(tmp_path / "map")) == 4


def test_saving_makes_folders_and_leaves_nothing_else(tmp_path: Path) -> None:
    save_map(tmp_path / "new" / "map.ply", random_map())
    save_map(str(tmp_path / "new" / "map.spz"), random_map())
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["map.ply", "map.spz"]
