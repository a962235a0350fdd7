# SPDX-License-Identifier: Apache-2.0
"""What features say becomes votes: for the thing alone, and more than anybody had before."""

import pytest
import torch

from ros2_clickgs.core.features.claims import claim_of_clicks, claims_of_all
from ros2_clickgs.core.features.query import FeatureQuery
from ros2_clickgs.core.votes import decide_labels
from ros2_clickgs.errors import NotFoundError
from tests.core.features.blob_features import blob_features
from tests.core.features.training_scene import blob_truth

blob, half = blob_truth()
COUNT = len(blob)
NOBODY = torch.zeros(COUNT)


@pytest.fixture(scope="module")
def query() -> FeatureQuery:
    return FeatureQuery(blob_features())


def feature(query: FeatureQuery, row: int) -> torch.Tensor:
    return query.feature_map.features[[row]]


@pytest.mark.parametrize(("level", "truth"), [("coarse", blob), ("fine", half)])
def test_a_click_claims_its_thing(query, level, truth):
    votes = claim_of_clicks(query, level, feature(query, 7), feature(query, 7)[:0], NOBODY)
    own = decide_labels(votes) == 1
    assert torch.equal(own, truth == truth[7])


def test_the_last_claim_beats_those_before(query):
    others = 100 * torch.rand(COUNT)
    votes = claim_of_clicks(query, "coarse", feature(query, 7), feature(query, 7)[:0], others)
    own = blob == blob[7]
    assert (votes.votes_for[0][own] > others[own]).all()
    assert (votes.votes_for[0][~own] == 0).all()


def test_a_negative_click_leaves_its_half_out(query):
    below, above = (int(torch.nonzero(half == which)[0]) for which in (1, 2))
    clicked = torch.cat([feature(query, below), feature(query, above)])
    both = claim_of_clicks(query, "fine", clicked, clicked[:0], NOBODY)
    one = claim_of_clicks(query, "fine", clicked[:1], clicked[1:], NOBODY)
    assert torch.equal(decide_labels(both) == 1, blob == 1)
    assert torch.equal(decide_labels(one) == 1, half == 1)


def test_nothing_alike_is_told(query):
    away = -feature(query, 7)
    with pytest.raises(NotFoundError, match="coarse level"):
        claim_of_clicks(query, "coarse", away, away[:0], NOBODY)


def test_everything_leaves_out_what_is_taken_or_small(query):
    free = torch.ones(COUNT, dtype=torch.bool)
    assert len(claims_of_all(query, "coarse", free, 1)) == 2
    assert len(claims_of_all(query, "fine", free, 1)) == 4
    free[blob == 1] = False
    (left,) = claims_of_all(query, "coarse", free, 1)
    assert torch.equal(left.votes_for[0] > 0, blob == 2)
    assert not claims_of_all(query, "coarse", free, COUNT)
