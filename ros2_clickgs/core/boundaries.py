# SPDX-License-Identifier: Apache-2.0
"""What happens at an object's border: small rules, each by itself, on pixels and on votes.

benchmarks/noise.py says what each of them brings.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int32
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from ros2_clickgs.core.types import BACKGROUND, IGNORE
from ros2_clickgs.core.votes import Votes

BAND_PX = 3.0
"""Pixels nearer than this to a mask's border do not vote, on either side."""
BAND_SHARE = 0.25
"""But no more than this share of how far a mask's deepest pixel lies inside it."""
ACROSS = 0.25
"""Share of its weight that a Gaussian must have on either side to lie across a border."""
CLEAR = 2.0
"""Votes for that a Gaussian across a border needs, times those against."""


def without_borders(
    label_image: Int[Tensor, "H W"], width_px: float = BAND_PX, share: float = BAND_SHARE
) -> Int32[Tensor, "H W"]:
    """Return a label image whose pixels near a mask's border do not vote.

    Args:
        label_image: 0 background, above: objects, IGNORE (-1) does not vote.
        width_px: of the band, on either side of the border.
        share: the band is no wider than this share of the mask's inner radius, so that thin
            things keep a core.
    """
    labels = label_image.cpu().numpy()
    kept = labels.astype(np.int32)
    for label in np.unique(labels[labels > BACKGROUND]):
        mask = labels == label
        inside, outside = distance_transform_edt(mask), distance_transform_edt(~mask)
        width = min(width_px, share * inside.max())
        kept[np.maximum(inside, outside) <= width] = IGNORE
    return torch.from_numpy(kept)


def across(votes: Votes) -> Float[Tensor, "L N"]:
    """Return how much of its weight every Gaussian has on the lesser side of a view's border.

    Taken of one view's votes and added up over views: pooled votes cannot tell a Gaussian that
    lies across a border from one about which views disagree.
    """
    return torch.minimum(votes.votes_for, votes.votes_against)


def straddling(across_views: Float[Tensor, "L N"], votes: Votes) -> Bool[Tensor, "L N"]:
    """Return which Gaussians lie across an object's border in the views that voted."""
    return across_views > ACROSS * (votes.votes_for + votes.votes_against)


def decided_at_border(votes: Votes, straddles: Bool[Tensor, "L N"]) -> Votes:
    """Return votes by which a Gaussian across a border is an object's only where it is clear."""
    unclear = straddles & (votes.votes_for <= CLEAR * votes.votes_against)
    return replace(votes, votes_for=torch.where(unclear, 0.0, votes.votes_for))
