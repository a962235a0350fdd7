# SPDX-License-Identifier: Apache-2.0
"""What the player plays: the posed images of a dataset, or the messages of a rosbag2."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from ros2_clickgs.config import PlayerConfig
from ros2_clickgs.errors import ClickGSError, FileFormatError, NotFoundError
from ros2_clickgs.io.cameras import View, load_views
from ros2_clickgs.io.images import read_image
from ros2_clickgs.nodes.conversions.geometry import NANOSECONDS, msg_from_camera, msg_from_pose
from ros2_clickgs.nodes.conversions.images import msg_from_image
from ros2_clickgs.nodes.qos import LATCHED, RELIABLE
from ros2_clickgs.nodes.transforms import broadcaster


class Step(NamedTuple):
    """One thing to publish."""

    after_s: float
    """Pause before it."""
    publish: Callable[[], None]


class DatasetPlayback:
    """image, camera_info and pose (and tf, where tf2 is) with one stamp: now."""

    def __init__(self, node: Node, config: PlayerConfig) -> None:
        """Find the posed images.

        Raises:
            ClickGSError: the dataset cannot be read, or has cameras but no images.
        """
        self._node, self._config = node, config
        self._views = [v for v in load_views(config.dataset) if v.image_path is not None]
        if not self._views:
            raise NotFoundError("image in dataset", config.dataset, "cameras without images")
        self._image = node.create_publisher(Image, "image", RELIABLE)
        self._info = node.create_publisher(CameraInfo, "camera_info", RELIABLE)
        self._pose = node.create_publisher(PoseStamped, "pose", RELIABLE)
        self._send_transform = broadcaster(node)

    def __len__(self) -> int:
        return len(self._views)

    def has_listener(self) -> bool:
        """Return whether anybody subscribes to the images."""
        return self._image.get_subscription_count() > 0

    def steps(self, rate_hz: float) -> Iterator[Step]:
        """Yield one step per view."""
        for view in self._views:
            yield Step(1.0 / rate_hz if rate_hz else 0.0, lambda view=view: self._publish(view))

    def close(self) -> None:
        """Stop publishing."""
        for publisher in (self._image, self._info, self._pose):
            self._node.destroy_publisher(publisher)

    def _publish(self, view: View) -> None:
        image = read_image(view.image_path, view.camera)
        stamp = self._node.get_clock().now().to_msg()
        header = Header(stamp=stamp, frame_id=self._config.camera_frame)
        in_map = Header(stamp=stamp, frame_id=self._config.map_frame)
        pose = PoseStamped(header=in_map, pose=msg_from_pose(view.camera.T_world_camera))
        self._info.publish(msg_from_camera(view.camera, header))
        self._pose.publish(pose)
        self._send_transform(pose, self._config.camera_frame)
        self._image.publish(msg_from_image(image, header))


class BagPlayback:
    """The messages of a rosbag2 as they were recorded, never deserialised."""

    def __init__(self, node: Node, config: PlayerConfig) -> None:
        """Open the bag.

        Raises:
            ClickGSError: it is no rosbag2, or holds no topic whose type is installed here.
        """
        from rosbags.highlevel import AnyReader, AnyReaderError

        self._node = node
        path = Path(config.dataset).expanduser()
        try:
            self._reader = AnyReader([path])
            self._reader.open()
        except (AnyReaderError, OSError) as error:
            raise FileFormatError(
                path, f"is no rosbag2 ({error})", "give the bag's folder"
            ) from error
        self._publishers: dict[int, Any] = {}
        for connection in self._reader.connections:
            if (kind := message_type(connection.msgtype)) is None:
                node.get_logger().warning(f"{connection.topic}: no {connection.msgtype} here")
                continue
            qos = LATCHED if connection.topic.endswith("_static") else RELIABLE
            publisher = node.create_publisher(kind, connection.topic, qos)
            self._publishers[connection.id] = publisher
        if not self._publishers:
            raise NotFoundError("playable topic in", path, "types that are not installed here")

    def __len__(self) -> int:
        return self._reader.message_count

    def has_listener(self) -> bool:
        """Return whether anybody subscribes to one of the topics."""
        return any(p.get_subscription_count() for p in self._publishers.values())

    def steps(self, rate_hz: float) -> Iterator[Step]:
        """Yield one step per message, as far apart as they were recorded."""
        before_ns = self._reader.start_time
        for connection, stamp_ns, raw in self._reader.messages():
            if publisher := self._publishers.get(connection.id):
                pause_s = max(0, stamp_ns - before_ns) / NANOSECONDS
                before_ns = stamp_ns
                yield Step(pause_s, lambda publisher=publisher, raw=raw: publisher.publish(raw))

    def close(self) -> None:
        """Stop publishing, close the bag."""
        self._reader.close()
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)


def message_type(name: str) -> type | None:
    """Return the class of a type such as `sensor_msgs/msg/Image`, or None if it is not here."""
    package, _, kind = name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), kind, None)
    except ImportError:
        return None


def open_playback(node: Node, config: PlayerConfig) -> DatasetPlayback | BagPlayback:
    """Return what `dataset` names: a bag if it holds metadata.yaml, else posed images."""
    path = Path(config.dataset).expanduser()
    if not config.dataset or not path.exists():
        raise ClickGSError(f"dataset {config.dataset!r} does not exist; set `dataset` to a folder")
    if (path / "metadata.yaml").is_file() or path.suffix in (".mcap", ".db3"):
        return BagPlayback(node, config)
    return DatasetPlayback(node, config)
