# SPDX-License-Identifier: Apache-2.0
"""Views of a whole map, for when no image shows it."""

from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.features.coverage import choose_views
from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import Camera
from ros2_clickgs.core.views import bounding_ball, farthest_from, free_directions, pinhole

DISTANCES = (2.0, 1.0, 0.5, 0.25)
"""How far from the middle views are tried, in radii of the map: around it and, of rooms, in it."""
DIRECTIONS = 10
"""Views that are tried at each distance."""
OUTER = 0.5
"""Share of the way from the middle to a view, the outer one, that has to be free."""


def overview_cameras(
    rasterizer: Rasterizer,
    *,
    up: Float[Tensor, "3"],
    count: int = 12,
    width: int = 640,
    height: int = 480,
) -> list[Camera]:
    """Choose views towards a map's middle that together see as much of it as possible.

    Args:
        rasterizer: owner of the blending weights.
        up: direction that is up in the images.
        count: how many views at most.
        width: of the images, in px.
        height: of the images, in px.

    Returns:
        Cameras; of a map in which every view is walled in, none.
    """
    center, radius = bounding_ball(rasterizer.gaussians.means.cpu())
    cameras = []
    for distance in (share * radius for share in DISTANCES):
        free = free_directions(rasterizer, center, distance, (1 - OUTER) * distance)
        for direction in farthest_from(free, up[None].to(free), DIRECTIONS):
            pose = look_at(center + distance * direction, center, up)
            cameras.append(pinhole(pose, width, height))
    return [cameras[i] for i in choose_views(rasterizer, cameras, count)]
