# SPDX-License-Identifier: Apache-2.0
"""Poses at an image's stamp, the wait for them, and the views that are kept."""

import math

import numpy as np
import pytest
import torch
from std_msgs.msg import Header

from ros2_clickgs.config import KeyframesConfig
from ros2_clickgs.core.clicking import PosedImage
from ros2_clickgs.core.geometry import pose_from
from ros2_clickgs.errors import ClickGSError, NotFoundError, TransformError
from ros2_clickgs.nodes import cameras, waiting
from ros2_clickgs.nodes.cameras import CameraSource, PoseBuffer
from ros2_clickgs.nodes.conversions.geometry import Intrinsics, msg_from_nanoseconds
from ros2_clickgs.nodes.keyframes import Frame, Keyframes
from ros2_clickgs.nodes.waiting import WaitingRoom
from tests.nodes.conftest import make_cameras

MS = 1_000_000


def turned(angle: float, x: float):
    R = torch.eye(3, dtype=torch.float64)
    R[:2, :2] = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    return pose_from(R, torch.tensor([x, 0.0, 0.0]))


def buffer(*stamps_ms: int, max_age_s: float = 0.2) -> PoseBuffer:
    poses = PoseBuffer(max_age_s)
    for ms in stamps_ms:
        poses.add(ms * MS, turned(ms / 1000, ms / 1000))
    return poses


def test_pose_is_interpolated_between_neighbours():
    poses = buffer(0, 100, 200)
    for ms in (0, 30, 100, 150, 200):
        assert torch.allclose(poses.at("", ms * MS), turned(ms / 1000, ms / 1000), atol=1e-9)


def test_order_of_arrival_does_not_matter():
    assert torch.allclose(buffer(200, 0, 100).at("", 50 * MS), turned(0.05, 0.05), atol=1e-9)


def test_a_pose_after_the_stamp_makes_it_final():
    poses = buffer(0, 100)
    assert not buffer().is_final("", 0)
    assert poses.is_final("", 100 * MS)
    assert not poses.is_final("", 101 * MS)


def test_near_pose_is_used_and_a_far_one_is_not():
    poses = buffer(0)
    assert torch.equal(poses.at("", 150 * MS), turned(0, 0))
    with pytest.raises(TransformError, match=r"0\.300 s away \(max_pose_age_s = 0\.2\)"):
        poses.at("", 300 * MS)
    with pytest.raises(TransformError, match="no pose has come yet"):
        buffer().at("", 0)


def test_gap_is_not_bridged():
    poses = buffer(0, 1000)
    assert torch.equal(poses.at("", 100 * MS), turned(0, 0))
    with pytest.raises(TransformError):
        poses.at("", 500 * MS)


def test_repeated_stamp_takes_the_newer_pose():
    poses = buffer(100)
    poses.add(100 * MS, turned(1.0, 1.0))
    assert torch.allclose(poses.at("", 100 * MS), turned(1.0, 1.0), atol=1e-9)


def test_looping_bag_begins_anew():
    poses = buffer(10_000, 10_100, 0)
    assert torch.equal(poses.at("", 0), turned(0, 0))
    with pytest.raises(TransformError):
        poses.at("", 10_000 * MS)


@pytest.mark.parametrize("limit", [("KEPT_POSES", 3), ("KEPT_NS", 250 * MS)])
def test_memory_is_bounded_and_what_is_older_is_told(monkeypatch, limit):
    monkeypatch.setattr(cameras, *limit)
    poses = buffer(*range(0, 1000, 100))
    assert poses.at("", 700 * MS) is not None
    with pytest.raises(TransformError, match=r"0\.400 s older than the oldest of the poses kept"):
        poses.at("", 300 * MS)


def test_another_run_is_told_by_a_stamp_far_before_the_newest():
    poses = buffer(10_000, 10_100)
    poses.rewind(9_200 * MS)
    assert poses.is_final("", 10_050 * MS)
    poses.rewind(9_000 * MS)
    assert not poses.is_final("", 10_050 * MS)


def shared(*stamps_ms: int) -> PoseBuffer:
    poses = buffer(*stamps_ms)
    poses.frame_ids |= {"left", "right"}
    return poses


def test_of_poses_that_cameras_share_only_that_with_the_images_stamp_is_used():
    poses = shared(0, 100)
    assert torch.allclose(poses.at("left", 100 * MS), turned(0.1, 0.1))
    assert poses.is_final("left", 0)
    assert not poses.is_final("left", 50 * MS)
    with pytest.raises(TransformError, match=r"shared by the cameras left, right; list them"):
        poses.at("left", 50 * MS)


def test_of_two_shared_poses_with_one_stamp_none_is_used():
    poses = shared(100)
    poses.add(100 * MS, turned(0.1, 0.1))
    assert torch.allclose(poses.at("left", 100 * MS), turned(0.1, 0.1))
    poses.add(100 * MS, turned(1.0, 1.0))
    with pytest.raises(TransformError, match="or two have"):
        poses.at("left", 100 * MS)


INTRINSICS = Intrinsics(make_cameras()[0].K, 160, 120)


def header(ms: int, frame_id: str = "optical") -> Header:
    return Header(stamp=msg_from_nanoseconds(ms * MS), frame_id=frame_id)


