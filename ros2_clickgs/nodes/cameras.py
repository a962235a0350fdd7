# SPDX-License-Identifier: Apache-2.0
"""Which camera took an image: its intrinsics by frame, its pose at the image's stamp."""

import threading
from bisect import bisect_left
from typing import Protocol

import torch
from jaxtyping import Float
from std_msgs.msg import Header
from torch import Tensor

from ros2_clickgs.core.geometry import interpolate_pose
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ClickGSError, NotFoundError, TransformError
from ros2_clickgs.nodes.conversions.geometry import (
    NANOSECONDS,
    Intrinsics,
    nanoseconds_from_msg,
)

KEPT_NS = 60 * NANOSECONDS
"""How far back poses are known: masks may come that late."""
KEPT_POSES = 30_000
"""A minute of poses at 500 Hz."""
RUN_NS = NANOSECONDS
"""A stamp so far before another of its stream is of another run: time began anew between them."""


class PoseSource(Protocol):
    """Knows where a camera was."""

    def is_final(self, frame_id: str, stamp_ns: int) -> bool:
        """Return whether a later message can no longer improve the pose at a stamp."""
        ...

    def at(self, frame_id: str, stamp_ns: int) -> Float[Tensor, "4 4"]:
        """Return T_map_camera, float64, or raise TransformError."""
        ...


class PoseBuffer:
    """Poses as they came on one `pose` topic, interpolated between neighbours.

    A PoseStamped does not say which camera it is of. Where several cameras share the topic, only a
    pose with the image's own stamp is used, and none if two were given for it.
    """

    def __init__(self, max_age_s: float) -> None:
        self.set_max_age(max_age_s)
        self.frame_ids: set[str] = set()
        """Cameras whose poses these are."""
        self._lock = threading.Lock()
        self._stamps: list[int] = []
        self._poses: list[Tensor | None] = []

    def set_max_age(self, max_age_s: float) -> None:
        """Set how far from a stamp a pose may be to be used."""
        self.max_age_ns = round(max_age_s * NANOSECONDS)

    @property
    def is_shared(self) -> bool:
        """Whether several cameras share the topic."""
        return len(self.frame_ids) > 1

    def add(self, stamp_ns: int, T_map_camera: Float[Tensor, "4 4"]) -> None:
        """Take a pose; one that lies far before the last begins anew."""
        self.rewind(stamp_ns)
        with self._lock:
            at = bisect_left(self._stamps, stamp_ns)
            is_known = self._stamps[at : at + 1] == [stamp_ns]
            is_doubtful = is_known and self.is_shared and not same(self._poses[at], T_map_camera)
            self._stamps[at : at + is_known] = [stamp_ns]
            self._poses[at : at + is_known] = [None if is_doubtful else T_map_camera]
            oldest = bisect_left(self._stamps, self._stamps[-1] - KEPT_NS)
            oldest = max(oldest, len(self._stamps) - KEPT_POSES)
            del self._stamps[:oldest], self._poses[:oldest]

    def rewind(self, now_ns: int) -> None:
        """Forget all if the time is now one that lies far before the newest: another run began."""
        with self._lock:
            if self._stamps and now_ns < self._stamps[-1] - RUN_NS:
                self._stamps, self._poses = [], []

    def is_final(self, frame_id: str, stamp_ns: int) -> bool:
        """Return whether a pose at or after the stamp is there."""
        with self._lock:
            at = bisect_left(self._stamps, stamp_ns)
            return self._stamps[at : at + 1] == [stamp_ns] or (
                at < len(self._stamps) and not self.is_shared
            )

    def at(self, frame_id: str, stamp_ns: int) -> Float[Tensor, "4 4"]:
        """Return the pose at a stamp: between two neighbours, else the near one of them.

        Raises:
            TransformError: none lies within max_age_ns.
        """
        limit = 0 if self.is_shared else self.max_age_ns
        with self._lock:
            index = bisect_left(self._stamps, stamp_ns)
            around = range(max(index - 1, 0), min(index + 1, len(self._stamps)))
            near = [(self._stamps[i], self._poses[i]) for i in around]
        near = [(s, T) for s, T in near if abs(s - stamp_ns) <= limit and T is not None]
        if not near:
            raise TransformError(self._why_none(stamp_ns))
        (before_ns, T_before), (after_ns, T_after) = near[0], near[-1]
        span = after_ns - before_ns
        fraction = min(1.0, (stamp_ns - before_ns) / span) if span else 0.0
        return interpolate_pose(T_before, T_after, fraction)

    def _why_none(self, stamp_ns: int) -> str:
        stamp = f"stamp {stamp_ns / NANOSECONDS:.3f} s"
        if not self._stamps:
            return f"no pose has come yet for {stamp}; publish `pose`"
        if self.is_shared:
            cameras = ", ".join(sorted(self.frame_ids))
            return (
                f"no pose has exactly {stamp}, or two have, and `pose` is shared by the cameras "
                f"{cameras}; list them in the parameter `cameras`, or set pose_source: tf"
            )
        if stamp_ns < self._stamps[0]:
            before = (self._stamps[0] - stamp_ns) / NANOSECONDS
            kept = (self._stamps[-1] - self._stamps[0]) / NANOSECONDS
            return (
                f"{stamp} is {before:.3f} s older than the oldest of the poses kept (those of "
                f"{kept:.1f} s); publish it sooner"
            )
        nearest = min(abs(s - stamp_ns) for s in self._stamps) / NANOSECONDS
        limit = self.max_age_ns / NANOSECONDS
        return (
            f"the pose nearest to {stamp} is {nearest:.3f} s away (max_pose_age_s = {limit:g}); "
            "publish poses more often, with the images' clock, or raise max_pose_age_s"
        )


