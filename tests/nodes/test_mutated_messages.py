# SPDX-License-Identifier: Apache-2.0
"""A thousand messages with fields turned to nonsense: none crashes or hangs the node."""

import math
import random
import time
from array import array
from typing import Any

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped, PoseStamped
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.io.images import read_image
from ros2_clickgs.msg import Click, ObjectMask, ObjectMaskArray
from ros2_clickgs.nodes.conversions.geometry import (
    msg_from_camera,
    msg_from_nanoseconds,
    msg_from_pose,
)
from ros2_clickgs.nodes.conversions.images import msg_from_image, msg_from_mono
from ros2_clickgs.srv import EditObject, ExportMap, Refine, RenderView, SegmentPixel, SegmentPoint
from tests.nodes.robot import Robot

pytestmark = [pytest.mark.ros, pytest.mark.slow]
COUNT = 1000
HEADER = Header(stamp=msg_from_nanoseconds(1_000_000_000), frame_id="optical")
IN_MAP = Header(stamp=msg_from_nanoseconds(1_000_000_000), frame_id="map")
FLOATS = (math.nan, math.inf, -math.inf, 0.0, -1.0, 1e-300, 1e6, 1e30, 1e300)
INTEGERS = (0, 1, -1, 255, 256, 65535, 1 << 31, (1 << 31) - 1, (1 << 32) - 1)
TEXTS = ("", "map", "optical", "rgb8", "mono8", "16UC1", "../x", "ä" * 300, "features")


def samples(world) -> dict[str, Any]:
    """Return a good message per input."""
    view = load_views(world)[0]
    image = read_image(view.image_path)
    encoded = cv2.imencode(".jpg", image)[1].tobytes()
    mask = ObjectMask(name="x", mask=msg_from_mono(np.full((20, 20), 255, np.uint8), HEADER))
    return {
        "image": msg_from_image(image, HEADER),
        "image/compressed": CompressedImage(header=HEADER, format="jpeg", data=encoded),
        "camera_info": msg_from_camera(view.camera, HEADER),
        "pose": PoseStamped(header=IN_MAP, pose=msg_from_pose(view.camera.T_world_camera)),
        "masks": ObjectMaskArray(header=HEADER, height=120, width=160, masks=[mask]),
        "/clicked_point": PointStamped(header=IN_MAP, point=Point(z=0.12)),
        "image_mouse_left": Point(x=80.0, y=60.0),
    }


def mutated(msg: Any, rng: random.Random) -> Any:
    """Return a copy of a message with one field, however deep, turned to something else."""
    copy = type(msg)(**{slot: getattr(msg, slot) for slot in msg.get_fields_and_field_types()})
    name = rng.choice(list(msg.get_fields_and_field_types()))
    try:
        setattr(copy, name, other(getattr(msg, name), rng))
        serialize_message(copy)
    except (AssertionError, OverflowError, SystemError, TypeError, ValueError):
        return mutated(msg, rng)  # no publisher can send that
    return copy


def other(value: Any, rng: random.Random) -> Any:
    """Return something else of the same type."""
    if hasattr(value, "get_fields_and_field_types"):
        return mutated(value, rng)
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return rng.choice(FLOATS)
    if isinstance(value, int):
        return rng.choice(INTEGERS)
    if isinstance(value, str):
        return rng.choice(TEXTS)
    if isinstance(value, array) and value.typecode == "B":
        return damaged(value, rng)
    items = list(value)
    if not items:
        return items
    index = rng.randrange(len(items))
    changed = [*items[:index], other(items[index], rng), *items[index + 1 :]]
    return rng.choice([changed, changed, items[:index], items * 2])


def damaged(data: array, rng: random.Random) -> array:
    """Return bytes cut, extended, or with some of them changed."""
    copy = array("B", data)
    for _ in range(rng.choice([0, 1, 20])):
        copy[rng.randrange(len(copy))] = rng.randrange(256)
    return rng.choice([copy, copy[: rng.randrange(len(copy))], copy + copy[:7]])


def test_mutated_messages(robot: Robot, world):
    rng = random.Random(0)
    good = samples(world)
    names = [n for n in good for _ in range(1 if "click" in n or "mouse" in n else 6)]
    for _ in range(COUNT):
        name = rng.choice(names)
        send_and_wait(robot, name, mutated(good[name], rng))
        if rng.random() < 0.2:
            send_and_wait(robot, "camera_info", good["camera_info"])
            send_and_wait(robot, "pose", good["pose"])
            send_and_wait(robot, "image", good["image"])
    robot.wait(lambda: robot.fact("queue") == "0", patience_s=120)
    assert sum(int(v) for k, v in robot.facts().items() if k.startswith("dropped")) > COUNT / 4
    answer = robot.call(SegmentPoint, "segment_point", points=[good["/clicked_point"]])
    assert answer.success, answer.message


def test_mutated_requests(robot: Robot, world):
    rng = random.Random(1)
    good = samples(world)
    info, pose = good["camera_info"], good["pose"]
    click = Click(header=IN_MAP, position=Point(z=0.12))
    requests = {
        "segment_point": SegmentPoint.Request(points=[good["/clicked_point"]], positive=[True]),
        "segment_pixel": SegmentPixel.Request(
            pixels=[Point(x=80.0, y=60.0)], view_camera=info, view_pose=pose
        ),
        "refine": Refine.Request(object_id=1, clicks=[click]),
        "render_view": RenderView.Request(pose=pose, camera_info=info, with_depth=True),
        "export_map": ExportMap.Request(path="a.ply"),
        "edit_object": EditObject.Request(operation="extract", object_id=1),
    }
    kinds = {
        "segment_point": SegmentPoint,
        "segment_pixel": SegmentPixel,
        "refine": Refine,
        "render_view": RenderView,
        "export_map": ExportMap,
        "edit_object": EditObject,
    }
    for i in range(120):
        name = rng.choice(list(requests))
        request = mutated(requests[name], rng)
        fields = {slot: getattr(request, slot) for slot in request.get_fields_and_field_types()}
        answer = robot.call(kinds[name], name, **fields)
        assert answer.success or answer.message, i


def send_and_wait(robot: Robot, name: str, msg: Any) -> None:
    """Send a message and give the node the time to take it: inputs keep the newest only."""
    stream = name.strip("/").replace("image/compressed", "compressed_image")
    received = robot.segmenter.diagnostics._received
    before, until = received[stream], time.monotonic() + 0.5
    robot.send(name, msg)
    while received[stream] == before and time.monotonic() < until:
        assert robot.error is None, robot.error
        time.sleep(0.0005)