def source(poses: PoseBuffer) -> CameraSource:
    found = CameraSource()
    found.set_camera("optical", INTRINSICS, poses)
    return found


def test_camera_is_found_by_frame():
    found = source(buffer(0))
    assert found.at(header(0)).width == 160
    assert found.at(header(0, "")).width == 160
    with pytest.raises(NotFoundError, match="camera_info for frame 'left'"):
        found.at(header(0, "left"))


def test_every_camera_has_its_intrinsics_and_its_poses():
    found = source(buffer(0))
    small = Intrinsics(make_cameras()[0].K, 80, 60)
    left = PoseBuffer(0.2)
    left.add(0, turned(1.0, 5.0))
    found.set_camera("left", small, left)
    assert (found.at(header(0)).width, found.at(header(0, "left")).width) == (160, 80)
    assert torch.allclose(found.at(header(0, "left")).T_world_camera, turned(1.0, 5.0))
    with pytest.raises(ClickGSError, match="another camera's already"):
        found.set_camera("left", small, buffer(0))


class Room:
    """A waiting room that remembers what it let go."""

    def __init__(self, poses: PoseBuffer, patience_s: float) -> None:
        self.ready, self.dropped = [], []
        self.room = WaitingRoom(source(poses), patience_s, self.take, self.drop)

    def take(self, what, camera):
        if what.content == "bad":
            raise ClickGSError("bad")
        self.ready.append(what.content)

    def drop(self, stream, error):
        self.dropped.append(str(error))


def test_image_waits_for_the_pose_after_it():
    poses = buffer(0)
    waits = Room(poses, 10.0)
    waits.room.add("image", header(50), "a")
    assert waits.ready == []
    poses.add(100 * MS, turned(0, 0))
    waits.room.release()
    assert waits.ready == ["a"]


def test_patience_ends_with_the_near_pose_or_a_drop():
    waits = Room(buffer(0), 0.0)
    waits.room.add("image", header(50), "a")
    waits.room.add("image", header(900), "b")
    assert waits.ready == ["a"]
    assert "s away" in waits.dropped[0]


def test_refused_image_is_dropped_and_others_go_on():
    waits = Room(buffer(0, 100), 0.0)
    waits.room.add("image", header(50), "bad")
    waits.room.add("image", header(60), "b")
    assert (waits.ready, waits.dropped) == (["b"], ["bad"])


def test_room_is_bounded(monkeypatch):
    monkeypatch.setattr(waiting, "CAPACITY", 2)
    waits = Room(buffer(0), 10.0)
    for ms in (10, 20, 30):
        waits.room.add("image", header(ms), str(ms))
    assert waits.dropped == ["waited for a pose behind too many"]


def frame(camera, stamp_ns=0, frame_id="optical") -> Frame:
    return Frame(PosedImage(camera, np.zeros((120, 160, 3), np.uint8)), frame_id, stamp_ns)


def test_alike_keyframe_is_replaced_by_the_newer():
    kept = Keyframes(KeyframesConfig())
    for stamp_ns, camera in enumerate(make_cameras() * 2):
        kept.add(frame(camera, stamp_ns))
    assert [f.stamp_ns for f in kept] == list(range(6, 12))


def test_keyframes_are_bounded():
    kept = Keyframes(KeyframesConfig(count=4))
    for stamp_ns, camera in enumerate(make_cameras()):
        kept.add(frame(camera, stamp_ns))
    assert [f.stamp_ns for f in kept] == [2, 3, 4, 5]


def test_keyframes_showing_a_point_are_spread_around_it():
    kept = Keyframes(KeyframesConfig())
    views = make_cameras(8)
    for stamp_ns, camera in enumerate(views):
        kept.add(frame(camera, stamp_ns))
    first, second, *_ = kept.showing(torch.zeros(3))
    assert abs(first.stamp_ns - second.stamp_ns) == 4
    assert (
        kept.showing(torch.tensor([50.0, 0.0, 0.0]))
        == []
        == Keyframes(KeyframesConfig()).showing(torch.zeros(3))
    )


def test_newest_image_of_a_camera():
    kept, (one, other, *_) = Keyframes(KeyframesConfig()), make_cameras()
    assert kept.newest() is None
    for stamp_ns, frame_id in enumerate(["left", "right"]):
        kept.add(frame(one, stamp_ns, frame_id))
    assert (kept.newest().frame_id, kept.newest("left").stamp_ns) == ("right", 0)
    assert kept.newest("rear") is None
    kept.add(frame(other, 2, "left"))
    assert kept.newest().stamp_ns == kept.newest("left").stamp_ns == 2


def test_when_time_begins_anew_views_stay_and_their_stamps_go():
    kept, views = Keyframes(KeyframesConfig()), make_cameras()
    for i, camera in enumerate(views[:3]):
        kept.add(frame(camera, 100_000 * MS + i * MS, "left"))
    kept.add(frame(views[0], 99_500 * MS, "right"))
    kept.add(frame(views[3], 5 * MS, "left"))
    assert [f.stamp_ns for f in kept] == [0, 0, 0, 0, 5 * MS]
    kept.add(frame(views[4], 6 * MS, "left"))
    assert [f.stamp_ns for f in kept] == [0, 0, 0, 0, 5 * MS, 6 * MS]
