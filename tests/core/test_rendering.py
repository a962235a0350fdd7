# SPDX-License-Identifier: Apache-2.0
import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.harmonics import colors, harmonic_basis, rgb_from_sh, sh_from_rgb
from ros2_clickgs.core.rendering import render, render_labels
from tests.conftest import random_camera, random_gaussians
from tests.core.blobs import BLOB_COUNT, blob_camera, blob_map


def test_harmonics_are_orthonormal_on_the_sphere():
    g = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(400_000, 3, generator=g), dim=-1)
    basis = harmonic_basis(directions, 16)
    gram = basis.T @ basis / len(directions) * 4 * math.pi
    assert torch.allclose(gram, torch.eye(16), atol=0.03)


def test_dc_colour_looks_the_same_from_everywhere():
    rgb = torch.rand(5, 3)
    assert torch.allclose(rgb_from_sh(sh_from_rgb(rgb)), rgb, atol=1e-6)
    assert torch.allclose(harmonic_basis(torch.eye(3), 1)[:, 0], torch.full((3,), 0.2820948))


def test_colours_are_never_negative():
    gaussians = random_gaussians(50)
    assert (colors(gaussians, random_camera()) >= 0).all()


def test_depth_is_that_of_the_surface():
    rasterizer, camera = make_rasterizer(blob_map(), "numba"), blob_camera()
    rendering = render(rasterizer, camera)
    solid = rendering.alpha > 0.99
    assert solid.any()
    assert (rendering.depth[rendering.alpha < 0.5] == 0).all()
    assert ((rendering.depth[solid] > 1.0) & (rendering.depth[solid] < 1.4)).all()
    red = rendering.color[solid].argmax(-1) == 0
    assert 0.3 < red.float().mean() < 0.7


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 100))
def test_labels_are_rendered_where_objects_cover_most(seed):
    rasterizer, camera = make_rasterizer(random_gaussians(200, seed), "numba"), random_camera(seed)
    labels = torch.randint(-1, 4, (200,), dtype=torch.int32)
    image = render_labels(rasterizer, camera, labels)
    cover = rasterizer.splat(camera, (labels > 0)[:, None].float())[..., 0]
    assert torch.equal(image > 0, cover >= 0.5)


def test_blobs_keep_their_labels():
    rasterizer, camera = make_rasterizer(blob_map(), "numba"), blob_camera()
    labels = torch.where(torch.arange(2 * BLOB_COUNT) < BLOB_COUNT, 7, 9)
    image = render_labels(rasterizer, camera, labels)
    assert set(image.unique().tolist()) == {0, 7, 9}
    assert (image[:, :80] != 9).all()
    assert not (render_labels(rasterizer, camera, torch.zeros(2 * BLOB_COUNT).int()) > 0).any()
