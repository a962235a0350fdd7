# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.guidance import Prediction, guided_prompt, innermost, predict
from ros2_clickgs.core.segmenter import Prompt
from ros2_clickgs.core.votes import Votes, cast_votes
from tests.core.blobs import BLOB_COUNT, blob_camera, blob_labels, solid_blob_map

IS_RED = torch.arange(2 * BLOB_COUNT) < BLOB_COUNT


@pytest.fixture(scope="module")
def rasterizer():
    return make_rasterizer(solid_blob_map(), "numba")


def seen_all_round(rasterizer):
    votes = Votes.none(1, 2 * BLOB_COUNT)
    for angle in (0.0, 1.6, 3.1, 4.7):
        camera = blob_camera(angle)
        red = (blob_labels(rasterizer, camera) == 1).int()
        votes = votes + cast_votes(rasterizer, camera, red, 1)
    return votes


def values_at(image, points):
    return image[points[:, 1].astype(int), points[:, 0].astype(int)]


def test_points_lie_on_the_object_beside_it_and_on_its_neighbour(rasterizer):
    camera = blob_camera(0.5)
    votes = seen_all_round(rasterizer)
    prompt = guided_prompt(predict(rasterizer, camera, IS_RED, votes, ~IS_RED))
    truth = blob_labels(rasterizer, camera).numpy()
    labels = values_at(truth, prompt.point_coords)
    assert (labels[prompt.point_labels] == 1).all()
    assert (labels[~prompt.point_labels] != 1).all()
    assert (labels == 2).any()
    assert prompt.point_labels.sum() == 1
    left, top, right, bottom = prompt.box
    rows, columns = np.nonzero(truth == 1)
    assert left < columns.min()
    assert right > columns.max()
    assert top < rows.min()
    assert bottom > rows.max()


def test_the_outline_is_undecided_where_nobody_has_looked():
    soft, unseen = np.zeros((2, 60, 80), np.float32)
    soft[20:40, 20:35] = 1
    unseen[20:40, 35:50] = 1
    unseen[:5] = 1
    prediction = Prediction(soft=soft, unseen=unseen, others=np.zeros_like(soft))
    prompt = guided_prompt(prediction)
    assert prompt.box is None
    assert (prompt.soft_mask[20:40, 20:35] == 1).all()
    assert (prompt.soft_mask[20:40, 35:50] == 0.5).all()
    assert not values_at(unseen, prompt.point_coords[~prompt.point_labels]).any()
    unseen[:] = 0
    assert guided_prompt(prediction).box is not None


def test_clicks_are_the_points_where_there_are_any(rasterizer):
    clicked = Prompt(point_coords=np.array([[10.5, 20.5]]), point_labels=np.array([False]))
    prediction = predict(rasterizer, blob_camera(), IS_RED, seen_all_round(rasterizer), ~IS_RED)
    prompt = guided_prompt(prediction, clicked)
    assert prompt.point_coords.tolist() == [[10.5, 20.5]]
    assert not prompt.point_labels.any()
    assert prompt.soft_mask.max() > 0.9


def test_an_object_that_is_not_in_the_view_gives_no_points(rasterizer):
    nobody = torch.zeros(2 * BLOB_COUNT, dtype=torch.bool)
    votes = seen_all_round(rasterizer)
    prompt = guided_prompt(predict(rasterizer, blob_camera(), nobody, votes, nobody))
    assert not prompt.point_labels.any()
    assert prompt.soft_mask.max() < 0.5


def test_innermost_pixel_is_farthest_from_the_border():
    mask = np.zeros((9, 12), bool)
    mask[1:8, 2:9] = True
    assert innermost(mask) == [(5, 4)]
    assert innermost(np.zeros((3, 3), bool)) == []
