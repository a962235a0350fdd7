# SPDX-License-Identifier: Apache-2.0
"""What bad input gets: it is dropped, counted by reason, told in diagnostics; the node goes on."""

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped, Pose, PoseStamped
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.msg import ObjectMask, ObjectMaskArray
from ros2_clickgs.nodes.conversions.geometry import msg_from_camera, msg_from_nanoseconds
from ros2_clickgs.nodes.conversions.images import msg_from_image, msg_from_mono
from ros2_clickgs.srv import Refine, SegmentPixel, SegmentPoint
from tests.nodes.robot import Robot

pytestmark = pytest.mark.ros
HEADER = Header(stamp=msg_from_nanoseconds(1_000_000_000), frame_id="optical")


@pytest.fixture(scope="module")
def views(world):
    return load_views(world)


def survives(robot: Robot, views) -> None:
    """Fail unless the node still takes a good image."""
    before = int(robot.fact("keyframes"))
    robot.show(views[-1], 50_000_000_000)
    robot.wait(lambda: int(robot.fact("keyframes")) > before)


def test_image_of_another_size(robot: Robot, views):
    robot.show(views[0], 1_000_000_000)
    robot.send("image", msg_from_image(np.zeros((60, 80, 3), np.uint8), HEADER))
    robot.wait(lambda: robot.dropped("image: ShapeError") == 1)
    survives(robot, views)


def test_unknown_encoding(robot: Robot, views):
    msg = msg_from_image(np.zeros((120, 160, 3), np.uint8), HEADER)
    msg.encoding = "yuv422"
    robot.send("image", msg)
    robot.wait(lambda: robot.dropped("image: ClickGSError") == 1)
    survives(robot, views)


def test_broken_compressed_image(robot: Robot, views):
    robot.send(
        "image/compressed", CompressedImage(header=HEADER, format="jpeg", data=b"\xff\xd8x")
    )
    robot.wait(lambda: robot.dropped("compressed_image: ClickGSError") == 1)
    survives(robot, views)


def test_stamp_without_pose(robot: Robot, views):
    robot.show(views[0], 1_000_000_000, pose=False)
    robot.wait(lambda: robot.dropped("image: TransformError") == 1)
    told = robot.heard["diagnostics"]
    robot.wait(lambda: any("no pose has come yet" in d.status[0].message for d in told))
    assert {d.status[0].name for d in told} == {"/clickgs/segmenter"}
    survives(robot, views)


def test_image_before_its_camera_info(robot: Robot, views):
    robot.send("image", msg_from_image(np.zeros((120, 160, 3), np.uint8), HEADER))
    robot.wait(lambda: robot.dropped("image: NotFoundError") == 1)
    survives(robot, views)


def test_bad_poses(robot: Robot, views):
    no_rotation = Pose()
    no_rotation.orientation.w = 0.0
    robot.send("pose", PoseStamped(header=Header(frame_id="map"), pose=no_rotation))
    robot.send("pose", PoseStamped(header=Header(frame_id="odom")))
    robot.wait(lambda: robot.dropped("pose: TransformError") == 2)
    survives(robot, views)


def test_raw_distortion(robot: Robot, views):
    info = msg_from_camera(views[0].camera, HEADER)
    info.d = [0.1, 0.2, 0.0, 0.0, 0.0]
    robot.send("camera_info", info)
    robot.wait(lambda: robot.dropped("camera_info: ClickGSError") == 1)
    survives(robot, views)


def test_click_in_an_unknown_frame_and_one_into_nothing(robot: Robot, views):
    robot.send("/clicked_point", PointStamped(header=Header(frame_id="base_link")))
    robot.wait(lambda: robot.dropped("clicked_point: TransformError") == 1)
    far = PointStamped(header=Header(frame_id="map"), point=Point(x=1000.0))
    robot.send("/clicked_point", far)
    robot.wait(lambda: robot.dropped("clicked_point: ClickGSError") == 1)
    robot.send("image_mouse_left", Point(x=5.0, y=5.0))
    robot.wait(lambda: robot.dropped("image_mouse_left: NotFoundError") == 1)
    survives(robot, views)


def test_mask_of_another_size_or_object(robot: Robot, views):
    robot.show(views[0], 1_000_000_000)
    robot.wait(lambda: robot.fact("keyframes") == "1")
    robot.send("masks", ObjectMaskArray(header=HEADER, height=5, width=5))
    robot.wait(lambda: robot.dropped("masks: ShapeError") == 1)
    mask = ObjectMask(id=99, mask=msg_from_mono(np.ones((2, 2), np.uint8), Header()))
    robot.send("masks", ObjectMaskArray(header=HEADER, height=120, width=160, masks=[mask]))
    robot.wait(lambda: robot.dropped("masks: NotFoundError") == 1)
    survives(robot, views)


@pytest.mark.parametrize(
    ("kind", "name", "request_fields", "told"),
    [
        (SegmentPoint, "segment_point", {}, "no positive click"),
        (
            SegmentPoint,
            "segment_point",
            {"points": [PointStamped()], "object_id": 9},
            "no object 9",
        ),
        (
            SegmentPoint,
            "segment_point",
            {"points": [PointStamped()], "positive": [True, False]},
            "1 signs",
        ),
        (SegmentPoint, "segment_point", {"method": "features"}, "no method 'features'"),
        (SegmentPixel, "segment_pixel", {"pixels": [Point()]}, "no image of camera"),
        (SegmentPixel, "segment_pixel", {"pixels": [Point(x=float("nan"))]}, "not finite"),
        (Refine, "refine", {"object_id": 3}, "no object 3"),
        (Refine, "refine", {}, "segment_point makes new ones"),
    ],
)
def test_service_says_what_is_wrong(robot: Robot, kind, name, request_fields, told):
    answer = robot.call(kind, name, **request_fields)
    assert not answer.success
    assert told in answer.message
