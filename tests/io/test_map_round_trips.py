# SPDX-License-Identifier: Apache-2.0
"""What is written is what is read: exactly for .ply, within quantisation for .spz."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plyfile import PlyData

from ros2_clickgs.core.geometry import covariances
from ros2_clickgs.core.harmonics import colors
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.io.assembly import BLOCK_ROWS
from ros2_clickgs.io.maps import load_map, map_sha256, save_map
from ros2_clickgs.io.spz_codec import TURN_MEANS, TURN_QUATS_WXYZ, TURN_SH
from tests.conftest import random_camera
from tests.io.map_samples import inria_columns, ply_bytes, random_map, spz_bytes

EXACT_COLUMNS = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", *(f"f_rest_{i}" for i in range(45)))
many = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
maps = st.builds(
    random_map,
    count=st.integers(1, 40),
    sh_count=st.sampled_from([1, 4, 9, 16]),
    seed=st.integers(0, 2**31),
)


def turned(gaussians: Gaussians) -> Gaussians:
    """Return the map with y and z reversed."""
    return Gaussians(
        means=gaussians.means * torch.from_numpy(TURN_MEANS),
        quats=gaussians.quats * torch.from_numpy(TURN_QUATS_WXYZ),
        scales=gaussians.scales,
        opacities=gaussians.opacities,
        sh=gaussians.sh * torch.from_numpy(TURN_SH)[: gaussians.sh.shape[1], None],
    )


def assert_close(a: Gaussians, b: Gaussians, atol: float = 1e-6) -> None:
    for name in ("means", "scales", "opacities", "sh"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), rtol=1e-5, atol=atol)
    assert ((a.quats * b.quats).sum(-1).abs() > 1 - 1e-5).all()


@many
@given(gaussians=maps)
def test_ply_holds_the_map(gaussians: Gaussians, tmp_path: Path) -> None:
    save_map(tmp_path / "map.ply", gaussians)
    loaded = load_map(tmp_path / "map.ply")
    assert torch.equal(loaded.means, gaussians.means)
    assert torch.equal(loaded.sh, gaussians.sh)
    assert_close(loaded, gaussians)


def test_ply_columns_survive_bitwise(tmp_path: Path) -> None:
    columns = inria_columns(50)
    (tmp_path / "in.ply").write_bytes(ply_bytes(("vertex", columns)))
    save_map(tmp_path / "out.ply", load_map(tmp_path / "in.ply"))
    out = PlyData.read(tmp_path / "out.ply")["vertex"].data
    assert out.dtype.names == columns.dtype.names
    for name in EXACT_COLUMNS:
        assert out[name].tobytes() == columns[name].tobytes(), name
    for name in ("opacity", "scale_0", "scale_1", "scale_2"):
        np.testing.assert_allclose(out[name], columns[name], atol=2e-6)


def test_f_rest_is_channel_major(tmp_path: Path) -> None:
    columns = inria_columns(3)
    (tmp_path / "in.ply").write_bytes(ply_bytes(("vertex", columns)))
    sh = load_map(tmp_path / "in.ply").sh
    for coefficient in range(15):
        for channel in range(3):
            expected = columns[f"f_rest_{channel * 15 + coefficient}"]
            assert (sh[:, 1 + coefficient, channel].numpy() == expected).all()


@pytest.mark.parametrize("rest", [0, 9, 24, 45])
@pytest.mark.parametrize(("text", "byte_order"), [(False, "<"), (False, ">"), (True, "=")])
def test_every_ply_encoding_is_the_same_map(
    tmp_path: Path, rest: int, text: bool, byte_order: str
) -> None:
    table = ("vertex", inria_columns(BLOCK_ROWS + 20, rest))
    (tmp_path / "a.ply").write_bytes(ply_bytes(table))
    (tmp_path / "b.ply").write_bytes(ply_bytes(table, text=text, byte_order=byte_order))
    a, b = load_map(tmp_path / "a.ply"), load_map(tmp_path / "b.ply")
    assert a.sh.shape[1] == 1 + rest // 3
    assert_close(a, b)


@many
@given(gaussians=maps)
def test_spz_holds_the_map_within_its_steps(gaussians: Gaussians, tmp_path: Path) -> None:
    save_map(tmp_path / "map.spz", gaussians)
    loaded = load_map(tmp_path / "map.spz")
    eps = 1e-5
    assert (loaded.means - gaussians.means).abs().max() <= 2**-13 + eps
    assert (loaded.scales.log() - gaussians.scales.log()).abs().max() <= 1 / 32 + eps
    assert (loaded.opacities - gaussians.opacities).abs().max() <= 0.5 / 255 + eps
    assert (loaded.sh[:, 0] - gaussians.sh[:, 0]).abs().max() <= 0.5 / 255 / 0.15 + eps
    assert ((loaded.sh - gaussians.sh)[:, 1:4].abs() <= 4 / 128 + eps).all()
    assert ((loaded.sh - gaussians.sh)[:, 4:].abs() <= 8 / 128 + eps).all()
    assert (loaded.quats * gaussians.quats).sum(-1).abs().min() > 1 - 1e-5


@many
@given(gaussians=maps)
def test_spz_written_twice_is_the_same(gaussians: Gaussians, tmp_path: Path) -> None:
    save_map(tmp_path / "a.spz", gaussians)
    once = load_map(tmp_path / "a.spz")
    save_map(tmp_path / "b.spz", once)
    assert_close(load_map(tmp_path / "b.spz"), once, atol=1e-5)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("sh_count", [1, 4, 9, 16])
def test_spz_is_turned_into_the_frame_of_ply(tmp_path: Path, version: int, sh_count: int) -> None:
    in_ply = random_map(30, sh_count)
    (tmp_path / "map.spz").write_bytes(spz_bytes(turned(in_ply), version))
    loaded = load_map(tmp_path / "map.spz")
    assert (loaded.means - in_ply.means).abs().max() < 2e-4
    assert (loaded.sh - in_ply.sh).abs().max() < 0.014
    smallest = (loaded.quats * in_ply.quats).sum(-1).abs().min()
    assert smallest > (0.998 if version == 2 else 0.999998)


def test_the_turn_of_spz_turns_shapes_and_colours() -> None:
    in_ply, camera = random_map(40, 16), random_camera()
    F = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    turned_camera = Camera(
        K=camera.K,
        T_world_camera=F.double() @ camera.T_world_camera,
        width=camera.width,
        height=camera.height,
    )
    expected = F[:3, :3] @ covariances(in_ply) @ F[:3, :3]
    torch.testing.assert_close(covariances(turned(in_ply)), expected)
    torch.testing.assert_close(colors(turned(in_ply), turned_camera), colors(in_ply, camera))


def test_spz_of_a_wide_map_takes_coarser_steps(tmp_path: Path) -> None:
    gaussians = random_map(5, 1)
    gaussians.means[0, 0] = 100_000.0
    save_map(tmp_path / "map.spz", gaussians)
    loaded = load_map(tmp_path / "map.spz")
    assert (loaded.means - gaussians.means).abs().max() < 0.01


def test_hash_is_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert map_sha256(tmp_path / "a.ply") == expected
