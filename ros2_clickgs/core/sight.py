# SPDX-License-Identifier: Apache-2.0
"""Which of many posed cameras look at a point, and in which order they tell most about it."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.geometry import project
from ros2_clickgs.core.types import Camera


def order_by_sight(cameras: Sequence[Camera], point: Float[Tensor, "3"]) -> list[int]:
    """Return the cameras with a point (m) inside their image, the most telling first.

    The first shows it most central and nearest; each further one looks along the line of sight
    that is farthest from all before it. What stands in between is not looked at.
    """
    scores = torch.tensor([centrality(camera, point) for camera in cameras])
    inside = torch.nonzero(scores > 0)[:, 0].tolist()
    if not inside:
        return []
    sights = torch.stack([line_of_sight(cameras[i], point) for i in inside])
    order = [int(scores[inside].argmax())]
    closeness = sights @ sights[order[0]]
    while len(order) < len(inside):
        closeness[order] = torch.inf
        order.append(int(closeness.argmin()))
        closeness = torch.maximum(closeness, sights @ sights[order[-1]])
    return [inside[i] for i in order]


def centrality(camera: Camera, point: Float[Tensor, "3"]) -> float:
    """Return how well a camera shows a point (m): 0 = outside, more = more central and nearer."""
    u, v, depth = project(camera, point[None].double())[0].tolist()
    if depth <= 0 or not (0 <= u < camera.width and 0 <= v < camera.height):
        return 0.0
    off_center = math.hypot(2 * u / camera.width - 1, 2 * v / camera.height - 1)
    return (1.5 - off_center) / depth


def line_of_sight(camera: Camera, point: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    """Return the unit vector from the camera to a point (m)."""
    return torch.nn.functional.normalize(point.double() - camera.center, dim=0)
