# SPDX-License-Identifier: Apache-2.0
"""Where things stand: upright on the table, apart, but for the ones that are meant to touch.

A thing's footprint is the convex hull of its points seen from above, kept as a support function
h(d) = max <p, d>. Two footprints are apart when some direction separates them, so their things
cannot share any point in space.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from ros2_clickgs.scenes.room import TABLE_HEIGHT, TABLE_SIZE

DIRECTIONS = 720
ANGLES = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
AROUND = np.stack([np.cos(ANGLES), np.sin(ANGLES)], -1)
"""Unit vectors around the z axis."""
CLEARANCE_M = 0.015
"""What is left between two things that do not touch."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """The convex hull of a thing seen from above, at its place on the table."""

    reach_m: Float[np.ndarray, " A"]
    """Furthest extent from `center` along each direction of AROUND."""
    center: Float[np.ndarray, "2"]
    """Where the thing's origin stands, in the map's x and y."""
    yaw_step: int = 0
    """How far it is turned about z, in steps of AROUND."""

    def at(self, center: Float[np.ndarray, "2"], yaw_step: int | None = None) -> "Footprint":
        """Return the same footprint elsewhere, turned to another heading if one is given."""
        turn = 0 if yaw_step is None else yaw_step - self.yaw_step
        return Footprint(np.roll(self.reach_m, turn), np.asarray(center), self.yaw_step + turn)

    def pose(self) -> Float[np.ndarray, "4 4"]:
        """Return T_map_object of a thing that stands here."""
        c, s = AROUND[self.yaw_step % DIRECTIONS]
        T = np.eye(4)
        T[:2, :2] = [[c, -s], [s, c]]
        T[:3, 3] = [*self.center, TABLE_HEIGHT]
        return T


def footprint(points: Float[np.ndarray, "P 3"]) -> Footprint:
    """Return the footprint of a thing in its own frame."""
    return Footprint((points[:, :2] @ AROUND.T).max(0), np.zeros(2))


def gap_m(a: Footprint, b: Footprint) -> float:
    """Return a lower bound of the distance between two footprints; negative when they overlap."""
    apart = AROUND @ (b.center - a.center)
    return float((apart - a.reach_m - np.roll(b.reach_m, DIRECTIONS // 2)).max())


def is_on_table(a: Footprint, margin_m: float = 0.03) -> bool:
    """Return whether a footprint keeps a margin to the table's edges."""
    low, high = a.center - a.reach_m[[360, 540]], a.center + a.reach_m[[0, 180]]
    limit = np.array(TABLE_SIZE) / 2 - margin_m
    return bool((low > -limit).all() and (high < limit).all())


def free_spot(
    thing: Footprint, others: list[Footprint], rng: Generator, headings: tuple[int, int] = (0, 720)
) -> Footprint | None:
    """Return the footprint at a random place and heading where nothing else stands, if any."""
    for _ in range(2000):
        center = rng.uniform(-0.5, 0.5, 2) * TABLE_SIZE
        spot = thing.at(center, int(rng.integers(*headings)))
        if is_free(spot, others):
            return spot
    return None


def is_free(spot: Footprint, others: list[Footprint]) -> bool:
    """Return whether a footprint lies on the table and keeps its distance from all others."""
    return is_on_table(spot) and all(gap_m(spot, o) > CLEARANCE_M for o in others)


def beside(thing: Footprint, partner: Footprint, direction: int, gap: float = 0.0004) -> Footprint:
    """Return the footprint moved along a direction (step of AROUND) until `gap` m are left."""
    near, far = 0.0, 1.0
    for _ in range(40):
        middle = (near + far) / 2
        moved = thing.at(partner.center + middle * AROUND[direction % DIRECTIONS])
        near, far = (near, middle) if gap_m(moved, partner) > gap else (middle, far)
    return thing.at(partner.center + far * AROUND[direction % DIRECTIONS])
