# SPDX-License-Identifier: Apache-2.0
"""The example planner's core: grasps of a handle, and of shapes with known answers."""

import numpy as np
import pytest
import torch

from benchmarks.grasp_trials import faults
from examples.antipodal import Gripper, Target, plan
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.normals import outward_normals
from ros2_clickgs.scenes.tabletop import make_tabletop
from tests.core.shapes import cylinder, plate

GRIPPER = Gripper()
NOTHING = np.zeros((0, 3))


def target(points, normals, obstacles=NOTHING, scores=None):
    """Return something to grasp from above."""
    return Target(
        points=points.numpy().astype(float),
        normals=normals.numpy().astype(float),
        scores=np.ones(len(points)) if scores is None else scores,
        outward=np.array([0.0, 0.0, 1.0]),
        obstacles=obstacles,
    )


def test_a_rod_is_grasped_across_from_above():
    best = plan(target(*cylinder(radius=0.012)), GRIPPER)[0]
    assert abs(best.pose[0, 1]) < 0.1, "closes across the rod"
    assert best.pose[2, 2] < -0.95, "comes from above"
    assert best.width == pytest.approx(0.024, abs=0.003)
    assert abs(best.pose[1:3, 3]).max() < 0.003
    assert np.linalg.det(best.pose[:3, :3]) == pytest.approx(1)


def test_a_table_below_is_not_touched():
    points, normals = cylinder(radius=0.012)
    xy = np.stack(np.meshgrid(*[np.arange(-0.2, 0.2, 0.004)] * 2), -1).reshape(-1, 2)
    table = np.concatenate([xy, np.full((len(xy), 1), -0.02)], 1)
    for grasp in plan(target(points, normals, table), GRIPPER):
        corners = [
            grasp.pose[:3, :3] @ np.where(pick, box[1], box[0]) + grasp.pose[:3, 3]
            for box in GRIPPER.boxes(grasp.opening)
            for pick in np.ndindex(2, 2, 2)
        ]
        assert min(corner[2] for corner in corners) > -0.02


def test_what_is_wider_than_the_gripper_is_not_grasped():
    assert plan(target(*cylinder(radius=0.045)), GRIPPER) == []


def test_only_the_region_is_grasped():
    points, normals = cylinder(radius=0.012)
    scores = (points[:, 0] > 0.03).numpy().astype(float)
    grasps = plan(target(points, normals, scores=scores), GRIPPER)
    assert grasps
    assert min(grasp.pose[0, 3] for grasp in grasps) > 0.02


def test_a_plate_is_grasped_at_its_edge():
    points, normals = plate()
    best = plan(target(points, normals), GRIPPER)[0]
    assert abs(best.pose[2, 1]) > 0.95, "closes across the thickness"


def test_grasps_are_ranked_and_different():
    grasps = plan(target(*cylinder(radius=0.012)), GRIPPER, at_most=5)
    assert len(grasps) == 5
    scores = [grasp.score for grasp in grasps]
    assert scores == sorted(scores, reverse=True)


def test_a_mugs_handle_is_grasped_without_touching_anything_else():
    scene = make_tabletop(seed=0, count=60_000)
    mug = scene.object_labels == scene.object_id("mug")
    gaussians = scene.gaussians.select(mug)
    views = torch.stack([camera.center for camera in scene.cameras])
    handle = scene.part_labels[mug] == scene.part_id("mug", "handle")
    side = gaussians.means[handle].mean(0) - gaussians.means.mean(0)
    grasps = plan(
        Target(
            points=gaussians.means.numpy().astype(float),
            normals=outward_normals(make_rasterizer(gaussians), views).numpy().astype(float),
            scores=handle.numpy().astype(float),
            outward=(side / side.norm()).numpy().astype(float),
            obstacles=scene.gaussians.means[~mug].numpy().astype(float),
        ),
        GRIPPER,
    )
    assert grasps
    assert faults(scene, grasps[0].pose, grasps[0].opening, GRIPPER) == []
    through_the_wall = grasps[0].pose.copy()
    through_the_wall[:3, 3] += 0.03 * through_the_wall[:3, 2]
    assert faults(scene, through_the_wall, grasps[0].opening, GRIPPER)
