# SPDX-License-Identifier: Apache-2.0
"""The other side of the wire: a node that publishes what a robot does and hears the answers."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, PointStamped, PoseStamped
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from ros2_clickgs.io.cameras import View
from ros2_clickgs.io.images import read_image
from ros2_clickgs.msg import ObjectMaskArray, SegmentedObjectArray
from ros2_clickgs.nodes.conversions.geometry import (
    msg_from_camera,
    msg_from_nanoseconds,
    msg_from_pose,
)
from ros2_clickgs.nodes.conversions.images import msg_from_image
from ros2_clickgs.nodes.qos import LATCHED, RELIABLE
from ros2_clickgs.nodes.segmenter import SegmenterNode
from ros2_clickgs.nodes.spinning import spin

PATIENCE_S = 20.0
INPUTS = {
    "image": Image,
    "image/compressed": CompressedImage,
    "camera_info": CameraInfo,
    "pose": PoseStamped,
    "masks": ObjectMaskArray,
    "/clicked_point": PointStamped,
    "image_mouse_left": Point,
}
OUTPUTS = {
    "objects": (SegmentedObjectArray, LATCHED),
    "object_cloud": (PointCloud2, LATCHED),
    "map_cloud": (PointCloud2, LATCHED),
    "splats": (PointCloud2, LATCHED),
    "markers": (MarkerArray, LATCHED),
    "overlay": (Image, RELIABLE),
}


class Robot:
    """A segmenter and its peer in one executor, which spins in a thread."""

    def __init__(self, *, listens: bool = True, **parameters: Any) -> None:
        """Prepare; `listens` says that the segmenter listens to all of INPUTS."""
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.segmenter = SegmenterNode(parameter_overrides=overrides)
        self.peer = Node("peer", namespace="clickgs")
        self.heard: dict[str, list[Any]] = defaultdict(list)
        self.error: Exception | None = None
        inputs = INPUTS if listens else {}
        self._out = {n: self.peer.create_publisher(t, n, RELIABLE) for n, t in inputs.items()}
        for name, (kind, qos) in OUTPUTS.items():
            hear = self.heard[name].append
            self.peer.create_subscription(kind, f"segmenter/{name}", hear, qos)
        hear = self.heard["diagnostics"].append
        self.peer.create_subscription(DiagnosticArray, "/diagnostics", hear, RELIABLE)

    def __enter__(self) -> "Robot":
        self.executor = MultiThreadedExecutor(4)
        for node in (self.segmenter, self.peer):
            self.executor.add_node(node)
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        self.segmenter.start()
        self.wait(lambda: all(p.get_subscription_count() for p in self._out.values()))
        return self

    def __exit__(self, *exception: object) -> None:
        self.segmenter.close()
        self.executor.shutdown()
        self._thread.join()
        for node in (self.segmenter, self.peer):
            node.destroy_node()
        if self.error is not None:
            raise self.error

    def _spin(self) -> None:
        try:
            spin(self.executor)
        except ExternalShutdownException:
            pass
        except Exception as error:
            self.error = error

    def add_input(self, name: str, kind: type) -> None:
        """Be ready to publish on one more input, once somebody listens there."""
        self._out[name] = self.peer.create_publisher(kind, name, RELIABLE)
        self.wait(self._out[name].get_subscription_count)

    def send(self, name: str, msg: Any) -> None:
        """Publish on one of the segmenter's inputs."""
        self._out[name].publish(msg)

    def show(self, view: View, stamp_ns: int, *, pose: bool = True) -> None:
        """Publish a view as a camera would."""
        header = Header(stamp=msg_from_nanoseconds(stamp_ns), frame_id="optical")
        self.send("camera_info", msg_from_camera(view.camera, header))
        if pose:
            self.send_pose(view, stamp_ns)
        self.send("image", msg_from_image(read_image(view.image_path), header))

    def send_pose(self, view: View, stamp_ns: int) -> None:
        """Publish the pose of a view's camera."""
        header = Header(stamp=msg_from_nanoseconds(stamp_ns), frame_id="map")
        self.send(
            "pose", PoseStamped(header=header, pose=msg_from_pose(view.camera.T_world_camera))
        )

    def show_all(self, views: list[View], first_ns: int = 1_000_000_000) -> None:
        """Publish views one after the other until each is a keyframe."""
        for i, view in enumerate(views):
            self.show(view, first_ns + i * 100_000_000)
            self.wait(lambda count=i + 1: int(self.fact("keyframes")) >= count)

    def call(self, kind: type, service: str, /, **request: Any) -> Any:
        """Call one of the segmenter's services."""
        client = self.peer.create_client(kind, f"segmenter/{service}")
        assert client.wait_for_service(PATIENCE_S)
        future = client.call_async(kind.Request(**request))
        self.wait(future.done)
        self.peer.destroy_client(client)
        return future.result()

    def wait(self, is_so: Callable[[], Any], patience_s: float = PATIENCE_S) -> None:
        """Wait until something is so; fail if it never is, or if the node has died."""

        def is_so_or_dead() -> Any:
            if self.error is not None:
                raise self.error
            return is_so()

        wait_until(is_so_or_dead, patience_s)

    def settled(self, number: int = 0) -> Any:
        """Wait until an object is no longer looked at; return it as it was heard of last."""

        def found() -> list:
            return self.heard["objects"][-1].objects if self.heard["objects"] else []

        self.wait(lambda: len(found()) > number and found()[number].settled)
        return found()[number]

    def facts(self) -> dict[str, str]:
        """Return the newest diagnostics now."""
        self.segmenter._report()
        status = self.segmenter.diagnostics.report(msg_from_nanoseconds(0), {}).status[0]
        told = [msg for msg in self.heard["diagnostics"] if msg.status[0].name == status.name]
        values = {v.key: v.value for v in (told[-1].status[0].values if told else [])}
        return values | {v.key: v.value for v in status.values}

    def fact(self, key: str) -> str:
        """Return one value of the diagnostics, 0 if it is not there."""
        return self.facts().get(key, "0")

    def dropped(self, kind: str) -> int:
        """Return how many messages were dropped for a reason."""
        return int(self.fact(f"dropped {kind}"))


def wait_until(is_so: Callable[[], Any], patience_s: float = PATIENCE_S) -> None:
    """Wait until something is so; fail if it never is."""
    until = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < until, f"waited {patience_s} s in vain"
        time.sleep(0.01)
