# SPDX-License-Identifier: Apache-2.0
"""Which way an object's surface looks: outward, the side that views have seen."""

import math

import numpy as np
import open3d as o3d
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import Camera

NEIGHBOURS = 20
"""Neighbours whose plane gives a point its normal."""
VIEWS = 8
"""View points that are asked, evenly among those given."""
SIZE_PX = 96
"""Side of the small pictures that tell what a view sees."""
SEEN = 0.2
"""Share of the mean visibility below which a point counts as hidden from the views."""
WIDEST_SINE = 0.9
"""Of half the angle that a picture spans: a view point may lie within the object's sphere."""


def outward_normals(
    rasterizer: Rasterizer, view_points: Float[Tensor, "C 3"]
) -> Float32[Tensor, "P 3"]:
    """Return unit normals of an object's surface; zero where there are too few points.

    A view turns the normals of what it sees towards itself. What the object hides from all views
    is its far side, so it looks away from them.

    Args:
        rasterizer: of the object alone.
        view_points: optical centres that saw the object, in m; without any, sides are arbitrary.
    """
    points = rasterizer.gaussians.means.float()
    if len(points) < 3:
        return torch.zeros(len(points), 3)
    normals = plane_normals(points.cpu()).to(points)
    visible, towards, away = (torch.zeros(len(points)).to(points) for _ in range(3))
    for view_point in view_points[:: max(1, math.ceil(len(view_points) / VIEWS))]:
        cosine = (normals * _unit(view_point.to(points) - points)).sum(-1)
        seen = rasterizer.backproject(
            portrait(points, view_point), torch.ones(SIZE_PX, SIZE_PX, 1).to(points)
        )[:, 0]
        visible, towards, away = visible + seen, towards + seen * cosine, away - cosine
    facing = torch.where(visible > SEEN * visible.mean(), towards, away)
    return torch.where(facing[:, None] < 0, -normals, normals).cpu()


def plane_normals(points: Float32[Tensor, "P 3"]) -> Float32[Tensor, "P 3"]:
    """Return the normals of the planes through each point's neighbours, on either side."""
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points.double().numpy()))
    cloud.estimate_normals(
        o3d.geometry.KDTreeSearchParamKNN(NEIGHBOURS), fast_normal_computation=True
    )
    return torch.from_numpy(np.array(cloud.normals)).float().nan_to_num()


def portrait(points: Float[Tensor, "P 3"], eye: Float[Tensor, "3"]) -> Camera:
    """Return the small view from `eye` (m) that holds all points."""
    center = points.mean(0).double().cpu()
    radius, distance = (points.double().cpu() - center).norm(dim=-1).max(), eye.cpu() - center
    sine = min(WIDEST_SINE, float(radius / distance.norm().clamp(min=1e-9)))
    focal = 0.5 * SIZE_PX * math.sqrt(1 - sine**2) / sine
    K = torch.tensor([[focal, 0, SIZE_PX / 2], [0, focal, SIZE_PX / 2], [0, 0, 1]])
    pose = look_at(eye.double().cpu(), center, torch.tensor([0.0, 0.0, 1.0]))
    return Camera(K=K, T_world_camera=pose, width=SIZE_PX, height=SIZE_PX)


def _unit(vectors: Float[Tensor, "P 3"]) -> Float[Tensor, "P 3"]:
    return torch.nn.functional.normalize(vectors, dim=-1)
