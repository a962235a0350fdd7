# SPDX-License-Identifier: Apache-2.0
"""The two sums of the loss: its terms on rendered pixels and its terms on Gaussians."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ros2_clickgs.core.features import losses
from ros2_clickgs.core.features.clusters import Clusters
from ros2_clickgs.core.features.neighbours import NeighbourGroup, spatial
from ros2_clickgs.core.features.options import COARSE_DEPTH, DEPTH, LEVELS, TrainingOptions
from ros2_clickgs.core.types import IGNORE

TERMS = ("positive", "negative", "global", "norm3d", "norm2d", "spatial")
Terms = dict[str, float]


def pixel_terms(
    rendered: Float[Tensor, "P D"],
    masks: Int[Tensor, "2 P"],
    columns: Int[Tensor, " Q"],
    options: TrainingOptions,
) -> tuple[Float[Tensor, "P D"], Terms]:
    r"""Return the gradient and the values of the terms on rendered features: eq. 2 to 5, 2D-norm.

    At the fine level the negative term's gradient stops at the coarse channels,
    :math:`F^f = \mathrm{sg}(F^c) \oplus \bar F^c` (eq. 4).
    """
    gradient, terms = torch.zeros_like(rendered), {"positive": 0.0, "negative": 0.0, "norm2d": 0.0}
    for level, ids in zip(LEVELS, masks, strict=True):
        own = options.channels(level)
        norms = losses.norms_of(rendered[:, own])
        unit = rendered[:, own] / norms
        value, pull = losses.positive(unit, ids)
        terms["positive"] += value
        gradient[:, own] += losses.through_norm(pull, unit, norms)
        if options.negative_weight:
            value, push = losses.negative(unit, ids, options.tau(level), columns)
            push = losses.through_norm(push, unit, norms / options.negative_weight)
            if level == "fine":
                push[:, : COARSE_DEPTH - own.start] = 0
            terms["negative"] += options.negative_weight * value
            gradient[:, own] += push
        value, factor = losses.norm_to(norms, options.radius(level), ids != IGNORE)
        terms["norm2d"] += options.norm2d_weight * value
        gradient[:, own].addcmul_(rendered[:, own], factor, value=options.norm2d_weight)
    return gradient, terms


def gaussian_terms(
    features: Float[Tensor, "N D"],
    group: NeighbourGroup,
    clusters: dict[str, Clusters],
    options: TrainingOptions,
) -> tuple[Float[Tensor, "N D"], Terms]:
    """Return the gradient and the values of the terms on Gaussians: spatial, 3D-norm, GFL.

    Means over all N Gaussians are means over the group's N_s, whose turn it is.
    """
    terms = {"spatial": 0.0, "norm3d": 0.0, "global": 0.0}
    if options.spatial_weight:
        norms = losses.norms_of(features)
        unit = features / norms
        value, pull = spatial(unit, group)
        terms["spatial"] = options.spatial_weight * value
        gradient = losses.through_norm(pull, unit, norms / options.spatial_weight)
    else:
        gradient = torch.zeros_like(features)
    members, own_gradient = features[group.members], gradient[group.members]
    if options.norm3d_weight:
        for half in (slice(0, COARSE_DEPTH), slice(COARSE_DEPTH, DEPTH)):
            value, factor = losses.norm_to(losses.norms_of(members[:, half]), 1.0)
            terms["norm3d"] += options.norm3d_weight * value
            own_gradient[:, half].addcmul_(members[:, half], factor, value=options.norm3d_weight)
    for level, found in clusters.items():
        own = options.channels(level)
        norms = losses.norms_of(members[:, own])
        unit = members[:, own] / norms
        value, pull = losses.guided(unit, found.directions, options.tau_global, options.tau(level))
        terms["global"] += options.global_weight * value
        own_gradient[:, own] += losses.through_norm(pull, unit, norms / options.global_weight)
    return gradient, terms
