# SPDX-License-Identifier: Apache-2.0
"""The action train_features over real DDS: feedback, cancel, kill, resume, refusals."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import rclpy
from action_msgs.msg import GoalStatus
from rclpy.node import Node
from sensor_msgs.msg import Image

from ros2_clickgs.core.features.training import TERMS
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.io.features import load_features
from ros2_clickgs.io.maps import map_sha256
from ros2_clickgs.nodes.qos import LATCHED
from tests.nodes.robot import wait_until
from tests.nodes.test_main import started
from tests.nodes.training_world import (
    FAST,
    ITERATIONS,
    TrainingClient,
    TrainingRobot,
    make_training_world,
)

pytestmark = pytest.mark.ros
STAGES = ["masks", "weights", "training", "clusters", "saving"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("blobs")
    make_training_world(folder)
    return folder


def goal(place: Path, **changes) -> dict:
    folders = {"cameras": str(place), "masks": str(place / "masks")}
    return folders | {"iterations": ITERATIONS} | changes


@pytest.fixture(scope="module")
def uninterrupted(ros, place, tmp_path_factory):
    """Return a training that ran to its end: its folder, status, result and feedback."""
    folder = tmp_path_factory.mktemp("whole")
    with TrainingRobot(place, folder) as robot:
        status, result = robot.training.result(robot.training.send(**goal(place)))
    assert result.success, result.message
    return folder, status, result, robot.training.feedback


def same_features(path: str, other: str) -> bool:
    with np.load(path) as a, np.load(other) as b:
        return all((a[name] == b[name]).all() for name in a.files)


def test_feedback_and_result_tell_everything(uninterrupted, place):
    folder, status, result, feedback = uninterrupted
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert list(dict.fromkeys(f.stage for f in feedback)) == STAGES
    training = [f for f in feedback if f.stage == "training" and f.iteration]
    assert [f.iteration for f in training] == list(range(1, ITERATIONS + 1))
    assert all(tuple(f.loss_names) == TERMS for f in training)
    assert all(abs(sum(f.loss_values) - f.loss) < 1e-4 for f in training)
    assert training[0].eta.sec >= 0
    assert (training[-1].eta.sec, training[-1].eta.nanosec) == (0, 0)
    assert feedback[0].eta.sec < 0
    assert {f.iterations for f in feedback} == {ITERATIONS}
    assert result.iterations == ITERATIONS
    assert tuple(result.loss_names) == TERMS
    assert list(result.loss_values) == list(training[-1].loss_values)
    assert result.duration.sec + result.duration.nanosec > 0
    features = load_features(result.path, map_sha256(place / "map.ply"))
    assert len(features.coarse_clusters) == result.coarse_clusters > 0
    assert len(features.fine_clusters) == result.fine_clusters > 0
    assert list(folder.iterdir()) == [Path(result.path)]


def test_a_cancelled_training_is_usable_and_goes_on_the_same(ros, place, tmp_path, uninterrupted):
    with TrainingRobot(place, tmp_path) as robot:
        handle = robot.training.send(**goal(place))
        robot.training.reached(25)
        robot.training.cancel(handle)
        status, result = robot.training.result(handle)
        assert status == GoalStatus.STATUS_CANCELED
        assert result.success, result.message
        assert 25 <= result.iterations < ITERATIONS
        assert len(load_features(result.path, map_sha256(place / "map.ply"))) > 0
        robot.training.feedback.clear()
        _, resumed = robot.training.result(robot.training.send(**goal(place, resume=True)))
        assert resumed.iterations == ITERATIONS
        robot.wait(lambda: robot.training.feedback)
        first = min(f.iteration for f in robot.training.feedback if f.stage == "training")
        assert first == result.iterations
    assert same_features(resumed.path, uninterrupted[2].path)


def test_a_killed_training_goes_on_the_same(ros, place, tmp_path, uninterrupted):
    with TrainingRobot(place, tmp_path) as robot:
        handle = robot.training.send(**goal(place))
        robot.training.reached(45)
        os.kill(robot.trainer.training_pid, signal.SIGKILL)
        status, result = robot.training.result(handle)
        assert status == GoalStatus.STATUS_ABORTED
        assert not result.success
        assert "code -9" in result.message
        assert "resume" in result.message
        other = robot.training.send(**goal(place, resume=True, masks="", path="x.npz"))
        assert "was made with" in robot.training.result(other)[1].message
        _, resumed = robot.training.result(
            robot.training.send(**goal(place, resume=True, path="mine/F.npz"))
        )
        assert resumed.success, resumed.message
    assert Path(resumed.path) == tmp_path / "mine" / "F.npz"
    assert same_features(resumed.path, uninterrupted[2].path)
    assert len(list(tmp_path.glob("*.features.npz"))) == 1


def test_a_second_process_serves_one_goal_at_a_time(ros, place, tmp_path):
    node = Node("peer", namespace="clickgs")
    previews: list[Image] = []
    node.create_subscription(Image, "trainer/preview", previews.append, LATCHED)
    parameters = {**FAST, "session_dir": str(tmp_path), "session": '""'}
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    process = started(f"up(*{[str(place / 'map.ply'), '', '', *words]!r})")

    def wait(is_so, patience_s=60):
        wait_until(lambda: rclpy.spin_once(node, timeout_sec=0.05) or is_so(), patience_s)

    client = TrainingClient(node, wait)
    handle = client.send(**goal(place, iterations=100_000))
    client.reached(5)
    status, refused = client.result(client.send(**goal(place)))
    assert status == GoalStatus.STATUS_ABORTED
    assert not refused.success
    assert "a training runs (training, iteration" in refused.message
    wait(lambda: previews)
    assert (previews[0].height, previews[0].width) == (120, 160)
    assert np.asarray(previews[0].data).max() > 100
    client.cancel(handle)
    assert client.result(handle)[1].success
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    node.destroy_node()


def test_keyframes_of_the_live_camera_with_automatic_masks(ros, place, tmp_path):
    views = load_views(place / "transforms.json")
    with TrainingRobot(place, tmp_path) as robot:
        robot.show_all(views)
        _, result = robot.training.result(robot.training.send(iterations=30))
        assert result.success, result.message
        assert f"{len(views)} views" in result.message
        assert robot.training.feedback[0].stage == "masks"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"iterations": 0}, "parameter 'iterations' is 0"),
        ({"path": "../F.npz"}, "no file inside session_dir"),
        ({"path": "F.ply"}, "written as NAME.npz"),
        ({"cameras": "/nowhere"}, "/nowhere"),
        ({"cameras": "", "masks": ""}, "let a camera look around"),
        ({"masks": "/nowhere"}, "no such folder"),
    ],
)
def test_what_cannot_be_trained_is_told(ros, place, tmp_path, changes, told):
    with TrainingRobot(place, tmp_path) as robot:
        status, result = robot.training.result(robot.training.send(**goal(place, **changes)))
        assert status == GoalStatus.STATUS_ABORTED
        assert not result.success
        assert told in result.message
        assert not list(tmp_path.iterdir())
        robot.wait(lambda: robot.fact("features") == "none")
