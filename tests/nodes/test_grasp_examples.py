# SPDX-License-Identifier: Apache-2.0
"""The example consumers over DDS: a grasp planner, and the layout that GPD takes."""

import contextlib
import sys
import threading
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import open3d as o3d
import pytest
import torch
from geometry_msgs.msg import Point, PoseArray, PoseStamped
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header, Int64MultiArray
from visualization_msgs.msg import Marker, MarkerArray

from ros2_clickgs.core.regions import find_regions
from ros2_clickgs.msg import AffordanceArray, SegmentedObjectArray
from ros2_clickgs.nodes.conversions.affordances import affordance_points, msg_from_region
from ros2_clickgs.nodes.conversions.clouds import MAP_POINT, msg_from_points, points_from_msg
from ros2_clickgs.nodes.conversions.geometry import pose_from_msg
from ros2_clickgs.nodes.qos import LATCHED
from tests.nodes.mugs import CLASSES, MUG, a_mug, object_msg
from tests.nodes.robot import wait_until

pytestmark = pytest.mark.ros
EXAMPLES = Path(__file__).parents[2] / "examples"
HEADER = Header(frame_id="map")


def example(name, monkeypatch):
    """Return an example's module."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    spec = spec_from_file_location(name.removeprefix("0"), EXAMPLES / f"{name}.py")
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def mug():
    return a_mug()


class World:
    """Publishes a mug, its regions and a table, and hears a node's answers."""

    def __init__(self, node, mug, **outputs):
        self.node, self.peer, self.mug = node, Node("peer", namespace="clickgs"), mug
        self._out = {
            kind: self.peer.create_publisher(kind, topic, LATCHED)
            for kind, topic in (
                (SegmentedObjectArray, "segmenter/objects"),
                (AffordanceArray, "affordance/affordances"),
                (PointCloud2, "segmenter/map_cloud"),
            )
        }
        self.heard = {name: [] for name in outputs}
        for name, kind in outputs.items():
            topic = f"{node.get_name()}/{name}"
            self.peer.create_subscription(kind, topic, self.heard[name].append, LATCHED)

    def __enter__(self):
        self.executor = SingleThreadedExecutor()
        for node in (self.node, self.peer):
            self.executor.add_node(node)
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self.executor.shutdown()
        self._thread.join()
        for node in (self.node, self.peer):
            node.destroy_node()

    def _spin(self):
        with contextlib.suppress(ExternalShutdownException):
            self.executor.spin()

    def show(self, revision=1):
        """Publish the mug on a table, and the regions of its revision."""
        found = object_msg(self.mug, revision=1)
        views = [Point(x=0.4, z=0.4), Point(x=-0.4, z=0.4)]
        self._send(SegmentedObjectArray(header=HEADER, objects=[found], view_points=views))
        probabilities = torch.nn.functional.one_hot(self.mug.labels.long(), 3).float()
        regions = find_regions(self.mug.cloud, probabilities, self.mug.labels)
        points = affordance_points(found, probabilities.numpy(), regions)
        messages = [msg_from_region(r, CLASSES[r.class_id], found, points) for r in regions]
        for message in messages:
            message.object_revision = revision
        self._send(AffordanceArray(header=HEADER, affordances=messages, class_names=CLASSES))
        xy = np.stack(np.meshgrid(*[np.arange(-0.3, 0.3, 0.005)] * 2), -1).reshape(-1, 2)
        table = np.zeros(len(xy), MAP_POINT)
        table["x"], table["y"] = xy.T
        mug = np.zeros(len(self.mug.cloud), MAP_POINT)
        mug["x"], mug["y"], mug["z"] = self.mug.cloud.points.numpy().T
        mug["object_id"] = MUG
        self._send(msg_from_points(np.concatenate([table, mug]), HEADER))

    def _send(self, message):
        self._out[type(message)].publish(message)


def test_planner_publishes_ranked_grasps_of_the_handle(ros, mug, monkeypatch):
    node = example("04_grasp_planner", monkeypatch).GraspPlanner()
    outputs = {"grasps": PoseArray, "best_grasp": PoseStamped, "markers": MarkerArray}
    with World(node, mug, **outputs) as world:
        world.show()
        wait_until(lambda: world.heard["grasps"] and world.heard["grasps"][-1].poses, 60)
        grasps, best = world.heard["grasps"][-1], world.heard["best_grasp"][-1]
        assert best.pose == grasps.poses[0]
        assert (best.header.frame_id, grasps.header.frame_id) == ("map", "map")
        T = pose_from_msg(best.pose)
        handle = mug.cloud.points[mug.labels == 1].double()
        assert float((handle - T[:3, 3]).norm(dim=-1).min()) < 0.01
        wait_until(lambda: len(world.heard["markers"][-1].markers) == 4)
        assert world.heard["markers"][-1].markers[0].action == Marker.DELETEALL


def test_planner_leaves_stale_regions_alone(ros, mug, monkeypatch):
    node = example("04_grasp_planner", monkeypatch).GraspPlanner()
    with World(node, mug, grasps=PoseArray) as world:
        world.show(revision=0)
        wait_until(lambda: world.heard["grasps"])
        assert not any(message.poses for message in world.heard["grasps"])


def test_gpd_gets_the_cloud_in_its_layout(ros, mug, monkeypatch, tmp_path):
    node = example("05_gpd_cloud", monkeypatch).GpdCloud(tmp_path)
    outputs = {
        "cloud": PointCloud2, "camera_source": Int64MultiArray,
        "view_points": PoseArray, "samples": PoseArray,
    }  # fmt: skip
    with World(node, mug, **outputs) as world:
        world.show()
        wait_until(lambda: all(world.heard.values()))
    msg = world.heard["cloud"][-1]
    names = [field.name for field in msg.fields]
    assert names == ["x", "y", "z", "normal_x", "normal_y", "normal_z"], "what GPD looks for"
    cloud = points_from_msg(msg)
    assert len(cloud) > len(mug.cloud), "object and surroundings"
    sources = world.heard["camera_source"][-1].data
    views = world.heard["view_points"][-1].poses
    assert len(sources) == len(cloud)
    assert set(sources) <= set(range(len(views)))
    right = np.array(sources)[cloud["normal_x"] > 0.5]
    assert (right == 0).mean() > 0.9, "what faces +x was seen from there"
    samples = world.heard["samples"][-1].poses
    handle = mug.cloud.points[mug.labels > 0]
    for pose in samples[::20]:
        at = torch.tensor([pose.position.x, pose.position.y, pose.position.z]).float()
        assert float((handle - at).norm(dim=-1).min()) < 1e-5
    (file,) = tmp_path.glob("*.pcd")
    assert len(o3d.io.read_point_cloud(str(file)).normals) == len(cloud)
