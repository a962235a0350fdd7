# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ros2_clickgs.core.geometry import rotmat_from_quat_wxyz
from ros2_clickgs.core.objects import carries_most, largest_component, oriented_box


def box_corners(size):
    signs = torch.tensor([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    return signs * torch.tensor(size) / 2


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_box_of_a_turned_box_is_that_box(seed):
    g = torch.Generator().manual_seed(seed)
    R = rotmat_from_quat_wxyz(torch.randn(4, generator=g))
    center = torch.randn(3, generator=g)
    T, size = oriented_box(box_corners([0.3, 0.1, 0.2]) @ R.T + center)
    assert torch.allclose(size, torch.tensor([0.3, 0.2, 0.1]).double(), atol=1e-4)
    assert torch.allclose(T[:3, 3].float(), center, atol=1e-4)
    assert torch.allclose(T[:3, :3] @ T[:3, :3].T, torch.eye(3).double(), atol=1e-6)
    assert torch.linalg.det(T[:3, :3]) > 0.99


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_few_points_have_a_box_too(count):
    T, size = oriented_box(torch.randn(count, 3))
    assert torch.isfinite(T).all()
    assert torch.isfinite(size).all()
    assert torch.linalg.det(T[:3, :3]) > 0.99


def test_a_flat_sheet_has_a_flat_box():
    sheet = torch.cat([torch.rand(200, 2), torch.zeros(200, 1)], dim=1)
    T, size = oriented_box(sheet)
    assert size[2] < 1e-3
    assert T[2, 2].abs() > 0.999


def test_the_piece_with_most_votes_is_kept_not_the_one_with_most_points():
    g = torch.Generator().manual_seed(0)
    sure, unsure = torch.rand(100, 3, generator=g) * 0.1, torch.rand(150, 3, generator=g) * 0.1 + 1
    weights = torch.cat([torch.ones(100), torch.full((150,), 0.1)])
    kept = largest_component(torch.cat([sure, unsure]), weights)
    assert kept[:100].float().mean() > 0.95
    assert not kept[100:].any()


def test_the_bulk_leaves_out_what_hardly_counts():
    weights = torch.tensor([50.0, 0.1, 49.0, 0.2, 1.0])
    assert carries_most(weights).tolist() == [True, False, True, False, True]
    assert carries_most(torch.zeros(0)).tolist() == []


def test_too_few_points_are_all_kept():
    assert largest_component(torch.rand(3, 3) * 100, torch.ones(3)).all()
    assert len(largest_component(torch.zeros(0, 3), torch.zeros(0))) == 0
