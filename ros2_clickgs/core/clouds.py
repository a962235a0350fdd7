# SPDX-License-Identifier: Apache-2.0
"""Gaussians as the points that other programs take: colour, outward normal, owner, score."""

from dataclasses import dataclass, fields

import numpy as np
import open3d as o3d
import torch
from jaxtyping import Float, Float32, Int32, UInt8
from torch import Tensor

from ros2_clickgs.core.harmonics import rgb_from_sh
from ros2_clickgs.core.types import Gaussians

NEIGHBOURS = 20
"""Neighbours whose plane gives a point its normal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointCloud:
    """Points in the map's frame."""

    points: Float32[Tensor, "P 3"]
    """Positions, in m."""
    colors: UInt8[Tensor, "P 3"]
    """RGB."""
    normals: Float32[Tensor, "P 3"]
    """Unit, towards the cameras; zero where unknown."""
    object_ids: Int32[Tensor, " P"]
    """Owner of each point, 0 for background."""
    scores: Float32[Tensor, " P"]
    """How sure the owner is, in [0, 1]."""

    def __len__(self) -> int:
        return len(self.points)

    def __add__(self, other: "PointCloud") -> "PointCloud":
        names = [f.name for f in fields(self)]
        return PointCloud(**{n: torch.cat([getattr(self, n), getattr(other, n)]) for n in names})


def cloud_from_gaussians(
    gaussians: Gaussians,
    object_ids: Int32[Tensor, " N"],
    scores: Float[Tensor, " N"],
    view_points: Float[Tensor, "C 3"],
) -> PointCloud:
    """Return the centres of Gaussians as a cloud.

    Args:
        gaussians: what to show.
        object_ids: owner of each.
        scores: confidence of each, in [0, 1].
        view_points: optical centres that the normals look towards, in m; may be empty.
    """
    points = gaussians.means.float().cpu()
    return PointCloud(
        points=points,
        colors=(rgb_from_sh(gaussians.sh).cpu() * 255).round().to(torch.uint8),
        normals=outward_normals(points, view_points),
        object_ids=object_ids.int().cpu(),
        scores=scores.float().clamp(0, 1).cpu(),
    )


def outward_normals(
    points: Float[Tensor, "P 3"], view_points: Float[Tensor, "C 3"]
) -> Float32[Tensor, "P 3"]:
    """Return the normals of the points' neighbourhoods, turned towards the view points (m)."""
    if len(points) < 3:
        return torch.zeros(len(points), 3)
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points.double().numpy()))
    cloud.estimate_normals(
        o3d.geometry.KDTreeSearchParamKNN(NEIGHBOURS), fast_normal_computation=True
    )
    normals = torch.from_numpy(np.array(cloud.normals)).float().nan_to_num()
    facing = torch.zeros(len(points))
    for view_point in view_points.float():
        towards = torch.nn.functional.normalize(view_point - points, dim=-1)
        facing += (normals * towards).sum(-1)
    return torch.where(facing[:, None] < 0, -normals, normals)
