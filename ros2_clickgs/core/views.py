# SPDX-License-Identifier: Apache-2.0
"""Where to look from: views rendered around a point of the map when no camera image shows it."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import render
from ros2_clickgs.core.types import Camera

CANDIDATES = 60
"""Directions tried on the sphere around the point."""
PROBE_PX = 33
"""Side of the small picture that tells whether a candidate sees the point."""
DEPTH_TOLERANCE = 0.05
"""How far in front of the point the map may begin, as a share of the distance."""


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
        width, height: image size, in px.

    Returns:
        Cameras, the first one seeing the point from farthest above; fewer than count, or none,
        where the map hides the point.
    """
    up = torch.nn.functional.normalize(up.double(), dim=0)
    seeing = []
    for direction in sphere(CANDIDATES):
        pose = look_at(point.double() + distance * direction, point.double(), up)
        probe = pinhole(pose, PROBE_PX, PROBE_PX, fov_deg=20.0)
        center = render(rasterizer, probe).depth[PROBE_PX // 2, PROBE_PX // 2]
        if abs(float(center) - distance) < DEPTH_TOLERANCE * distance:
            seeing.append(direction)
    chosen = spread(seeing, up, count)
    return [pinhole(look_at(point + distance * d, point, up), width, height) for d in chosen]


def sphere(count: int) -> Float[Tensor, "C 3"]:
    """Return evenly spread unit vectors (Fibonacci lattice)."""
    i = torch.arange(count, dtype=torch.float64) + 0.5
    z, angle = 1 - 2 * i / count, math.pi * (1 + 5**0.5) * i
    radius = torch.sqrt(1 - z * z)
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle), z], -1)


def spread(directions: list[Tensor], first: Tensor, count: int) -> list[Tensor]:
    """Pick up to count directions, the one nearest to `first`, then always the farthest from all."""
    if not directions:
        return []
    pool = torch.stack(directions)
    picked = [int((pool @ first).argmax())]
    closeness = pool @ pool[picked[0]]
    while len(picked) < min(count, len(pool)):
        picked.append(int(closeness.argmin()))
        closeness = torch.maximum(closeness, pool @ pool[picked[-1]])
    return [pool[i] for i in picked]
