# SPDX-License-Identifier: Apache-2.0
"""Borders go, things stay."""

import torch

from ros2_clickgs.core.features.borders import without_borders
from ros2_clickgs.core.types import IGNORE


def square(size: int) -> torch.Tensor:
    labels = torch.zeros(60, 60, dtype=torch.int32)
    labels[20 : 20 + size, 20 : 20 + size] = 1
    return labels


def test_pixels_near_another_label_are_ignored() -> None:
    inner = without_borders(square(20), 3.0)
    assert (inner[23:37, 23:37] == 1).all()
    assert (inner == 1).sum() == 14 * 14
    assert (inner[20:40, 17:20] == IGNORE).all()
    assert (inner[:, :17] == 0).all()


def test_thin_things_keep_their_middle() -> None:
    for size in (1, 2, 3, 7):
        assert (without_borders(square(size), 3.0) == 1).any()


def test_a_border_of_nothing_changes_nothing() -> None:
    assert torch.equal(without_borders(square(20), 0.0), square(20))


def test_one_label_has_no_border() -> None:
    everywhere = torch.full((8, 8), 3, dtype=torch.int32)
    assert torch.equal(without_borders(everywhere, 3.0), everywhere)
    nowhere = torch.full((8, 8), IGNORE)
    assert torch.equal(without_borders(nowhere, 3.0), nowhere)
