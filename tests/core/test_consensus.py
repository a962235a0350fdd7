# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.consensus import agreed_votes, soft_masks, summed_votes
from ros2_clickgs.core.votes import cast_votes, decide_labels
from tests.core.blobs import BLOB_COUNT, blob_camera, blob_labels, blob_map

TRUTH = (torch.arange(2 * BLOB_COUNT) >= BLOB_COUNT).int() + 1


@pytest.fixture(scope="module")
def rasterizer():
    return make_rasterizer(blob_map(), "numba")


def views_of(rasterizer, count=8):
    cameras = [blob_camera(i * 0.7) for i in range(count)]
    return [(camera, blob_labels(rasterizer, camera)) for camera in cameras]


def right(votes):
    labels = decide_labels(votes)
    return float((labels == TRUTH)[labels >= 0].float().mean())


def test_the_sum_is_that_of_all_views(rasterizer):
    views = views_of(rasterizer, 3)
    votes = [cast_votes(rasterizer, camera, image, 2) for camera, image in views]
    summed = summed_votes(rasterizer, views, 2)
    assert torch.equal(
        summed.votes_for, votes[0].votes_for + votes[1].votes_for + votes[2].votes_for
    )


def test_clean_masks_are_left_as_they_are(rasterizer):
    views = views_of(rasterizer)
    summed, agreed = summed_votes(rasterizer, views, 2), agreed_votes(rasterizer, views, 2)
    assert torch.equal(decide_labels(summed), decide_labels(agreed))


def test_masks_that_are_missing_or_on_the_wrong_thing_do_not_vote(rasterizer):
    views = views_of(rasterizer)
    for _, image in views[:3]:
        image[image == 1] = 0
    camera, image = views[3]
    views[3] = (camera, torch.where(image > 0, 3 - image, 0))
    summed, agreed = summed_votes(rasterizer, views, 2), agreed_votes(rasterizer, views, 2)
    assert right(agreed) > 0.98 > right(summed)


def test_masks_that_are_off_are_moved_back(rasterizer):
    views = views_of(rasterizer)
    shifts = [(4, 0), (-4, 0), (0, 4), (0, -4)] * 2
    off = [(c, image.roll(s, (0, 1))) for (c, image), s in zip(views, shifts, strict=True)]
    summed = summed_votes(rasterizer, off, 2)
    agreed = agreed_votes(rasterizer, off, 2, reach=6 / 160)
    clean = summed_votes(rasterizer, views, 2)
    differ = lambda votes: int((decide_labels(votes) != decide_labels(clean)).sum())  # noqa: E731
    assert differ(agreed) < 0.5 * differ(summed)


def test_an_object_without_any_mask_has_no_votes(rasterizer):
    agreed = agreed_votes(rasterizer, views_of(rasterizer, 2), 3)
    assert not agreed.votes_for[2].any()
    assert not agreed.votes_against[2].any()


def test_more_objects_than_fit_in_one_pass_are_all_shown(rasterizer):
    members = (TRUTH[:, None] == 1).repeat(1, 40)
    soft = soft_masks(rasterizer, blob_camera(), members)
    assert soft.shape == (120, 160, 40)
    assert torch.equal(soft[..., 0], soft[..., 39])
