# SPDX-License-Identifier: Apache-2.0
"""Regions of shapes whose frames and widths are known."""

import math

import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.clouds import cloud_from_gaussians
from ros2_clickgs.core.regions import find_regions
from ros2_clickgs.scenes.tabletop import make_object
from tests.core.shapes import cloud_of, cylinder, plate, sphere


def certain(labels, classes=3):
    """Return probabilities of 0.9 for the given labels."""
    probabilities = torch.full((len(labels), classes), 0.1 / (classes - 1))
    return probabilities.scatter(1, labels[:, None].long(), 0.9)


def only_region(points, normals, labels=None, **options):
    labels = torch.ones(len(points)).int() if labels is None else labels
    (region,) = find_regions(cloud_of(points, normals), certain(labels), labels, **options)
    return region


@pytest.mark.parametrize("radius", [0.006, 0.02])
def test_a_cylinder_is_straddled_across_its_axis(radius):
    region = only_region(*cylinder(radius=radius))
    assert abs(float(region.pose[0, 0])) > 0.999, "x along the axis"
    assert region.graspable_width == pytest.approx(2 * radius, rel=0.03)
    assert region.size.tolist() == pytest.approx([0.12, 2 * radius, 2 * radius], rel=0.03)
    assert region.score == pytest.approx(0.9)


def test_of_a_tube_on_a_body_z_points_away_from_the_body():
    tube, tube_normals = cylinder()
    ball, ball_normals = sphere()
    points = torch.cat([tube + torch.tensor([0, 0.08, 0]), ball])
    labels = torch.cat([torch.full((2000,), 2), torch.zeros(2000)]).int()
    region = only_region(points, torch.cat([tube_normals, ball_normals]), labels)
    assert region.class_id == 2
    assert torch.allclose(region.pose[:3, 2], torch.tensor([0, 1.0, 0]).double(), atol=0.05)
    assert torch.allclose(region.pose[:3, 3], torch.tensor([0, 0.08, 0]).double(), atol=2e-3)


def test_a_plate_is_straddled_across_its_thickness():
    region = only_region(*plate())
    assert abs(float(region.pose[0, 0])) > 0.99
    assert abs(float(region.pose[2, 2])) > 0.99, "normals cancel out: z across the plate"
    assert region.graspable_width == pytest.approx(0.006, rel=0.01)


def test_one_face_has_its_normal_and_cannot_be_straddled():
    points, normals = plate()
    above = normals[:, 2] > 0
    region = only_region(points[above], normals[above])
    assert torch.allclose(region.pose[:3, 2], torch.tensor([0, 0, 1.0]).double(), atol=1e-3)
    assert math.isnan(region.graspable_width)


def test_an_inside_cannot_be_straddled():
    points, normals = cylinder(radius=0.03)
    assert math.isnan(only_region(points, -normals).graspable_width)


def test_pieces_are_regions_by_score_and_crumbs_are_none():
    points, normals = cylinder(3000)
    right = points[:, 0] > 0.01
    left = points[:, 0] < -0.03
    labels = (right | left).int()
    labels[(points[:, 0] + 0.01).abs() < 0.001] = 1
    probabilities = certain(labels)
    probabilities[left, 1] = 0.6
    first, second = find_regions(cloud_of(points, normals), probabilities, labels)
    assert (first.score, second.score) == pytest.approx((0.9, 0.6), abs=1e-3)
    assert set(first.rows.tolist()) == set(torch.nonzero(right)[:, 0].tolist())
    assert find_regions(cloud_of(points, normals), probabilities, labels, min_score=0.95) == []
    unseen = torch.full_like(labels, -1)
    assert find_regions(cloud_of(points, normals), probabilities, unseen) == []


def test_frames_are_rotations_with_x_towards_the_farther_end():
    points, normals = cylinder()
    points[:, 0] = (points[:, 0] + 0.06) ** 2 * 8
    region = only_region(points, normals)
    R = region.pose[:3, :3]
    assert torch.allclose(R @ R.T, torch.eye(3).double(), atol=1e-9)
    assert torch.linalg.det(R) == pytest.approx(1)
    assert R[0, 0] > 0.99


def test_a_mugs_handle_points_outward_and_fits_between_fingers():
    scene = make_object("mug", 1)
    views = torch.stack([camera.center for camera in scene.cameras])
    ids = torch.ones(len(scene.gaussians), dtype=torch.int32)
    cloud = cloud_from_gaussians(make_rasterizer(scene.gaussians), ids, ids.float(), views)
    labels = (scene.part_labels == scene.part_id("mug", "handle")).int()
    (handle,) = find_regions(cloud, certain(labels, 2), labels)
    assert handle.pose[0, 2] > 0.9, "the handle is toward +x"
    assert abs(handle.pose[2, 0]) > 0.9
    assert 0.007 < handle.graspable_width < 0.019
