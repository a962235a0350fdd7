# SPDX-License-Identifier: Apache-2.0
"""The live camera: its images, calibration and poses on topics become frames with cameras."""

from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ros2_clickgs.core.clicking import PosedImage
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ShapeError
from ros2_clickgs.nodes.cameras import CameraSource, PoseBuffer
from ros2_clickgs.nodes.conversions.geometry import (
    Intrinsics,
    intrinsics_from_msg,
    nanoseconds_from_msg,
    pose_from_stamped_msg,
)
from ros2_clickgs.nodes.conversions.images import image_from_compressed_msg, image_from_msg
from ros2_clickgs.nodes.keyframes import Frame
from ros2_clickgs.nodes.lifecycle import ClickGSNode, drops_bad_input
from ros2_clickgs.nodes.qos import BEST_EFFORT, sensor_qos
from ros2_clickgs.nodes.transforms import MapFrame, TfPoses, has_tf2
from ros2_clickgs.nodes.waiting import Waiting, WaitingRoom

RELEASE_PERIOD_S = 0.05
"""How often it is looked whether an image has waited long enough for its pose."""


class LiveImages:
    """Subscriptions to a camera, and what they know of it."""

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
        self.poses = PoseBuffer(config.max_pose_age_s)
        self.cameras = CameraSource(self._tf if use_tf else self.poses)
        self._on_frame = on_frame
        self.room = WaitingRoom(self.cameras, config.max_pose_age_s, self.on_posed, node.drop)
        sensor = sensor_qos(config.input_qos)
        self._subscriptions = [
            self.subscribe(CameraInfo, "camera_info", self.on_camera_info, BEST_EFFORT),
            self.subscribe(PoseStamped, "pose", self.on_pose, BEST_EFFORT),
            self.subscribe(Image, "image", self.on_image, sensor),
            self.subscribe(CompressedImage, "image/compressed", self.on_compressed_image, sensor),
        ]
        self._is_rectified = config.rectified == "yes" or (
            config.rectified == "auto" and "rect" in self._subscriptions[2].topic_name
        )
        self._timer = node.create_timer(RELEASE_PERIOD_S, self.room.release)

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self.node.destroy_subscription(subscription)
        self.node.destroy_timer(self._timer)
        if self._tf is not None:
            self._tf.close()

    def apply_live(self, max_pose_age_s: float) -> None:
        """Take over a live parameter."""
        self.poses.set_max_age(max_pose_age_s)
        self.room.patience_s = max_pose_age_s

    @drops_bad_input
    def on_camera_info(self, msg: CameraInfo) -> None:
        """Take a camera's calibration."""
        intrinsics = intrinsics_from_msg(msg, rectified=self._is_rectified)
        self.cameras.set_intrinsics(msg.header.frame_id, intrinsics)

    @drops_bad_input
    def on_pose(self, msg: PoseStamped) -> None:
        """Take the camera's pose; images may have waited for it."""
        T_map_camera = pose_from_stamped_msg(msg, self.map_frame.name)
        self.poses.add(nanoseconds_from_msg(msg.header.stamp), T_map_camera)
        self.room.release()

    @drops_bad_input
    def on_image(self, msg: Image) -> None:
        """Take an image."""
        self.room.add("image", msg.header, image_from_msg(msg))

    @drops_bad_input
    def on_compressed_image(self, msg: CompressedImage) -> None:
        """Take a JPEG or PNG image."""
        self.room.add("image", msg.header, image_from_compressed_msg(msg))

    def on_posed(self, waiting: Waiting, camera: Camera) -> None:
        """Pass on what has its camera now: an image."""
        check_size("image", waiting.content.shape[:2], camera)
        stamp_ns = nanoseconds_from_msg(waiting.header.stamp)
        posed = PosedImage(camera, waiting.content)
        self._on_frame(Frame(posed, waiting.header.frame_id, stamp_ns))

    def subscribe(self, kind: type, name: str, callback: Any, qos: Any) -> Any:
        """Return a subscription of the node."""
        return self.node.create_subscription(kind, name, callback, qos)


def check_size(name: str, size: tuple[int, int], camera: Camera | Intrinsics) -> None:
    """Raise ShapeError unless height and width are the camera's."""
    if size != (camera.height, camera.width):
        expected = f"{camera.height}x{camera.width} px like camera_info"
        raise ShapeError(name, expected=expected, actual=f"{size[0]}x{size[1]}")
