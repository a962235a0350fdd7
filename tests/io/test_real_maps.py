# SPDX-License-Identifier: Apache-2.0
"""Maps that others made, with what is known of them."""

from pathlib import Path

import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.rendering import render
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.io.images import read_depth, read_image
from ros2_clickgs.io.maps import load_map, save_map
from tests.io.test_mutated_maps import assert_valid

pytestmark = pytest.mark.data
MAPS = {
    "kitchen_rgbd/point_cloud.ply": (68_137, 16),
    "3dgs_mujoco_tabletop/scene.spz": (213_944, 1),
    "3dgs_padilla/plant.splat": (113_648, 1),
    "3dgs_padilla/hammer_10k.splat": (10_000, 1),
    "3dgs_padilla/hammer_100k.splat": (100_000, 1),
    "3dgs_playcanvas/guitar.compressed.ply": (90_854, 1),
    "3dgs_inria_small/point_cloud.ply": (9_080, 16),
    "3dgs_inria_small/model.splat": (22_764, 1),
}


@pytest.mark.parametrize("name", MAPS)
def test_real_maps_load(data: Path, name: str) -> None:
    gaussians = load_map(data / name)
    assert (len(gaussians), gaussians.sh.shape[1]) == MAPS[name]
    assert_valid(gaussians)


def test_spz_scene_stands_on_its_feet(data: Path) -> None:
    means = load_map(data / "3dgs_mujoco_tabletop/scene.spz").means
    floor, ceiling = means[:, 1].quantile(0.98), means[:, 1].quantile(0.02)
    assert floor == pytest.approx(0, abs=0.1), "y points down and the floor is at 0"
    assert ceiling < -2


@pytest.mark.parametrize("suffix", [".ply", ".spz"])
def test_kitchen_looks_like_its_photos_after_saving(
    data: Path, tmp_path: Path, suffix: str
) -> None:
    original = load_map(data / "kitchen_rgbd/point_cloud.ply")
    save_map(tmp_path / f"kitchen{suffix}", original)
    saved = load_map(tmp_path / f"kitchen{suffix}")
    views = load_views(data / "kitchen_rgbd")[::60]
    with_sh, without = psnr(saved, views), psnr(without_view_dependence(saved), views)
    assert psnr(original, views) - with_sh < 0.5
    assert with_sh > 21.5
    assert with_sh > without, "coefficients in another order or frame make it worse, not better"


def psnr(gaussians: Gaussians, views: list) -> float:
    rasterizer, errors = make_rasterizer(gaussians, "numba"), []
    for view in views:
        photo = torch.from_numpy(read_image(view.image_path, view.camera)) / 255
        errors.append((render(rasterizer, view.camera).color.clamp(0, 1) - photo).square().mean())
    return -10 * torch.stack(errors).log10().mean().item()


def without_view_dependence(gaussians: Gaussians) -> Gaussians:
    sh = gaussians.sh.clone()
    sh[:, 1:] = 0
    names = ("means", "quats", "scales", "opacities")
    return Gaussians(**{name: getattr(gaussians, name) for name in names}, sh=sh)


def test_kitchen_views(data: Path) -> None:
    views = load_views(data / "kitchen_rgbd")
    assert [sum(view.split == split for view in views) for split in ("train", "test")] == [100, 10]
    depth = read_depth(views[0].depth_path, views[0].depth_unit_m, views[0].camera)
    assert 0.5 < float(depth[depth > 0].mean()) < 4
