# SPDX-License-Identifier: Apache-2.0
"""A user over ROS: clicks on the map, waits for the object, asks for pictures and files."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped, PoseStamped
from jaxtyping import Float, Int32, UInt8
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from torch import Tensor

from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.msg import Click, SegmentedObject, SegmentedObjectArray
from ros2_clickgs.nodes.conversions.geometry import msg_from_camera, msg_from_point, msg_from_pose
from ros2_clickgs.nodes.conversions.images import image_from_msg, pixels_from_msg
from ros2_clickgs.nodes.lifecycle import NAMESPACE
from ros2_clickgs.nodes.qos import BEST_EFFORT, LATCHED, RELIABLE
from ros2_clickgs.srv import ExportMap, Refine, RenderView

T = TypeVar("T")
POLL_S = 0.02
SERVICE_TIMEOUT_S = 60.0
QUIET_S = 20.0
"""An object that has not changed for so long is not looked at any more, settled or not."""


class Clicker:
    """Talks to a running segmenter through the topics and services that anybody may use."""

    def __init__(
        self, check_alive: Callable[[], None] = lambda: None, map_frame: str = "map"
    ) -> None:
        """Join ROS.

        Args:
            check_alive: called while waiting; raises when waiting is in vain.
            map_frame: frame of the clicks.
        """
        self._check_alive, self._map_frame = check_alive, map_frame
        rclpy.init(args=[])
        self._node = rclpy.create_node("clicker", namespace=NAMESPACE)
        self.objects: dict[int, SegmentedObject] | None = None
        """The newest ~/objects by id; None before the first."""
        self.image_count = 0
        """Images whose calibration came by."""
        self.overlay: UInt8[np.ndarray, "H W 3"] | None = None
        """The first picture that the segmenter has made of a posed image."""
        self._reports: dict[str, str] = {}
        self._click = self._node.create_publisher(PointStamped, "/clicked_point", RELIABLE)
        self._listen(SegmentedObjectArray, "segmenter/objects", self._on_objects, LATCHED)
        self._listen(CameraInfo, "camera_info", self._on_camera_info, BEST_EFFORT)
        self._listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        self._overlays = self._listen(Image, "segmenter/overlay", self._on_overlay, RELIABLE)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="clicker", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave ROS."""
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def wait_for_map(self, timeout_s: float) -> None:
        """Wait until the segmenter has its map and listens to clicks.

        Raises:
            ClickGSError: it does not within the time; says what was seen.
        """
        is_ready = lambda: self.objects is not None and self._click.get_subscription_count()  # noqa: E731
        self._wait(is_ready, "the segmenter with its map", timeout_s)

    def wait_for_image(self, timeout_s: float) -> None:
        """Wait until the segmenter has used a posed image."""
        self._wait(lambda: self.overlay is not None, "a posed image", timeout_s)
        self._node.destroy_subscription(self._overlays)

    def wait_for_images(self, count: int, timeout_s: float) -> None:
        """Wait until some more images have come by."""
        goal = self.image_count + count
        self._wait(lambda: self.image_count >= goal, f"{count} more images", timeout_s)

    def click(self, point: Float[Tensor, "3"], timeout_s: float) -> SegmentedObject:
        """Click on a point (map frame, m) as RViz does, and wait for the first answer.

        Raises:
            ClickGSError: no new object comes within the time; says what was seen.
        """
        known = set(self.objects or {})
        self._click.publish(PointStamped(header=self._now(), point=msg_from_point(point)))
        place = " ".join(f"{value:.3f}" for value in point.tolist())
        self._wait(lambda: set(self.objects) - known, f"an object at {place}", timeout_s)
        return self.objects[max(set(self.objects) - known)]

    def refine(self, object_id: int, point: Float[Tensor, "3"]) -> None:
        """Click on another point (map frame, m) of the same object."""
        click = Click(header=self._now(), position=msg_from_point(point), positive=True)
        request = Refine.Request(object_id=object_id, clicks=[click])
        self._call(Refine, "segmenter/refine", request)

    def settle(self, object_id: int) -> SegmentedObject:
        """Wait until further views no longer change an object; return it."""
        revision, since = 0, time.monotonic()
        while not (found := self.objects[object_id]).settled:
            self._check_alive()
            if found.revision != revision:
                revision, since = found.revision, time.monotonic()
            elif time.monotonic() - since > QUIET_S:
                break
            time.sleep(POLL_S)
        return found

    def picture(
        self, camera: Camera, only: list[int] | None = None, without: list[int] | None = None
    ) -> tuple[UInt8[np.ndarray, "H W 3"], Int32[np.ndarray, "H W"]]:
        """Return colour and object ids of the map from a camera."""
        header = Header(frame_id=self._map_frame)
        request = RenderView.Request(
            pose=PoseStamped(header=header, pose=msg_from_pose(camera.T_world_camera)),
            camera_info=msg_from_camera(camera, Header(frame_id="clicker_optical_frame")),
            with_labels=True,
            only_object_ids=only or [],
            without_object_ids=without or [],
        )
        answer = self._call(RenderView, "segmenter/render_view", request)
        labels = pixels_from_msg(answer.labels, np.dtype("i4"), 1).reshape(camera.height, -1)
        return image_from_msg(answer.color), labels

    def export(self, path: str, object_id: int) -> int:
        """Let the segmenter write an object's Gaussians below its session_dir; return how many."""
        request = ExportMap.Request(path=path, object_ids=[object_id], overwrite=True)
        return self._call(ExportMap, "segmenter/export_map", request).gaussian_count

    def seen(self) -> str:
        """Return what has come so far, in one line."""
        objects = "no ~/objects" if self.objects is None else f"{len(self.objects)} objects"
        images = f"{self.image_count} images, " + (
            "used" if self.overlay is not None else "none used"
        )
        reports = ", ".join(f"{name}: {text}" for name, text in self._reports.items())
        return f"{images}; {objects}; {reports or 'no diagnostics'}"

    def _now(self) -> Header:
        return Header(frame_id=self._map_frame, stamp=self._node.get_clock().now().to_msg())

    def _wait(self, is_there: Callable[[], Any], what: str, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while not is_there():
            self._check_alive()
            if time.monotonic() > end:
                raise ClickGSError(f"waited {timeout_s:.0f} s for {what}; seen: {self.seen()}")
            time.sleep(POLL_S)

    def _call(self, kind: type, name: str, request: Any) -> Any:
        client = self._node.create_client(kind, name)
        self._wait(client.service_is_ready, f"service {name}", SERVICE_TIMEOUT_S)
        future = client.call_async(request)
        self._wait(future.done, f"an answer of {name}", SERVICE_TIMEOUT_S)
        self._node.destroy_client(client)
        if not future.result().success:
            raise ClickGSError(f"{name}: {future.result().message}")
        return future.result()

    def _listen(self, kind: type, name: str, callback: Callable, qos: Any) -> Any:
        return self._node.create_subscription(kind, name, callback, qos)

    def _on_objects(self, msg: SegmentedObjectArray) -> None:
        self.objects = {found.id: found for found in msg.objects}

    def _on_camera_info(self, msg: CameraInfo) -> None:
        self.image_count += 1

    def _on_overlay(self, msg: Image) -> None:
        self.overlay = image_from_msg(msg) if self.overlay is None else self.overlay

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        self._reports |= {status.name: status.message for status in msg.status}

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return
