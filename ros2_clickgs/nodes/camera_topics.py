# SPDX-License-Identifier: Apache-2.0
"""The topics of one camera: images, calibration, poses. `cameras` lists their namespaces."""

from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ShapeError
from ros2_clickgs.nodes.cameras import CameraSource, PoseBuffer
from ros2_clickgs.nodes.clock_watch import ClockWatch
from ros2_clickgs.nodes.conversions.geometry import (
    Intrinsics,
    intrinsics_from_msg,
    nanoseconds_from_msg,
    pose_from_stamped_msg,
)
from ros2_clickgs.nodes.conversions.images import image_from_compressed_msg, image_from_msg
from ros2_clickgs.nodes.lifecycle import ClickGSNode, drops_bad_input
from ros2_clickgs.nodes.qos import BEST_EFFORT, sensor_qos
from ros2_clickgs.nodes.transforms import TfPoses
from ros2_clickgs.nodes.waiting import WaitingRoom


class CameraTopics:
    """Subscriptions to one camera."""

    def __init__(
        self,
        node: ClickGSNode,
        namespace: str,
        cameras: CameraSource,
        room: WaitingRoom,
        watch: ClockWatch,
        tf: TfPoses | None,
    ) -> None:
        """Subscribe.

        Args:
            node: whose subscriptions they are.
            namespace: of the topics; empty for those of the node's own namespace.
            cameras: is told the calibration.
            room: images wait there for their poses.
            watch: is told of the stamps.
            tf: knows the poses; None: they come on `pose`.
        """
        config = node.config
        self.node, self.namespace = node, namespace
        self.poses = PoseBuffer(config.max_pose_age_s)
        self.frame_id = ""
        """Of the newest camera_info."""
        self._cameras, self._room, self._watch, self._tf = cameras, room, watch, tf
        sensor = sensor_qos(config.input_qos)
        self.subscriptions = [
            self.subscribe(CameraInfo, "camera_info", self.on_camera_info, BEST_EFFORT),
            self.subscribe(PoseStamped, "pose", self.on_pose, BEST_EFFORT),
            self.subscribe(Image, "image", self.on_image, sensor),
            self.subscribe(CompressedImage, "image/compressed", self.on_compressed_image, sensor),
        ]
        self._is_rectified = config.rectified == "yes" or (
            config.rectified == "auto" and "rect" in self.subscriptions[2].topic_name
        )

    def subscribe(self, kind: type, name: str, callback: Callable, qos: Any) -> Any:
        """Return a subscription to one of the camera's topics."""
        return self.node.create_subscription(kind, self.stream(name), callback, qos)

    def stream(self, name: str) -> str:
        """Return the name of one of the camera's topics, as diagnostics tell it."""
        return f"{self.namespace}/{name}" if self.namespace else name

    @drops_bad_input
    def on_camera_info(self, msg: CameraInfo) -> None:
        """Take the camera's calibration."""
        intrinsics = intrinsics_from_msg(msg, rectified=self._is_rectified)
        self.frame_id = msg.header.frame_id
        self._cameras.set_camera(self.frame_id, intrinsics, self._tf or self.poses)
        self.poses.frame_ids.add(self.frame_id)

    @drops_bad_input
    def on_pose(self, msg: PoseStamped) -> None:
        """Take the camera's pose; images may have waited for it."""
        T_map_camera = pose_from_stamped_msg(msg, self.node.config.map_frame)
        stamp_ns = nanoseconds_from_msg(msg.header.stamp)
        self._watch.began_anew(self.stream("pose"), stamp_ns)
        self.poses.add(stamp_ns, T_map_camera)
        self._room.release()

    @drops_bad_input
    def on_image(self, msg: Image) -> None:
        """Take an image."""
        self._add(msg, image_from_msg(msg))

    @drops_bad_input
    def on_compressed_image(self, msg: CompressedImage) -> None:
        """Take a JPEG or PNG image."""
        self._add(msg, image_from_compressed_msg(msg))

    def _add(self, msg: Image | CompressedImage, image: Any) -> None:
        stamp_ns = nanoseconds_from_msg(msg.header.stamp)
        if self._watch.began_anew(f"{self.stream('image')} of {msg.header.frame_id}", stamp_ns):
            self.poses.rewind(stamp_ns)
            if self._tf is not None:
                self._tf.forget()
        self._room.add(self.stream("image"), msg.header, image)


def check_size(name: str, size: tuple[int, int], camera: Camera | Intrinsics) -> None:
    """Raise ShapeError unless height and width are the camera's."""
    if size != (camera.height, camera.width):
        expected = f"{camera.height}x{camera.width} px like camera_info"
        raise ShapeError(name, expected=expected, actual=f"{size[0]}x{size[1]}")
