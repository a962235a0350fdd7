# SPDX-License-Identifier: Apache-2.0
"""Clicks on features that are known."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from ros2_clickgs.core.features.feature_map import FeatureMap
from ros2_clickgs.core.features.query import FeatureQuery, check_fits, feature_image
from ros2_clickgs.errors import NotFoundError, ShapeError
from tests.core.blobs import BLOB_COUNT, blob_camera, blob_map
from tests.core.features.training_scene import blob_rasterizer, blob_truth

COARSE = torch.eye(12)[:2]
"""Directions of the two blobs."""


def blob_features(noise: float = 0.0) -> FeatureMap:
    """Return what a perfect training would leave: blobs differ, and their halves do."""
    blob, half = (labels.long() - 1 for labels in blob_truth())
    own = torch.eye(12)[half]
    features = torch.cat([COARSE[blob], own], dim=1)
    features = features + noise * torch.randn(features.shape)
    fine = normalize(torch.cat([COARSE[[0, 0, 1, 1]], torch.eye(12)[:4]], dim=1), dim=1)
    return FeatureMap(features=features, coarse_clusters=COARSE, fine_clusters=fine)


@pytest.fixture(scope="module")
def answers() -> FeatureQuery:
    return FeatureQuery(blob_features(0.05))


@pytest.mark.parametrize("level", ["coarse", "fine"])
def test_a_click_selects_exactly_its_thing(answers: FeatureQuery, level: str) -> None:
    truth = blob_truth()[0 if level == "coarse" else 1]
    for i in range(0, 2 * BLOB_COUNT, 97):
        feature = answers.feature_map.features[i]
        assert torch.equal(answers.select(feature[None], level), truth == truth[i])


def test_a_pixel_shows_the_feature_of_its_surface() -> None:
    rasterizer, camera = blob_rasterizer(), blob_camera()
    answers = FeatureQuery(blob_features())
    centers = torch.tensor([[-0.3, 0, 0], [0.3, 0, 0]])
    from ros2_clickgs.core.geometry import project

    for blob, pixel in enumerate(project(camera, centers)[:, :2].tolist()):
        feature = answers.feature_at_pixel(rasterizer, camera, *pixel, "coarse")
        assert (COARSE @ feature[:12]).argmax() == blob


def test_a_pixel_beside_the_map_shows_nothing(answers: FeatureQuery) -> None:
    for pixel in ((0.0, 0.0), (-1.0, 5.0), (160.0, 5.0)):
        with pytest.raises(NotFoundError):
            answers.feature_at_pixel(blob_rasterizer(), blob_camera(), *pixel, "coarse")


def test_a_point_has_the_feature_of_what_is_next_to_it(answers: FeatureQuery) -> None:
    gaussians, (blob, _) = blob_map(), blob_truth()
    for i in range(0, 2 * BLOB_COUNT, 203):
        feature = answers.feature_at_point(gaussians, gaussians.means[i], "coarse")
        assert (COARSE @ feature[:12]).argmax() + 1 == blob[i]


def test_a_mixture_is_taken_for_its_main_part() -> None:
    answers = FeatureQuery(blob_features())
    ids, weights = torch.tensor([0, BLOB_COUNT, BLOB_COUNT + 1]), torch.tensor([0.4, 0.3, 0.25])
    feature = answers._mean_of_main(ids, weights, "coarse")
    assert torch.allclose(normalize(feature[:12], dim=0), COARSE[1])


def test_several_clicks_are_joined_and_negative_ones_taken_away(answers: FeatureQuery) -> None:
    _, half = blob_truth()
    features = answers.feature_map.features
    first, second = (features[half == i][:1] for i in (1, 2))
    both = answers.select(torch.cat([first, second]), "fine")
    assert torch.equal(both, half <= 2)
    elsewhere = features[half == 3].mean(0, keepdim=True)
    assert torch.equal(answers.select(first, "fine", elsewhere), half == 1)
    assert not answers.select(first, "fine", 2 * first).any()


def test_everything_is_labelled_by_cluster(answers: FeatureQuery) -> None:
    blob, half = blob_truth()
    assert torch.equal(answers.everything("coarse"), blob)
    assert torch.equal(answers.everything("fine"), half)


def test_what_is_like_the_background_or_like_nothing_has_no_label() -> None:
    features = torch.zeros(3, 24)
    features[0, 0], features[1, 5], features[2, 11] = 1, 1, 1
    background = torch.eye(12)[5:6]
    answers = FeatureQuery(
        FeatureMap(
            features=features,
            coarse_clusters=COARSE,
            fine_clusters=torch.zeros(0, 24),
            coarse_background=background,
        )
    )
    assert answers.everything("coarse").tolist() == [1, 0, 0]


def test_without_clusters_similarity_alone_decides() -> None:
    known = blob_features(0.02)
    bare = FeatureMap(
        features=known.features,
        coarse_clusters=torch.zeros(0, 12),
        fine_clusters=torch.zeros(0, 24),
    )
    answers, (blob, _) = FeatureQuery(bare), blob_truth()
    assert torch.equal(answers.select(known.features[:1], "coarse"), blob == blob[0])
    assert not answers.everything("coarse").any()


def test_nearer_clusters_ask_for_more_likeness() -> None:
    def threshold(angle: float) -> float:
        directions = torch.zeros(2, 12)
        directions[0, 0] = 1
        directions[1, :2] = torch.tensor([math.cos(angle), math.sin(angle)])
        known = FeatureMap(
            features=torch.zeros(1, 24),
            coarse_clusters=directions,
            fine_clusters=torch.zeros(0, 24),
        )
        return FeatureQuery(known).threshold(directions[0], "coarse")[1]

    assert threshold(0.3) > threshold(0.6) > threshold(1.5) == 0.7


def test_features_are_pictures() -> None:
    image = feature_image(blob_rasterizer(), blob_features(), blob_camera(), "coarse")
    assert image.shape == (120, 160, 3)
    assert 0 <= image.min() < image.max() <= 1


def test_features_of_another_map_are_refused() -> None:
    check_fits(blob_map(), blob_features())
    with pytest.raises(ShapeError, match="features"):
        check_fits(blob_map().select(torch.arange(7)), blob_features())


def test_features_of_another_width_are_refused() -> None:
    with pytest.raises(ShapeError, match="fine_clusters"):
        FeatureMap(
            features=torch.zeros(3, 24),
            coarse_clusters=torch.zeros(0, 12),
            fine_clusters=torch.zeros(2, 7),
        )
