# SPDX-License-Identifier: Apache-2.0
"""Surfaces have the area and the outward side that geometry says."""

import numpy as np
import pytest
from numpy.random import default_rng

from ros2_clickgs.scenes.sampling import Samples, sample_part, shares, weight
from ros2_clickgs.scenes.shapes import Surface, box, revolve, smooth_curve, sweep
from ros2_clickgs.scenes.thing import Part

ARC = np.linspace(-np.pi / 2, np.pi / 2, 80)
SPHERE = revolve(np.stack([np.cos(ARC), np.sin(ARC)], -1), sides=160)
TUBE = sweep(np.outer(np.linspace(0, 5, 60), (1, 0, 0)), np.full((60, 2), 1.0))
CUBE = box((-1, -1, -1), (1, 1, 1))


def sampled(surfaces: list[Surface], count: int = 4000) -> Samples:
    return sample_part(Part("any", surfaces, lambda xyz, uv: xyz), count, default_rng(0))


@pytest.mark.parametrize(
    ("surfaces", "area"),
    [([SPHERE], 4 * np.pi), ([TUBE], 12 * np.pi), (CUBE, 24.0)],
    ids=["sphere", "tube", "cube"],
)
def test_area(surfaces, area):
    assert weight(Part("any", surfaces, lambda xyz, uv: xyz)) == pytest.approx(area, rel=0.02)


@pytest.mark.parametrize(
    ("surfaces", "middle"),
    [([SPHERE], (0, 0, 0)), ([TUBE], (2.5, 0, 0)), (CUBE, (0, 0, 0))],
    ids=["sphere", "tube", "cube"],
)
def test_normals_point_out_of_convex_bodies(surfaces, middle):
    samples = sampled(surfaces)
    assert (((samples.points - middle) * samples.normals).sum(1) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(samples.normals, axis=1), 1, atol=1e-9)


def test_a_profile_walked_down_faces_the_hollow():
    inside = sampled([revolve([(1, 1), (1, 0)])])
    assert ((inside.points * inside.normals)[:, :2].sum(1) < 0).all()


def test_samples_are_even():
    """No point of a sphere is far from a sample: the widest hole is near the ideal spacing."""
    samples = sampled([SPHERE], 2000)
    probes = default_rng(1).normal(size=(500, 3))
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    nearest = np.linalg.norm(probes[:, None] - samples.points, axis=-1).min(1)
    assert nearest.max() < 1.2 * samples.spacing_m[0]


def test_distance_to_sharp_borders():
    top = sampled([CUBE[5]])
    expected = 1 - np.abs(top.points[:, :2])
    np.testing.assert_allclose(top.edge_m, expected, atol=1e-9)
    assert np.isinf(sampled([SPHERE]).edge_m).all()


def test_a_smooth_curve_meets_its_knots():
    knots = np.array([(0, 0.0), (1, 2), (3, 2), (4, 0)])
    np.testing.assert_allclose(smooth_curve(knots, 31)[::10], knots, atol=1e-12)


@pytest.mark.parametrize("count", [0, 1, 7, 100_003])
def test_shares_add_up(count):
    assert sum(shares(count, [0.3, 1e-6, 2.0, 5.5])) == count
