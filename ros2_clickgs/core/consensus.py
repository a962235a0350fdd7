# SPDX-License-Identifier: Apache-2.0
"""Votes of masks that cannot all be right: what most views say decides which masks count, where.

The paper's sum takes every mask as it is. With masks of a network and poses of a robot, masks are
missing, on the wrong thing, in pieces, and some pixels off. So the objects that all masks give are
splatted into each view: a mask is moved onto its object there, or does not vote if it cannot be.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ros2_clickgs.core.fitting import REACH, fitted
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import Camera
from ros2_clickgs.core.votes import Votes, cast_votes, decide_labels

ROUNDS = 3
"""How often at most the masks are fitted to what they said the time before."""
FIRST_WEIGHT = 0.5
"""Background weight of the first guess: where a mask is missing its view votes against."""
AT_ONCE = 32
"""Objects that are splatted in one pass."""

MaskedView = tuple[Camera, Int[Tensor, "H W"]]
"""A camera and its label image: 0 background, l object l, IGNORE (-1) does not vote."""


def summed_votes(rasterizer: Rasterizer, views: Iterable[MaskedView], object_count: int) -> Votes:
    """Return the votes of all masks as they are: the paper's rule."""
    votes = Votes.none(object_count, len(rasterizer.gaussians))
    for camera, label_image in views:
        votes = votes + cast_votes(rasterizer, camera, label_image, object_count)
    return votes


def agreed_votes(
    rasterizer: Rasterizer,
    views: Iterable[MaskedView],
    object_count: int,
    background_weight: float = 1.0,
    reach: float = REACH,
) -> Votes:
    """Return the votes of the masks that agree with the others, each moved to where it does.

    Args:
        rasterizer: owner of the blending weights.
        views: read several times.
        object_count: L.
        background_weight: votes that an object must beat, times those against it.
        reach: how far a mask may be moved, as a share of the image's width.
    """
    votes = summed_votes(rasterizer, views, object_count)
    labels = decide_labels(votes, min(background_weight, FIRST_WEIGHT))
    for _ in range(ROUNDS):
        votes = fitted_votes(rasterizer, views, object_count, labels, reach)
        before, labels = labels, decide_labels(votes, background_weight)
        if torch.equal(before, labels):
            break
    return votes


def fitted_votes(
    rasterizer: Rasterizer,
    views: Iterable[MaskedView],
    object_count: int,
    labels: Int[Tensor, " N"],
    reach: float = REACH,
) -> Votes:
    """Return the votes of the masks that fit these labels; of an object without one, none.

    A view that shows no mask of an object, or one that does not fit, says nothing about it.
    """
    total = Votes.none(object_count, len(rasterizer.gaussians))
    for camera, label_image in views:
        members = labels[:, None].cpu() == torch.arange(1, object_count + 1)
        soft = soft_masks(rasterizer, camera, members)
        moved_image, fits = fitted(label_image, soft, reach)
        votes = cast_votes(rasterizer, camera, moved_image, object_count)
        counts = fits[:, None].to(votes.votes_for)
        total = total + Votes(
            votes_for=counts * votes.votes_for, votes_against=counts * votes.votes_against
        )
    return total


def soft_masks(
    rasterizer: Rasterizer, camera: Camera, members: Bool[Tensor, "N L"]
) -> Float[Tensor, "H W L"]:
    """Return what a view shows of each object, given its Gaussians, in [0, 1]."""
    values = members.to(rasterizer.gaussians.means)
    pictures = [rasterizer.splat(camera, some).cpu() for some in values.split(AT_ONCE, dim=1)]
    return torch.cat(pictures, dim=-1)
