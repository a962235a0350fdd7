# SPDX-License-Identifier: Apache-2.0
"""From the Gaussians of an object to what a robot asks for: one piece, its box, its score."""

from dataclasses import dataclass

import numpy as np
import open3d as o3d
import torch
from jaxtyping import Bool, Float, Int64
from scipy.spatial import ConvexHull, cKDTree
from torch import Tensor

from ros2_clickgs.core.geometry import pose_from

LINK_FACTOR = 4.0
"""Two points are linked when closer than this many typical neighbour distances."""
NEIGHBOURS = 8
"""Neighbours that make up the typical distance, and that a point needs to link others."""
BULK = 0.99
"""Share of an object's votes that its box holds: hardly visible Gaussians do not widen it."""


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


def oriented_box(
    points: Float[Tensor, "P 3"],
) -> tuple[Float[Tensor, "4 4"], Float[Tensor, "3"]]:
    """Return pose and size (m) of a smallest box around points: longest side first, right-handed.

    A box of least volume lies flush with the convex hull (O'Rourke 1985); of the boxes flush with
    a face of the hull and one of its edges, this is the smallest.
    """
    if len(points) == 0:
        return torch.eye(4, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    xyz = points.double()
    corners, frames = (xyz, principal_axes(xyz)[None])
    if len(points) > 3:
        corners, faces = convex_hull(xyz)
        frames = torch.cat([frames, flush_frames(faces)])
    local = corners @ frames
    size = local.amax(1) - local.amin(1)
    best = int(size.prod(-1).argmin())
    order = torch.argsort(size[best], descending=True, stable=True)
    center = frames[best] @ ((local[best].amax(0) + local[best].amin(0)) / 2)
    axes = frames[best][:, order]
    axes[:, 2] = torch.linalg.cross(axes[:, 0], axes[:, 1])
    return pose_from(axes, center), size[best][order]


def carries_most(weights: Float[Tensor, " P"]) -> Bool[Tensor, " P"]:
    """Return the fewest points that together carry the share BULK of all weight."""
    order = torch.argsort(weights, descending=True, stable=True)
    before = weights[order].cumsum(0) - weights[order]
    keep = torch.zeros(len(weights), dtype=torch.bool)
    keep[order] = before < BULK * weights.sum()
    return keep


def principal_axes(points: Float[Tensor, "P 3"]) -> Float[Tensor, "3 3"]:
    """Return an orthonormal frame, one axis per column, along the points' largest spread."""
    spread = torch.linalg.svd(points - points.mean(0), full_matrices=False).Vh.T
    return torch.linalg.qr(torch.cat([spread, torch.eye(3).to(points)], dim=1)).Q


def convex_hull(
    points: Float[Tensor, "P 3"],
) -> tuple[Float[Tensor, "C 3"], Float[Tensor, "F 3 3"]]:
    """Return the corners and the triangles of the hull; flat sets are joggled into a volume."""
    hull = ConvexHull(points.numpy(), qhull_options="QJ")
    return points[hull.vertices], points[torch.from_numpy(hull.simplices).long()]


def flush_frames(triangles: Float[Tensor, "F 3 3"]) -> Float[Tensor, "B 3 3"]:
    """Return a frame for each edge of each triangle: along the edge, in the face, off the face."""
    edges = triangles.roll(-1, dims=1) - triangles
    normals = torch.linalg.cross(edges[:, :1], edges[:, 1:2]).expand_as(edges)
    edges, normals = edges.flatten(0, 1), normals.flatten(0, 1)
    sound = (normals.norm(dim=-1) > 1e-12) & (edges.norm(dim=-1) > 1e-9)
    x = torch.nn.functional.normalize(edges[sound], dim=-1)
    z = torch.nn.functional.normalize(normals[sound], dim=-1)
    return torch.stack([x, torch.linalg.cross(z, x), z], dim=-1)


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
