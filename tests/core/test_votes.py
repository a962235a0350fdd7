# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.types import BACKGROUND, IGNORE, NEVER_SEEN
from ros2_clickgs.core.votes import Votes, agreement, cast_votes, decide_labels, margins
from ros2_clickgs.errors import ShapeError
from tests.conftest import random_camera, random_gaussians

QUICK = settings(max_examples=15, deadline=None)


def votes_of(votes_for, votes_against):
    return Votes(votes_for=torch.tensor(votes_for), votes_against=torch.tensor(votes_against))


def test_no_objects_and_no_views_leave_everything_unseen():
    assert decide_labels(Votes.none(0, 4)).tolist() == [NEVER_SEEN] * 4
    assert decide_labels(Votes.none(2, 4)).tolist() == [NEVER_SEEN] * 4


def test_the_papers_rule():
    votes = votes_of([[2.0, 1, 0, 0, 1]], [[1.0, 2, 3, 0, 1]])
    assert decide_labels(votes).tolist() == [1, BACKGROUND, BACKGROUND, NEVER_SEEN, BACKGROUND]


def test_background_weight_moves_the_border():
    votes = votes_of([[2.0, 1.0]], [[1.0, 2.0]])
    assert decide_labels(votes, 0.4).tolist() == [1, 1]
    assert decide_labels(votes, 2.5).tolist() == [BACKGROUND, BACKGROUND]
    assert decide_labels(votes, 0.0).tolist() == [1, 1]


def test_of_several_winners_the_one_with_most_votes_owns():
    votes = votes_of([[3.0], [4.0]], [[4.0], [3.0]])
    assert decide_labels(votes, 0.5).tolist() == [2]


def test_margins_are_the_confidence():
    votes = votes_of([[3.0, 0, 1, 0]], [[1.0, 0, 1, 2]])
    assert margins(votes).tolist() == [[0.5, 0.0, 0.0, -1.0]]


@QUICK
@given(seed=st.integers(0, 1000))
def test_for_and_against_add_up_to_visibility_and_ignored_pixels_do_not_vote(seed):
    rasterizer, camera = make_rasterizer(random_gaussians(80, seed), "numba"), random_camera(seed)
    labels = torch.randint(IGNORE, 4, (camera.height, camera.width))
    votes = cast_votes(rasterizer, camera, labels, 3)
    voting = rasterizer.backproject(camera, (labels != IGNORE)[..., None].float())[:, 0]
    total = votes.votes_for + votes.votes_against
    assert torch.allclose(total, voting.expand(3, -1), rtol=1e-4, atol=1e-4)
    assert (votes.votes_for >= 0).all()
    assert (votes.votes_against >= -1e-4).all()


@QUICK
@given(seed=st.integers(0, 1000))
def test_an_object_alone_gets_the_same_votes_as_among_others(seed):
    rasterizer, camera = make_rasterizer(random_gaussians(80, seed), "numba"), random_camera(seed)
    labels = torch.randint(0, 4, (camera.height, camera.width))
    together = cast_votes(rasterizer, camera, labels, 3)
    for label in (1, 2, 3):
        alone = cast_votes(rasterizer, camera, (labels == label).int(), 1)
        assert torch.allclose(alone.votes_for[0], together.votes_for[label - 1], atol=1e-4)
        assert torch.allclose(alone.votes_against[0], together.votes_against[label - 1], atol=1e-3)


def test_votes_add_up_over_views_in_any_order():
    rasterizer = make_rasterizer(random_gaussians(80), "numba")
    ballots = [
        cast_votes(rasterizer, random_camera(s), torch.randint(0, 3, (50, 70)), 2)
        for s in range(3)
    ]
    forwards = ballots[0] + ballots[1] + ballots[2]
    backwards = ballots[2] + ballots[1] + ballots[0]
    assert torch.allclose(forwards.votes_for, backwards.votes_for)
    assert torch.equal(decide_labels(forwards), decide_labels(backwards))


def test_a_label_image_of_another_size_is_refused():
    rasterizer = make_rasterizer(random_gaussians(5), "numba")
    with pytest.raises(ShapeError, match=r"'label_image' should be 50x70 px .* but is \(4, 4\)"):
        cast_votes(rasterizer, random_camera(), torch.zeros(4, 4, dtype=torch.int32), 1)


def test_agreement_is_the_iou_with_the_splatted_object():
    rasterizer, camera = make_rasterizer(random_gaussians(80), "numba"), random_camera()
    mask = torch.zeros(50, 70, dtype=torch.int32)
    mask[10:40, 20:50] = 1
    votes = cast_votes(rasterizer, camera, mask, 1)
    others = votes_of([[1.0] * 40 + [0.0] * 40], [[0.0] * 40 + [1.0] * 40])
    soft = rasterizer.splat(camera, torch.tensor([[1.0, 1.0]] * 40 + [[0.0, 1.0]] * 40))
    inside = mask == 1
    expected = soft[inside, 0].sum() / (soft[inside, 1].sum() + soft[~inside, 0].sum())
    assert abs(agreement(votes, others) - float(expected)) < 1e-4
    assert agreement(votes, Votes.none(1, 80)) == 0.0
