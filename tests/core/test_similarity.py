# SPDX-License-Identifier: Apache-2.0
"""Moving, turning and scaling a map changes where it is, not what it looks like."""

import pytest
import torch

from ros2_clickgs.core.geometry import covariances, pose_from, rotmat_from_quat_wxyz
from ros2_clickgs.core.harmonics import colors, harmonic_basis
from ros2_clickgs.core.similarity import Similarity, rotated_harmonics
from ros2_clickgs.core.types import Camera, Gaussians


def random_map(coefficients: int) -> Gaussians:
    g = torch.Generator().manual_seed(coefficients)
    return Gaussians(
        means=torch.randn(50, 3, generator=g),
        quats=torch.nn.functional.normalize(torch.randn(50, 4, generator=g), dim=-1),
        scales=torch.rand(50, 3, generator=g) + 0.01,
        opacities=torch.rand(50, generator=g),
        sh=torch.randn(50, coefficients, 3, generator=g),
    )


def random_similarity(seed: int = 0) -> Similarity:
    g = torch.Generator().manual_seed(seed)
    quat = torch.nn.functional.normalize(torch.randn(4, generator=g).double(), dim=0)
    shift = torch.randn(3, generator=g).double()
    return Similarity(R=rotmat_from_quat_wxyz(quat), translation=shift, scale=0.3)


def viewed_from(center) -> Camera:
    return Camera(
        K=torch.eye(3), T_world_camera=pose_from(torch.eye(3), center), width=1, height=1
    )


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_colours_stay_when_camera_and_map_move_together(coefficients):
    gaussians, move = random_map(coefficients), random_similarity()
    eye = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
    moved_eye = move.R @ (move.scale * eye) + move.translation
    before = colors(gaussians, viewed_from(eye))
    after = colors(move(gaussians), viewed_from(moved_eye))
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_shapes_turn_and_shrink():
    gaussians, move = random_map(1), random_similarity()
    R = move.R.float()
    expected = move.scale**2 * R @ covariances(gaussians) @ R.T
    torch.testing.assert_close(covariances(move(gaussians)), expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("coefficients", [1, 16])
def test_inverse_leads_back(coefficients):
    gaussians, move = random_map(coefficients), random_similarity()
    back = move.inverse()(move(gaussians))
    torch.testing.assert_close(back.means, gaussians.means, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(back.scales, gaussians.scales, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(back.sh, gaussians.sh, atol=1e-5, rtol=1e-5)


def test_identity_returns_the_same_map():
    nothing = Similarity(R=torch.eye(3).double(), translation=torch.zeros(3).double(), scale=1.0)
    gaussians = random_map(16)
    assert nothing(gaussians) is gaussians


def test_harmonics_turn_like_a_group():
    a, b = random_similarity(1).R, random_similarity(2).R
    both = rotated_harmonics(a @ b, 16)
    torch.testing.assert_close(both, rotated_harmonics(a, 16) @ rotated_harmonics(b, 16))
    torch.testing.assert_close(both @ both.T, torch.eye(16).double(), atol=1e-9, rtol=0)
    assert harmonic_basis(torch.eye(3).double(), 16).shape == (3, 16)
