# SPDX-License-Identifier: Apache-2.0
r"""The terms of Click-Gaussian's loss (arXiv:2407.11793), each with its gradient written out.

Sums over all pairs are products with sums, and thresholds make most entries of a gradient zero, so
that no graph needs to be kept. :math:`\hat x = x / |x|`; a cosine is :math:`\langle \hat x, \hat y
\rangle`; a gradient with respect to :math:`\hat x` becomes one of x by `through_norm`.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ros2_clickgs.core.types import IGNORE

SMALLEST_NORM = 1e-6
BLOCK = 512
"""Rows of the matrix of pairs that are looked at together: they stay in the cache."""
GAUSSIANS = 4096
"""Rows of the matrix of Gaussians and clusters, likewise."""
NEVER = 4.0
"""What is taken off the cosine of a pair that does not count: more than cosines differ by."""


def norms_of(x: Float[Tensor, "R D"]) -> Float[Tensor, "R 1"]:
    """Return the length of each row, at least SMALLEST_NORM."""
    return x.norm(dim=1, keepdim=True).clamp_(min=SMALLEST_NORM)


def members_of(masks: Int[Tensor, " P"], like: Float[Tensor, "P D"]) -> Float[Tensor, "P S"]:
    """Return 1 where a pixel belongs to a mask; column 0 is IGNORE."""
    return torch.nn.functional.one_hot(masks.long() - IGNORE).to(like)


def through_norm(
    gradient: Float[Tensor, "R D"], unit: Float[Tensor, "R D"], norms: Float[Tensor, "R 1"]
) -> Float[Tensor, "R D"]:
    r"""Turn the gradient of a direction into that of x, in place.

    .. math:: \nabla_x = (\nabla_{\hat x} - \hat x \langle \hat x, \nabla_{\hat x} \rangle) / |x|
    """
    along = torch.einsum("rd,rd->r", unit, gradient)[:, None]
    return gradient.addcmul_(unit, along, value=-1).div_(norms)


def positive(
    unit: Float[Tensor, "P D"], masks: Int[Tensor, " P"]
) -> tuple[float, Float[Tensor, "P D"]]:
    r"""Pull pixels of the same mask together (eq. 2), all pairs as one squared sum per mask.

    .. math:: L = -\frac{1}{P^2} \sum_{p,q} 1[M_p = M_q] \langle \hat F_p, \hat F_q \rangle
        = -\frac{1}{P^2} \sum_s \Big| \sum_{p \in s} \hat F_p \Big|^2

    Args:
        unit: rendered features of one level, of length 1.
        masks: mask of each pixel; IGNORE (-1) takes no part.

    Returns:
        The term and its gradient with respect to `unit`.
    """
    count = len(unit)
    members = members_of(masks, unit)
    members[:, 0] = 0
    sums = members.T @ unit
    return -float((sums * sums).sum()) / count**2, (members @ sums).mul_(-2 / count**2)


def negative(
    unit: Float[Tensor, "P D"],
    masks: Int[Tensor, " P"],
    tau: float,
    columns: Int[Tensor, " Q"] | None = None,
) -> tuple[float, Float[Tensor, "P D"]]:
    r"""Push pixels of different masks apart while they are too similar (eq. 3).

    .. math:: L = \frac{1}{P^2} \sum_{p,q} 1[M_p \neq M_q]\, 1[S_{pq} > \tau]\, S_{pq},
        \qquad S_{pq} = \langle \hat F_p, \hat F_q \rangle

    With `columns`, q runs over those pixels only and 1/P^2 becomes 1/(PQ): of a random sample the
    expected value and gradient are those of all pairs, and `negative_bound` says how near it is.

    Args:
        unit: rendered features of one level, of length 1.
        masks: mask of each pixel; IGNORE (-1) takes no part.
        tau: similarity that different masks may have, above -1.
        columns: the pixels that play q, each once; None means all.

    Returns:
        The term and its gradient with respect to `unit` (each pair moves both ends alike).
    """
    columns = torch.arange(len(unit), device=unit.device) if columns is None else columns
    pairs = max(len(unit) * len(columns), 1)
    members, seen = members_of(masks, unit), columns[masks[columns] != IGNORE]
    others = members[seen]
    others[:, 0] = 1
    left = torch.cat([unit, members * -NEVER], dim=1)
    right, theirs = torch.cat([unit[seen], others], dim=1).T.contiguous(), unit[seen]
    gradient = torch.empty_like(unit)
    for rows in range(0, len(unit), BLOCK):
        similar = left[rows : rows + BLOCK] @ right
        pushes = torch.gt(similar, tau, out=similar)
        torch.mm(pushes, theirs, out=gradient[rows : rows + BLOCK])
    value = float(torch.einsum("pd,pd->", unit, gradient)) / pairs
    return value, gradient.mul_(2 / pairs)


def negative_bound(column_count: int, miss: float = 1e-3) -> float:
    r"""Return how far a sampled negative term may lie from that of all pairs.

    Each column's mean over p lies in [0, 1], so by Hoeffding (1963, also without replacement)

    .. math:: \Pr\big[\,|L_Q - L| > \sqrt{\ln(2/\epsilon) / (2Q)}\,\big] \le \epsilon

    Args:
        column_count: Q, pixels in the sample.
        miss: epsilon, how often the bound may fail.
    """
    return math.sqrt(math.log(2 / miss) / (2 * column_count))


def norm_to(
    norms: Float[Tensor, "R 1"], radius: float, among: Bool[Tensor, " R"] | None = None
) -> tuple[float, Float[Tensor, "R 1"]]:
    r"""Keep features on a sphere (3D-norm and 2D-norm, without their sums over levels).

    .. math:: L = \frac{1}{R} \sum_r (|x_r| - \rho)^2 \qquad
        \nabla_{x_r} = \frac{2}{R} \frac{|x_r| - \rho}{|x_r|}\, x_r

    Args:
        norms: lengths of the features x.
        radius: the sphere's.
        among: rows that take part; None means all. R counts all.

    Returns:
        The term and what x is to be multiplied with to be its gradient.
    """
    off = norms - radius if among is None else (norms - radius) * among[:, None]
    return float((off * off).mean()), off / norms * (2 / len(norms))


def guided(
    unit: Float[Tensor, "R D"],
    clusters: Float[Tensor, "C D"],
    tau_global: float,
    tau: float,
) -> tuple[float, Float[Tensor, "R D"]]:
    r"""Draw each Gaussian to its nearest cluster and away from the others (GFL).

    .. math::
        L = \frac{1}{R} \sum_i \Big( -1[S_{ic_i} > \tau^g]\, S_{ic_i}
        + \frac{1}{C} \sum_{c \neq c_i} 1[S_{ic} > \tau^l]\, S_{ic} \Big),
        \qquad c_i = \arg\max_c S_{ic}

    Args:
        unit: features of Gaussians at one level, of length 1.
        clusters: global features of that level, of length 1; may be none, then the term is 0.
        tau_global: similarity from which on a Gaussian belongs to a cluster.
        tau: similarity that it may have to other clusters.

    Returns:
        The term and its gradient with respect to `unit`.
    """
    if len(clusters) == 0:
        return 0.0, torch.zeros_like(unit)
    gradient, count = torch.empty_like(unit), len(clusters)
    for rows in range(0, len(unit), GAUSSIANS):
        similar = unit[rows : rows + GAUSSIANS] @ clusters.T
        best, nearest = similar.max(1, keepdim=True)
        pull = torch.gt(similar, tau, out=similar)
        pull.scatter_(1, nearest, (best > tau_global).to(unit) * -count)
        torch.mm(pull, clusters, out=gradient[rows : rows + GAUSSIANS])
    share = 1 / (count * len(unit))
    value = float(torch.einsum("rd,rd->", unit, gradient)) * share
    return value, gradient.mul_(share)
