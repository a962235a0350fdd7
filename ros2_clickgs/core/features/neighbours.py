# SPDX-License-Identifier: Apache-2.0
"""Who is next to whom in the map, and the term that makes neighbours agree.

A training keeps its Gaussians in an order of its own (`dealt_order`), so that one iteration's
sample is a block of rows and neighbours lie near each other in memory: gathers then hit the cache.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn.functional import embedding_bag

from ros2_clickgs.core.features.products import by_column, gather


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourGroup:
    """A block of rows with K neighbours each: one iteration's sample."""

    members: slice
    """The members' rows."""
    neighbours: Int[Tensor, "S K"]
    """The Gaussians next to each member."""
    of_members: Int[Tensor, " M"]
    """The members that each Gaussian is a neighbour of, by their place in the group."""
    offsets: Int[Tensor, " N"]
    """Where each Gaussian starts in `of_members`."""


def dealt_order(means: Float[Tensor, "N 3"], group_size: int) -> Int[Tensor, " N"]:
    """Deal all Gaussians to groups of about `group_size`, each spread over the whole map.

    Along a space-filling curve (Morton 1966, on ranks, so that far-off Gaussians do no harm) every
    `step`-th one goes to the same group.

    Returns:
        The rows, group after group, along the curve within each.
    """
    ranks = means.argsort(dim=0).argsort(dim=0) * 1024 // len(means)
    axes, code = torch.arange(3, device=means.device), ranks.new_zeros(len(means))
    for bit in range(10):
        code += ((ranks >> bit & 1) << (3 * bit + axes)).sum(1)
    curve, step = code.argsort(stable=True), -(-len(means) // group_size)
    return torch.cat([curve[first::step] for first in range(step)])


def neighbour_groups(
    means: Float[Tensor, "N 3"], group_size: int, neighbours: int
) -> list[NeighbourGroup]:
    """Cut Gaussians in dealt order into groups and find each one's nearest neighbours.

    Taking the groups in turn is sampling without replacement: all Gaussians come up equally often.

    Args:
        means: centres, in m, in the order of `dealt_order`.
        group_size: N_s; a smaller map is one group.
        neighbours: K, fewer where the map has fewer Gaussians.
    """
    points = means.detach().cpu().double().numpy()
    k = min(neighbours, len(points) - 1)
    found = cKDTree(points).query(points, k=range(2, k + 2), workers=-1)[1] if k else []
    nearest = torch.as_tensor(found).int().reshape(len(points), k).to(means.device)
    step = -(-len(points) // group_size)
    sizes = [len(range(first, len(points), step)) for first in range(step)]
    lasts = torch.tensor(sizes).cumsum(0).tolist()
    return [_group(nearest, last - size, last) for size, last in zip(sizes, lasts, strict=True)]


def _group(nearest: Int[Tensor, "N K"], first: int, last: int) -> NeighbourGroup:
    own = nearest[first:last]
    order, touched, starts = by_column(own.flatten())
    ends = torch.cat([starts[1:], starts.new_tensor([len(order)])])
    counts = torch.zeros(len(nearest), dtype=torch.int32, device=nearest.device)
    counts[touched] = ends[: len(touched)] - starts
    return NeighbourGroup(
        members=slice(first, last),
        neighbours=own,
        of_members=(order // max(own.shape[1], 1)).int(),
        offsets=(counts.cumsum(0) - counts).int(),
    )


def spatial(
    unit: Float[Tensor, "N D"], group: NeighbourGroup
) -> tuple[float, Float[Tensor, "N D"]]:
    r"""Make the members of a group agree with their neighbours.

    .. math:: L = -\frac{1}{N_s K} \sum_i \sum_{k \in \text{near}(i)}
        \langle \hat f_i, \hat f_k \rangle

    Args:
        unit: whole features of all Gaussians, of length 1.
        group: the N_s Gaussians that i runs over, and their neighbours.

    Returns:
        The term and its gradient with respect to `unit`.
    """
    if group.neighbours.numel() == 0:
        return 0.0, torch.zeros_like(unit)
    share = -1 / group.neighbours.numel()
    members = unit[group.members] * share
    around = embedding_bag(group.neighbours, unit, mode="sum")
    value = float(torch.einsum("rd,rd->", members, around))
    gradient = gather(group.of_members, group.offsets, members)
    gradient[group.members].add_(around, alpha=share)
    return value, gradient
