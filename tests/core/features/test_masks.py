# SPDX-License-Identifier: Apache-2.0
"""Overlapping masks become two levels by area and quality."""

import pytest
import torch

from ros2_clickgs.core.features.masks import MaskedView, two_levels
from ros2_clickgs.core.types import IGNORE
from ros2_clickgs.errors import ShapeError
from tests.conftest import random_camera


def boxes(*spans: tuple[int, int, int, int]) -> torch.Tensor:
    masks = torch.zeros(len(spans), 40, 40, dtype=torch.bool)
    for mask, (v0, v1, u0, u1) in zip(masks, spans, strict=True):
        mask[v0:v1, u0:u1] = True
    return masks


MUG, HANDLE, PLATE = (0, 20, 0, 20), (5, 15, 0, 8), (25, 35, 25, 35)


def test_no_mask_leaves_all_unlabelled() -> None:
    coarse, fine = two_levels(torch.zeros(0, 5, 6, dtype=torch.bool), torch.zeros(0))
    assert (coarse == IGNORE).all()
    assert (fine == IGNORE).all()


def test_coarse_shows_the_largest_and_fine_the_smallest() -> None:
    coarse, fine = two_levels(boxes(HANDLE, MUG, PLATE), torch.tensor([0.9, 0.8, 0.9]))
    assert coarse[10, 4] == coarse[1, 1] != coarse[30, 30]
    assert fine[10, 4] != fine[1, 1]
    assert fine[10, 4] > 0 < fine[1, 1]


def test_what_no_mask_covers_is_unlabelled() -> None:
    coarse, fine = two_levels(boxes(MUG), torch.tensor([0.9]))
    assert coarse[39, 39] == fine[39, 39] == IGNORE
    assert int((coarse != IGNORE).sum()) == 400


def test_of_twins_the_better_stays() -> None:
    masks = boxes(MUG, (0, 20, 0, 21))
    for better, width in ((0, 20), (1, 21)):
        qualities = torch.tensor([0.8, 0.8])
        qualities[better] = 0.95
        _, fine = two_levels(masks, qualities)
        assert int((fine != IGNORE).sum()) == 20 * width
        assert fine.max() == 1


def test_poor_and_tiny_masks_are_dropped() -> None:
    masks = boxes(MUG, PLATE, (38, 40, 0, 3))
    _, fine = two_levels(masks, torch.tensor([0.9, 0.3, 0.9]))
    assert int((fine != IGNORE).sum()) == 400


def test_a_mask_of_the_whole_view_lies_below_all_others() -> None:
    coarse, _ = two_levels(boxes((0, 40, 0, 38), MUG, HANDLE), torch.ones(3))
    assert coarse[10, 4] == coarse[1, 1] != coarse[30, 30]
    assert coarse[30, 30] > 0


def test_the_order_of_masks_does_not_matter() -> None:
    masks, qualities = boxes(HANDLE, MUG, PLATE), torch.tensor([0.9, 0.8, 0.85])
    straight = two_levels(masks, qualities)
    turned = two_levels(masks.flip(0), qualities.flip(0))
    assert torch.equal(straight[0], turned[0])
    assert torch.equal(straight[1], turned[1])


def test_masks_of_another_size_are_refused() -> None:
    right, wrong = torch.zeros(50, 70).int(), torch.zeros(50, 71).int()
    with pytest.raises(ShapeError, match="fine masks"):
        MaskedView(camera=random_camera(), coarse=right, fine=wrong)
