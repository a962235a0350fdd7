# SPDX-License-Identifier: Apache-2.0
import torch

from ros2_clickgs.core.boundaries import across, decided_at_border, straddling, without_borders
from ros2_clickgs.core.types import IGNORE
from ros2_clickgs.core.votes import Votes, decide_labels


def votes_of(votes_for, votes_against):
    return Votes(votes_for=torch.tensor([votes_for]), votes_against=torch.tensor([votes_against]))


def square(low, high):
    labels = torch.zeros(80, 80, dtype=torch.int32)
    labels[low:high, low:high] = 1
    return labels


def test_pixels_near_a_border_do_not_vote_on_either_side():
    kept = without_borders(square(20, 60), 3.0)
    assert (kept[40, 16:24] == torch.tensor([0, -1, -1, -1, -1, -1, -1, 1])).all()
    assert (kept[30:50, 30:50] == 1).all()


def test_a_thin_thing_keeps_its_core():
    stick = torch.zeros(80, 80, dtype=torch.int32)
    stick[10:70, 38:42] = 1
    assert (without_borders(stick, 3.0) == 1).sum() == (stick == 1).sum()
    assert not (without_borders(stick, 3.0, share=1.0) == 1).any()


def test_a_band_of_no_width_and_what_was_ignored_before_change_nothing():
    labels = square(20, 60)
    labels[0, 0] = IGNORE
    assert torch.equal(without_borders(labels, 0.0), labels)


def test_views_that_disagree_are_not_a_border_but_a_view_that_says_both_is():
    inside, outside, both = votes_of([4.0], [0.0]), votes_of([0.0], [4.0]), votes_of([2.0], [2.0])
    disagreeing, lying_across = across(inside) + across(outside), across(both) + across(both)
    assert torch.equal((inside + outside).votes_for, (both + both).votes_for)
    assert not straddling(disagreeing, inside + outside).any()
    assert straddling(lying_across, both + both).all()


def test_a_gaussian_across_a_border_must_win_clearly():
    votes = votes_of([3.0, 3.0, 9.0], [2.0, 2.0, 2.0])
    straddles = torch.tensor([[True, False, True]])
    assert decide_labels(decided_at_border(votes, straddles)).tolist() == [0, 1, 1]
