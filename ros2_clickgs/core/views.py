# SPDX-License-Identifier: Apache-2.0
"""Where to look from: views rendered around a point of the map when no camera image shows it."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.sight import transmittances
from ros2_clickgs.core.types import Camera

CANDIDATES = 60
"""Directions tried on the sphere around the point."""
OWN_SURFACE = 0.02
"""What lies this near to the point, as a share of the distance, does not hide it."""
SEEN = 0.5
"""Light that must pass from the point to a camera that sees it."""


def pinhole(
    T_world_camera: Float[Tensor, "4 4"], width: int, height: int, fov_deg: float = 60.0
) -> Camera:
    """Return a camera with square pixels and the given horizontal field of view."""
    focal = 0.5 * width / math.tan(math.radians(fov_deg) / 2)
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(K=K, T_world_camera=T_world_camera, width=width, height=height)


def orbit_cameras(
    rasterizer: Rasterizer,
    point: Float[Tensor, "3"],
    *,
    distance: float,
    up: Float[Tensor, "3"],
    count: int = 8,
    width: int = 640,
    height: int = 480,
) -> list[Camera]:
    """Choose views of a point from which nothing stands in front of it, spread over directions.

    Args:
        rasterizer: owner of the blending weights.
        point: what to look at, in m.
        distance: how far the cameras stand from it, in m.
        up: direction that is up in the images.
        count: how many views at most.
        width: of the images, in px.
        height: of the images, in px.

    Returns:
        Cameras, the first one seeing the point from farthest above; fewer than count, or none,
        where the map hides the point.
    """
    up = torch.nn.functional.normalize(up.double(), dim=0)
    point, directions = point.double(), sphere(CANDIDATES)
    eyes = point + distance * directions
    passed = transmittances(rasterizer.gaussians, point, eyes, OWN_SURFACE * distance).cpu()
    chosen = spread(directions[passed > SEEN], up, count)
    return [pinhole(look_at(point + distance * d, point, up), width, height) for d in chosen]


def sphere(count: int) -> Float[Tensor, "C 3"]:
    """Return evenly spread unit vectors (Fibonacci lattice)."""
    i = torch.arange(count, dtype=torch.float64) + 0.5
    z, angle = 1 - 2 * i / count, math.pi * (1 + 5**0.5) * i
    radius = torch.sqrt(1 - z * z)
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle), z], -1)


def spread(
    directions: Float[Tensor, "C 3"], first: Float[Tensor, "3"], count: int
) -> Float[Tensor, "V 3"]:
    """Pick up to count unit vectors: the nearest to `first`, then always the farthest from all."""
    if len(directions) == 0:
        return directions
    picked = [int((directions @ first).argmax())]
    closeness = directions @ directions[picked[0]]
    while len(picked) < min(count, len(directions)):
        picked.append(int(closeness.argmin()))
        closeness = torch.maximum(closeness, directions @ directions[picked[-1]])
    return directions[picked]
