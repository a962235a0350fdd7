# SPDX-License-Identifier: Apache-2.0
"""The player: a dataset or a bag becomes topics that a segmenter can use."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from geometry_msgs.msg import PoseStamped
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, Image

from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.io.images import read_image, write_image
from ros2_clickgs.nodes.conversions.geometry import intrinsics_from_msg, pose_from_msg
from ros2_clickgs.nodes.conversions.images import image_from_msg
from ros2_clickgs.nodes.player import PlayerNode
from ros2_clickgs.nodes.qos import RELIABLE
from tests.nodes.robot import wait_until

pytestmark = pytest.mark.ros


class Audience:
    """A player and a node that hears it."""

    def __init__(self, topics: dict[str, type], **parameters) -> None:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.player = PlayerNode(parameter_overrides=overrides)
        self.peer = Node("peer", namespace="clickgs")
        self.heard = {name: [] for name in topics}
        for name, kind in topics.items():
            self.peer.create_subscription(kind, name, self.heard[name].append, RELIABLE)

    def __enter__(self) -> "Audience":
        self.executor = MultiThreadedExecutor(2)
        for node in (self.player, self.peer):
            self.executor.add_node(node)
        self.thread = threading.Thread(target=self.spin)
        self.thread.start()
        self.player.start()
        return self

    def spin(self) -> None:
        try:
            self.executor.spin()
        except ExternalShutdownException:
            return

    def __exit__(self, *exception: object) -> None:
        self.player.close()
        self.executor.shutdown()
        self.thread.join()
        for node in (self.player, self.peer):
            node.destroy_node()


CAMERA = {"image": Image, "camera_info": CameraInfo, "pose": PoseStamped}


def test_dataset_is_played_in_order_with_one_stamp(ros, world):
    views = load_views(world)
    with Audience(CAMERA, dataset=str(world), rate_hz=50.0, loop=False) as audience:
        wait_until(lambda: all(len(m) == len(views) for m in audience.heard.values()))
    for view, image, info, pose in zip(views, *audience.heard.values(), strict=True):
        assert image.header == info.header
        assert image.header.stamp == pose.header.stamp
        assert (image.header.frame_id, pose.header.frame_id) == ("camera_optical_frame", "map")
        assert np.array_equal(image_from_msg(image), read_image(view.image_path))
        assert torch.equal(intrinsics_from_msg(info, rectified=False).K, view.camera.K)
        assert torch.allclose(pose_from_msg(pose.pose), view.camera.T_world_camera, atol=1e-6)


def test_dataset_loops(ros, world):
    with Audience({"image": Image}, dataset=str(world), rate_hz=200.0) as audience:
        wait_until(lambda: len(audience.heard["image"]) > 2 * len(load_views(world)))


def test_image_of_another_size_is_dropped_and_counted(ros, world, tmp_path):
    folder = tmp_path / "world"
    folder.mkdir()
    (folder / "transforms.json").write_text((world / "transforms.json").read_text())
    (folder / "images").mkdir()
    for i, path in enumerate(sorted((world / "images").iterdir())):
        shape = (60, 80, 3) if i == 1 else (120, 160, 3)
        write_image(folder / "images" / path.name, np.zeros(shape, np.uint8))
    with Audience({"image": Image}, dataset=str(folder), rate_hz=100.0, loop=False) as audience:
        wait_until(lambda: len(audience.heard["image"]) == 5)
        assert audience.player.diagnostics._dropped["image: ShapeError"] == 1


def test_bag_is_played_as_recorded(ros, tmp_path):
    types = get_typestore(Stores.ROS2_JAZZY)
    Text = types.types["std_msgs/msg/String"]
    with Writer(tmp_path / "bag", version=9) as bag:
        connection = bag.add_connection("/words", Text.__msgtype__, typestore=types)
        for i, word in enumerate(("a", "b", "c")):
            raw = types.serialize_cdr(Text(word), Text.__msgtype__)
            bag.write(connection, 10**18 + i * 10**8, raw)
    from std_msgs.msg import String

    parameters = {"dataset": str(tmp_path / "bag"), "loop": False}
    with Audience({"/words": String}, **parameters) as audience:
        wait_until(lambda: len(audience.heard["/words"]) == 3)
    assert [m.data for m in audience.heard["/words"]] == ["a", "b", "c"]


@pytest.mark.parametrize("dataset", ["", "/nowhere", "images", "bag"])
def test_what_cannot_be_played_is_refused(ros, world, tmp_path, dataset):
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "metadata.yaml").write_text("nonsense")
    path = {"images": str(world / "images"), "bag": str(tmp_path / "bag")}.get(dataset, dataset)
    player = PlayerNode(parameter_overrides=[Parameter("dataset", value=path)])
    with pytest.raises(ClickGSError, match=Path(path).name or "does not exist"):
        player.start()
    player.destroy_node()
