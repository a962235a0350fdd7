# SPDX-License-Identifier: Apache-2.0
"""What features say about a thing, as votes: it becomes an object like those masks make."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ros2_clickgs.core.features.feature_map import Level
from ros2_clickgs.core.features.query import FeatureQuery
from ros2_clickgs.core.types import BACKGROUND
from ros2_clickgs.core.votes import Votes
from ros2_clickgs.errors import NotFoundError

LEAST_LIKENESS = 0.55
"""Below it a Gaussian would have more votes against the thing than for it."""


def claim_of_clicks(
    query: FeatureQuery,
    level: Level,
    positive: Float[Tensor, "A 24"],
    negative: Float[Tensor, "B 24"],
    others: Float[Tensor, " N"],
) -> Votes:
    """Return the votes for what was clicked on.

    Args:
        query: trained features.
        level: coarse for the thing, fine for the part.
        positive: features of clicks on the thing, see `FeatureQuery.feature_at_pixel`.
        negative: features of clicks on what is not the thing.
        others: most votes for any other object; the newest click beats them.

    Raises:
        NotFoundError: nothing is like the clicks.
    """
    chosen = query.select(positive, level, negative)
    if not chosen.any():
        there = "other things; click elsewhere, or on the other level"
        raise NotFoundError(f"Gaussian at the {level} level", "like what was clicked on", there)
    return claim(chosen, query.likeness(positive, level), others)


def claims_of_all(
    query: FeatureQuery, level: Level, free: Bool[Tensor, " N"], least_count: int
) -> list[Votes]:
    """Return the votes for each thing of the map, by its clusters.

    Args:
        query: trained features.
        level: coarse for things, fine for parts.
        free: Gaussians that may be claimed.
        least_count: things with fewer Gaussians are left out.
    """
    labels, likeness = query.everything(level).cpu(), query.likeness_to_clusters(level)
    labels[~free] = BACKGROUND
    nothing = torch.zeros(len(labels))
    return [
        claim(labels == label, likeness, nothing)
        for label in labels[labels > BACKGROUND].unique()
        if (labels == label).sum() >= least_count
    ]


def claim(
    chosen: Bool[Tensor, " N"], likeness: Float[Tensor, " N"], others: Float[Tensor, " N"]
) -> Votes:
    r"""Return votes (L = 1) for some Gaussians, the more of them for it the more alike they are.

    .. math:: \text{for}_i = 2 (1 + o_i)\, s_i \qquad \text{against}_i = 2 (1 + o_i) (1 - s_i)

    with the likeness :math:`s_i` in [LEAST_LIKENESS, 1], so that for > o: what claims last, owns.
    """
    chosen, likeness = chosen.cpu(), likeness.cpu()
    weight = torch.where(chosen, 2 * (1 + others), 0.0)
    share = likeness.clamp(LEAST_LIKENESS, 1.0)
    return Votes(votes_for=(weight * share)[None], votes_against=(weight * (1 - share))[None])
