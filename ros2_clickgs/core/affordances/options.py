# SPDX-License-Identifier: Apache-2.0
"""What may be chosen about a transfer, and what comes out of it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Int32
from torch import Tensor

from ros2_clickgs.core.types import NEVER_SEEN
from ros2_clickgs.errors import ConfigError

RULES = ("soft", "majority")
LIFTINGS = ("votes", "features")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOptions:
    """How annotations get from images to Gaussians."""

    rule: str = "soft"
    """`soft`: class probabilities from prototypes, with abstention; `majority`: the k nearest
    neighbours' most frequent class, as in arXiv:2409.11681."""
    lifting: str = "votes"
    """`votes`: classify pixels, then vote; `features`: lift features, then classify Gaussians."""
    neighbours: int = 5
    """k of the rule `majority`."""
    smoothing: float = 0.67
    """How much a Gaussian listens to its neighbours, 0 (not at all) to below 1."""

    def __post_init__(self) -> None:
        for name, allowed in (("rule", RULES), ("lifting", LIFTINGS)):
            if getattr(self, name) not in allowed:
                raise ConfigError(name, getattr(self, name), " | ".join(allowed))
        if self.neighbours < 1:
            raise ConfigError("neighbours", self.neighbours, "1 or more")
        if not 0 <= self.smoothing < 1:
            raise ConfigError("smoothing", self.smoothing, "0 to below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class AffordanceScores:
    """What each Gaussian of an object affords."""

    classes: list[str]
    """The first is the background: parts of the object that afford nothing named."""
    scores: Float32[Tensor, "M C"]
    """Class probabilities; all 0 for Gaussians that no view has shown."""
    labels: Int32[Tensor, " M"]
    """Most probable class, an index into `classes`; -1 where no view has shown it."""

    @classmethod
    def of(cls, classes: list[str], scores: Float32[Tensor, "M C"]) -> "AffordanceScores":
        """Return scores with the labels that follow from them."""
        seen = scores.sum(-1) > 0
        labels = torch.where(seen, scores.argmax(-1), NEVER_SEEN).int()
        return cls(classes=classes, scores=scores, labels=labels)

    def spread(self, gaussian_ids: Tensor, count: int) -> "AffordanceScores":
        """Return the same for a whole map of `count` Gaussians; others are unlabelled."""
        scores = self.scores.new_zeros(count, len(self.classes))
        labels = self.labels.new_full((count,), NEVER_SEEN)
        scores[gaussian_ids], labels[gaussian_ids] = self.scores, self.labels
        return AffordanceScores(classes=self.classes, scores=scores, labels=labels)
