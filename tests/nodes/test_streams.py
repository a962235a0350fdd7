# SPDX-License-Identifier: Apache-2.0
"""Masks from elsewhere that come late, twice, in any order; several cameras; time that jumps."""

import numpy as np
import pytest
import torch
from geometry_msgs.msg import Point, PoseStamped
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.clicking import rendered_image
from ros2_clickgs.core.geometry import project
from ros2_clickgs.core.types import Camera
from ros2_clickgs.core.votes import cast_votes
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.io.images import read_image
from ros2_clickgs.io.maps import load_map
from ros2_clickgs.msg import ObjectMaskArray
from ros2_clickgs.nodes import workbench
from ros2_clickgs.nodes.conversions.geometry import (
    msg_from_camera,
    msg_from_nanoseconds,
    msg_from_pose,
)
from ros2_clickgs.nodes.conversions.images import msg_from_image
from ros2_clickgs.nodes.conversions.masks import MaskOwner, msg_from_mask
from ros2_clickgs.srv import RemoveObject, SegmentPixel, SegmentPoint
from tests.nodes.conftest import BLUE_AT, RED_AT, SameColor
from tests.nodes.robot import Robot
from tests.nodes.test_segmenter import clicked, is_ball

pytestmark = pytest.mark.ros
S = 10**9
FIRST = S
STEP = S // 10


@pytest.fixture(scope="module")
def views(world):
    return load_views(world)


def red_in(image: np.ndarray) -> np.ndarray:
    """Return where an image of the world shows the red ball."""
    return (image[..., 0] > 100) & (image[..., 1] < 60)


def masks_of(view, stamp_ns, *owners: MaskOwner, frame_id="optical") -> ObjectMaskArray:
    """Return the red ball's mask in a view, for some objects."""
    red = red_in(read_image(view.image_path))
    header = Header(stamp=msg_from_nanoseconds(stamp_ns), frame_id=frame_id)
    masks = [msg_from_mask(red, owner) for owner in owners]
    return ObjectMaskArray(header=header, height=120, width=160, masks=masks)


CHERRY, NAMELESS = MaskOwner(0, "cherry", 1.0), MaskOwner(0, "", 1.0)


def told(robot: Robot, reason: str) -> bool:
    """Return whether diagnostics have told a reason."""
    robot.facts()
    return any(reason in d.status[0].message for d in robot.heard["diagnostics"])


def ballots(robot: Robot):
    return robot.segmenter._bench.objects.state.ballots


def kept(robot: Robot):
    return robot.segmenter._bench.keyframes


def test_late_masks_in_any_order_vote_with_the_poses_at_their_stamps(robot: Robot, views):
    robot.show_all(views)
    order = [3, 0, 4, 1]
    for i in order:
        robot.send("masks", masks_of(views[i], FIRST + i * STEP, CHERRY))
    robot.wait(lambda: ballots(robot) and len(ballots(robot)[1].view_points) == 4)
    cherry = ballots(robot)[1]
    for point, i in zip(cherry.view_points, order, strict=True):
        assert torch.allclose(point, views[i].camera.center, atol=1e-6)
    assert cherry.voted_at_ns == FIRST + 4 * STEP
    robot.wait(lambda: is_ball(robot.heard["objects"][-1].objects[0], RED_AT))


def test_masks_that_come_twice_vote_once(robot: Robot, views):
    robot.show_all(views[:2])
    both = masks_of(views[0], FIRST, CHERRY, NAMELESS)
    robot.send("masks", both)
    robot.wait(lambda: [b.revision for b in ballots(robot).values()] == [1, 1])
    before = {i: ballot.votes.votes_for.clone() for i, ballot in ballots(robot).items()}
    robot.send("masks", both)
    robot.send("masks", masks_of(views[0], FIRST, MaskOwner(1, "", 1.0)))
    repeated = "masks: has voted already (same stamp, camera and object)"
    robot.wait(lambda: robot.dropped(repeated) == 3)
    assert list(ballots(robot)) == [1, 2]
    for i, votes_for in before.items():
        assert torch.equal(ballots(robot)[i].votes.votes_for, votes_for)
    robot.send("masks", masks_of(views[1], FIRST + STEP, CHERRY, MaskOwner(1, "", 1.0)))
    robot.wait(lambda: robot.dropped(repeated) == 4)
    robot.wait(lambda: len(ballots(robot)[1].view_points) == 2)
    assert robot.call(RemoveObject, "remove_object", object_id=1).success
    robot.send("masks", both)
    robot.wait(lambda: list(ballots(robot)) == [2, 3])
    assert ballots(robot)[3].name == "cherry"


