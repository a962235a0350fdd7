# SPDX-License-Identifier: Apache-2.0
"""Which object each Gaussian belongs to, of all that claim it: one or none, or several."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor

from ros2_clickgs.core.objects import largest_component
from ros2_clickgs.core.state import State
from ros2_clickgs.core.types import BACKGROUND, NEVER_SEEN
from ros2_clickgs.core.votes import Votes, decide_labels, wins


class Piece(NamedTuple):
    """Which of an object's Gaussians are connected, and what that rests on."""

    members: Int64[Tensor, " M"]
    votes: Votes
    means: Float[Tensor, "N 3"]
    is_connected: Bool[Tensor, " M"]

    @property
    def rows(self) -> Int64[Tensor, " K"]:
        """The object's rows of the map."""
        return self.members[self.is_connected]

    def rests_on(
        self, members: Int64[Tensor, " M"], votes: Votes, means: Float[Tensor, "N 3"]
    ) -> bool:
        """Tell whether nothing has changed; votes and means are compared by identity."""
        is_same = self.votes is votes and self.means is means
        return is_same and torch.equal(self.members, members)


def owners(
    state: State,
    background_weight: float,
    pieces: dict[int, Piece],
    allow_overlap: bool = False,
) -> Int32[Tensor, " N"]:
    """Decide every Gaussian's owner: an id, 0 for background, -1 where unseen or deleted.

    Of the objects that win a Gaussian, the one with most votes for it owns it; of what an object
    owns, only the connected piece with most votes stays. Where objects may overlap, each keeps in
    its piece whatever it wins; the owner, of which there is one, is still the one with most votes.

    Args:
        state: the map and the objects' votes.
        background_weight: votes an object must beat, times those against it, if it has no weight
            of its own.
        pieces: what came out last time, per object; is brought up to date.
        allow_overlap: whether a Gaussian may belong to several objects.
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
    means = state.gaussians.means
    for row, (object_id, ballot) in enumerate(state.ballots.items()):
        is_owned = rows == row + 1
        is_member = (
            wins(ballot.votes, weights[row])[0] & ~state.hidden if allow_overlap else is_owned
        )
        members = torch.nonzero(is_member)[:, 0]
        known = pieces.get(object_id)
        if known is None or not known.rests_on(members, ballot.votes, means):
            points = means[members.to(means.device)].cpu()
            is_connected = largest_component(points, ballot.votes.votes_for[0, members])
            known = pieces[object_id] = Piece(members, ballot.votes, means, is_connected)
        owned = is_owned[members]
        kept = torch.where(known.is_connected[owned], object_id, BACKGROUND).int()
        labels[members[owned]] = kept
    for gone in set(pieces) - set(state.ballots):
        del pieces[gone]
    return labels


def decides_alike(one: State, other: State) -> bool:
    """Tell whether two states have the same owners of Gaussians, without deciding them."""
    same_map = one.hidden is other.hidden and one.gaussians.means is other.gaussians.means
    return same_map and ballots_of(one) == ballots_of(other)


def ballots_of(state: State) -> list[tuple[int, int, float]]:
    """Return what decides an object's members, votes by identity."""
    return [(i, id(b.votes), b.background_weight) for i, b in state.ballots.items()]
