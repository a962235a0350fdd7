# SPDX-License-Identifier: Apache-2.0
"""The affordance regions in the layout that GPD takes: cloud, samples, view points.

python examples/05_gpd_cloud.py [FOLDER FOR A .pcd OF EACH REGION]

What gpd_ros/CloudSamples holds comes as standard messages, so that gpd_ros is not needed here;
where it is installed, fill its message from them (msg/CloudSamples.msg, msg/CloudSources.msg):

    cloud_sources.cloud          ~/cloud          PointCloud2, exactly x y z normal_x normal_y
                                                  normal_z: with other fields, such as ours, GPD
                                                  ignores the normals and estimates its own
    cloud_sources.camera_source  ~/camera_source  [Int64(data=i) for i in msg.data]: of each point
                                                  the view point that saw it best
    cloud_sources.view_points    ~/view_points    [pose.position for pose in msg.poses]
    samples                      ~/samples        [pose.position for pose in msg.poses]: where GPD
                                                  looks for grasps, here on the region alone

The cloud holds the object and what is around it, which GPD needs to see what its hand would hit.
Without ROS, `detect_grasps CONFIG FOLDER/NAME.pcd` reads the same cloud.
"""

import contextlib
import sys
from pathlib import Path

import numpy as np
import open3d as o3d
import rclpy
import torch
from geometry_msgs.msg import Point, Pose, PoseArray
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Int64MultiArray

from ros2_clickgs.core.normals import plane_normals
from ros2_clickgs.msg import Affordance, AffordanceArray, SegmentedObjectArray
from ros2_clickgs.nodes.conversions.clouds import msg_from_points, points_from_msg
from ros2_clickgs.nodes.qos import LATCHED

GPD_POINT = np.dtype([(n, "<f4") for n in ("x", "y", "z", "normal_x", "normal_y", "normal_z")])
SAMPLES = 100
AROUND_M = 0.25
"""How far from the region the surroundings matter to a hand."""


class GpdCloud(Node):
    """Publishes the best region anew whenever it is another."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__("gpd_cloud", namespace="clickgs")
        self._folder = folder
        self._objects, self._map, self._regions = SegmentedObjectArray(), None, []
        self.create_subscription(
            SegmentedObjectArray, "segmenter/objects", self.on_objects, LATCHED
        )
        self.create_subscription(PointCloud2, "segmenter/map_cloud", self.on_map, LATCHED)
        self.create_subscription(
            AffordanceArray, "affordance/affordances", self.on_affordances, LATCHED
        )
        kinds = {"cloud": PointCloud2, "camera_source": Int64MultiArray}
        kinds |= {"view_points": PoseArray, "samples": PoseArray}
        self._out = {n: self.create_publisher(k, f"~/{n}", LATCHED) for n, k in kinds.items()}

    def on_objects(self, msg: SegmentedObjectArray) -> None:
        """Take the objects and where the cameras stood."""
        self._objects = msg
        self.publish()

    def on_map(self, msg: PointCloud2) -> None:
        """Take the map."""
        self._map = points_from_msg(msg)
        self.publish()

    def on_affordances(self, msg: AffordanceArray) -> None:
        """Take the regions."""
        self._regions = sorted(msg.affordances, key=lambda region: -region.score)
        self.publish()

    def publish(self) -> None:
        """Publish the best region's cloud, view points and samples."""
        found = {one.id: one for one in self._objects.objects}
        regions = [region for region in self._regions if region.object_id in found]
        if not regions or self._map is None:
            return
        region, header = regions[0], regions[0].cloud.header
        views = np.array([(p.x, p.y, p.z) for p in self._objects.view_points])
        own = points_from_msg(found[region.object_id].cloud)
        cloud = np.concatenate([gpd_points(own), around(region, self._map, views)])
        samples = columns(points_from_msg(region.cloud), "x", "y", "z")
        samples = samples[:: max(1, len(samples) // SAMPLES)]
        self._out["cloud"].publish(msg_from_points(cloud, header))
        self._out["camera_source"].publish(Int64MultiArray(data=sources(cloud, views).tolist()))
        for name, points in (("view_points", views), ("samples", samples)):
            poses = [Pose(position=Point(x=x, y=y, z=z)) for x, y, z in points.tolist()]
            self._out[name].publish(PoseArray(header=header, poses=poses))
        if self._folder is not None:
            write_pcd(self._folder / f"{region.object_name}_{region.name}.pcd", cloud)
        self.get_logger().info(f"{region.name}: {len(cloud)} points, {len(samples)} samples")


def gpd_points(points: np.ndarray) -> np.ndarray:
    """Return the six columns that GPD reads."""
    out = np.zeros(len(points), GPD_POINT)
    for name in GPD_POINT.names:
        out[name] = points[name]
    return out


def around(region: Affordance, scene: np.ndarray, views: np.ndarray) -> np.ndarray:
    """Return the map near a region without its object, normals towards the cameras."""
    center = region.pose.position
    offsets = columns(scene, "x", "y", "z") - (center.x, center.y, center.z)
    is_near = np.linalg.norm(offsets, axis=1) < AROUND_M
    points = columns(scene[is_near & (scene["object_id"] != region.object_id)], "x", "y", "z")
    normals = plane_normals(torch.from_numpy(points)).numpy()
    normals *= np.where((normals * (views.mean(0) - points)).sum(1, keepdims=True) < 0, -1, 1)
    out = np.zeros(len(points), GPD_POINT)
    for name, column in zip(GPD_POINT.names, np.hstack([points, normals]).T, strict=True):
        out[name] = column
    return out


def sources(cloud: np.ndarray, views: np.ndarray) -> np.ndarray:
    """Return for each point the view point that it faces most."""
    points, normals = (
        columns(cloud, *names) for names in (GPD_POINT.names[:3], GPD_POINT.names[3:])
    )
    towards = views[None] - points[:, None]
    cosines = (towards * normals[:, None]).sum(-1) / np.linalg.norm(towards, axis=-1)
    return cosines.argmax(1)


def columns(points: np.ndarray, *names: str) -> np.ndarray:
    """Return columns of a cloud as [P, C]."""
    return np.stack([points[name] for name in names], -1)


def write_pcd(path: Path, cloud: np.ndarray) -> None:
    """Write a cloud with normals as .pcd."""
    file = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(columns(cloud, "x", "y", "z")))
    file.normals = o3d.utility.Vector3dVector(columns(cloud, *GPD_POINT.names[3:]))
    o3d.io.write_point_cloud(str(path), file)


def main() -> None:
    """Run until Ctrl-C."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(GpdCloud(folder))


if __name__ == "__main__":
    main()
