# SPDX-License-Identifier: Apache-2.0
"""Poses and points through tf2, where a ROS installation has it."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from geometry_msgs.msg import Point, PointStamped, Pose, PoseStamped, TransformStamped
from jaxtyping import Float
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header
from torch import Tensor

from ros2_clickgs.errors import BackendUnavailableError, TransformError
from ros2_clickgs.nodes.conversions.geometry import point_from_msg, pose_from_msg

CACHE_S = 60.0
"""How far back transforms are known: masks may come that late."""


def has_tf2() -> bool:
    """Return whether tf2_ros can be imported here."""
    return find_spec("tf2_ros") is not None


class TfPoses:
    """A PoseSource that asks tf at the very stamp of an image."""

    def __init__(self, node: Node, map_frame: str) -> None:
        """Begin to listen to /tf.

        Raises:
            BackendUnavailableError: tf2_ros is not installed.
        """
        if not has_tf2():
            remedy = "source a ROS 2 installation that has it, or set pose_source: topic"
            raise BackendUnavailableError("tf", "tf2_ros is not installed", remedy)
        import tf2_ros

        self._map_frame = map_frame
        self._exceptions: Any = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer(cache_time=Duration(seconds=CACHE_S))
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def is_final(self, frame_id: str, stamp_ns: int) -> bool:
        """Return whether tf knows the transform at the stamp."""
        return self._buffer.can_transform(self._map_frame, frame_id, Time(nanoseconds=stamp_ns))

    def at(self, frame_id: str, stamp_ns: int) -> Float[Tensor, "4 4"]:
        """Return T_map_frame.

        Raises:
            TransformError: tf does not know it, or the stamp is 0, which tf takes for the latest.
        """
        if stamp_ns == 0:
            raise TransformError(
                f"an image of {frame_id!r} has stamp 0; stamp it when it is taken"
            )
        return self._lookup(frame_id, Time(nanoseconds=stamp_ns))

    def latest(self, frame_id: str) -> Float[Tensor, "4 4"]:
        """Return T_map_frame as it was told last.

        Raises:
            TransformError: tf does not know it.
        """
        return self._lookup(frame_id, Time())

    def forget(self) -> None:
        """Forget all but static transforms: time began anew."""
        self._buffer.clear()

    def close(self) -> None:
        """Stop listening."""
        self._listener.unregister()

    def _lookup(self, frame_id: str, stamp: Time) -> Float[Tensor, "4 4"]:
        try:
            found = self._buffer.lookup_transform(self._map_frame, frame_id, stamp)
        except self._exceptions as error:
            raise TransformError(
                f"tf knows no {frame_id!r} in {self._map_frame!r}: {error}"
            ) from error
        t, q = found.transform.translation, found.transform.rotation
        pose = Pose(orientation=q)
        pose.position.x, pose.position.y, pose.position.z = t.x, t.y, t.z
        return pose_from_msg(pose)


class MapFrame:
    """The one frame everything is brought to."""

    def __init__(self, name: str, tf: TfPoses | None) -> None:
        self.name = name
        self._tf = tf

    def point(self, msg: PointStamped) -> Float[Tensor, "3"]:
        """Return a clicked point in the map frame, in m; see in_map."""
        return self.in_map(msg.point, msg.header)

    def in_map(self, point: Point, header: Header) -> Float[Tensor, "3"]:
        """Return a point in the map frame (m), by the latest transform of its header's frame.

        RViz stamps clicks with its own clock, at which tf may not be known yet.

        Raises:
            TransformError: its frame is another one and tf cannot say where it is.
        """
        T = self.transform_of(header.frame_id)
        return T[:3, :3] @ point_from_msg(point) + T[:3, 3]

    def transform_of(self, frame_id: str) -> Float[Tensor, "4 4"]:
        """Return the latest T_map_frame; an empty frame is the map's.

        Raises:
            TransformError: tf is not there, or does not know the frame.
        """
        if frame_id in ("", self.name):
            return torch.eye(4, dtype=torch.float64)
        if self._tf is None:
            raise TransformError(
                f"a click or pose is given in frame {frame_id!r}, not in map_frame {self.name!r}, "
                f"and tf2_ros is not installed; give it in {self.name!r} (RViz: Fixed Frame)"
            )
        return self._tf.latest(frame_id)


def broadcaster(node: Node) -> Callable[[PoseStamped, str], None]:
    """Return a function that sends a pose as the transform of a frame, if tf2_ros is here."""
    if not has_tf2():
        return lambda pose, child_frame: None
    import tf2_ros

    sender = tf2_ros.TransformBroadcaster(node)

    def send(pose: PoseStamped, child_frame: str) -> None:
        message = TransformStamped(header=pose.header, child_frame_id=child_frame)
        p = pose.pose.position
        message.transform.translation.x = p.x
        message.transform.translation.y = p.y
        message.transform.translation.z = p.z
        message.transform.rotation = pose.pose.orientation
        sender.sendTransform(message)

    return send
