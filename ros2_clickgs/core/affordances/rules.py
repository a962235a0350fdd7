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
FAR_QUANTILE = 0.02
"""Share of the sources' own places that are as far from all prototypes as what says nothing."""


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
    """Class probabilities from the prototypes near a feature; none from afar.

    Features are compared in the metric that the sources' own classes suggest. A feature that is
    farther from all prototypes than FAR_QUANTILE of the sources' places is abstained from.
    """

    is_soft = True

    def __init__(self, sources: SourceSet) -> None:
        self.class_count = len(sources.classes)
        self._metric = Metric.of(sources)
        places = self._metric(sources.features)
        found = [
            (label, clustered(places[sources.labels == label], PROTOTYPES))
            for label in sources.labels.unique().tolist()
        ]
        self._prototypes = torch.cat([centres for _, centres in found])
        labels = torch.cat([torch.full((len(c),), label) for label, c in found])
        self._one_hot = one_hot(labels.long(), self.class_count).float()
        nearest = (places @ self._prototypes.T).amax(1)
        self._far, self._near = nearest.quantile(torch.tensor([FAR_QUANTILE, 0.5])).tolist()

    def __call__(self, features: Float[Tensor, "F D"]) -> Float[Tensor, "F C"]:
        """See Rule."""
        closeness = self._metric(features) @ self._prototypes.T
        says = torch.exp(SHARPNESS * (closeness - closeness.amax(1, keepdim=True)))
        probabilities = normalize(says @ self._one_hot, p=1.0, dim=1)
        return probabilities * self._sureness(closeness.amax(1))[:, None]

    def _sureness(self, nearest: Float[Tensor, " F"]) -> Float[Tensor, " F"]:
        return ((nearest - self._far) / (self._near - self._far + 1e-6)).clamp(0.02, 1)


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
