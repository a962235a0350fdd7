# SPDX-License-Identifier: Apache-2.0
"""What the segmenter listens to. Callbacks convert, enqueue and return.

They share the node's default callback group with its lifecycle, so no two of them overlap.
"""

from typing import TYPE_CHECKING

from geometry_msgs.msg import Point, PointStamped, PoseStamped
from sensor_msgs.msg import CameraInfo

from ros2_clickgs.core.clicking import Click
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ClickGSError, ShapeError
from ros2_clickgs.msg import ObjectMaskArray
from ros2_clickgs.nodes.camera_topics import CameraTopics, check_size
from ros2_clickgs.nodes.conversions.geometry import (
    intrinsics_from_msg,
    nanoseconds_from_msg,
    point_from_msg,
    pose_from_msg,
)
from ros2_clickgs.nodes.conversions.masks import layers_from_msg
from ros2_clickgs.nodes.lifecycle import drops_bad_input
from ros2_clickgs.nodes.live_images import LiveImages
from ros2_clickgs.nodes.qos import BEST_EFFORT
from ros2_clickgs.nodes.waiting import Waiting
from ros2_clickgs.nodes.workbench import Workbench

if TYPE_CHECKING:
    from ros2_clickgs.nodes.segmenter import SegmenterNode

MAX_RENDERED_PX = 20_000_000
MAX_QUEUE = 100
"""Jobs that wait for the worker, above which masks are dropped; clicks never are."""
REPEATED = "has voted already (same stamp, camera and object)"


class Inputs(LiveImages):
    """The cameras, and what people and other segmenters say about their pictures."""

    def __init__(self, node: "SegmenterNode") -> None:
        """Subscribe.

        Raises:
            BackendUnavailableError: pose_source is tf and there is no tf2_ros.
        """
        super().__init__(node, lambda frame: node.submit_newest("image", frame))
        self._subscriptions += [
            self.subscribe(ObjectMaskArray, "masks", self.on_masks, BEST_EFFORT),
            self.subscribe(PointStamped, "/clicked_point", self.on_clicked_point, BEST_EFFORT),
        ]
        for topics in self.topics:
            clicked = lambda msg, topics=topics: self.on_image_mouse_left(msg, topics)  # noqa: E731
            name = topics.stream("image_mouse_left")
            self._subscriptions.append(self.subscribe(Point, name, clicked, BEST_EFFORT))

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
        self.node.submit("clicked_point", lambda bench: bench.click([click]))

    @drops_bad_input
    def on_image_mouse_left(self, msg: Point, topics: CameraTopics) -> None:
        """Begin an object at a pixel clicked in a camera's newest image (rqt_image_view)."""
        u, v, _ = point_from_msg(msg).tolist()
        frame_id = topics.frame_id
        self.node.submit("image_mouse_left", lambda bench: bench.segment_newest(u, v, frame_id))

    def on_posed(self, waiting: Waiting, camera: Camera) -> None:
        """Pass on what has its camera now: an image, or masks of one."""
        if waiting.stream != "masks":
            super().on_posed(waiting, camera)
            return
        if self.node.queue_length() >= MAX_QUEUE:
            raise ClickGSError(f"{MAX_QUEUE} jobs wait already; publish masks less often")
        view = (waiting.header.frame_id, nanoseconds_from_msg(waiting.header.stamp))

        def work(bench: Workbench) -> None:
            repeated = bench.mask_votes.cast(camera, waiting.content, view)
            for _ in range(repeated):
                self.node.drop("masks", REPEATED)

        self.node.submit("masks", work)
