# SPDX-License-Identifier: Apache-2.0
"""Which camera took an image: its intrinsics by frame, its pose at the image's stamp."""

import threading
from bisect import bisect_left
from typing import Protocol

from jaxtyping import Float
from std_msgs.msg import Header
from torch import Tensor

from ros2_clickgs.core.geometry import interpolate_pose
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import NotFoundError, TransformError
from ros2_clickgs.nodes.conversions.geometry import (
    NANOSECONDS,
    Intrinsics,
    nanoseconds_from_msg,
)

KEPT_POSES = 2000
"""A minute of poses at 30 Hz: masks may come that late."""


class PoseSource(Protocol):
    """Knows where a camera was."""

    def is_final(self, frame_id: str, stamp_ns: int) -> bool:
        """Return whether a later message can no longer improve the pose at a stamp."""
        ...

    def at(self, frame_id: str, stamp_ns: int) -> Float[Tensor, "4 4"]:
        """Return T_map_camera, float64, or raise TransformError."""
        ...


class PoseBuffer:
    """Poses of the camera as they came on `pose`, interpolated between neighbours."""

    def __init__(self, max_age_s: float) -> None:
        self.set_max_age(max_age_s)
        self._lock = threading.Lock()
        self._stamps: list[int] = []
        self._poses: list[Tensor] = []

    def set_max_age(self, max_age_s: float) -> None:
        """Set how far from a stamp a pose may be to be used."""
        self.max_age_ns = round(max_age_s * NANOSECONDS)

    def add(self, stamp_ns: int, T_map_camera: Float[Tensor, "4 4"]) -> None:
        """Take a pose. One that lies a second before the last begins anew (a bag that loops)."""
        with self._lock:
            if self._stamps and stamp_ns < self._stamps[-1] - NANOSECONDS:
                self._stamps, self._poses = [], []
            at = bisect_left(self._stamps, stamp_ns)
            is_known = self._stamps[at : at + 1] == [stamp_ns]
            self._stamps[at : at + is_known] = [stamp_ns]
            self._poses[at : at + is_known] = [T_map_camera]
            del self._stamps[:-KEPT_POSES], self._poses[:-KEPT_POSES]

    def is_final(self, frame_id: str, stamp_ns: int) -> bool:
        """Return whether a pose at or after the stamp is there."""
        return bool(self._stamps) and self._stamps[-1] >= stamp_ns

    def at(self, frame_id: str, stamp_ns: int) -> Float[Tensor, "4 4"]:
        """Return the pose at a stamp: between two neighbours, else the near one of them.

        Raises:
            TransformError: none lies within max_age_ns.
        """
        with self._lock:
            index = bisect_left(self._stamps, stamp_ns)
            around = range(max(index - 1, 0), min(index + 1, len(self._stamps)))
            near = [(self._stamps[i], self._poses[i]) for i in around]
        near = [(s, T) for s, T in near if abs(s - stamp_ns) <= self.max_age_ns]
        if not near:
            raise TransformError(self._why_none(stamp_ns))
        (before_ns, T_before), (after_ns, T_after) = near[0], near[-1]
        span = after_ns - before_ns
        fraction = min(1.0, (stamp_ns - before_ns) / span) if span else 0.0
        return interpolate_pose(T_before, T_after, fraction)

    def _why_none(self, stamp_ns: int) -> str:
        limit = f"max_pose_age_s = {self.max_age_ns / NANOSECONDS:g}"
        if not self._stamps:
            return f"no pose has come yet for stamp {stamp_ns / NANOSECONDS:.3f} s; publish `pose`"
        nearest = min(abs(s - stamp_ns) for s in self._stamps)
        return (
            f"the pose nearest to stamp {stamp_ns / NANOSECONDS:.3f} s is "
            f"{nearest / NANOSECONDS:.3f} s away ({limit}); publish poses more often, with the "
            "images' clock, or raise max_pose_age_s"
        )


class CameraSource:
    """Finds the camera of a header."""

    def __init__(self, poses: PoseSource) -> None:
        self.poses = poses
        self._intrinsics: dict[str, Intrinsics] = {}

    def set_intrinsics(self, frame_id: str, intrinsics: Intrinsics) -> None:
        """Take a camera's calibration."""
        self._intrinsics[frame_id] = intrinsics

    def is_final(self, header: Header) -> bool:
        """Return whether waiting any longer cannot improve the answer of `at`."""
        stamp_ns = nanoseconds_from_msg(header.stamp)
        return header.frame_id in self._intrinsics and self.poses.is_final(
            header.frame_id, stamp_ns
        )

    def intrinsics(self, frame_id: str) -> Intrinsics:
        """Return a camera's calibration; an empty name means the only camera.

        Raises:
            NotFoundError: none has come for that frame.
        """
        if not frame_id and len(self._intrinsics) == 1:
            return next(iter(self._intrinsics.values()))
        if frame_id not in self._intrinsics:
            raise NotFoundError("camera_info for frame", frame_id, sorted(self._intrinsics))
        return self._intrinsics[frame_id]

    def at(self, header: Header) -> Camera:
        """Return the camera that took the image with this header.

        Raises:
            NotFoundError: no camera_info has come for its frame.
            TransformError: no pose is known at its stamp.
        """
        intrinsics = self.intrinsics(header.frame_id)
        stamp_ns = nanoseconds_from_msg(header.stamp)
        return intrinsics.camera(self.poses.at(header.frame_id, stamp_ns))
