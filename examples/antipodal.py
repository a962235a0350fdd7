# SPDX-License-Identifier: Apache-2.0
"""A small antipodal grasp planner on point clouds: numpy in, ranked grasps out, no ROS.

Fingers close along the gripper's y axis, it approaches along z; its origin is between the fingers
where they touch. What may be touched, and what must not be, comes as points.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

SEEDS = 48
"""Points of the region that a finger is tried on."""
APPROACHES = 12
"""Approach directions about each closing direction."""
PARTNER_M, FACING = 0.004, 0.8
"""A seed's partner: this near to the line through it, this cosine between its normal and it."""
CONTACT_M = 0.002
"""What a closed finger touches lies no deeper than this."""
ON_REGION, PRESSED = 0.7, 0.6
"""Of what a finger touches: the share on the region, the mean cosine between normal and press."""
MARGIN_M = 0.003
"""Distance from points that must not be touched."""
TOUCHING_M = 0.005
"""Points of the map this near to the object are its own border, whoever they belong to."""
RETREAT_M = 0.08
"""So far back the gripper comes from."""
APART_M, APART_COSINE = 0.01, 0.9
"""Grasps nearer and less turned than this count as one."""


@dataclass(frozen=True, slots=True)
class Gripper:
    """A parallel gripper, in m."""

    max_opening: float = 0.08
    finger_length: float = 0.045
    finger_width: float = 0.02
    finger_thickness: float = 0.01
    overreach: float = 0.01
    """How far the finger tips reach beyond the gripper's origin."""
    palm: tuple[float, float, float] = (0.06, 0.14, 0.07)
    """Across, along the closing direction, along the approach."""

    @property
    def reach(self) -> float:
        """How far from its origin the gripper, on its way, can touch something."""
        length = self.finger_length + self.palm[2] + RETREAT_M
        return float(np.hypot(length, self.palm[1])) + MARGIN_M

    def boxes(self, opening: float) -> np.ndarray:
        """Return lowest and highest corner [3 boxes, 2, 3] of both fingers and the palm."""
        x, y, back = self.finger_width / 2, opening / 2, self.overreach - self.finger_length
        outside, (px, py, pz) = y + self.finger_thickness, np.array(self.palm) / (2, 2, 1)
        return np.array([
            [[-x, y, back], [x, outside, self.overreach]],
            [[-x, -outside, back], [x, -y, self.overreach]],
            [[-px, -py, back - pz], [px, py, back]],
        ])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grasp:
    """Where the gripper closes."""

    pose: np.ndarray
    """T_map_gripper [4, 4], m."""
    opening: float
    """Before closing, in m."""
    width: float
    """Between the contacts, in m."""
    score: float
    """In [0, 1]."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be grasped, and what is around: points in the map frame, m."""

    points: np.ndarray
    """[P, 3] of the object."""
    normals: np.ndarray
    """[P, 3], outward."""
    scores: np.ndarray
    """[P]: how much each is of the region to be grasped, 0 outside it."""
    outward: np.ndarray
    """[3]: the region's z axis."""
    obstacles: np.ndarray
    """[Q, 3] of the rest of the map."""


def plan(target: Target, gripper: Gripper, at_most: int = 20, seed: int = 0) -> list[Grasp]:
    """Return collision-free antipodal grasps of the region, best first."""
    target = bordered(nearby(target, gripper.reach))
    tree = cKDTree(target.points)
    rows = np.flatnonzero(target.scores > 0)
    chance = target.scores[rows] / target.scores[rows].sum()
    seeds = np.random.default_rng(seed).choice(rows, min(SEEDS, len(rows)), False, chance)
    grasps = []
    for row in seeds:
        partner = opposite(target, tree, row, gripper.max_opening)
        if partner is not None:
            grasps += around(target, gripper, target.points[row], target.points[partner])
    return distinct(sorted(grasps, key=lambda grasp: -grasp.score), at_most)


def nearby(target: Target, reach: float) -> Target:
    """Return the target with only those obstacles that a gripper at the region can touch."""
    region = target.points[target.scores > 0]
    middle = region.mean(0)
    radius = reach + np.linalg.norm(region - middle, axis=1).max()
    is_near = np.linalg.norm(target.obstacles - middle, axis=1) < radius
    return replace(target, obstacles=target.obstacles[is_near])


def bordered(target: Target) -> Target:
    """Return the target with the map's points at the object's border counted as the object's."""
    near = cKDTree(target.points).query(target.obstacles)[0] < TOUCHING_M
    border = target.obstacles[near]
    return replace(
        target,
        points=np.concatenate([target.points, border]),
        normals=np.concatenate([target.normals, np.zeros_like(border)]),
        scores=np.concatenate([target.scores, np.zeros(len(border))]),
        obstacles=target.obstacles[~near],
    )


