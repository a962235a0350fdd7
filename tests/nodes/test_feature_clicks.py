# SPDX-License-Identifier: Apache-2.0
"""Clicks that trained features answer over real DDS: no picture, no 2D network."""

import pytest
import torch
from geometry_msgs.msg import Point, PointStamped, PoseStamped
from std_msgs.msg import Header

from ros2_clickgs.io.features import save_features
from ros2_clickgs.io.maps import map_sha256, save_map
from ros2_clickgs.io.views import View
from ros2_clickgs.nodes.conversions.geometry import msg_from_camera, msg_from_pose
from ros2_clickgs.nodes.conversions.images import image_from_msg
from ros2_clickgs.nodes.files import features_file
from ros2_clickgs.nodes.trained_features import everything_by_features
from ros2_clickgs.srv import RenderView, SegmentPixel, SegmentPoint
from tests.core.blobs import BLOB_COUNT, blob_camera, blob_map
from tests.core.features.blob_features import blob_features
from tests.nodes.robot import Robot

pytestmark = pytest.mark.ros
RED_TOP, RED_BOTTOM, GREEN = (-0.3, 0.0, 0.15), (-0.3, 0.0, -0.15), (0.3, -0.15, 0.0)


@pytest.fixture
def place(tmp_path):
    """Return a folder with the blobs' map, and where its features belong."""
    path = tmp_path / "map.ply"
    save_map(path, blob_map())
    return path, features_file(str(tmp_path), str(path), map_sha256(path))


@pytest.fixture
def robot(ros, place):
    path, _ = place
    with Robot(map_path=str(path), session_dir=str(path.parent), session="") as robot:
        yield robot


def train(place) -> None:
    path, features = place
    cameras = [View(name="front", camera=blob_camera())]
    save_features(features, blob_features(), map_sha256(path), cameras)


def click(robot, *places, **request):
    points = [PointStamped(header=Header(frame_id="map"), point=at(*place)) for place in places]
    return robot.call(SegmentPoint, "segment_point", points=points, **request)


def at(x, y, z=0.0) -> Point:
    return Point(x=float(x), y=float(y), z=float(z))


def test_coarse_is_the_thing_and_fine_its_part(robot, place):
    train(place)
    blob = click(robot, RED_TOP, method="features", name="blob")
    assert blob.success, blob.message
    assert blob.object.gaussian_count == BLOB_COUNT
    assert blob.object.name == "blob"
    assert 0.5 < blob.object.score <= 1
    half = click(robot, RED_TOP, method="features", level="fine")
    assert half.object.pose.position.z == pytest.approx(0.075, abs=0.03)
    robot.wait(lambda: len(robot.heard["objects"][-1].objects) == 2)
    counts = [found.gaussian_count for found in robot.heard["objects"][-1].objects]
    assert sum(counts) == BLOB_COUNT
    assert counts[1] == half.object.gaussian_count


def test_clicks_are_added_and_taken_away(robot, place):
    train(place)
    top = click(robot, RED_TOP, method="features", level="fine").object
    both = click(robot, RED_BOTTOM, object_id=top.id, method="features", level="fine").object
    assert both.id == top.id
    assert both.gaussian_count == BLOB_COUNT
    less = click(
        robot, RED_TOP, object_id=top.id, positive=[False], method="features", level="fine"
    )
    assert 0 < less.object.gaussian_count < BLOB_COUNT


def test_a_pixel_of_a_rendered_view_is_clicked(robot, place):
    train(place)
    camera = blob_camera()
    u, v = 46.0, 66.0
    answer = robot.call(
        SegmentPixel,
        "segment_pixel",
        pixels=[at(u, v)],
        view_camera=msg_from_camera(camera, Header(frame_id="optical")),
        view_pose=PoseStamped(
            header=Header(frame_id="map"), pose=msg_from_pose(camera.T_world_camera)
        ),
        method="features",
    )
    assert answer.success, answer.message
    assert answer.object.gaussian_count == BLOB_COUNT
    assert answer.object.pose.position.x == pytest.approx(-0.3, abs=0.02)
    assert not answer.mask.mask.data


def test_auto_is_votes_until_features_are_trained(robot, place):
    refused = click(robot, GREEN, method="features")
    assert not refused.success
    assert "train_features" in refused.message
    assert robot.segmenter._bench.features.query("auto") is None
    train(place)
    found = click(robot, GREEN)
    assert found.object.gaussian_count == BLOB_COUNT
    robot.wait(lambda: robot.fact("features") == str(place[1]))
    assert "no level 'deep'" in click(robot, GREEN, level="deep").message
    assert "no method 'magic'" in click(robot, GREEN, method="magic").message


def test_features_of_another_map_are_refused_with_both_hashes(robot, place):
    save_features(place[1], blob_features(), "abc")
    refused = click(robot, GREEN, method="features")
    assert "abc" in refused.message
    assert map_sha256(place[0]) in refused.message
    assert robot.segmenter._bench.features.query("auto") is None


def test_everything_becomes_objects_that_leave_others_alone(robot, place):
    train(place)
    red = click(robot, RED_TOP, method="features").object.id
    found = []

    def work(bench):
        found.extend(
            everything_by_features(
                bench, level="fine", min_gaussians=50, min_score=0.0, replace=False
            )
        )

    robot.segmenter.submit("everything", work)
    robot.wait(lambda: len(robot.heard["objects"][-1].objects) == 3)
    counts = {o.id: o.gaussian_count for o in robot.heard["objects"][-1].objects}
    assert counts[red] == BLOB_COUNT
    assert sum(counts[i] for i in found) == BLOB_COUNT
    assert torch.tensor(list(counts.values())).min() > BLOB_COUNT / 4


def test_features_are_rendered(robot, place):
    camera = blob_camera()
    request = {
        "camera_info": msg_from_camera(camera, Header(frame_id="optical")),
        "pose": PoseStamped(header=Header(), pose=msg_from_pose(camera.T_world_camera)),
        "with_features": True,
    }
    assert "train_features" in robot.call(RenderView, "render_view", **request).message
    train(place)
    answer = robot.call(RenderView, "render_view", **request)
    assert answer.success, answer.message
    seen = image_from_msg(answer.features).astype(int)
    assert seen.shape == (120, 160, 3)
    left, right = seen[55:65, 30:60].mean((0, 1)), seen[55:65, 100:130].mean((0, 1))
    assert abs(left - right).max() > 60
