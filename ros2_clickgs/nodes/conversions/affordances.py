# SPDX-License-Identifier: Apache-2.0
"""Affordance regions to messages, to a heat-coloured cloud, and to markers for RViz."""

import colorsys
import math

import numpy as np
import torch
from geometry_msgs.msg import Point, Vector3
from jaxtyping import Float, UInt8
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from ros2_clickgs.core.clouds import PointCloud
from ros2_clickgs.core.regions import Region
from ros2_clickgs.msg import Affordance, SegmentedObject
from ros2_clickgs.nodes.conversions.clouds import (
    POINT,
    msg_from_points,
    packed_rgb,
    points_from_msg,
)
from ros2_clickgs.nodes.conversions.geometry import (
    msg_from_point,
    msg_from_pose,
    pose_from_msg,
)

AFFORDANCE_POINT = np.dtype([*POINT.descr[:-1], ("affordance", "<u4"), ("score", "<f4")])
"""`~/affordance_cloud` and Affordance.cloud: one row per Gaussian, map frame, m."""
COLD_HUE = 0.66
"""Of score 0; a score of 1 is red."""
TEXT_HEIGHT_M = 0.015
ARROW_M = 0.05
ARROW_SIZE_M = Vector3(x=0.003, y=0.007, z=0.01)
"""Diameters of shaft and head, length of the head."""


def cloud_from_msg(msg: PointCloud2) -> PointCloud:
    """Return an object's cloud.

    Raises:
        ShapeError: its fields do not describe its bytes.
    """
    points = points_from_msg(msg)
    columns = ("x", "y", "z"), ("normal_x", "normal_y", "normal_z")
    xyz, normals = (torch.from_numpy(np.stack([points[n] for n in c], -1)) for c in columns)
    packed = points["rgb"].copy().view(np.uint32)
    rgb = np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], -1).astype(np.uint8)
    return PointCloud(
        points=xyz,
        colors=torch.from_numpy(rgb),
        normals=normals,
        object_ids=torch.from_numpy(points["object_id"].astype(np.int32)),
        scores=torch.from_numpy(points["score"].copy()),
    )


def affordance_points(
    found: SegmentedObject, probabilities: Float[np.ndarray, "P C"], regions: list[Region]
) -> np.ndarray:
    """Return an object's points with what they afford.

    `affordance` is the class of the region that a point belongs to, 0 for none; `score` is the
    probability of that class, of a point in no region that of its most probable named class.
    """
    points = points_from_msg(found.cloud)
    out = np.zeros(len(points), AFFORDANCE_POINT)
    for name in POINT.names:
        out[name] = points[name]
    out["score"] = probabilities[:, 1:].max(1, initial=0.0)
    for region in regions:
        rows = region.rows.numpy()
        out["affordance"][rows] = region.class_id
        out["score"][rows] = probabilities[rows, region.class_id]
    return out


def msg_from_region(
    region: Region, name: str, found: SegmentedObject, points: np.ndarray
) -> Affordance:
    """Return a region of an object; `points` are the whole object's affordance points."""
    x, y, z = region.size.tolist()
    return Affordance(
        name=name,
        class_id=region.class_id,
        object_id=found.id,
        object_name=found.name,
        object_revision=found.revision,
        score=region.score,
        gaussian_count=len(region.rows),
        pose=msg_from_pose(region.pose),
        size=Vector3(x=x, y=y, z=z),
        graspable_width=region.graspable_width,
        cloud=msg_from_points(points[region.rows.numpy()], found.header),
    )


def heat(scores: Float[np.ndarray, " P"]) -> UInt8[np.ndarray, "P 3"]:
    """Return RGB from blue (0) over green to red (1)."""
    table = [colorsys.hsv_to_rgb(COLD_HUE * (1 - i / 255), 1.0, 1.0) for i in range(256)]
    steps = (scores.clip(0, 1) * 255).round().astype(int)
    return (np.array(table) * 255).round().astype(np.uint8)[steps]


def heat_cloud(points: np.ndarray, header: Header) -> PointCloud2:
    """Return affordance points coloured by their score."""
    heated = points.copy()
    heated["rgb"] = packed_rgb(heat(points["score"]))
    return msg_from_points(heated, header)


def markers_from_affordances(regions: list[Affordance], header: Header) -> MarkerArray:
    """Return box, outward arrow and name of each region, in place of all earlier markers."""
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for i, region in enumerate(regions):
        red, green, blue = (heat(np.array([region.score]))[0] / 255).tolist()
        color = ColorRGBA(r=red, g=green, b=blue, a=0.3)
        box = Marker(header=header, ns="regions", id=i, type=Marker.CUBE, pose=region.pose)
        box.scale, box.color = region.size, color
        arrow = Marker(header=header, ns="outward", id=i, type=Marker.ARROW, pose=region.pose)
        arrow.points = [Point(), Point(z=ARROW_M)]
        arrow.scale, arrow.color = ARROW_SIZE_M, ColorRGBA(r=red, g=green, b=blue, a=1.0)
        text = Marker(header=header, ns="names", id=i, type=Marker.TEXT_VIEW_FACING)
        text.text, text.pose.position = label(region), beyond(region)
        text.scale.z, text.color = TEXT_HEIGHT_M, ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
        markers += [box, arrow, text]
    return MarkerArray(markers=markers)


def label(region: Affordance) -> str:
    """Return what a person wants to know of a region."""
    width = region.graspable_width
    opening = "" if math.isnan(width) else f", {1000 * width:.0f} mm"
    return f"{region.name} {region.score:.2f}{opening}"


def beyond(region: Affordance) -> Point:
    """Return the point past the end of the region's arrow."""
    T = pose_from_msg(region.pose)
    return msg_from_point(T[:3, 3] + 1.2 * ARROW_M * T[:3, 2])