def opposite(target: Target, tree: cKDTree, row: int, reach: float) -> int | None:
    """Return the first point behind a point, on its normal's line, that faces the other way."""
    start, inward = target.points[row], -target.normals[row]
    near = np.array(tree.query_ball_point(start + inward * reach / 2, reach / 2 + PARTNER_M))
    depth = (target.points[near] - start) @ inward
    aside = np.linalg.norm(target.points[near] - start - depth[:, None] * inward, axis=1)
    faces = (target.normals[near] @ inward > FACING) & (aside < PARTNER_M) & (depth > PARTNER_M)
    return near[faces][depth[faces].argmin()] if faces.any() else None


def around(target: Target, gripper: Gripper, one: np.ndarray, other: np.ndarray) -> list[Grasp]:
    """Return the grasps between two contacts, from all sides, that collide with nothing."""
    center, y = (one + other) / 2, unit(other - one)
    target = nearby_all(target, center, gripper.reach)
    first = unit(np.cross(y, np.eye(3)[np.abs(y).argmin()]))
    grasps = []
    for angle in np.arange(APPROACHES) * (2 * np.pi / APPROACHES):
        z = np.cos(angle) * first + np.sin(angle) * np.cross(y, first)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = np.stack([np.cross(y, z), y, z], -1), center
        grasp = closed(target, gripper, pose)
        if grasp is not None and not hits(target, gripper, grasp):
            grasps.append(grasp)
    return grasps


def nearby_all(target: Target, center: np.ndarray, reach: float) -> Target:
    """Return what a gripper at a place can touch."""
    own, rest = (
        np.linalg.norm(points - center, axis=1) < reach
        for points in (target.points, target.obstacles)
    )
    return replace(
        target,
        points=target.points[own],
        normals=target.normals[own],
        scores=target.scores[own],
        obstacles=target.obstacles[rest],
    )


def closed(target: Target, gripper: Gripper, pose: np.ndarray) -> Grasp | None:
    """Return the grasp that closing at a pose makes, if both fingers press on the region."""
    local = (target.points - pose[:3, 3]) @ pose[:3, :3]
    widest = gripper.boxes(gripper.max_opening)
    inside = within(local, np.array([widest[1, 0], widest[0, 1]]), 0.0)
    inside &= np.abs(local[:, 1]) <= gripper.max_opening / 2
    if not inside.any():
        return None
    y, press = local[inside, 1], target.normals[inside] @ pose[:3, 1]
    scores, low, high = target.scores[inside], y.min(), y.max()
    opening = high - low + 4 * MARGIN_M
    quality = 1.0
    for touched, sign in ((y <= low + CONTACT_M, -1), (y >= high - CONTACT_M, 1)):
        pressed = sign * press[touched].mean()
        if (scores[touched] > 0).mean() < ON_REGION or pressed < PRESSED:
            return None
        quality *= pressed * scores[touched].mean()
    if opening > gripper.max_opening:
        return None
    centred = pose.copy()
    centred[:3, 3] += pose[:3, 1] * (low + high) / 2
    kindness = (3 - pose[:3, 2] @ target.outward - max(0.0, pose[2, 2])) / 4
    return Grasp(centred, opening, high - low, float(np.sqrt(quality) * kindness))


def hits(target: Target, gripper: Gripper, grasp: Grasp) -> bool:
    """Return whether the open gripper, its way there, or closing it would touch something."""
    boxes, (R, origin) = gripper.boxes(grasp.opening), (grasp.pose[:3, :3], grasp.pose[:3, 3])
    own, rest = (target.points - origin) @ R, (target.obstacles - origin) @ R
    sweep = np.array([boxes[1, 0], boxes[0, 1]])
    way = np.stack([boxes[:, 0] - (0, 0, RETREAT_M), boxes[:, 1]], 1)
    return any(within(own, box, MARGIN_M / 2).any() for box in boxes) or any(
        within(rest, box, MARGIN_M).any() for box in [sweep, *way]
    )


def within(points: np.ndarray, box: np.ndarray, margin: float) -> np.ndarray:
    """Return which points are in a box."""
    return ((points >= box[0] - margin) & (points <= box[1] + margin)).all(1)


def distinct(grasps: list[Grasp], at_most: int) -> list[Grasp]:
    """Return the best of each bunch of nearly equal grasps; a half turn makes no difference."""
    kept: list[Grasp] = []
    for grasp in grasps:
        if all(differ(grasp.pose, other.pose) for other in kept):
            kept.append(grasp)
        if len(kept) == at_most:
            break
    return kept


def differ(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two poses are different grasps."""
    is_near = np.linalg.norm(a[:3, 3] - b[:3, 3]) < APART_M
    axes = (a[:3, 2] @ b[:3, 2], abs(a[:3, 1] @ b[:3, 1]))
    return not (is_near and min(axes) > APART_COSINE)


def unit(vector: np.ndarray) -> np.ndarray:
    """Return a vector of length 1."""
    return vector / np.linalg.norm(vector)