def same(old: Float[Tensor, "4 4"] | None, new: Float[Tensor, "4 4"]) -> bool:
    """Return whether a pose is there and the same as another."""
    return old is not None and torch.equal(old, new)


class CameraSource:
    """Finds the camera of a header."""

    def __init__(self) -> None:
        self._cameras: dict[str, tuple[Intrinsics, PoseSource]] = {}

    def set_camera(self, frame_id: str, intrinsics: Intrinsics, poses: PoseSource) -> None:
        """Take a camera's calibration, and who knows where it was.

        Raises:
            ClickGSError: another camera has the same frame.
        """
        if frame_id in self._cameras and self._cameras[frame_id][1] is not poses:
            raise ClickGSError(
                f"frame {frame_id!r} is another camera's already; give each camera its own"
            )
        self._cameras[frame_id] = (intrinsics, poses)

    def is_final(self, header: Header) -> bool:
        """Return whether waiting any longer cannot improve the answer of `at`."""
        frame_id, stamp_ns = header.frame_id, nanoseconds_from_msg(header.stamp)
        return frame_id in self._cameras and self._cameras[frame_id][1].is_final(
            frame_id, stamp_ns
        )

    def intrinsics(self, frame_id: str) -> Intrinsics:
        """Return a camera's calibration; an empty name means the only camera.

        Raises:
            NotFoundError: none has come for that frame.
        """
        return self._camera(frame_id)[0]

    def at(self, header: Header) -> Camera:
        """Return the camera that took the image with this header.

        Raises:
            NotFoundError: no camera_info has come for its frame.
            TransformError: no pose is known at its stamp.
        """
        intrinsics, poses = self._camera(header.frame_id)
        return intrinsics.camera(poses.at(header.frame_id, nanoseconds_from_msg(header.stamp)))

    def _camera(self, frame_id: str) -> tuple[Intrinsics, PoseSource]:
        if not frame_id and len(self._cameras) == 1:
            return next(iter(self._cameras.values()))
        if frame_id not in self._cameras:
            raise NotFoundError("camera_info for frame", frame_id, sorted(self._cameras))
        return self._cameras[frame_id]
