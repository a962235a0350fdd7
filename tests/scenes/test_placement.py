# SPDX-License-Identifier: Apache-2.0
"""Footprints: support functions agree with points, free spots are free."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from ros2_clickgs.scenes.placement import beside, footprint, free_spot, gap_m, is_free


def blob(seed: int, size_m: float = 0.05) -> np.ndarray:
    return default_rng(seed).uniform(-size_m, size_m, (30, 3))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), x=st.floats(-0.3, 0.3), y=st.floats(-0.3, 0.3))
def test_gap_never_exceeds_the_distance_of_points(seed, x, y):
    a, b = blob(seed), blob(seed + 1)
    gap = gap_m(footprint(a), footprint(b).at((x, y)))
    apart = np.linalg.norm(a[:, None, :2] - b[:, :2] - (x, y), axis=-1)
    assert gap <= apart.min() + 1e-9


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), turn=st.integers(0, 719))
def test_a_turned_footprint_is_that_of_the_turned_points(seed, turn):
    spot = footprint(blob(seed)).at((0.1, -0.2), turn)
    T = spot.pose()
    moved = blob(seed) @ T[:3, :3].T + T[:3, 3]
    expected = footprint(moved - (0.1, -0.2, 0)).reach_m
    np.testing.assert_allclose(spot.reach_m, expected, atol=1e-9)


def test_beside_leaves_the_gap():
    a, b = footprint(blob(1)), footprint(blob(2))
    for direction in range(0, 720, 45):
        assert abs(gap_m(beside(a, b, direction, gap=0.01), b) - 0.01) < 1e-6


def test_a_free_spot_is_free_and_a_full_table_has_none():
    thing, rng = footprint(blob(1)), default_rng(0)
    others = [footprint(blob(i)).at((0.2 * i - 0.4, 0)) for i in range(5)]
    assert is_free(free_spot(thing, others, rng), others)
    assert free_spot(footprint(blob(1, size_m=0.6)), [], rng) is None
