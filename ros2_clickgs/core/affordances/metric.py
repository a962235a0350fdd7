# SPDX-License-Identifier: Apache-2.0
"""Which differences between features matter, learned from the few annotated images."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ros2_clickgs.core.affordances.sources import SourceSet

IMAGES_FOR_HALF = 3.0
"""With so many images, the differences inside classes count half as much as no knowledge."""
FLOOR = 0.1
"""Least share of no knowledge, however many images there are."""


@dataclass(frozen=True, slots=True)
class Metric:
    r"""Cosine after whitening: what varies inside a class counts less.

    .. math:: x \mapsto (S + \lambda \bar s I)^{-1/2} (x - m)

    with the mean m of the classes' means, the covariance S inside classes, its mean variance
    :math:`\bar s`, and :math:`\lambda = 3 / \text{images} + 0.1`: one image says little about
    what varies between objects of a class, so that plain cosine is all but left alone.
    """

    center: Float[Tensor, " D"]
    whitening: Float[Tensor, "D D"]

    @classmethod
    def of(cls, sources: SourceSet) -> "Metric":
        """Return the metric that a source set suggests."""
        labels = sources.labels
        groups = [sources.features[labels == label] for label in labels.unique()]
        means = torch.stack([group.mean(0) for group in groups])
        spread = torch.cat([g - m for g, m in zip(groups, means, strict=True)]).double()
        scatter = spread.T @ spread / len(spread)
        variances, axes = torch.linalg.eigh(scatter)
        unknown = IMAGES_FOR_HALF / len(sources.pictures.unique()) + FLOOR
        scales = (variances + unknown * variances.mean() + 1e-12).rsqrt()
        return cls(means.mean(0), (axes * scales).float())

    def __call__(self, features: Float[Tensor, "F D"]) -> Float[Tensor, "F D"]:
        """Return features of length 1 whose dot product says how alike they are."""
        return normalize((features - self.center) @ self.whitening, dim=-1)
