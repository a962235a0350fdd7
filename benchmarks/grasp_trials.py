# SPDX-License-Identifier: Apache-2.0
"""Mugs at random places on built-in tables, and the judge of grasps by their handles."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.random import default_rng
from torch import Tensor

from examples.antipodal import Gripper, within
from ros2_clickgs.core.geometry import pose_from
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.scenes.placement import footprint, free_spot
from ros2_clickgs.scenes.posing import place_object, random_pose
from ros2_clickgs.scenes.room import TABLE_HEIGHT
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.tabletop import make_tabletop

SEEDS = 5
"""Tabletops, each with a mug of another shape, that the trials are spread over."""
JUDGE_COUNT = 400_000
"""Gaussians of the tabletops that grasps are judged on."""
TOUCH_M = 0.001
"""What a finger meets first lies no deeper than this."""
ON_HANDLE = 0.9
"""Share of what each finger touches that must be labelled handle."""
ROLL_DEG = 60.0
"""A lying mug's handle points up, up to so much to either side."""


@dataclass(frozen=True)
class Trial:
    """A mug somewhere on a table."""

    stance: str
    """`standing` or `lying`."""
    name: str
    scene: Scene
    """What the robot knows."""
    truth: Scene
    """The same surfaces, sampled anew and denser."""


def trials(standing: int, lying: int) -> Iterator[Trial]:
    """Yield mugs of several shapes at random free places, so many standing, so many lying."""
    for number in range(max(standing, lying)):
        seed = number % SEEDS
        scene, truth = tables(seed)
        mug = scene.object_id("mug")
        for stance, find, count in (
            ("standing", random_pose, standing),
            ("lying", lying_pose, lying),
        ):
            if number < count:
                pose = find(scene, mug, number)
                placed = (place_object(one, mug, pose) for one in (scene, truth))
                yield Trial(stance, f"{stance} {number} on table {seed}", *placed)


@functools.cache
def tables(seed: int) -> tuple[Scene, Scene]:
    """Return a tabletop as the robot and as the judge knows it."""
    return make_tabletop(seed), make_tabletop(seed, JUDGE_COUNT)


def lying_pose(scene: Scene, object_id: int, seed: int) -> Float[Tensor, "4 4"]:
    """Return T_map_object of a free place where the object lies on its side, handle upward."""
    rng = default_rng(seed)
    means, labels = scene.gaussians.means.double(), scene.object_labels
    upright = torch.linalg.inv(scene.object_poses[object_id])
    own = means[labels == object_id] @ upright[:3, :3].T + upright[:3, 3]
    roll = np.deg2rad(rng.uniform(-ROLL_DEG, ROLL_DEG))
    c, s = np.cos(roll), np.sin(roll)
    # a quarter turn about y lays the mug's axis along -x and its handle, which is at +x, upward
    laid = torch.tensor([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]], dtype=torch.float64)
    side = torch.tensor([[1.0, 0, 0], [0, c, -s], [0, s, c]], dtype=torch.float64) @ laid
    turned = own @ side.T
    turned[:, 2] -= turned[:, 2].min()
    others = [
        footprint(means[labels == other].numpy())
        for other in range(1, len(scene.object_names))
        if other != object_id
    ]
    spot = free_spot(footprint(turned.numpy()), others, rng)
    if spot is None:
        raise ClickGSError("no free place on the table; use another seed")
    lift = torch.tensor([0, 0, float(-(own @ side.T)[:, 2].min())])
    return torch.from_numpy(spot.pose()) @ pose_from(side, lift)


def faults(truth: Scene, pose: np.ndarray, opening: float, gripper: Gripper) -> list[str]:
    """Return what is wrong with a grasp of the mug by its handle; nothing, if it succeeds.

    Args:
        truth: the scene, densely sampled.
        pose: T_map_gripper [4, 4]; the fingers close along y, z is the approach.
        opening: between the fingers before they close, in m.
        gripper: its sizes.
    """
    near = np.linalg.norm(truth.gaussians.means.numpy() - pose[:3, 3], axis=1) < gripper.reach
    local = (truth.gaussians.means.numpy()[near] - pose[:3, 3]) @ pose[:3, :3]
    is_mug = (truth.object_labels[near] == truth.object_id("mug")).numpy()
    is_handle = (truth.part_labels[near] == truth.part_id("mug", "handle")).numpy()
    boxes = gripper.boxes(opening)
    between = np.array([boxes[1, 0], boxes[0, 1]])
    found = []
    corners = np.array(
        [[b[i, 0], b[j, 1], b[k, 2]] for b in boxes for i, j, k in np.ndindex(2, 2, 2)]
    )
    if (corners @ pose[:3, :3].T + pose[:3, 3])[:, 2].min() < TABLE_HEIGHT:
        found.append("in the table")
    if any(within(local[~is_mug], box, 0.0).any() for box in [*boxes, between]):
        found.append("hits another thing")
    if any(within(local[is_mug], box, 0.0).any() for box in boxes):
        found.append("hits the mug")
    inside = is_mug & within(local, between, 0.0) & (np.abs(local[:, 1]) <= opening / 2)
    y = local[inside, 1]
    if not len(y):
        return [*found, "closes on nothing"]
    for touched in (y <= y.min() + TOUCH_M, y >= y.max() - TOUCH_M):
        if is_handle[inside][touched].mean() < ON_HANDLE:
            found.append("a finger is not on the handle")
    return found
