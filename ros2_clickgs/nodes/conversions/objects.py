# SPDX-License-Identifier: Apache-2.0
"""Objects to SegmentedObject messages, and to the markers that RViz shows."""

import colorsys

from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from ros2_clickgs.core.clouds import PointCloud
from ros2_clickgs.core.gates import refused_masks
from ros2_clickgs.core.objects import SegmentedObject as CoreObject
from ros2_clickgs.core.state import Ballot
from ros2_clickgs.msg import SegmentedObject
from ros2_clickgs.nodes.conversions.clouds import msg_from_points, points_from_cloud
from ros2_clickgs.nodes.conversions.geometry import msg_from_pose

GOLDEN_RATIO = 0.618034
TEXT_HEIGHT_M = 0.04


def msg_from_object(
    found: CoreObject, ballot: Ballot, cloud: PointCloud, header: Header
) -> SegmentedObject:
    """Return an object with its box and cloud; `header` is the map frame's."""
    x, y, z = found.size.double().tolist()
    return SegmentedObject(
        header=header,
        id=found.id,
        name=found.name,
        score=float(found.score),
        gaussian_count=len(found.gaussian_ids),
        view_count=found.view_count,
        rejected_count=sum(refused_masks(ballot).values()),
        revision=ballot.revision,
        settled=ballot.settled,
        method="votes",
        pose=msg_from_pose(found.pose),
        size=Vector3(x=x, y=y, z=z),
        cloud=msg_from_points(points_from_cloud(cloud), header),
    )


def color_of(object_id: int) -> tuple[float, float, float]:
    """Return an object's RGB in [0, 1]: neighbours in number are far apart in hue."""
    return colorsys.hsv_to_rgb(object_id * GOLDEN_RATIO % 1.0, 0.75, 1.0)


def markers_from_objects(objects: list[SegmentedObject], header: Header) -> MarkerArray:
    """Return a see-through box and a name for each object, in place of all earlier ones."""
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for found in objects:
        red, green, blue = color_of(found.id)
        box = Marker(header=header, ns="boxes", id=found.id, type=Marker.CUBE, pose=found.pose)
        box.scale, box.color = found.size, ColorRGBA(r=red, g=green, b=blue, a=0.35)
        text = Marker(header=header, ns="names", id=found.id, type=Marker.TEXT_VIEW_FACING)
        text.text, text.pose.position = found.name or f"object {found.id}", _above(found)
        text.scale.z, text.color = TEXT_HEIGHT_M, ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
        markers += [box, text]
    return MarkerArray(markers=markers)


def _above(found: SegmentedObject) -> Point:
    """Return a point over the box, whichever of its axes is the upright one."""
    center, size = found.pose.position, found.size
    return Point(x=center.x, y=center.y, z=center.z + 0.5 * max(size.x, size.y, size.z))