def test_masks_older_than_the_poses_and_of_unknown_cameras_are_dropped(robot: Robot, views):
    robot.show_all(views[:2], 100 * S)
    robot.send("masks", masks_of(views[0], 90 * S, CHERRY))
    robot.wait(lambda: robot.dropped("masks: TransformError") == 1)
    robot.wait(lambda: told(robot, "10.000 s older than the oldest of the poses kept"))
    robot.send("masks", masks_of(views[0], 100 * S, CHERRY, frame_id="rear"))
    robot.wait(lambda: robot.dropped("masks: NotFoundError") == 1)
    small = masks_of(views[0], 100 * S, CHERRY)
    small.height, small.width = 240, 320
    robot.send("masks", small)
    robot.wait(lambda: robot.dropped("masks: ShapeError") == 1)
    robot.wait(lambda: told(robot, "240x320"))
    assert not ballots(robot)


class Recorded(SameColor):
    """Remembers its last answer on every image."""

    def __init__(self):
        self.answers: dict[bytes, np.ndarray] = {}

    def set_image(self, image, depth=None):
        super().set_image(image, depth)
        self.image = image

    def predict(self, prompts):
        masks = super().predict(prompts)
        self.answers[self.image.tobytes()] = masks[-1].pixels
        return masks


def test_masks_on_the_topic_vote_as_those_of_the_own_segmenter_bit_for_bit(
    ros, world, tmp_path, monkeypatch, views
):
    """Any promptable segmenter fits: inside through the Protocol, outside through `masks`."""
    recorded = Recorded()
    monkeypatch.setattr(workbench, "make_segmenter", lambda *_: recorded)
    folders = {"map_path": str(world / "map.ply"), "session_dir": str(tmp_path)}
    with Robot(**folders, **{"keyframes.rendered_views": 0}) as robot:
        robot.show_all(views)
        at = {"points": [clicked((0.0, 0.0, 0.12))], "settle": True}
        robot.call(SegmentPoint, "segment_point", name="own", **at)
        own = ballots(robot)[1]
        by_center = {f.posed.camera.center.numpy().tobytes(): f for f in kept(robot)}
        voters = [by_center[point.numpy().tobytes()] for point in own.view_points]
        assert len(voters) > 2
        for frame in voters:
            mask = recorded.answers[frame.posed.image.tobytes()]
            stamp = msg_from_nanoseconds(frame.stamp_ns)
            msg = ObjectMaskArray(header=Header(stamp=stamp, frame_id="optical"))
            msg.height, msg.width = mask.shape
            msg.masks = [msg_from_mask(mask, CHERRY)]
            robot.send("masks", msg)
        robot.wait(
            lambda: 2 in ballots(robot) and len(ballots(robot)[2].view_points) == len(voters)
        )
        given = ballots(robot)[2]
        assert torch.equal(given.votes.votes_for, own.votes.votes_for)
        assert torch.equal(given.votes.votes_against, own.votes.votes_against)
        assert torch.equal(given.view_points, own.view_points)


def halved(camera: Camera) -> Camera:
    """Return the same view at half the size."""
    K = camera.K.clone()
    K[:2] /= 2
    return Camera(K=K, T_world_camera=camera.T_world_camera, width=80, height=60)


def show(robot: Robot, name: str, camera: Camera, image: np.ndarray, stamp_ns: int) -> None:
    """Publish an image of the camera with a namespace, and its pose."""
    header = Header(stamp=msg_from_nanoseconds(stamp_ns), frame_id=name or "optical")
    in_map = Header(stamp=header.stamp, frame_id="map")
    prefix = f"{name}/" if name else ""
    robot.send(f"{prefix}camera_info", msg_from_camera(camera, header))
    pose = msg_from_pose(camera.T_world_camera)
    robot.send(f"{prefix}pose", PoseStamped(header=in_map, pose=pose))
    robot.send(f"{prefix}image", msg_from_image(image, header))


@pytest.fixture
def two_cameras(ros, world, tmp_path, monkeypatch):
    """A robot with a camera `front` of 160x120 px and a camera `rear` of 80x60 px."""
    monkeypatch.setattr(workbench, "make_segmenter", lambda *_: SameColor())
    parameters = {"session_dir": str(tmp_path), "cameras": ["front", "rear"]}
    with Robot(map_path=str(world / "map.ply"), listens=False, **parameters) as robot:
        for name in ("front", "rear"):
            for topic, kind in (("image", Image), ("camera_info", CameraInfo)):
                robot.add_input(f"{name}/{topic}", kind)
            robot.add_input(f"{name}/pose", PoseStamped)
        robot.add_input("rear/image_mouse_left", Point)
        robot.add_input("masks", ObjectMaskArray)
        yield robot


