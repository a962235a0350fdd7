# SPDX-License-Identifier: Apache-2.0
"""From the Gaussians of an object to what a robot asks for: one piece, its box, its score."""

from dataclasses import dataclass

import numpy as np
import open3d as o3d
import torch
from jaxtyping import Bool, Float, Int64
from scipy.spatial import cKDTree
from torch import Tensor

from ros2_clickgs.core.geometry import pose_from

LINK_FACTOR = 4.0
"""Two points are linked when closer than this many typical neighbour distances."""
NEIGHBOURS = 8
"""Neighbours that make up the typical distance, and that a point needs to link others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentedObject:
    """One thing in the map."""

    id: int
    """Greater than 0, unique in its ObjectMap."""
    name: str
    """What the user calls it."""
    score: float
    """Mean margin of its votes, in [0, 1]."""
    gaussian_ids: Int64[Tensor, " M"]
    """Its rows of the map."""
    view_count: int
    """How many views have voted on it."""
    pose: Float[Tensor, "4 4"]
    """Centre and axes of its oriented box in the map's frame, m; x along the longest side."""
    size: Float[Tensor, "3"]
    """Full lengths of the box along its axes, in m, longest first."""


def oriented_box(points: Float[Tensor, "P 3"]) -> tuple[Float[Tensor, "4 4"], Float[Tensor, "3"]]:
    """Return pose and size (m) of the smallest box around points: longest side first, right-handed.

    Flat or tiny sets, which have no volume to minimise, get the box of their principal axes.
    """
    if len(points) == 0:
        return torch.eye(4, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    xyz = points.double()
    try:
        cloud = o3d.utility.Vector3dVector(xyz.numpy())
        box = o3d.geometry.OrientedBoundingBox.create_from_points_minimal(cloud)
        axes = torch.from_numpy(np.array(box.R))
    except RuntimeError:
        axes = torch.linalg.svd(xyz - xyz.mean(0), full_matrices=False).Vh.T
        axes = torch.linalg.qr(torch.cat([axes, torch.eye(3).double()], dim=1)).Q
    local = xyz @ axes
    low, high = local.amin(0), local.amax(0)
    order = torch.argsort(high - low, descending=True, stable=True)
    center = axes @ ((low + high) / 2)
    axes, size = axes[:, order], (high - low)[order]
    axes[:, 2] = torch.linalg.cross(axes[:, 0], axes[:, 1])
    return pose_from(axes, center), size


def largest_component(
    points: Float[Tensor, "P 3"], weights: Float[Tensor, " P"]
) -> Bool[Tensor, " P"]:
    """Return which points belong to the connected piece of largest weight (DBSCAN of Open3D).

    Args:
        points: centres, in m; linked when closer than LINK_FACTOR typical neighbour distances.
        weights: how much each point counts, such as its votes.
    """
    if len(points) <= NEIGHBOURS:
        return torch.ones(len(points), dtype=torch.bool)
    xyz = points.double().numpy()
    distances = cKDTree(xyz).query(xyz, k=NEIGHBOURS + 1, workers=-1)[0][:, -1]
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(xyz))
    reach = max(LINK_FACTOR * float(np.median(distances)), 1e-9)
    pieces = torch.from_numpy(np.array(cloud.cluster_dbscan(reach, NEIGHBOURS))).long()
    if (pieces < 0).all():
        return torch.ones(len(points), dtype=torch.bool)
    sums = torch.zeros(int(pieces.max()) + 1, dtype=weights.dtype)
    sums.index_add_(0, pieces[pieces >= 0], weights[pieces >= 0])
    return pieces == sums.argmax()
