# SPDX-License-Identifier: Apache-2.0
"""The bounded set of posed images that a click's masks are made in."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.config import KeyframesConfig
from ros2_clickgs.core.clicking import PosedImage
from ros2_clickgs.core.geometry import project
from ros2_clickgs.core.types import Camera


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An image that came, with its camera."""

    posed: PosedImage
    frame_id: str
    """Of its header."""
    stamp_ns: int
    """Of its header."""


class Keyframes:
    """Views that differ; of two that are alike the newer one is kept."""

    def __init__(self, config: KeyframesConfig) -> None:
        self._config = config
        self._frames: list[Frame] = []

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def add(self, frame: Frame) -> None:
        """Take a frame in place of those like it; the oldest goes when there are too many."""
        kept = [old for old in self._frames if not self._is_like(old, frame)]
        self._frames = [*kept, frame][-self._config.count :]

    def showing(self, point: Float[Tensor, "3"]) -> list[Frame]:
        """Return the frames with a point (map frame, m) inside their image, best first.

        The first shows it most central and nearest; each further one looks along the line of sight
        that is farthest from all before it.
        """
        inside = [frame for frame in self._frames if _centrality(frame.posed.camera, point) > 0]
        if not inside:
            return []
        sights = torch.stack([_line_of_sight(frame.posed.camera, point) for frame in inside])
        best = max(range(len(inside)), key=lambda i: _centrality(inside[i].posed.camera, point))
        order, closeness = [best], sights @ sights[best]
        while len(order) < len(inside):
            closeness[order] = torch.inf
            order.append(int(closeness.argmin()))
            closeness = torch.maximum(closeness, sights @ sights[order[-1]])
        return [inside[i] for i in order]

    def _is_like(self, old: Frame, new: Frame) -> bool:
        a, b = old.posed.camera, new.posed.camera
        if old.frame_id != new.frame_id or (a.width, a.height) != (b.width, b.height):
            return False
        distance_m = float((a.center - b.center).norm())
        cos = float(a.T_world_camera[:3, 2] @ b.T_world_camera[:3, 2])
        angle_deg = math.degrees(math.acos(min(1.0, max(-1.0, cos))))
        limit = self._config
        return distance_m < limit.min_distance_m and angle_deg < limit.min_angle_deg


def _centrality(camera: Camera, point: Float[Tensor, "3"]) -> float:
    """Return how well a camera shows a point: 0 = outside, more = more central and nearer."""
    u, v, depth = project(camera, point[None].double())[0].tolist()
    if depth <= 0 or not (0 <= u < camera.width and 0 <= v < camera.height):
        return 0.0
    off_center = math.hypot(2 * u / camera.width - 1, 2 * v / camera.height - 1)
    return (1.5 - off_center) / depth


def _line_of_sight(camera: Camera, point: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    return torch.nn.functional.normalize(point.double() - camera.center, dim=0)