def test_two_cameras_at_once_with_their_own_intrinsics_and_poses(two_cameras, world, views):
    robot, rasterizer = two_cameras, make_rasterizer(load_map(world / "map.ply"), "numba")
    front, rear = views[0].camera, halved(views[3].camera)
    seen_rear = rendered_image(rasterizer, rear).image
    show(robot, "front", front, read_image(views[0].image_path), FIRST)
    show(robot, "rear", rear, seen_rear, FIRST)
    robot.wait(lambda: robot.fact("keyframes") == "2")
    cameras = {f.frame_id: f.posed.camera for f in kept(robot)}
    assert torch.allclose(cameras["front"].T_world_camera, front.T_world_camera, atol=1e-6)
    assert torch.allclose(cameras["rear"].K, rear.K)
    assert robot.fact("received rear/image") == "1"

    u, v, _ = project(rear, torch.tensor([BLUE_AT]))[0].tolist()
    robot.send("rear/image_mouse_left", Point(x=u, y=v))
    robot.wait(lambda: robot.heard["objects"] and robot.heard["objects"][-1].objects)
    robot.wait(lambda: is_ball(robot.heard["objects"][-1].objects[0], BLUE_AT))

    red = red_in(seen_rear)
    header = Header(stamp=msg_from_nanoseconds(FIRST), frame_id="rear")
    masks = [msg_from_mask(red, CHERRY)]
    robot.send("masks", ObjectMaskArray(header=header, height=60, width=80, masks=masks))
    robot.wait(lambda: 2 in ballots(robot) and len(ballots(robot)[2].view_points))
    truth = cast_votes(rasterizer, rear, torch.from_numpy(red.astype(np.int32)), 1)
    assert torch.allclose(ballots(robot)[2].votes.votes_for, truth.votes_for, atol=1e-3)

    newest = robot.call(
        SegmentPixel,
        "segment_pixel",
        header=Header(frame_id="front"),
        pixels=[Point(x=80.0, y=60.0)],
    )
    assert newest.success, newest.message


def test_two_cameras_on_the_same_topics_need_poses_with_the_images_stamps(robot: Robot, views):
    front, rear = views[0], views[3]
    robot.show_all([front])
    header = Header(stamp=msg_from_nanoseconds(FIRST + STEP), frame_id="rear")
    robot.send("camera_info", msg_from_camera(rear.camera, header))
    robot.send_pose(rear, FIRST + STEP)
    robot.send("image", msg_from_image(read_image(rear.image_path), header))
    robot.wait(lambda: robot.fact("keyframes") == "2")
    cameras = {f.frame_id: f.posed.camera for f in kept(robot)}
    assert torch.allclose(cameras["rear"].center, rear.camera.center, atol=1e-6)
    robot.show(front, FIRST + STEP + STEP // 2, pose=False)
    robot.wait(lambda: robot.dropped("image: TransformError") == 1)
    robot.wait(lambda: told(robot, "list them in the parameter `cameras`"))


def test_after_a_bag_loops_the_first_image_counts(robot: Robot, views):
    robot.show_all(views[:3], 100 * S)
    assert robot.fact("clock jumps") == "0"
    robot.show(views[3], FIRST)
    robot.wait(lambda: robot.fact("keyframes") == "4")
    assert robot.fact("clock jumps") == "1"
    stamps = [frame.stamp_ns for frame in kept(robot)]
    assert stamps == [0, 0, 0, FIRST]
    robot.send("masks", masks_of(views[3], FIRST, CHERRY))
    robot.wait(lambda: ballots(robot) and ballots(robot)[1].voted_at_ns == FIRST)
    robot.show(views[0], FIRST + STEP)
    robot.wait(lambda: len(kept(robot)) == 4)
    robot.wait(lambda: kept(robot).newest().stamp_ns == FIRST + STEP)
    assert not any(key.startswith("dropped image") for key in robot.facts())


def test_a_simulation_that_is_reset_is_told_by_the_clock(ros, world, tmp_path, monkeypatch, views):
    monkeypatch.setattr(workbench, "make_segmenter", lambda *_: SameColor())
    parameters = {"map_path": str(world / "map.ply"), "session_dir": str(tmp_path)}
    with Robot(use_sim_time=True, **parameters) as robot:
        robot.add_input("/clock", Clock)
        now = robot.segmenter.get_clock().now

        def tick(stamp_ns):
            robot.send("/clock", Clock(clock=msg_from_nanoseconds(stamp_ns)))
            robot.wait(lambda: now().nanoseconds == stamp_ns)

        robot.wait(lambda: robot.heard["diagnostics"])  # also while the clock stands still
        tick(100 * S)
        robot.show_all(views[:2], 100 * S)
        robot.send("masks", masks_of(views[0], 100 * S, CHERRY))
        robot.wait(lambda: ballots(robot))
        tick(2 * S)
        robot.wait(lambda: robot.fact("clock jumps") == "1")
        robot.heard["diagnostics"].clear()
        robot.wait(lambda: robot.heard["diagnostics"])
        assert robot.heard["diagnostics"][-1].header.stamp.sec == 2
        robot.show(views[2], 2 * S)
        robot.wait(lambda: robot.fact("keyframes") == "3")
        robot.wait(lambda: robot.fact("clock jumps") == "1")
        found = robot.call(SegmentPoint, "segment_point", points=[clicked((0.3, 0.1, 0.12))])
        assert found.success, found.message
        assert found.object.header.stamp.sec == 2
        robot.wait(lambda: len(robot.heard["objects"][-1].objects) == 2)
        assert robot.heard["objects"][-1].objects[0].header.stamp.sec <= 2
        robot.segmenter.set_parameters([Parameter("use_sim_time", value=False)])
        assert now().nanoseconds > 10**18
