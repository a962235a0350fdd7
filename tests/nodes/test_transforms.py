# SPDX-License-Identifier: Apache-2.0
"""tf2 where it is, and a clear word where it is not. A stand-in with tf2_ros's names is used."""

import importlib
import sys

import pytest
import torch
from geometry_msgs.msg import Point, PointStamped
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from ros2_clickgs.errors import BackendUnavailableError, TransformError
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.nodes.segmenter import SegmenterNode
from ros2_clickgs.nodes.transforms import MapFrame, has_tf2
from tests.nodes.robot import Robot

pytestmark = pytest.mark.ros

STAND_IN = """
from geometry_msgs.msg import TransformStamped


class TransformException(Exception):
    pass


class Buffer:
    known = {}

    def __init__(self, cache_time=None):
        pass

    def can_transform(self, target, source, stamp):
        return source in self.known

    def clear(self):
        self.known.clear()

    def lookup_transform(self, target, source, stamp):
        if source not in self.known:
            raise TransformException(f"frame {source} does not exist")
        return self.known[source]


class TransformListener:
    def __init__(self, buffer, node):
        pass

    def unregister(self):
        pass


class TransformBroadcaster:
    def __init__(self, node):
        pass

    def sendTransform(self, message):
        Buffer.known[message.child_frame_id] = message
"""


@pytest.fixture
def tf2(tmp_path, monkeypatch):
    if has_tf2():
        pytest.skip("the real tf2_ros is here; a stand-in would hide it")
    (tmp_path / "tf2_ros.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("tf2_ros")
    del sys.modules["tf2_ros"]


def clicked(frame_id: str) -> PointStamped:
    return PointStamped(header=Header(frame_id=frame_id), point=Point(x=0.5))


def test_without_tf2_only_the_map_frame_is_understood():
    frame = MapFrame("map", None)
    assert frame.point(clicked("map")).tolist() == [0.5, 0, 0]
    assert frame.point(clicked("")).tolist() == [0.5, 0, 0]
    with pytest.raises(TransformError, match="RViz: Fixed Frame"):
        frame.point(clicked("base_link"))


@pytest.mark.skipif(has_tf2(), reason="tf2_ros is here")
def test_pose_source_tf_without_tf2_says_how_to_get_it(ros, world):
    overrides = {"map_path": str(world / "map.ply"), "pose_source": "tf", "session": ""}
    node = SegmenterNode(
        parameter_overrides=[Parameter(name, value=value) for name, value in overrides.items()]
    )
    with pytest.raises(BackendUnavailableError, match="source a ROS 2 installation"):
        node.start()
    node.close()
    node.destroy_node()


def test_click_and_camera_are_found_through_tf(ros, world, tf2):
    from geometry_msgs.msg import PoseStamped

    from ros2_clickgs.nodes.conversions.geometry import msg_from_pose
    from ros2_clickgs.nodes.transforms import broadcaster

    view = load_views(world)[0]
    parameters = {"map_path": str(world / "map.ply"), "pose_source": "tf", "session": ""}
    with Robot(**parameters) as robot:
        send = broadcaster(robot.peer)
        robot.show(view, 1_000_000_000, pose=False)
        robot.wait(lambda: robot.dropped("image: TransformError") == 1)
        pose = msg_from_pose(view.camera.T_world_camera)
        send(PoseStamped(header=Header(frame_id="map"), pose=pose), "optical")
        robot.show(view, 2_000_000_000, pose=False)
        robot.wait(lambda: robot.fact("keyframes") == "1")
        kept = next(iter(robot.segmenter._bench.keyframes)).posed.camera
        assert torch.allclose(kept.T_world_camera, view.camera.T_world_camera, atol=1e-6)
        ahead = clicked("optical")
        expected = view.camera.T_world_camera @ torch.tensor([0.5, 0, 0, 1]).double()
        found = robot.segmenter._active[1].map_frame.point(ahead)
        assert torch.allclose(found, expected[:3], atol=1e-6)
