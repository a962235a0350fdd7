# SPDX-License-Identifier: Apache-2.0
"""The action train_features over real DDS, and what clicks answer afterwards."""

from pathlib import Path

import pytest
from action_msgs.msg import GoalStatus

from ros2_clickgs.core.features.training import TERMS
from ros2_clickgs.io.features import load_features
from ros2_clickgs.io.maps import map_sha256
from tests.nodes.training_world import ITERATIONS, TrainingRobot, make_training_world

pytestmark = pytest.mark.ros


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
    """Return a training that ran to its end: its folder, its result and its feedback."""
    folder = tmp_path_factory.mktemp("whole")
    with TrainingRobot(place, folder) as robot:
        handle = robot.training.send(**goal(place))
        status, result = robot.training.result(handle)
        assert result.success, result.message
        yield folder, status, result, robot.training.feedback


def test_feedback_and_result_tell_everything(uninterrupted, place):
    folder, status, result, feedback = uninterrupted
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert list(dict.fromkeys(f.stage for f in feedback)) == [
        "masks", "weights", "training", "clusters", "saving",
    ]  # fmt: skip
    training = [f for f in feedback if f.stage == "training" and f.iteration]
    assert [f.iteration for f in training] == list(range(1, ITERATIONS + 1))
    assert all(tuple(f.loss_names) == TERMS for f in training)
    assert all(abs(sum(f.loss_values) - f.loss) < 1e-4 for f in training)
    assert training[-1].eta.sec == 0
    assert training[5].eta.sec >= 0
    assert {f.iterations for f in feedback} == {ITERATIONS}
    assert result.iterations == ITERATIONS
    assert tuple(result.loss_names) == TERMS
    assert result.duration.sec + result.duration.nanosec > 0
    features = load_features(result.path, map_sha256(place / "map.ply"))
    assert len(features.coarse_clusters) == result.coarse_clusters
    assert len(features.fine_clusters) == result.fine_clusters
    assert Path(result.path).parent == folder
    assert not [path for path in folder.iterdir() if path != Path(result.path)]
