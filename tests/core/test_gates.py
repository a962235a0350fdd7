# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.gates import (
    Objection,
    Sight,
    agreeing,
    objection_to_mask,
    objection_to_view,
    sight_of,
)
from ros2_clickgs.core.rendering import render
from ros2_clickgs.core.votes import cast_votes
from tests.core.blobs import BLOB_COUNT, blob_camera, blob_labels, blob_map


@pytest.fixture(scope="module")
def rasterizer():
    return make_rasterizer(blob_map(), "numba")


def red_sight(rasterizer, camera):
    is_red = torch.arange(2 * BLOB_COUNT) < BLOB_COUNT
    soft = rasterizer.splat(camera, is_red[:, None].float())[..., 0].numpy()
    depth = render(rasterizer, camera).depth.numpy()
    return sight_of(camera, rasterizer.gaussians.means[is_red], soft, depth)


def red_ballot(rasterizer, camera, blob=1):
    mask = (blob_labels(rasterizer, camera) == blob).int()
    return cast_votes(rasterizer, camera, mask, 1)


def test_a_view_that_shows_the_whole_object_is_asked(rasterizer):
    sight = red_sight(rasterizer, blob_camera())
    assert sight.inside == 1
    assert sight.uncovered > 0.97
    assert objection_to_view(sight) is None


def test_what_stands_before_the_object_hides_it(rasterizer):
    behind_green = red_sight(rasterizer, blob_camera(torch.pi / 2))
    assert behind_green.uncovered < 0.6
    beside = red_sight(rasterizer, blob_camera(-torch.pi / 2))
    assert beside.uncovered > 0.97


@pytest.mark.parametrize(
    ("sight", "objection"),
    [
        (Sight(area_px=500.0, inside=0.4, uncovered=1.0), Objection.CUT),
        (Sight(area_px=500.0, inside=1.0, uncovered=0.2), Objection.HIDDEN),
        (Sight(area_px=20.0, inside=1.0, uncovered=1.0), Objection.SMALL),
        (Sight(area_px=0.0, inside=0.0, uncovered=0.0), Objection.CUT),
    ],
)
def test_each_objection_to_a_view_has_its_reason(sight, objection):
    assert objection_to_view(sight) is objection


def test_a_mask_is_measured_by_its_score_and_by_the_others(rasterizer):
    mine, other = (red_ballot(rasterizer, blob_camera(angle)) for angle in (0.0, 0.4))
    assert objection_to_mask(0.9, mine, other) is None
    assert objection_to_mask(0.1, mine, other) is Objection.UNSURE
    green = red_ballot(rasterizer, blob_camera(0.2), blob=2)
    assert objection_to_mask(0.9, green, other) is Objection.DISAGREES


def test_the_ballot_that_contradicts_the_others_is_dropped(rasterizer):
    ballots = [red_ballot(rasterizer, blob_camera(angle)) for angle in (0.0, 0.4, -0.4)]
    assert agreeing(ballots) == [0, 1, 2]
    green = red_ballot(rasterizer, blob_camera(0.2), blob=2)
    assert agreeing([green, *ballots]) == [1, 2, 3]
    assert agreeing([ballots[0], green]) == [0]
    assert agreeing(ballots[:1]) == [0]
