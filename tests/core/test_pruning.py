# SPDX-License-Identifier: Apache-2.0
"""What no view sees may go without any pixel changing; figures of what it costs."""

import math

import numpy as np
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.pruning import fidelity, seen, visibility
from ros2_clickgs.core.rendering import render
from tests.conftest import random_camera, random_gaussians


def test_pruned_random_maps_look_the_same_on_every_backend(backend):
    gaussians, cameras = random_gaussians(300), [random_camera(seed) for seed in (0, 1)]
    whole = make_rasterizer(gaussians, backend)
    keep = seen(whole, cameras)
    assert 0 < int(keep.sum()) < 300
    pruned = make_rasterizer(gaussians.select(keep), backend)
    views = [(camera, None) for camera in cameras]
    cost = fidelity(whole, pruned, views)
    assert cost.max_pixel_change <= 1 / 510
    assert math.isnan(cost.psnr_before)


def test_visibility_adds_up_over_views_and_bounds_every_pixel():
    whole = make_rasterizer(random_gaussians(100), "numba")
    cameras = [random_camera(seed) for seed in range(3)]
    alone = sum(visibility(whole, [camera]) for camera in cameras)
    torch.testing.assert_close(visibility(whole, cameras), alone)
    assert float(alone.sum()) <= 3 * cameras[0].width * cameras[0].height


def test_fidelity_is_infinite_for_equal_pictures_and_known_for_a_known_error():
    whole, camera = make_rasterizer(random_gaussians(50), "numba"), random_camera(0)
    picture = render(whole, camera).color.numpy()
    same = fidelity(whole, whole, [(camera, (picture * 255).round().astype(np.uint8))])
    assert same.psnr_between == math.inf
    assert same.max_pixel_change == 0
    assert same.psnr_before == same.psnr_after > 50


def test_a_higher_threshold_keeps_less():
    whole, cameras = make_rasterizer(random_gaussians(300), "numba"), [random_camera(0)]
    strict, loose = seen(whole, cameras, 5.0), seen(whole, cameras, 0.0)
    assert not (strict & ~loose).any()
    assert int(strict.sum()) < int(loose.sum())
