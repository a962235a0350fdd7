# SPDX-License-Identifier: Apache-2.0
"""What a training leaves: a feature per Gaussian and the global clusters of both levels."""

from dataclasses import dataclass, field, fields
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.features.options import COARSE_DEPTH, DEPTH
from ros2_clickgs.errors import ShapeError

Level = Literal["coarse", "fine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureMap:
    """Features of a map's Gaussians; cosine similarity is what compares them."""

    features: Float[Tensor, "N D"]
    """The first 12 channels are the coarse level, all 24 the fine one."""
    coarse_clusters: Float[Tensor, "A C"]
    """Direction of each thing, of length 1; may be none."""
    fine_clusters: Float[Tensor, "B F"]
    """Direction of each part: 24 channels, or the last 12 alone if trained without the prior."""

    coarse_background: Float[Tensor, "G E"] = field(
        default_factory=lambda: torch.zeros(0, COARSE_DEPTH)
    )
    """Direction of what is no thing; none if the masks did not tell."""
    fine_background: Float[Tensor, "J H"] = field(default_factory=lambda: torch.zeros(0, DEPTH))
    """The same at the fine level."""

    def __post_init__(self) -> None:
        coarse, fine = (COARSE_DEPTH,), (DEPTH, DEPTH - COARSE_DEPTH)
        expected = {
            "features": (DEPTH,),
            "coarse_clusters": coarse,
            "fine_clusters": fine,
            "coarse_background": coarse,
            "fine_background": fine,
        }
        for name, widths in expected.items():
            shape = tuple(getattr(self, name).shape)
            if len(shape) != 2 or shape[1] not in widths:
                raise ShapeError(name, expected=f"(…, {widths[0]})", actual=shape)

    def __len__(self) -> int:
        return len(self.features)

    def to(self, device: torch.device | str) -> "FeatureMap":
        """Return the same features on another device."""
        return FeatureMap(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def clusters(self, level: Level) -> Float[Tensor, "C _"]:
        """Return the clusters of a level."""
        return self.coarse_clusters if level == "coarse" else self.fine_clusters

    def background(self, level: Level) -> Float[Tensor, "G _"]:
        """Return the direction of the background at a level, or none."""
        return self.coarse_background if level == "coarse" else self.fine_background

    def channels(self, level: Level) -> slice:
        """Return which channels of a feature make up a level."""
        if level == "coarse":
            return slice(0, COARSE_DEPTH)
        return slice(DEPTH - self.fine_clusters.shape[1], DEPTH)
