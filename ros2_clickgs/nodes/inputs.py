# SPDX-License-Identifier: Apache-2.0
"""What the segmenter listens to. Callbacks convert, enqueue and return.

They share the node's default callback group with its lifecycle, so no two of them overlap.
"""

from typing import TYPE_CHECKING, Any

from geometry_msgs.msg import Point, PointStamped, PoseStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ros2_clickgs.core.clicking import Click, PosedImage
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ShapeError
from ros2_clickgs.msg import ObjectMaskArray
from ros2_clickgs.nodes.cameras import CameraSource, PoseBuffer
from ros2_clickgs.nodes.conversions.geometry import (
    Intrinsics,
    intrinsics_from_msg,
    nanoseconds_from_msg,
    point_from_msg,
    pose_from_msg,
    pose_from_stamped_msg,
)
from ros2_clickgs.nodes.conversions.images import image_from_compressed_msg, image_from_msg
from ros2_clickgs.nodes.conversions.masks import layers_from_msg
from ros2_clickgs.nodes.keyframes import Frame
from ros2_clickgs.nodes.lifecycle import drops_bad_input
from ros2_clickgs.nodes.qos import BEST_EFFORT, sensor_qos
from ros2_clickgs.nodes.transforms import MapFrame, TfPoses, has_tf2
from ros2_clickgs.nodes.waiting import Waiting, WaitingRoom

if TYPE_CHECKING:
    from ros2_clickgs.nodes.segmenter import SegmenterNode

MAX_RENDERED_PX = 20_000_000
RELEASE_PERIOD_S = 0.05
"""How often it is looked whether an image has waited long enough for its pose."""


class Inputs:
    """Subscriptions of the segmenter, and what they know of cameras."""

    def __init__(self, node: "SegmenterNode") -> None:
        """Subscribe.

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
        self._room = WaitingRoom(self.cameras, config.max_pose_age_s, self._on_posed, node.drop)
        sensor = sensor_qos(config.input_qos)
        self._subscriptions = [
            self._subscribe(CameraInfo, "camera_info", self.on_camera_info, BEST_EFFORT),
            self._subscribe(PoseStamped, "pose", self.on_pose, BEST_EFFORT),
            self._subscribe(Image, "image", self.on_image, sensor),
            self._subscribe(CompressedImage, "image/compressed", self.on_compressed_image, sensor),
            self._subscribe(ObjectMaskArray, "masks", self.on_masks, BEST_EFFORT),
            self._subscribe(PointStamped, "/clicked_point", self.on_clicked_point, BEST_EFFORT),
            self._subscribe(Point, "image_mouse_left", self.on_image_mouse_left, BEST_EFFORT),
        ]
        self._is_rectified = config.rectified == "yes" or (
            config.rectified == "auto" and "rect" in self._subscriptions[2].topic_name
        )
        self._timer = node.create_timer(RELEASE_PERIOD_S, self._room.release)

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
        self._room.patience_s = max_pose_age_s

    def virtual_camera(self, info: CameraInfo, pose: PoseStamped) -> Camera:
        """Return the camera that a service's caller describes.

        Args:
            info: its intrinsics; width 0 means those of the live camera of its frame.
            pose: of its optical frame; an empty frame is the map's.

        Raises:
            ClickGSError: either is not usable, or the picture would be too large.
        """
        if info.width:
            intrinsics = intrinsics_from_msg(info, rectified=False)
        else:
            intrinsics = self.cameras.intrinsics(info.header.frame_id)
        if intrinsics.width * intrinsics.height > MAX_RENDERED_PX:
            size = (intrinsics.width, intrinsics.height)
            raise ShapeError("camera", expected=f"at most {MAX_RENDERED_PX} px", actual=size)
        T_map_parent = self.map_frame.transform_of(pose.header.frame_id)
        return intrinsics.camera(T_map_parent @ pose_from_msg(pose.pose))

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
        self._room.release()

    @drops_bad_input
    def on_image(self, msg: Image) -> None:
        """Take an image."""
        self._room.add("image", msg.header, image_from_msg(msg))

    @drops_bad_input
    def on_compressed_image(self, msg: CompressedImage) -> None:
        """Take a JPEG or PNG image."""
        self._room.add("image", msg.header, image_from_compressed_msg(msg))

    @drops_bad_input
    def on_masks(self, msg: ObjectMaskArray) -> None:
        """Take masks of another 2D segmenter."""
        intrinsics = self.cameras.intrinsics(msg.header.frame_id)
        check_size("masks", (msg.height, msg.width), intrinsics)
        self._room.add("masks", msg.header, layers_from_msg(msg))

    @drops_bad_input
    def on_clicked_point(self, msg: PointStamped) -> None:
        """Begin an object at a point that was clicked in RViz."""
        click = Click(self.map_frame.point(msg))
        self.node.submit("clicked_point", lambda bench: bench.segment([click]))

    @drops_bad_input
    def on_image_mouse_left(self, msg: Point) -> None:
        """Begin an object at a pixel that was clicked in the newest image (rqt_image_view)."""
        u, v, _ = point_from_msg(msg).tolist()
        self.node.submit("image_mouse_left", lambda bench: bench.segment_newest(u, v))

    def _on_posed(self, waiting: Waiting, camera: Camera) -> None:
        """Pass on what has its camera now."""
        if waiting.stream == "masks":
            self._on_posed_masks(waiting, camera)
        else:
            self._on_posed_image(waiting, camera)

    def _on_posed_image(self, waiting: Waiting, camera: Camera) -> None:
        check_size("image", waiting.content.shape[:2], camera)
        posed = PosedImage(camera, waiting.content)
        stamp_ns = nanoseconds_from_msg(waiting.header.stamp)
        frame = Frame(posed, waiting.header.frame_id, stamp_ns)
        self.node.submit_newest("image", frame)

    def _on_posed_masks(self, waiting: Waiting, camera: Camera) -> None:
        stamp_ns = nanoseconds_from_msg(waiting.header.stamp)
        layers = waiting.content
        self.node.submit("masks", lambda bench: bench.vote(camera, layers, stamp_ns))

    def _subscribe(self, kind: type, name: str, callback: Any, qos: Any) -> Any:
        return self.node.create_subscription(kind, name, callback, qos)


def check_size(name: str, size: tuple[int, int], camera: Camera | Intrinsics) -> None:
    """Raise ShapeError unless height and width are the camera's."""
    if size != (camera.height, camera.width):
        expected = f"{camera.height}x{camera.width} px like camera_info"
        raise ShapeError(name, expected=expected, actual=f"{size[0]}x{size[1]}")
