# SPDX-License-Identifier: Apache-2.0
"""Classes from features: as in the paper, and with probabilities that know how far away is far."""

import pytest
import torch
from torch.nn.functional import normalize

from ros2_clickgs.core.affordances.options import TransferOptions
from ros2_clickgs.core.affordances.rules import Majority, clustered, make_rule
from ros2_clickgs.core.affordances.sources import SourceSet
from ros2_clickgs.errors import ConfigError


def two_classes(images: int = 4, each: int = 30, depth: int = 6) -> SourceSet:
    """Return features around two directions; the last dimension is noise of each image."""
    g = torch.Generator().manual_seed(0)
    features, labels, pictures = [], [], []
    for image in range(images):
        for label in (0, 1):
            places = 0.2 * torch.randn(each, depth, generator=g)
            places[:, label] += 1
            places[:, -1] += 0.8 * (-1) ** image
            features.append(normalize(places, dim=-1))
            labels.append(torch.full((each,), label))
            pictures.append(torch.full((each,), image))
    return SourceSet(
        classes=["background", "grasp", "unused"],
        descriptor="test",
        features=torch.cat(features),
        labels=torch.cat(labels).int(),
        pictures=torch.cat(pictures).int(),
    )


def brute_force_majority(sources: SourceSet, features: torch.Tensor, k: int) -> list[int]:
    winners = []
    for feature in features:
        order = torch.argsort(sources.features @ feature, descending=True)[:k]
        winners.append(int(torch.bincount(sources.labels[order]).argmax()))
    return winners


@pytest.mark.parametrize("k", [1, 4, 5])
def test_majority_is_the_papers_rule(k: int) -> None:
    sources = two_classes()
    features = normalize(torch.randn(50, 6), dim=-1)
    found = Majority(sources, k)(features)
    assert found.sum(1).eq(1).all()
    assert found.argmax(1).tolist() == brute_force_majority(sources, features, k)


def test_majority_prefers_the_first_class_on_ties_and_asks_no_more_than_there_are() -> None:
    sources = two_classes(images=1, each=1)
    assert Majority(sources, 5)(normalize(torch.rand(4, 6), dim=-1)).argmax(1).eq(0).all()


@pytest.mark.parametrize("images", [1, 4])
def test_soft_scores_tell_classes_apart_that_vary_more_between_images(images: int) -> None:
    sources, asked = two_classes(images), two_classes(6)
    scores = make_rule(sources, TransferOptions())(asked.features)
    assert scores.shape == (len(asked.labels), 3)
    assert (scores.argmax(1) == asked.labels).float().mean() > 0.95
    assert scores[:, 2].eq(0).all()


def test_soft_scores_are_less_sure_of_what_no_image_shows() -> None:
    sources = two_classes()
    rule = make_rule(sources, TransferOptions())
    strange = torch.zeros(1, 6)
    strange[0, 3] = 1
    assert rule(strange).sum() < 0.3 < 0.5 < rule(sources.features).sum(1).median()


def test_soft_scores_never_exceed_certainty() -> None:
    scores = make_rule(two_classes(), TransferOptions())(normalize(torch.randn(99, 6), dim=-1))
    assert scores.min() >= 0
    assert scores.sum(1).max() <= 1 + 1e-5


def test_clusters_of_few_points_are_the_points() -> None:
    points = normalize(torch.randn(5, 4), dim=-1)
    torch.testing.assert_close(clustered(points, 9), points)


@pytest.mark.parametrize(
    "wrong", [{"rule": "best"}, {"lifting": "up"}, {"neighbours": 0}, {"smoothing": 1.0}]
)
def test_options_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        TransferOptions(**wrong)
