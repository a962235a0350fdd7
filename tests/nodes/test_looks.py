# SPDX-License-Identifier: Apache-2.0
"""Looking goes on behind the node's back: objects settle, grow, and are told about."""

import pytest
from geometry_msgs.msg import Point
from std_msgs.msg import Header

from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.msg import Click
from ros2_clickgs.srv import Refine, SegmentPoint
from tests.nodes.conftest import RED_AT
from tests.nodes.robot import Robot
from tests.nodes.test_segmenter import clicked, is_ball

pytestmark = pytest.mark.ros

RED_TOP = (0.0, 0.0, 0.12)


@pytest.fixture(scope="module")
def views(world):
    return load_views(world)


def newest(robot):
    return robot.heard["objects"][-1].objects[0]


def test_the_first_answer_comes_before_the_object_is_settled(robot: Robot, views):
    robot.show(views[0], 1_000_000_000)
    first = robot.call(SegmentPoint, "segment_point", points=[clicked(RED_TOP)]).object
    assert not first.settled
    final = robot.settled()
    assert final.view_count > first.view_count
    assert final.revision > first.revision
    assert is_ball(final, RED_AT)


def test_an_object_grows_with_images_that_come_after_the_click(robot: Robot, views):
    robot.show(views[0], 1_000_000_000)
    robot.call(SegmentPoint, "segment_point", points=[clicked(RED_TOP)], settle=True)
    before = robot.settled().view_count
    robot.show(views[3], 2_000_000_000)
    robot.wait(lambda: newest(robot).view_count == before + 1)
    assert newest(robot).header.stamp.sec == 2
    robot.show(views[3], 3_000_000_000)
    robot.show(views[1], 4_000_000_000)
    robot.wait(lambda: newest(robot).view_count == before + 2)


def test_a_click_beside_the_object_changes_it_at_once(robot: Robot, views):
    robot.show(views[0], 1_000_000_000)
    at = {"points": [clicked(RED_TOP)], "settle": True}
    red = robot.call(SegmentPoint, "segment_point", **at).object
    beside = Click(header=Header(frame_id="map"), position=Point(x=0.2, y=0.2), positive=False)
    refined = robot.call(Refine, "refine", object_id=red.id, clicks=[beside]).object
    assert is_ball(refined, RED_AT)
    assert refined.revision > red.revision
    assert robot.call(Refine, "refine", object_id=red.id, undo=True).success
    robot.wait(lambda: newest(robot).revision > refined.revision)
    assert newest(robot).gaussian_count == red.gaussian_count
