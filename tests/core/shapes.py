# SPDX-License-Identifier: Apache-2.0
"""Surfaces with known normals, for tests."""

import torch

from ros2_clickgs.core.clouds import PointCloud
from ros2_clickgs.core.geometry import quat_wxyz_from_rotmat
from ros2_clickgs.core.harmonics import sh_from_rgb
from ros2_clickgs.core.types import Gaussians


def sphere(count=2000, radius=0.05):
    """Return points and normals of a ball."""
    normals = torch.nn.functional.normalize(torch.randn(count, 3), dim=-1)
    return radius * normals, normals


def cylinder(count=2000, radius=0.01, length=0.12):
    """Return points and normals of a tube along x, without its ends."""
    angles = torch.rand(count) * 2 * torch.pi
    normals = torch.stack([torch.zeros(count), angles.cos(), angles.sin()], -1)
    points = radius * normals
    points[:, 0] = (torch.rand(count) - 0.5) * length
    return points, normals


def plate(count=2000, size=(0.12, 0.08), thickness=0.006):
    """Return points and normals of both faces of a plate in the plane z = 0."""
    sides = torch.where(torch.arange(count) % 2 == 0, 1.0, -1.0)
    xy = (torch.rand(count, 2) - 0.5) * torch.tensor(size)
    points = torch.cat([xy, sides[:, None] * thickness / 2], -1)
    return points, torch.stack([torch.zeros(count), torch.zeros(count), sides], -1)


def cloud_of(points, normals):
    """Return a gray cloud of a surface."""
    return PointCloud(
        points=points.float(),
        colors=torch.full((len(points), 3), 128, dtype=torch.uint8),
        normals=normals.float(),
        object_ids=torch.ones(len(points), dtype=torch.int32),
        scores=torch.ones(len(points)),
    )


def surfels(points, normals, width=0.003):
    """Return flat Gaussians on a surface."""
    other = torch.where(normals[:, :1].abs() < 0.9, torch.eye(3)[0], torch.eye(3)[1])
    x = torch.nn.functional.normalize(torch.linalg.cross(normals, other), dim=-1)
    frames = torch.stack([x, torch.linalg.cross(normals, x), normals], -1)
    return Gaussians(
        means=points,
        quats=quat_wxyz_from_rotmat(frames),
        scales=torch.tensor([width, width, width / 10]).repeat(len(points), 1),
        opacities=torch.full((len(points),), 0.95),
        sh=sh_from_rgb(torch.full((len(points), 3), 0.5)),
    )
