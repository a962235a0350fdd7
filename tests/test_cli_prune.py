# SPDX-License-Identifier: Apache-2.0
"""`clickgs prune` on a tiny map: what it drops, reports and refuses."""

from dataclasses import replace

import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.pruning import visibility
from ros2_clickgs.core.rendering import render
from ros2_clickgs.io.cameras import View, load_views, save_transforms
from ros2_clickgs.io.maps import load_map, map_sha256
from tests.test_cli import answered, refused, world  # noqa: F401


@pytest.fixture
def prune(world, tmp_path):  # noqa: F811
    return ["prune", world.map, "--cameras", world.cameras, "--out", tmp_path / "small.ply"]


def zoomed(view):
    """Return a view of the middle only, without an image."""
    K = view.camera.K.clone()
    K[:2, :2] *= 4
    return View(name=view.name, camera=replace(view.camera, K=K))


def test_pruned_map_looks_the_same_from_every_used_view(world, prune, tmp_path, capsys):  # noqa: F811
    views = [zoomed(view) for view in load_views(world.cameras)[:2]]
    save_transforms(tmp_path / "transforms.json", views)
    report = answered(capsys, *prune, "--cameras", tmp_path / "transforms.json")
    small, whole = load_map(tmp_path / "small.ply"), load_map(world.map)
    assert (report["gaussians_before"], report["gaussians_after"]) == (len(whole), len(small))
    assert 0 < report["compression"] == 1 - len(small) / len(whole)
    assert report["max_pixel_change"] <= 1 / 510
    before, after = make_rasterizer(whole, "numba"), make_rasterizer(small, "numba")
    cameras = [view.camera for view in views]
    assert int((visibility(before, cameras) > 0).sum()) == len(small)
    for camera in cameras:
        change = (render(before, camera).color - render(after, camera).color).abs().max()
        assert change <= 1 / 510
    assert (visibility(after, cameras) > 0).all()
    assert map_sha256(world.map) != map_sha256(tmp_path / "small.ply")


def test_held_back_views_have_no_say_and_are_measured(prune, capsys):
    everything = answered(capsys, *prune)
    assert everything["psnr_seen_after"] == pytest.approx(everything["psnr_seen_before"], abs=1e-3)
    some = answered(capsys, *prune, "--hold-every", 2)
    assert some["views"] == 4
    assert some["gaussians_after"] <= everything["gaussians_after"]
    assert some["psnr_unseen_after"] <= some["psnr_unseen_before"] + 0.01


def test_a_threshold_drops_more(prune, capsys):
    counts = [
        answered(capsys, *prune, "--min-visibility", px)["gaussians_after"] for px in (0, 5, 20)
    ]
    assert counts[0] > counts[1] > counts[2]


def test_refuses_in_one_line(prune, capsys):
    assert "--hold-every 1 leaves no view" in refused(capsys, *prune, "--hold-every", 1)
    assert "0 or more" in refused(capsys, *prune, "--min-visibility", -1)
    assert "not written" in refused(capsys, *prune, "--min-visibility", 1e9)
    assert ".ply" in refused(capsys, *prune[:-1], "small.txt")


def test_visibility_is_the_sum_over_views(world):  # noqa: F811
    rasterizer = make_rasterizer(load_map(world.map), "numba")
    cameras = [view.camera for view in load_views(world.cameras)]
    parts = visibility(rasterizer, cameras[:3]) + visibility(rasterizer, cameras[3:])
    torch.testing.assert_close(visibility(rasterizer, cameras), parts, rtol=1e-4, atol=1e-4)
