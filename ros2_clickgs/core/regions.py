# SPDX-License-Identifier: Apache-2.0
"""From class scores of an object's Gaussians to the regions that a hand can use."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from torch import Tensor

from ros2_clickgs.core.clouds import PointCloud
from ros2_clickgs.core.geometry import pose_from

NEIGHBOURS = 8
"""Neighbours that make up the typical distance between an object's points."""
LINK_FACTOR = 2.5
"""Points of a class are linked when closer than this many typical distances."""
SMALLEST_SHARE = 0.1
"""Pieces with less than this share of their class's points on the object are no regions."""
CANCELLED = 0.2
"""Length of the mean normal below which the normals say no direction: they go all round."""
SLICE_M = 0.02
"""Width of a finger: so much of a region, in its middle, has to fit between two of them."""
DIRECTIONS = 36
"""Closing directions that are tried about a region's x axis."""
OUTLIERS = 0.02
"""Share of a slice's points that may lie beyond either finger."""
CONTACT = 0.1
"""Share of the opening, at either end, whose points a finger touches."""
FACING = 0.6
"""Mean cosine between the touched points' normals and the finger that presses on them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A connected part of an object's surface, of one affordance class."""

    class_id: int
    """Column of the probabilities, 1 or more."""
    score: float
    """Mean probability of the class, in [0, 1]."""
    rows: Int64[Tensor, " M"]
    """Its rows of the object's cloud."""
    pose: Float64[Tensor, "4 4"]
    """T_map_region, m: origin at the centroid weighted by probability; axes see `region_axes`."""
    size: Float64[Tensor, "3"]
    """Full extents along those axes, in m."""
    graspable_width: float
    """See `graspable_width`, in m."""


def find_regions(
    cloud: PointCloud,
    probabilities: Float[Tensor, "P C"],
    labels: Int[Tensor, " P"],
    min_score: float = 0.0,
) -> list[Region]:
    """Return the regions of one object, by falling score.

    Args:
        cloud: the object's points with outward normals.
        probabilities: of each class; column 0 is the background.
        labels: class of each point; 0 or less belongs to none.
        min_score: regions that score less are left out.
    """
    pieces = (
        region_of(cloud, probabilities[:, class_id], class_id, rows)
        for class_id in range(1, probabilities.shape[1])
        for rows in connected_pieces(cloud.points, labels == class_id)
    )
    found = [region for region in pieces if region.score >= min_score]
    return sorted(found, key=lambda region: -region.score)


def connected_pieces(
    points: Float[Tensor, "P 3"], chosen: Bool[Tensor, " P"]
) -> list[Int64[Tensor, " M"]]:
    """Return the rows of each connected piece of the chosen points, without crumbs."""
    rows = torch.nonzero(chosen)[:, 0]
    if len(rows) <= NEIGHBOURS:
        return []
    xyz = points.double().numpy()
    distances = cKDTree(xyz).query(xyz, k=NEIGHBOURS + 1, workers=-1)[0][:, -1]
    pairs = cKDTree(xyz[rows]).query_pairs(
        LINK_FACTOR * float(np.median(distances)), output_type="ndarray"
    )
    graph = coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(len(rows), len(rows)))
    pieces = torch.from_numpy(connected_components(graph, directed=False)[1].astype(np.int64))
    fewest = max(NEIGHBOURS + 1, SMALLEST_SHARE * len(rows))
    sizes = torch.bincount(pieces)
    return [rows[pieces == i] for i in torch.nonzero(sizes >= fewest)[:, 0]]


def region_of(
    cloud: PointCloud, probability: Float[Tensor, " P"], class_id: int, rows: Int64[Tensor, " M"]
) -> Region:
    """Return a piece with its frame and measures."""
    points, normals = cloud.points[rows].double(), cloud.normals[rows].double()
    weights = probability[rows].double().clamp(min=1e-6)
    center = (weights[:, None] * points).sum(0) / weights.sum()
    outward = center - cloud.points.double().mean(0)
    axes = region_axes(points - center, normals, weights, outward)
    local = (points - center) @ axes
    return Region(
        class_id=class_id,
        score=float(probability[rows].mean()),
        rows=rows,
        pose=pose_from(axes, center),
        size=local.amax(0) - local.amin(0),
        graspable_width=graspable_width(local, normals @ axes),
    )


def region_axes(
    offsets: Float64[Tensor, "M 3"],
    normals: Float64[Tensor, "M 3"],
    weights: Float64[Tensor, " M"],
    outward: Float64[Tensor, "3"],
) -> Float64[Tensor, "3 3"]:
    """Return a region's right-handed axes, one per column.

    z is the mean outward normal. Where the normals cancel out, as all round a handle, it points
    away from the object's centre, across the region's main axis. x is the main axis, made
    orthogonal to z, towards the end that reaches farther.

    Args:
        offsets: points from the weighted centroid, in m.
        normals: outward, unit; zero where unknown.
        weights: of the points, > 0.
        outward: from the object's centroid to the region's, in m.
    """
    spread = torch.linalg.svd(weights.sqrt()[:, None] * offsets, full_matrices=False).Vh
    z = (weights[:, None] * normals).sum(0) / weights.sum()
    if z.norm() < CANCELLED:
        z = outward - spread[0] * (spread[0] @ outward)
    if z.norm() < 1e-3 * offsets.norm(dim=-1).max():
        z = spread[2]
    z = torch.nn.functional.normalize(z, dim=0)
    across = spread - (spread @ z)[:, None] * z
    x = across[0] if across[0].norm() > 0.5 else across[1]
    x = torch.nn.functional.normalize(x, dim=0)
    along = offsets @ x
    x = x if along.amax() >= -along.amin() else -x
    return torch.stack([x, torch.linalg.cross(z, x), z], dim=-1)


def graspable_width(local: Float64[Tensor, "M 3"], normals: Float64[Tensor, "M 3"]) -> float:
    """Return the smallest opening of two fingers that close on the region across its x axis.

    Measured on a slice as wide as a finger in the middle of the region. Two fingers close on it if
    the surface they touch faces them on both sides: an inside, or a surface known from one side
    only, cannot be straddled. What else may be in the fingers' way is for the planner to see.

    Args:
        local: points in the region's frame, m.
        normals: outward, in the same frame.

    Returns:
        The opening, in m; NaN where no direction has two sides.
    """
    middle = (local[:, 0] - local[:, 0].median()).abs() <= SLICE_M / 2
    angles = torch.arange(DIRECTIONS, dtype=local.dtype) * (math.pi / DIRECTIONS)
    directions = torch.stack([angles.cos(), angles.sin()])
    heights, facing = local[middle, 1:] @ directions, normals[middle, 1:] @ directions
    ends = torch.tensor([OUTLIERS, 1 - OUTLIERS], dtype=local.dtype)
    low, high = torch.quantile(heights, ends, dim=0)
    widths = high - low
    above = _mean_where(facing, heights >= high - CONTACT * widths)
    below = _mean_where(facing, heights <= low + CONTACT * widths)
    closes = (above >= FACING) & (below <= -FACING)
    return float(widths[closes].min()) if closes.any() else math.nan


def _mean_where(
    values: Float64[Tensor, "M K"], chosen: Bool[Tensor, "M K"]
) -> Float64[Tensor, " K"]:
    return (values * chosen).sum(0) / chosen.sum(0)
