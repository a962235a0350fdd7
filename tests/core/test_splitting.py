# SPDX-License-Identifier: Apache-2.0
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.geometry import covariances
from ros2_clickgs.core.splitting import clean_cut, halves
from tests.conftest import random_camera, random_gaussians
from tests.core.blobs import BLOB_COUNT, blob_map


def test_two_halves_together_have_mean_and_spread_of_the_whole():
    whole = random_gaussians(50).to("cpu")
    low, high = halves(whole)
    assert torch.allclose((low.means + high.means) / 2, whole.means, atol=1e-6)
    offsets = low.means - whole.means
    spread = covariances(low) + offsets[:, :, None] * offsets[:, None, :]
    assert torch.allclose(spread, covariances(whole), atol=1e-6)


def test_halves_cover_as_much_as_the_whole():
    whole, camera = random_gaussians(1, scale_m=0.3), random_camera()
    pictures = [
        make_rasterizer(part, "numba").splat(camera, torch.ones(1, 1))
        for part in (whole, *halves(whole))
    ]
    assert pictures[0].sum() > 0
    assert abs((pictures[1] + pictures[2]).sum() / pictures[0].sum() - 1) < 0.05


def test_of_a_gaussian_across_the_border_the_half_at_the_object_stays():
    gaussians = blob_map()
    gaussians.means[0] = torch.tensor([-0.3 + 0.15 + 0.02, 0.0, 0.0])
    gaussians.scales[0] = torch.tensor([0.06, 0.01, 0.01])
    rows = torch.arange(BLOB_COUNT)
    cut = clean_cut(gaussians, rows, rows == 0)
    assert len(cut) == BLOB_COUNT
    assert cut.means[-1, 0] < gaussians.means[0, 0]
    assert torch.equal(cut.means[:-1], gaussians.means[1:BLOB_COUNT])


def test_nothing_to_hold_on_to_or_nothing_to_cut_leaves_the_object_as_it_is():
    gaussians, rows = blob_map(), torch.arange(20)
    assert torch.equal(clean_cut(gaussians, rows, rows >= 0).means, gaussians.means[:20])
    assert torch.equal(clean_cut(gaussians, rows, rows < 0).means, gaussians.means[:20])
