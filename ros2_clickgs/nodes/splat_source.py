# SPDX-License-Identifier: Apache-2.0
"""The Gaussians of objects, asked of the segmenter's `~/splats` when they are needed."""

import queue
import time
from collections.abc import Callable, Iterable

import numpy as np
import torch
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.msg import SegmentedObject
from ros2_clickgs.nodes.conversions.clouds import points_from_msg
from ros2_clickgs.nodes.qos import LATCHED

TOPIC = "segmenter/splats"
LOOK_PERIOD_S = 0.1
"""How often it is looked whether somebody wants to leave while waiting."""


def fetch(
    node: Node,
    found: Iterable[SegmentedObject],
    patience_s: float,
    check: Callable[[], None] = lambda: None,
) -> dict[int, Gaussians]:
    """Return the Gaussians of objects, in the order of their clouds; blocks.

    The topic is subscribed to for this long only: whoever has a map publishes it for those who
    look. A map in which one of the objects is not what its message says is an older one.

    Args:
        node: spun by another thread.
        found: the objects.
        patience_s: how long to wait for a map with these objects.
        check: called while waiting; what it raises ends the wait.

    Raises:
        ClickGSError: no such map came.
    """
    came: queue.SimpleQueue[PointCloud2] = queue.SimpleQueue()
    subscription = node.create_subscription(
        PointCloud2, TOPIC, came.put, LATCHED, callback_group=ReentrantCallbackGroup()
    )
    try:
        return _first_match(came, list(found), time.monotonic() + patience_s, check)
    except queue.Empty:
        raise ClickGSError(
            f"no map with these objects came on {subscription.topic_name} within {patience_s:g} s;"
            " is the segmenter active, is its publish_splats true?"
        ) from None
    finally:
        node.destroy_subscription(subscription)


def _first_match(
    came: "queue.SimpleQueue[PointCloud2]",
    found: list[SegmentedObject],
    until_s: float,
    check: Callable[[], None],
) -> dict[int, Gaussians]:
    while True:
        check()
        try:
            splats = points_from_msg(came.get(timeout=LOOK_PERIOD_S))
        except queue.Empty:
            if time.monotonic() > until_s:
                raise
            continue
        parts = {msg.id: splats[splats["object_id"] == msg.id] for msg in found}
        if all(are_of(parts[msg.id], msg) for msg in found):
            return {object_id: gaussians_from_splats(part) for object_id, part in parts.items()}


def are_of(splats: np.ndarray, found: SegmentedObject) -> bool:
    """Return whether splats are an object's as its message has it, in the order of its cloud."""
    return are_same(splats, points_from_msg(found.cloud))


def points_are_same(a: SegmentedObject, b: SegmentedObject) -> bool:
    """Return whether two messages are about the same Gaussians at the same places."""
    return are_same(points_from_msg(a.cloud), points_from_msg(b.cloud))


def are_same(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two clouds have their points at the same places."""
    return len(a) == len(b) and all((a[axis] == b[axis]).all() for axis in "xyz")


def gaussians_from_splats(splats: np.ndarray) -> Gaussians:
    """Return Gaussians of the columns of `~/splats`; of the colour, what all directions share."""

    def columns(*names: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([splats[name] for name in names], -1))

    return Gaussians(
        means=columns("x", "y", "z"),
        quats=columns("rot_w", "rot_x", "rot_y", "rot_z"),
        scales=columns("scale_0", "scale_1", "scale_2"),
        opacities=columns("opacity")[:, 0],
        sh=columns("f_dc_0", "f_dc_1", "f_dc_2")[:, None],
    )
