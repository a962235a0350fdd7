# SPDX-License-Identifier: Apache-2.0
"""From features to classes: the paper's nearest neighbours, and prototypes that may abstain."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from ros2_clickgs.core.affordances.metric import Metric
from ros2_clickgs.core.affordances.options import TransferOptions
from ros2_clickgs.core.affordances.sources import SourceSet

CHUNK = 2048
"""Features classified at once, which bounds the memory."""
PROTOTYPES = 48
"""Of each class, at most."""
SHARPNESS = 12.0
"""How fast a prototype's say falls with cosine distance."""
FAR = 0.05
"""Share of a class's places that are farther from what other images show of it."""
FOLDS = 4
"""Groups of images that are held out in turn."""
LEAST_SURE = 0.05
"""Say of what is farther than that."""


@runtime_checkable
class Rule(Protocol):
    """Says of features which class they are of."""

    class_count: int
    is_soft: bool
    """Whether probabilities may be interpolated between cells."""

    def __call__(self, features: Float[Tensor, "F D"]) -> Float[Tensor, "F C"]:
        """Return class probabilities; rows sum to 1, or less where the rule is unsure."""
        ...


class Majority:
    """The most frequent class among the k nearest exemplars by cosine (arXiv:2409.11681).

    Of classes that are equally frequent the first one wins. It is never unsure.
    """

    is_soft = False

    def __init__(self, sources: SourceSet, neighbours: int) -> None:
        self.class_count = len(sources.classes)
        self._sources, self._k = sources, min(neighbours, len(sources.labels))

    def __call__(self, features: Float[Tensor, "F D"]) -> Float[Tensor, "F C"]:
        """See Rule."""
        winners = [self._winners(chunk) for chunk in features.split(CHUNK)]
        return one_hot(torch.cat(winners), self.class_count).float()

    def _winners(self, features: Float[Tensor, "F D"]) -> Int[Tensor, " F"]:
        nearest = (features @ self._sources.features.T).topk(self._k, dim=1).indices
        asked = self._sources.labels[nearest].long()
        return one_hot(asked, self.class_count).sum(1).argmax(1)


class Prototypes:
    """Class probabilities from the prototypes near a feature, and how far away it may be.

    Features are compared in the metric that the sources' own classes suggest. How sure a class is
    at a distance is learned from images whose own places had no say (see `usual_closeness`).
    """

    is_soft = True

    def __init__(self, sources: SourceSet) -> None:
        self.class_count = len(sources.classes)
        self._metric = Metric.of(sources)
        places = self._metric(sources.features)
        self._prototypes, labels = prototypes(places, sources.labels)
        self._one_hot = one_hot(labels, self.class_count).float()
        self._far, self._near = usual_closeness(places, sources, self.class_count)

    def __call__(self, features: Float[Tensor, "F D"]) -> Float[Tensor, "F C"]:
        """See Rule."""
        closeness = self._metric(features) @ self._prototypes.T
        nearest = closeness.amax(1, keepdim=True)
        says = torch.exp(SHARPNESS * (closeness - nearest))
        probabilities = normalize(says @ self._one_hot, p=1.0, dim=1)
        far, near = probabilities @ self._far, probabilities @ self._near
        sureness = (nearest[:, 0] - far) / (near - far).clamp(min=1e-3)
        return probabilities * sureness.clamp(LEAST_SURE, 1)[:, None]


def prototypes(
    places: Float[Tensor, "E D"], labels: Int[Tensor, " E"]
) -> tuple[Float[Tensor, "P D"], Int[Tensor, " P"]]:
    """Return at most PROTOTYPES centres of each class, and their classes."""
    found = [(c, clustered(places[labels == c], PROTOTYPES)) for c in labels.unique().tolist()]
    classes = [torch.full((len(centres),), c) for c, centres in found]
    return torch.cat([centres for _, centres in found]), torch.cat(classes)


def usual_closeness(
    places: Float[Tensor, "E D"], sources: SourceSet, class_count: int
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Return how close places of each class are to prototypes of it from other images.

    Returns:
        Cosines per class: of the rarely exceeded distance (FAR), and of half of the places. Of a
        class in one image only what holds for all places; with one image in all nothing is
        known, and nothing is far.
    """
    folds = sources.pictures % min(FOLDS, len(sources.pictures.unique()))
    closeness = torch.full((len(places),), torch.nan)
    for fold in folds.unique() if folds.any() else ():
        centres, classes = prototypes(places[folds != fold], sources.labels[folds != fold])
        for label in classes.unique():
            held = (folds == fold) & (sources.labels == label)
            closeness[held] = (places[held] @ centres[classes == label].T).amax(1)
    known = ~closeness.isnan()
    levels = torch.tensor([FAR, 0.5])
    if not known.any():
        return torch.full((class_count,), -1.0), torch.full((class_count,), 0.5)
    usual = closeness[known].quantile(levels).repeat(class_count, 1)
    for label in sources.labels[known].unique().tolist():
        usual[label] = closeness[known & (sources.labels == label)].quantile(levels)
    return usual[:, 0], usual[:, 1]


def clustered(places: Float[Tensor, "E D"], count: int, rounds: int = 10) -> Float[Tensor, "P D"]:
    """Return at most `count` centres of unit vectors (spherical k-means, evenly spaced start)."""
    start = torch.linspace(0, len(places) - 1, min(count, len(places))).long()
    centres = places[start]
    for _ in range(rounds):
        nearest = (places @ centres.T).argmax(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, places)
        centres = torch.where(sums.norm(dim=1, keepdim=True) > 0, normalize(sums, dim=1), centres)
    return centres


def make_rule(sources: SourceSet, options: TransferOptions) -> Rule:
    """Return the rule that the options name, for these sources."""
    if options.rule == "majority":
        return Majority(sources, options.neighbours)
    return Prototypes(sources)
