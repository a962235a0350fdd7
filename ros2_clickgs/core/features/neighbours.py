# SPDX-License-Identifier: Apache-2.0
"""Who is next to whom in the map, and the term that makes neighbours agree."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn.functional import embedding_bag

from ros2_clickgs.core.features.products import by_column, gather


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourGroup:
    """Every `step`-th Gaussian from `first` on, with K neighbours each: one iteration's sample."""

    first: int
    step: int
    neighbours: Int[Tensor, "S K"]
    """The Gaussians next to each member."""
    touched: Int[Tensor, " U"]
    """The Gaussians that are a neighbour of some member."""
    touched_offsets: Int[Tensor, " U"]
    """Where each of them starts in `of_members`."""
    of_members: Int[Tensor, " M"]
    """The members that each touched Gaussian is a neighbour of, by their place in the group."""

    @property
    def members(self) -> slice:
        """The members' rows."""
        return slice(self.first, None, self.step)


def neighbour_groups(
    means: Float[Tensor, "N 3"], group_size: int, neighbours: int
) -> list[NeighbourGroup]:
    """Deal all Gaussians to groups of about `group_size` and find each one's nearest neighbours.

    Taking the groups in turn is sampling without replacement: all Gaussians come up equally often.

    Args:
        means: centres, in m.
        group_size: N_s; a smaller map is one group.
        neighbours: K, fewer where the map has fewer Gaussians.
    """
    points = means.detach().cpu().double().numpy()
    k = min(neighbours, len(points) - 1)
    found = cKDTree(points).query(points, k=range(2, k + 2), workers=-1)[1] if k else []
    nearest = torch.as_tensor(found).long().reshape(len(points), k).to(means.device)
    step = -(-len(points) // group_size)
    return [_group(nearest, first, step) for first in range(step)]


def _group(nearest: Int[Tensor, "N K"], first: int, step: int) -> NeighbourGroup:
    own = nearest[first::step].contiguous()
    order, touched, touched_offsets = by_column(own.flatten())
    return NeighbourGroup(
        first=first,
        step=step,
        neighbours=own,
        touched=touched,
        touched_offsets=touched_offsets,
        of_members=(order // max(own.shape[1], 1)).int(),
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
    gradient, pair_count = torch.zeros_like(unit), group.neighbours.numel()
    if pair_count == 0:
        return 0.0, gradient
    members = unit[group.members].contiguous()
    around = embedding_bag(group.neighbours, unit, mode="sum")
    value = -float(torch.einsum("rd,rd->", members, around)) / pair_count
    gradient[group.touched] = gather(group.of_members, group.touched_offsets, members)
    gradient[group.members] += around
    return value, gradient.div_(-pair_count)
