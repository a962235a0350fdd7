# SPDX-License-Identifier: Apache-2.0
"""The bounded set of posed images that a click's masks are made in."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.config import KeyframesConfig
from ros2_clickgs.core.clicking import PosedImage
from ros2_clickgs.core.sight import order_by_sight
from ros2_clickgs.nodes.cameras import RUN_NS


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An image that came, with its camera."""

    posed: PosedImage
    frame_id: str
    """Of its header."""
    stamp_ns: int
    """Of its header; 0 once time began anew after it."""


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
        """Take a frame in place of those like it; the oldest goes when there are too many.

        When time began anew (a bag loops), the views stay, but their stamps mean nothing any more.
        """
        kept = [old for old in self._frames if not self._is_like(old, frame)]
        last = self.newest(frame.frame_id)
        if last and began_anew(last, frame):
            kept = [replace(o, stamp_ns=0) if began_anew(o, frame) else o for o in kept]
        self._frames = [*kept, frame][-self._config.count :]

    def newest(self, frame_id: str = "") -> Frame | None:
        """Return the frame that came last, of one camera or of any."""
        frames = [frame for frame in self._frames if frame_id in ("", frame.frame_id)]
        return frames[-1] if frames else None

    def showing(self, point: Float[Tensor, "3"]) -> list[Frame]:
        """Return the frames with a point (map frame, m) inside their image, best first.

        The first shows it most central and nearest; each further one looks along the line of sight
        that is farthest from all before it.
        """
        order = order_by_sight([frame.posed.camera for frame in self._frames], point)
        return [self._frames[i] for i in order]

    def _is_like(self, old: Frame, new: Frame) -> bool:
        a, b = old.posed.camera, new.posed.camera
        if old.frame_id != new.frame_id or (a.width, a.height) != (b.width, b.height):
            return False
        distance_m = float((a.center - b.center).norm())
        cos = float(a.T_world_camera[:3, 2] @ b.T_world_camera[:3, 2])
        angle_deg = math.degrees(math.acos(min(1.0, max(-1.0, cos))))
        limit = self._config
        return distance_m < limit.min_distance_m and angle_deg < limit.min_angle_deg


def began_anew(old: Frame, new: Frame) -> bool:
    """Return whether time began anew between two frames."""
    return new.stamp_ns < old.stamp_ns - RUN_NS
