# SPDX-License-Identifier: Apache-2.0
"""What the segmenter listens to. Callbacks convert, enqueue and return.

They share the node's default callback group with its lifecycle, so no two of them overlap.
"""

from typing import TYPE_CHECKING

from geometry_msgs.msg import Point, PointStamped, PoseStamped
from sensor_msgs.msg import CameraInfo

from ros2_clickgs.core.clicking import Click
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ShapeError
from ros2_clickgs.msg import ObjectMaskArray
from ros2_clickgs.nodes.conversions.geometry import (
    intrinsics_from_msg,
    nanoseconds_from_msg,
    point_from_msg,
    pose_from_msg,
)
from ros2_clickgs.nodes.conversions.masks import layers_from_msg
from ros2_clickgs.nodes.lifecycle import drops_bad_input
from ros2_clickgs.nodes.live_images import LiveImages, check_size
from ros2_clickgs.nodes.qos import BEST_EFFORT
from ros2_clickgs.nodes.waiting import Waiting

if TYPE_CHECKING:
    from ros2_clickgs.nodes.segmenter import SegmenterNode

MAX_RENDERED_PX = 20_000_000


class Inputs(LiveImages):
    """The camera, and what people and other segmenters say about its pictures."""

    def __init__(self, node: "SegmenterNode") -> None:
        """Subscribe.

        Raises:
            BackendUnavailableError: pose_source is tf and there is no tf2_ros.
        """
        super().__init__(node, lambda frame: node.submit_newest("image", frame))
        self._subscriptions += [
            self.subscribe(ObjectMaskArray, "masks", self.on_masks, BEST_EFFORT),
            self.subscribe(PointStamped, "/clicked_point", self.on_clicked_point, BEST_EFFORT),
            self.subscribe(Point, "image_mouse_left", self.on_image_mouse_left, BEST_EFFORT),
        ]

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
    def on_masks(self, msg: ObjectMaskArray) -> None:
        """Take masks of another 2D segmenter."""
        intrinsics = self.cameras.intrinsics(msg.header.frame_id)
        check_size("masks", (msg.height, msg.width), intrinsics)
        self.room.add("masks", msg.header, layers_from_msg(msg))

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

    def on_posed(self, waiting: Waiting, camera: Camera) -> None:
        """Pass on what has its camera now: an image, or masks of one."""
        if waiting.stream != "masks":
            super().on_posed(waiting, camera)
            return
        stamp_ns = nanoseconds_from_msg(waiting.header.stamp)
        layers = waiting.content
        self.node.submit("masks", lambda bench: bench.vote(camera, layers, stamp_ns))
