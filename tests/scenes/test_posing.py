# SPDX-License-Identifier: Apache-2.0
"""Moving a thing is rigid: who moves along sees no change."""

from dataclasses import replace

import pytest
import torch
from scipy.spatial import cKDTree

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.geometry import pose_from, rotmat_from_quat_wxyz
from ros2_clickgs.core.rendering import render
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.scenes.posing import place_object, random_pose
from ros2_clickgs.scenes.tabletop import make_object
from tests.scenes.conftest import small


def test_a_camera_that_moves_along_sees_the_same():
    scene = make_object("mug", 3, 3000)
    quat = torch.nn.functional.normalize(torch.tensor([0.3, -0.5, 0.7, 0.2]), dim=0)
    T = pose_from(rotmat_from_quat_wxyz(quat), torch.tensor([0.3, -0.2, 0.5]))
    camera = small(scene.cameras[0])
    along = replace(camera, T_world_camera=T @ camera.T_world_camera)
    before = render(make_rasterizer(scene.gaussians, "numba"), camera)
    after = render(make_rasterizer(place_object(scene, 1, T).gaussians, "numba"), along)
    torch.testing.assert_close(after.color, before.color, atol=2e-3, rtol=0)


def test_there_and_back_again(one_scene):
    mug = one_scene.object_id("mug")
    moved = place_object(one_scene, mug, random_pose(one_scene, mug, seed=0))
    back = place_object(moved, mug, one_scene.object_poses[mug])
    others = one_scene.object_labels != mug
    assert torch.equal(moved.gaussians.means[others], one_scene.gaussians.means[others])
    torch.testing.assert_close(back.gaussians.means, one_scene.gaussians.means)
    torch.testing.assert_close(back.gaussians.sh, one_scene.gaussians.sh, atol=1e-5, rtol=0)


def test_random_poses_are_free_and_differ(one_scene):
    mug = one_scene.object_id("mug")
    places = [random_pose(one_scene, mug, seed) for seed in range(3)]
    assert len({tuple(T[:2, 3].tolist()) for T in places}) == 3
    others = one_scene.gaussians.means[
        (one_scene.object_labels != mug) & (one_scene.object_labels > 0)
    ]
    for T in places:
        moved = place_object(one_scene, mug, T)
        mine = moved.gaussians.means[moved.object_labels == mug]
        assert cKDTree(others).query(mine)[0].min() > 0.01


def test_no_free_place_is_told():
    table_full = make_object("book", 0, 500)
    huge = replace(
        table_full,
        gaussians=replace(table_full.gaussians, means=table_full.gaussians.means * 10),
    )
    with pytest.raises(ClickGSError, match="no free place for 'book'"):
        random_pose(huge, 1, seed=0)
