# SPDX-License-Identifier: Apache-2.0
"""Which object each Gaussian belongs to, of all that claim it: one or none."""

import torch
from jaxtyping import Int32
from torch import Tensor

from ros2_clickgs.core.objects import largest_component
from ros2_clickgs.core.state import State
from ros2_clickgs.core.types import BACKGROUND, NEVER_SEEN
from ros2_clickgs.core.votes import Votes, decide_labels


def owners(state: State, background_weight: float) -> Int32[Tensor, " N"]:
    """Decide every Gaussian's owner: an id, 0 for background, -1 where unseen or deleted.

    Of the objects that win a Gaussian, the one with most votes for it owns it; of what an object
    owns, only the connected piece with most votes stays.

    Args:
        state: the map and the objects' votes.
        background_weight: votes an object must beat, times those against it, if it has no weight
            of its own.
    """
    ballots = state.ballots.values()
    votes = Votes.none(0, len(state.hidden))
    weights = torch.ones(len(ballots), 1)
    if ballots:
        votes = Votes(
            votes_for=torch.cat([ballot.votes.votes_for for ballot in ballots]),
            votes_against=torch.cat([ballot.votes.votes_against for ballot in ballots]),
        )
        own = torch.tensor([[ballot.background_weight] for ballot in ballots])
        weights = torch.where(own < 0, background_weight, own)
    rows = decide_labels(votes, weights)
    rows[state.hidden] = NEVER_SEEN
    labels = rows.clone()
    for row, object_id in enumerate(state.ballots):
        members = torch.nonzero(rows == row + 1)[:, 0]
        means = state.gaussians.means[members.to(state.gaussians.device)].cpu()
        one_piece = largest_component(means, votes.votes_for[row, members])
        labels[members] = torch.where(one_piece, object_id, BACKGROUND).int()
    return labels


def decides_alike(one: State, other: State) -> bool:
    """Tell whether two states have the same owners of Gaussians, without deciding them."""
    same_map = one.hidden is other.hidden and one.gaussians.means is other.gaussians.means
    return same_map and ballots_of(one) == ballots_of(other)


def ballots_of(state: State) -> list[tuple[int, int, float]]:
    """Return what decides an object's members, votes by identity."""
    return [(i, id(b.votes), b.background_weight) for i, b in state.ballots.items()]
