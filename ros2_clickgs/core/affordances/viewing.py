# SPDX-License-Identifier: Apache-2.0
"""Where an object is looked at from when no camera did: from above, all around."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.core.views import pinhole

ELEVATIONS_DEG = (25.0, 50.0)
"""People photograph what stands on a table from here; taken in turn."""
SIDE_PX, FOV_DEG = 256, 45.0
FILLED = 0.8
"""Share of the image that the object's sphere spans."""
CORE = 0.98
"""Share of the Gaussians that the sphere holds; the rest are strays."""


def cameras_around(gaussians: Gaussians, up: Float[Tensor, "3"], count: int = 16) -> list[Camera]:
    """Return views of an object alone, evenly around it.

    Args:
        gaussians: of the object.
        up: direction away from what the object stands on.
        count: how many.
    """
    center, radius_m = bounding_sphere(gaussians.means.cpu().double())
    up = torch.nn.functional.normalize(up.double(), dim=0)
    sideways = torch.linalg.svd(up[None]).Vh[1:]
    distance = radius_m / math.sin(math.radians(FOV_DEG) / 2 * FILLED)
    cameras = []
    for i in range(count):
        azimuth = 2 * math.pi * i / count
        elevation = math.radians(ELEVATIONS_DEG[i % len(ELEVATIONS_DEG)])
        level = math.cos(azimuth) * sideways[0] + math.sin(azimuth) * sideways[1]
        eye = center + distance * (math.cos(elevation) * level + math.sin(elevation) * up)
        cameras.append(pinhole(look_at(eye, center, up), SIDE_PX, SIDE_PX, FOV_DEG))
    return cameras


def bounding_sphere(means: Float[Tensor, "M 3"]) -> tuple[Float[Tensor, "3"], float]:
    """Return the middle and the radius (m) of what most centres lie in."""
    low, high = (means.quantile(q, dim=0) for q in (1 - CORE, CORE))
    center = (low + high) / 2
    return center, float((means - center).norm(dim=-1).quantile(CORE))
