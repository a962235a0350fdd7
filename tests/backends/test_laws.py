# SPDX-License-Identifier: Apache-2.0
"""The laws that make W and its transpose one matrix, on random scenes, for every backend."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.types import IGNORE, Gaussians
from tests.conftest import random_camera, random_gaussians

LAWS = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SEEDS = st.integers(0, 10_000)
SIZES = st.integers(1, 300)


def scene(backend, seed, count, **camera):
    return make_rasterizer(random_gaussians(count, seed), backend), random_camera(seed, **camera)


def noise(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def close(a, b, tolerance=1e-4):
    a, b = a.cpu().double(), b.cpu().double()
    assert (a - b).norm() <= tolerance * max(float(b.norm()), 1e-6)


@LAWS
@given(seed=SEEDS, count=SIZES, channels=st.sampled_from([1, 3, 33]))
def test_backproject_is_the_adjoint_of_splat(backend, seed, count, channels):
    rasterizer, camera = scene(backend, seed, count)
    values, image = (
        noise(seed, count, channels),
        noise(seed + 1, camera.height, camera.width, channels),
    )
    left = (rasterizer.splat(camera, values).cpu().double() * image).sum()
    right = (values * rasterizer.backproject(camera, image).cpu().double()).sum()
    assert abs(left - right) <= 1e-4 * max(abs(float(right)), 1e-6)


@LAWS
@given(seed=SEEDS, count=SIZES)
def test_votes_over_a_partition_sum_to_visibility(backend, seed, count):
    rasterizer, camera = scene(backend, seed, count)
    labels = torch.randint(0, 5, (camera.height, camera.width))
    visibility = rasterizer.backproject(camera, torch.ones(camera.height, camera.width, 1))[:, 0]
    close(rasterizer.vote(camera, labels, 5).sum(1), visibility)


@LAWS
@given(seed=SEEDS, count=SIZES)
def test_vote_is_backproject_of_one_hot(backend, seed, count):
    rasterizer, camera = scene(backend, seed, count)
    labels = torch.randint(IGNORE, 4, (camera.height, camera.width))
    one_hot = (labels[..., None] == torch.arange(4)).float()
    close(rasterizer.vote(camera, labels, 4), rasterizer.backproject(camera, one_hot))


@LAWS
@given(seed=SEEDS, count=SIZES)
def test_backproject_is_linear(backend, seed, count):
    rasterizer, camera = scene(backend, seed, count)
    a, b = (
        noise(seed, camera.height, camera.width, 2),
        noise(seed + 1, camera.height, camera.width, 2),
    )
    together = rasterizer.backproject(camera, 2 * a - 3 * b)
    apart = 2 * rasterizer.backproject(camera, a) - 3 * rasterizer.backproject(camera, b)
    close(together, apart)


@LAWS
@given(seed=SEEDS, count=SIZES)
def test_permuting_gaussians_permutes_votes(backend, seed, count):
    gaussians, camera = random_gaussians(count, seed), random_camera(seed)
    shuffled = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    image = noise(seed, camera.height, camera.width, 1)
    straight = make_rasterizer(gaussians, backend).backproject(camera, image)
    permuted = make_rasterizer(gaussians.select(shuffled), backend).backproject(camera, image)
    close(permuted, straight[shuffled])


@LAWS
@given(seed=SEEDS, count=SIZES)
def test_a_pixel_is_covered_at_most_once(backend, seed, count):
    rasterizer, camera = scene(backend, seed, count)
    alpha = rasterizer.splat(camera, torch.ones(count, 1))
    assert alpha.min() >= 0
    assert alpha.max() <= 1 + 1e-5


@LAWS
@given(seed=SEEDS, count=SIZES)
def test_weights_are_the_rows_of_splat(backend, seed, count):
    rasterizer, camera = scene(backend, seed, count)
    values = noise(seed, count, 3)
    everywhere = rasterizer.weights(camera)
    image = rasterizer.splat(camera, values).cpu()
    close(everywhere.splat(values.to(everywhere.weights)).cpu(), image.flatten(0, 1))
    pixels = torch.stack(
        [torch.randint(0, camera.width, (20,)), torch.randint(0, camera.height, (20,))], -1
    )
    some = rasterizer.weights(camera, torch.cat([pixels, pixels[:3]]))
    expected = image[pixels[:, 1], pixels[:, 0]]
    close(some.splat(values.to(some.weights)).cpu(), torch.cat([expected, expected[:3]]))


@LAWS
@given(seed=SEEDS, count=SIZES)
def test_weights_backproject_like_the_image(backend, seed, count):
    rasterizer, camera = scene(backend, seed, count)
    image = noise(seed, camera.height, camera.width, 2)
    rows = rasterizer.weights(camera)
    flat = image.flatten(0, 1).to(rows.weights)
    close(rows.backproject(flat), rasterizer.backproject(camera, image))


@LAWS
@given(seed=SEEDS, count=st.integers(0, 300), width=st.integers(1, 40), height=st.integers(1, 40))
def test_every_backend_agrees_with_the_reference(backend, seed, count, width, height):
    rasterizer, camera = scene(backend, seed, count, width=width, height=height)
    slow, _ = scene("reference", seed, count)
    labels = torch.randint(IGNORE, 4, (height, width))
    close(rasterizer.vote(camera, labels, 4), slow.vote(camera, labels, 4))
    values = noise(seed, count, 3)
    close(rasterizer.splat(camera, values), slow.splat(camera, values), 1e-3)


def test_what_stands_behind_an_opaque_gaussian_gets_nothing(backend):
    wall = Gaussians(
        means=torch.tensor([[0.0, 0, 1], [0, 0, 1.01], [0, 0, 2]]),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(3, 1),
        scales=torch.tensor([[9.0, 9, 0.001], [9, 9, 0.001], [0.1, 0.1, 0.1]]),
        opacities=torch.tensor([1.0, 1, 1]),
        sh=torch.zeros(3, 1, 3),
    )
    camera = random_camera()
    front = type(camera)(K=camera.K, T_world_camera=torch.eye(4), width=70, height=50)
    votes = make_rasterizer(wall, backend).backproject(front, torch.ones(50, 70, 1))[:, 0]
    assert votes[0] > 0.99 * 50 * 70
    assert votes[2] == 0


@pytest.mark.parametrize("seed", range(3))
def test_an_empty_map_paints_nothing(backend, seed):
    rasterizer, camera = scene(backend, seed, 0)
    assert rasterizer.splat(camera, torch.zeros(0, 3)).abs().sum() == 0
    assert rasterizer.vote(camera, torch.zeros(50, 70, dtype=torch.int32), 2).shape == (0, 2)
    assert len(rasterizer.weights(camera).weights) == 0
