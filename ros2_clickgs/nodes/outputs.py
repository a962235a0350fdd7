# SPDX-License-Identifier: Apache-2.0
"""What the segmenter publishes; called by the worker alone, once it is there."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from ros2_clickgs.core.harmonics import rgb_from_sh
from ros2_clickgs.core.state import Ballot
from ros2_clickgs.msg import SegmentedObject, SegmentedObjectArray
from ros2_clickgs.nodes.conversions.clouds import (
    POINT,
    msg_from_points,
    points_from_map,
    points_from_msg,
    points_from_splats,
)
from ros2_clickgs.nodes.conversions.geometry import msg_from_nanoseconds, msg_from_point
from ros2_clickgs.nodes.conversions.images import msg_from_image
from ros2_clickgs.nodes.conversions.objects import markers_from_objects, msg_from_object
from ros2_clickgs.nodes.keyframes import Frame
from ros2_clickgs.nodes.pictures import overlay
from ros2_clickgs.nodes.qos import LATCHED, RELIABLE
from ros2_clickgs.nodes.workbench import Workbench

if TYPE_CHECKING:
    from ros2_clickgs.nodes.segmenter import SegmenterNode


class Outputs:
    """Publishers of the segmenter."""

    def __init__(self, node: "SegmenterNode") -> None:
        self._node = node
        self._is_map_old, self._was_map_published = True, False
        self._messages: dict[int, tuple[Ballot, SegmentedObject]] = {}
        self._map_frame = node.config.map_frame
        self._objects = node.create_publisher(SegmentedObjectArray, "~/objects", LATCHED)
        self._object_cloud = node.create_publisher(PointCloud2, "~/object_cloud", LATCHED)
        self._map_cloud = node.create_publisher(PointCloud2, "~/map_cloud", LATCHED)
        self._splats = node.create_publisher(PointCloud2, "~/splats", LATCHED)
        self._markers = node.create_publisher(MarkerArray, "~/markers", LATCHED)
        self._overlay = node.create_publisher(Image, "~/overlay", RELIABLE)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)

    def close(self) -> None:
        """Stop publishing."""
        for publisher in (
            self._objects,
            self._object_cloud,
            self._map_cloud,
            self._splats,
            self._markers,
            self._overlay,
            self._diagnostics,
        ):
            self._node.destroy_publisher(publisher)

    def publish_objects(self, bench: Workbench) -> None:
        """Tell of all objects: messages, clouds, markers."""
        header = self._header()
        found = [self.object_msg(bench, object_id) for object_id in bench.objects.ids]
        self._messages = {i: m for i, m in self._messages.items() if i in bench.objects.ids}
        views = [p for i in bench.objects.ids for p in bench.objects.view_points(i)]
        self._objects.publish(
            SegmentedObjectArray(
                header=header,
                objects=found,
                view_points=[msg_from_point(point) for point in views],
                map_sha256=bench.map_sha256,
            )
        )
        clouds = [points_from_msg(msg.cloud) for msg in found]
        points = np.concatenate([np.zeros(0, POINT), *clouds])
        self._object_cloud.publish(msg_from_points(points, header))
        self._markers.publish(markers_from_objects(found, header))

    def map_changed(self, bench: Workbench) -> None:
        """Publish the map if it never was or somebody looks at it; else when somebody does."""
        is_first, self._is_map_old = not self._was_map_published, True
        if is_first or self.is_map_awaited():
            self.publish_map(bench)

    def is_map_awaited(self) -> bool:
        """Return whether somebody looks at a map whose objects are not the newest."""
        watchers = self._map_cloud.get_subscription_count() + self._splats.get_subscription_count()
        return self._is_map_old and watchers > 0

    def publish_map(self, bench: Workbench) -> None:
        """Publish the map with the objects' ids on it."""
        self._is_map_old, self._was_map_published = False, True
        there = ~bench.objects.state.hidden
        gaussians, labels = bench.rasterizer.gaussians, bench.objects.labels()
        if not there.all():
            gaussians, labels = gaussians.select(there.to(gaussians.device)), labels[there]
        colors = (rgb_from_sh(gaussians.sh) * 255).round().to(torch.uint8).cpu().numpy()
        points = points_from_map(gaussians, colors, labels, self._node.config.map_cloud_points)
        header = self._header()
        self._map_cloud.publish(msg_from_points(points, header))
        if self._node.config.publish_splats:
            splats = points_from_splats(gaussians, labels)
            self._splats.publish(msg_from_points(splats, header))

    def publish_overlay(self, bench: Workbench, frame: Frame) -> None:
        """Publish the image with the objects on it, if anybody looks."""
        if self._overlay.get_subscription_count():
            stamp = msg_from_nanoseconds(frame.stamp_ns)
            header = Header(stamp=stamp, frame_id=frame.frame_id)
            self._overlay.publish(msg_from_image(overlay(bench, frame), header))

    def publish_diagnostics(self, report: DiagnosticArray) -> None:
        """Tell how it goes."""
        self._diagnostics.publish(report)

    def object_msg(self, bench: Workbench, object_id: int) -> SegmentedObject:
        """Return an object's message, stamped with the last image that voted for it.

        It has the present stamp if only rendered views voted, or if time began anew since. It is
        made once per change of the object.
        """
        ballot = bench.objects.state.ballot(object_id)
        if object_id in self._messages and self._messages[object_id][0] is ballot:
            return self._messages[object_id][1]
        is_past = 0 < ballot.voted_at_ns <= self._node.get_clock().now().nanoseconds
        header = self._header(msg_from_nanoseconds(ballot.voted_at_ns) if is_past else None)
        found, cloud = bench.objects.get(object_id), bench.objects.cloud(object_id)
        msg = msg_from_object(found, ballot, cloud, header)
        self._messages[object_id] = (ballot, msg)
        return msg

    def _header(self, stamp: Time | None = None) -> Header:
        now = self._node.get_clock().now().to_msg()
        return Header(stamp=stamp or now, frame_id=self._map_frame)
