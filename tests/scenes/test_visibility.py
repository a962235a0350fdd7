# SPDX-License-Identifier: Apache-2.0
"""What the cameras see: opaque surfaces, every thing most of the time, some things half hidden."""

import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.rendering import render, render_labels
from ros2_clickgs.scenes.layout import HIDDEN
from ros2_clickgs.scenes.masks import scene_masks
from tests.scenes.conftest import small

EVERY = 6


@pytest.fixture(scope="module")
def views(scene):
    rasterizer = make_rasterizer(scene.gaussians, "numba")
    cameras = [small(camera) for camera in scene.cameras[::EVERY]]
    return [
        (camera, render(rasterizer, camera), scene_masks(scene, rasterizer, camera))
        for camera in cameras
    ]


def test_surfaces_are_opaque(views):
    for _, picture, masks in views:
        assert (picture.alpha[masks.objects > 0] > 0.9).float().mean() > 0.995


def test_the_room_fills_the_picture(views):
    covered = torch.stack([(picture.alpha > 0.5).float().mean() for _, picture, _ in views])
    assert covered.min() > 0.98


def test_every_thing_is_seen_by_most_cameras(scene, views):
    for label in range(1, len(scene.object_names)):
        pixels = torch.stack([(masks.objects == label).sum() for _, _, masks in views])
        assert (pixels > 10).float().mean() > 0.5, scene.object_names[label]


def test_hidden_things_are_partly_hidden_in_some_views(scene, views):
    for name in HIDDEN:
        label = scene.object_id(name)
        alone = make_rasterizer(scene.gaussians.select(scene.object_labels == label), "numba")
        shares = [
            ((masks.objects == label).sum() / (render(alone, camera).alpha > 0.5).sum()).item()
            for camera, _, masks in views
        ]
        assert any(0.05 < share < 0.85 for share in shares), shares
        assert max(shares) > 0.85


def test_masks_agree_with_core_and_with_each_other(scene, views):
    rasterizer = make_rasterizer(scene.gaussians, "numba")
    owner = torch.tensor(scene.part_object, dtype=torch.int32)
    camera, _, masks = views[0]
    assert torch.equal(owner[masks.parts.long()], masks.objects)
    expected = render_labels(rasterizer, camera, scene.object_labels)
    assert (masks.objects != expected).float().mean() < 1e-3


def test_every_kth_view_sees_all_sides(scene):
    """Training views are every k-th of the walk: none of the usual k looks from one side only."""
    for k in (2, 3, 4, 5, 6, 8, 10):
        eyes = torch.stack([camera.center[:2] for camera in scene.cameras[::k]])
        azimuth = torch.atan2(eyes[:, 1], eyes[:, 0]).sort().values
        gaps = torch.diff(azimuth, append=azimuth[:1] + 2 * torch.pi)
        assert gaps.max() < torch.deg2rad(torch.tensor(140.0)), k
