# SPDX-License-Identifier: Apache-2.0
"""Gaussians as the points that other programs take: colour, outward normal, owner, score."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Float32, Int32, UInt8
from torch import Tensor

from ros2_clickgs.core.harmonics import rgb_from_sh
from ros2_clickgs.core.normals import outward_normals
from ros2_clickgs.core.rasterizer import Rasterizer


@dataclass(frozen=True, slots=True, kw_only=True)
class PointCloud:
    """Points in the map's frame."""

    points: Float32[Tensor, "P 3"]
    """Positions, in m."""
    colors: UInt8[Tensor, "P 3"]
    """RGB."""
    normals: Float32[Tensor, "P 3"]
    """Unit, outward; zero where unknown."""
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
    rasterizer: Rasterizer,
    object_ids: Int32[Tensor, " N"],
    scores: Float[Tensor, " N"],
    view_points: Float[Tensor, "C 3"],
) -> PointCloud:
    """Return the centres of an object's Gaussians as a cloud.

    Args:
        rasterizer: of what to show, alone.
        object_ids: owner of each.
        scores: confidence of each, in [0, 1].
        view_points: optical centres that saw it, in m; may be empty.
    """
    gaussians = rasterizer.gaussians
    return PointCloud(
        points=gaussians.means.float().cpu(),
        colors=(rgb_from_sh(gaussians.sh).cpu() * 255).round().to(torch.uint8),
        normals=outward_normals(rasterizer, view_points),
        object_ids=object_ids.int().cpu(),
        scores=scores.float().clamp(0, 1).cpu(),
    )
