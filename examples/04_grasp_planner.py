# SPDX-License-Identifier: Apache-2.0
"""A grasp planner of its own: hears objects, affordances and the map, publishes ranked grasps.

python examples/04_grasp_planner.py [--ros-args -p affordances:="['handle', 'grasp']"]

in    /clickgs/segmenter/objects, /clickgs/segmenter/map_cloud, /clickgs/affordance/affordances
out   ~/best_grasp (PoseStamped), ~/grasps (PoseArray, best first), ~/openings (of the
      same, m), ~/markers (the best one's open gripper)

A grasp's pose: origin between the fingers where they touch, y closes, z approaches.
"""

import contextlib

import numpy as np
import rclpy
import torch
from antipodal import Grasp, Gripper, Target, plan
from geometry_msgs.msg import PoseArray, PoseStamped
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import ColorRGBA, Float32MultiArray, Header
from visualization_msgs.msg import Marker, MarkerArray

from ros2_clickgs.msg import Affordance, AffordanceArray, SegmentedObject, SegmentedObjectArray
from ros2_clickgs.nodes.conversions.clouds import points_from_msg
from ros2_clickgs.nodes.conversions.geometry import msg_from_pose, pose_from_msg
from ros2_clickgs.nodes.qos import LATCHED

SIZES = ("max_opening", "finger_length", "finger_width", "finger_thickness", "overreach")
GREEN = ColorRGBA(r=0.2, g=0.9, b=0.3, a=0.8)
LOOK_PERIOD_S = 0.2
"""What comes within this time is planned with at once."""


class GraspPlanner(Node):
    """Plans anew whenever there are other affordances or another map."""

    def __init__(self) -> None:
        super().__init__("grasp_planner", namespace="clickgs")
        self._wanted = self.declare_parameter("affordances", ["handle", "grasp"]).value
        usual = {name: getattr(Gripper(), name) for name in SIZES}
        sizes = {n: self.declare_parameter(f"{n}_m", usual[n]).value for n in SIZES}
        self._gripper = Gripper(**sizes)
        self._is_news = False
        self._objects: dict[int, SegmentedObject] = {}
        self._regions: list[Affordance] = []
        self._map: PointCloud2 | None = None
        for kind, topic, callback in (
            (SegmentedObjectArray, "segmenter/objects", self.on_objects),
            (AffordanceArray, "affordance/affordances", self.on_affordances),
            (PointCloud2, "segmenter/map_cloud", self.on_map),
        ):
            self.create_subscription(kind, topic, callback, LATCHED)
        self._best = self.create_publisher(PoseStamped, "~/best_grasp", LATCHED)
        self._openings = self.create_publisher(Float32MultiArray, "~/openings", LATCHED)
        self._grasps = self.create_publisher(PoseArray, "~/grasps", LATCHED)
        self._markers = self.create_publisher(MarkerArray, "~/markers", LATCHED)
        self.create_timer(LOOK_PERIOD_S, self.look)

    def on_objects(self, msg: SegmentedObjectArray) -> None:
        """Take the objects: what a region is part of."""
        self._objects = {found.id: found for found in msg.objects}
        self._is_news = True

    def on_affordances(self, msg: AffordanceArray) -> None:
        """Take the regions to grasp; a stale one is about an object that has changed since."""
        self._regions = [region for region in msg.affordances if region.name in self._wanted]
        self._is_news = True

    def on_map(self, msg: PointCloud2) -> None:
        """Take the map: what must not be touched."""
        self._map, self._is_news = msg, True

    def look(self) -> None:
        """Plan if there is anything new."""
        if self._is_news:
            self._is_news = False
            self.plan()

    def plan(self) -> None:
        """Plan for the region of highest score that can be grasped; publish its grasps."""
        for region in self.current_regions():
            found = self._objects[region.object_id]
            if grasps := plan(target_from(region, found, self._map), self._gripper):
                self.get_logger().info(
                    f"{region.name} of {found.name!r}: {len(grasps)} grasps, the best closes "
                    f"to {1000 * grasps[0].width:.0f} mm, score {grasps[0].score:.2f}"
                )
                return self.publish(grasps, region.cloud.header)
        return self.publish([], Header(frame_id="map"))

    def current_regions(self) -> list[Affordance]:
        """Return the regions of objects as they are now, best first; none without a map."""
        current = [
            region
            for region in self._regions
            if region.object_id in self._objects
            and region.object_revision == self._objects[region.object_id].revision
        ]
        return sorted(current, key=lambda region: -region.score) if self._map else []

    def publish(self, grasps: list[Grasp], header: Header) -> None:
        """Publish poses best first, stamped like their object, and the best gripper as boxes."""
        poses = [msg_from_pose(torch.from_numpy(grasp.pose)) for grasp in grasps]
        self._openings.publish(Float32MultiArray(data=[grasp.opening for grasp in grasps]))
        self._grasps.publish(PoseArray(header=header, poses=poses))
        if poses:
            self._best.publish(PoseStamped(header=header, pose=poses[0]))
        self._markers.publish(markers(grasps[:1], self._gripper, header))


def target_from(region: Affordance, found: SegmentedObject, scene: PointCloud2) -> Target:
    """Return what the planner core takes: the object's points, the region's score on them."""
    points, own, rest = (points_from_msg(c) for c in (found.cloud, region.cloud, scene))
    score_at = dict(zip(map(tuple, xyz(own)), own["score"], strict=True))
    return Target(
        points=xyz(points).astype(float),
        normals=xyz(points, "normal_x", "normal_y", "normal_z").astype(float),
        scores=np.array([score_at.get(tuple(p), 0.0) for p in xyz(points)]),
        outward=pose_from_msg(region.pose)[:3, 2].numpy(),
        obstacles=xyz(rest[rest["object_id"] != found.id]).astype(float),
    )


def xyz(points: np.ndarray, *names: str) -> np.ndarray:
    """Return three columns of a cloud as [P, 3]."""
    return np.stack([points[name] for name in names or ("x", "y", "z")], -1)


def markers(grasps: list[Grasp], gripper: Gripper, header: Header) -> MarkerArray:
    """Return the boxes of the open gripper at each grasp, in place of earlier ones."""
    out = [Marker(header=header, action=Marker.DELETEALL)]
    for i, grasp in enumerate(grasps):
        for j, (low, high) in enumerate(gripper.boxes(grasp.opening)):
            pose = grasp.pose.copy()
            pose[:3, 3] += pose[:3, :3] @ (low + high) / 2
            box = Marker(header=header, ns="gripper", id=3 * i + j, type=Marker.CUBE)
            box.pose, size = msg_from_pose(torch.from_numpy(pose)), (high - low).tolist()
            box.scale.x, box.scale.y, box.scale.z = size
            box.color = GREEN
            out.append(box)
    return MarkerArray(markers=out)


def main() -> None:
    """Run the planner until Ctrl-C."""
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(GraspPlanner())


if __name__ == "__main__":
    main()
