# SPDX-License-Identifier: Apache-2.0
"""Clicks over real DDS: by topic, by pixel, by service; answered by objects."""

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped
from std_msgs.msg import Header

from ros2_clickgs.core.geometry import project
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.nodes.conversions.clouds import points_from_msg
from ros2_clickgs.nodes.conversions.geometry import point_from_msg
from ros2_clickgs.srv import SegmentPoint
from tests.nodes.conftest import BLUE_AT, RED_AT
from tests.nodes.robot import Robot

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def views(world):
    return load_views(world)


def clicked(at, frame_id="map"):
    return PointStamped(header=Header(frame_id=frame_id), point=Point(x=at[0], y=at[1], z=at[2]))


def is_ball(found, at):
    center = found.pose.position
    return (
        np.linalg.norm(np.subtract((center.x, center.y, center.z), at)) < 0.03
        and 120 < found.gaussian_count < 450
        and 0.08 < found.size.x < 0.17
    )


def test_map_is_published_once_active(robot: Robot):
    robot.wait(lambda: robot.heard["map_cloud"] and robot.heard["splats"])
    points = points_from_msg(robot.heard["map_cloud"][0])
    assert len(points) == 1996
    assert not points["object_id"].any()
    assert robot.heard["map_cloud"][0].header.frame_id == "map"


def test_clicked_point_becomes_an_object_on_topics(robot: Robot, views):
    robot.show_all(views)
    top = (RED_AT[0], RED_AT[1], RED_AT[2] + 0.06)
    robot.send("/clicked_point", clicked(top))
    robot.wait(lambda: robot.heard["objects"] and robot.heard["objects"][-1].objects)
    found = robot.heard["objects"][-1].objects[0]
    assert is_ball(found, RED_AT), found.pose
    robot.wait(lambda: robot.heard["object_cloud"] and robot.heard["object_cloud"][-1].width)
    cloud = points_from_msg(robot.heard["object_cloud"][-1])
    assert set(cloud["object_id"]) == {found.id}
    robot.wait(lambda: len(robot.heard["markers"][-1].markers) == 3)


def test_pixel_of_the_newest_image_becomes_an_object(robot: Robot, views):
    robot.show_all(views)
    u, v, _ = project(
        views[-1].camera, point_from_msg(Point(x=BLUE_AT[0], y=BLUE_AT[1], z=BLUE_AT[2]))[None]
    )[0].tolist()
    robot.send("image_mouse_left", Point(x=float(round(u)), y=float(round(v))))
    robot.wait(lambda: robot.heard["objects"] and robot.heard["objects"][-1].objects)
    assert is_ball(robot.heard["objects"][-1].objects[0], BLUE_AT)


def test_service_answers_from_rendered_views_without_a_camera(robot: Robot):
    answer = robot.call(
        SegmentPoint, "segment_point", points=[clicked((0.0, 0.0, 0.12))], name="red"
    )
    assert answer.success, answer.message
    assert answer.object.name == "red"
    assert is_ball(answer.object, RED_AT), answer.object.pose
