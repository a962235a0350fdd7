# SPDX-License-Identifier: Apache-2.0
"""The action `segment_everything` over real DDS: all objects, feedback, cancelled, refused."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient

from ros2_clickgs.action import SegmentEverything
from ros2_clickgs.core.segmenter import Mask
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.nodes import workbench
from ros2_clickgs.srv import SegmentPoint
from tests.nodes.conftest import BLUE_AT, RED_AT, SameColor
from tests.nodes.robot import Robot
from tests.nodes.test_segmenter import clicked, is_ball

pytestmark = pytest.mark.ros


class Hues(SameColor):
    """Finds the red and the blue ball, and the gray table, by itself."""

    def everything(self) -> list[Mask]:
        time.sleep(0.05)
        red, blue = (self._hues[..., c] > self._hues.sum(-1) / 2 for c in (0, 2))
        gray = ~red & ~blue & (self._hues.min(-1) > 0.5)
        return [Mask(pixels=pixels, score=1.0) for pixels in (red, blue, gray) if pixels.any()]


class Client:
    """Sends goals, collects their feedback."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self._client = ActionClient(robot.peer, SegmentEverything, "segmenter/segment_everything")
        robot.wait(self._client.server_is_ready)
        self.feedback: list[SegmentEverything.Feedback] = []

    def send(self, **goal: Any) -> Any:
        """Return the handle of an accepted goal."""
        future = self._client.send_goal_async(
            SegmentEverything.Goal(**goal),
            feedback_callback=lambda msg: self.feedback.append(msg.feedback),
        )
        self._robot.wait(future.done)
        return future.result()

    def result(self, handle: Any) -> tuple[int, SegmentEverything.Result]:
        """Wait for a goal's end."""
        future = handle.get_result_async()
        self._robot.wait(future.done, 60)
        return future.result().status, future.result().result

    def ask(self, **goal: Any) -> SegmentEverything.Result:
        """Send a goal and wait for its end, which is as its result says."""
        status, result = self.result(self.send(**goal))
        is_good = status == GoalStatus.STATUS_SUCCEEDED
        assert result.success == is_good
        return result


@pytest.fixture
def robot(ros: None, world: Path, tmp_path: Path, monkeypatch) -> Iterator[Robot]:
    monkeypatch.setattr(workbench, "make_segmenter", lambda *_: Hues())
    parameters = {"map_path": str(world / "map.ply"), "session_dir": str(tmp_path)}
    with Robot(**parameters) as robot:
        robot.everything = Client(robot)
        yield robot


def objects(robot: Robot, count: int) -> list[Any]:
    """Wait until there are so many objects."""
    robot.wait(lambda: robot.heard["objects"] and len(robot.heard["objects"][-1].objects) == count)
    return robot.heard["objects"][-1].objects


def test_everything_in_the_images_becomes_objects(robot: Robot, world: Path) -> None:
    robot.show_all(load_views(world))
    result = robot.everything.ask()
    found = objects(robot, 3)
    assert [thing.id for thing in found] == list(result.object_ids)
    for at in (RED_AT, BLUE_AT):
        assert sum(is_ball(thing, at) for thing in found) == 1
    assert [f.views_done for f in robot.everything.feedback] == list(range(7))
    assert {f.views_total for f in robot.everything.feedback} == {6}
    assert robot.everything.feedback[-1].stage == "objects"


def test_without_images_the_map_is_looked_at(robot: Robot) -> None:
    robot.everything.ask(method="votes", max_views=6)
    for at in (RED_AT, BLUE_AT):
        assert any(is_ball(thing, at) for thing in robot.heard["objects"][-1].objects)
    assert robot.everything.feedback[-1].views_total == 6


def test_objects_that_exist_keep_their_gaussians(robot: Robot, world: Path) -> None:
    robot.show_all(load_views(world))
    at = [clicked(RED_AT)]
    red = robot.call(SegmentPoint, "segment_point", points=at, method="votes").object
    result = robot.everything.ask(min_gaussians=200)
    assert red.id not in result.object_ids
    kept = [thing for thing in objects(robot, 3) if is_ball(thing, RED_AT)]
    assert [thing.id for thing in kept] == [red.id]
    assert len(robot.everything.ask(replace=True, min_gaussians=200).object_ids) == 3
    objects(robot, 3)


def test_a_cancelled_goal_changes_nothing(robot: Robot, world: Path) -> None:
    robot.show_all(load_views(world))
    handle = robot.everything.send()
    robot.wait(lambda: robot.everything.feedback)
    robot.wait(handle.cancel_goal_async().done)
    status, result = robot.everything.result(handle)
    assert status == GoalStatus.STATUS_CANCELED
    assert "nothing has changed" in result.message
    assert len(robot.heard["objects"][-1].objects) == 0
    assert robot.everything.ask().success


@pytest.mark.parametrize(
    ("goal", "reason"),
    [
        ({"method": "magic"}, "votes"),
        ({"level": "tiny", "method": "votes"}, "coarse"),
        ({"method": "features"}, "feature"),
    ],
)
def test_goals_that_cannot_be_met_are_told_why(robot: Robot, goal: dict, reason: str) -> None:
    result = robot.everything.ask(**goal)
    assert reason in result.message


def test_one_goal_at_a_time(robot: Robot, world: Path) -> None:
    robot.show_all(load_views(world))
    first = robot.everything.send()
    assert "already" in robot.everything.ask().message
    assert robot.everything.result(first)[1].success


def test_the_node_can_be_deactivated_meanwhile(robot: Robot, world: Path) -> None:
    robot.show_all(load_views(world))
    robot.everything.send()
    robot.wait(lambda: robot.everything.feedback)
    robot.segmenter.trigger_deactivate()
    robot.segmenter.trigger_activate()
    assert Client(robot).ask(max_views=4, method="votes").success


def test_parts_are_asked_for_by_their_level(robot: Robot, world: Path) -> None:
    robot.show_all(load_views(world))
    assert len(robot.everything.ask(level="fine", method="votes").object_ids) == 3


def test_scores_can_be_asked_for(robot: Robot, world: Path) -> None:
    robot.show_all(load_views(world))
    assert len(robot.everything.ask(min_score=1.0).object_ids) == 0
