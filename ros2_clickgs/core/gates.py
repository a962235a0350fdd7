# SPDX-License-Identifier: Apache-2.0
"""Which masks may vote: what speaks against a view before it is asked, and against its mask."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from ros2_clickgs.core.geometry import project
from ros2_clickgs.core.state import Ballot
from ros2_clickgs.core.types import Camera
from ros2_clickgs.core.votes import Votes, agreement

AGREEMENT = 0.5
"""IoU with what the other views say, below which a mask does not vote."""
LEAST_SCORE = 0.25
"""The segmenter's own belief (predicted IoU) below which a mask does not vote."""
LEAST_AREA_PX = 60.0
"""Objects that show fewer pixels are not asked for."""
LEAST_INSIDE = 0.5
"""Share of the object that must lie inside the image."""
LEAST_UNCOVERED = 0.3
"""Share of that which nothing else may hide."""
BEHIND = 0.02
"""What lies behind the visible surface by more than this share of its depth is hidden."""


class Objection(Enum):
    """Why a mask does not vote. The order is kept: counts are stored by it."""

    SMALL = "too small"
    CUT = "cut by the image's border"
    HIDDEN = "hidden by other things"
    UNSURE = "low score"
    DISAGREES = "disagrees with the map"


TO_MASKS = (Objection.UNSURE, Objection.DISAGREES)
"""Those to a mask that was drawn; the others are to a view, which is then not asked."""


def objection_counts(ballot: Ballot) -> Counter[Objection]:
    """Return how often each objection was made while an object was looked for."""
    return +Counter(dict(zip(Objection, ballot.rejected, strict=False)))


def refused_masks(ballot: Ballot) -> Counter[Objection]:
    """Return how many masks were drawn of an object that do not vote, by reason."""
    counts = objection_counts(ballot)
    return +Counter({objection: counts[objection] for objection in TO_MASKS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """How much of an object a view can show."""

    area_px: float
    """Pixels that the map says it covers."""
    inside: float
    """Share of its Gaussians that lie inside the image."""
    uncovered: float
    """Share of those that nothing else hides; the object may hide itself."""


def sight_of(
    camera: Camera,
    means: Float[Tensor, "M 3"],
    soft: Float32[np.ndarray, "H W"],
    depth: Float32[np.ndarray, "H W"],
) -> Sight:
    """Return how much of an object a view can show.

    Args:
        camera: the view.
        means: centres of the object's Gaussians, in m.
        soft: the object splatted into the view, in [0, 1].
        depth: the map's depth in the view, in m; 0 where there is none.
    """
    u, v, z = project(camera, means).cpu().numpy().T
    inside = (z > 0) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    pixels = (v[inside].astype(int), u[inside].astype(int))
    before = depth[pixels]
    is_behind = (before > 0) & (z[inside] > (1 + BEHIND) * before)
    hidden = is_behind & (soft[pixels] < 0.5)
    return Sight(
        area_px=float(soft.sum()),
        inside=float(inside.mean()) if len(inside) else 0.0,
        uncovered=1 - float(hidden.mean()) if len(hidden) else 0.0,
    )


def objection_to_view(sight: Sight) -> Objection | None:
    """Return what speaks against asking a view at all."""
    if sight.inside < LEAST_INSIDE:
        return Objection.CUT
    if sight.uncovered < LEAST_UNCOVERED:
        return Objection.HIDDEN
    return Objection.SMALL if sight.area_px < LEAST_AREA_PX else None


def objection_to_mask(score: float, votes: Votes, others: Votes) -> Objection | None:
    """Return what speaks against a mask.

    Args:
        score: the segmenter's belief in it (predicted IoU), in [0, 1].
        votes: what it says (L = 1).
        others: what the other views say (L = 1).
    """
    if score < LEAST_SCORE:
        return Objection.UNSURE
    return Objection.DISAGREES if agreement(votes, others) < AGREEMENT else None


def agreeing(ballots: list[Votes]) -> list[int]:
    """Return which ballots (L = 1 each) of the same object do not contradict the others.

    The one that agrees least with all others is dropped, and again, until each has an IoU of
    AGREEMENT or more; of two that disagree, the earlier one is kept.
    """
    kept = list(range(len(ballots)))
    while len(kept) > 1:
        together = sum((ballots[i] for i in kept[1:]), ballots[kept[0]])
        scores = torch.tensor([agreement(ballots[i], together - ballots[i]) for i in kept])
        if scores.min() >= AGREEMENT:
            break
        kept.pop(int(scores.argmin()) if len(kept) > 2 else 1)
    return kept
