# SPDX-License-Identifier: Apache-2.0
"""Live cameras: their images, calibration and poses on topics become frames with cameras."""

from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType

from ros2_clickgs.core.clicking import PosedImage
from ros2_clickgs.core.types import Camera
from ros2_clickgs.nodes.camera_topics import CameraTopics, check_size
from ros2_clickgs.nodes.cameras import CameraSource
from ros2_clickgs.nodes.clock_watch import ClockWatch
from ros2_clickgs.nodes.conversions.geometry import nanoseconds_from_msg
from ros2_clickgs.nodes.keyframes import Frame
from ros2_clickgs.nodes.lifecycle import ClickGSNode
from ros2_clickgs.nodes.transforms import MapFrame, TfPoses, has_tf2
from ros2_clickgs.nodes.waiting import Waiting, WaitingRoom

RELEASE_PERIOD_S = 0.05
"""How often it is looked whether an image has waited long enough for its pose."""


class LiveImages:
    """Subscriptions to cameras, and what they know of them."""

    def __init__(self, node: ClickGSNode, on_frame: Callable[[Frame], None]) -> None:
        """Subscribe; `on_frame` is told of every image whose pose is known.

        Raises:
            BackendUnavailableError: pose_source is tf and there is no tf2_ros.
        """
        config = node.config
        self.node = node
        use_tf = config.pose_source == "tf"
        self._tf = TfPoses(node, config.map_frame) if use_tf or has_tf2() else None
        self.map_frame = MapFrame(config.map_frame, self._tf)
        self.cameras = CameraSource()
        self._on_frame = on_frame
        self.room = WaitingRoom(self.cameras, config.max_pose_age_s, self.on_posed, node.drop)
        self.watch = ClockWatch(node, self._begin_anew)
        tf = self._tf if use_tf else None
        self.topics = [
            CameraTopics(node, namespace, self.cameras, self.room, self.watch, tf)
            for namespace in config.cameras
        ]
        self._subscriptions = [s for topics in self.topics for s in topics.subscriptions]
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # the node's may stand still
        self._timer = node.create_timer(RELEASE_PERIOD_S, self.room.release, clock=steady)

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self.node.destroy_subscription(subscription)
        self.node.destroy_timer(self._timer)
        self.watch.close()
        if self._tf is not None:
            self._tf.close()

    def apply_live(self, max_pose_age_s: float) -> None:
        """Take over a live parameter."""
        for topics in self.topics:
            topics.poses.set_max_age(max_pose_age_s)
        self.room.patience_s = max_pose_age_s

    def on_posed(self, waiting: Waiting, camera: Camera) -> None:
        """Pass on what has its camera now: an image."""
        check_size("image", waiting.content.shape[:2], camera)
        stamp_ns = nanoseconds_from_msg(waiting.header.stamp)
        posed = PosedImage(camera, waiting.content)
        self._on_frame(Frame(posed, waiting.header.frame_id, stamp_ns))

    def subscribe(self, kind: type, name: str, callback: Any, qos: Any) -> Any:
        """Return a subscription of the node."""
        return self.node.create_subscription(kind, name, callback, qos)

    def stream(self, name: str) -> str:
        """Return what diagnostics call an input."""
        return name

    def _begin_anew(self, now_ns: int) -> None:
        for topics in self.topics:
            topics.poses.rewind(now_ns)
        if self._tf is not None:
            self._tf.forget()
