# SPDX-License-Identifier: Apache-2.0
"""What a session is made of: the map as edited, and per object what views and people said.

All of it is immutable: an operation (operations.py) returns another state, and the one before is
still there. Nothing here is ever written to.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from ros2_clickgs.core.editing import Edit, moved_points
from ros2_clickgs.core.similarity import Similarity
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.core.votes import Votes
from ros2_clickgs.errors import NotFoundError

REMEMBERED = 8
"""Refinements of an object that can be taken back."""
MAPS_WEIGHT = -1.0
"""Background weight of an object that has none of its own."""


@dataclass(frozen=True, slots=True)
class Click:
    """A point on the thing, or, if not positive, on something that is not the thing."""

    point: Float[Tensor, "3"]
    """In the map's frame, m."""
    positive: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ballot:
    """One object's name, and what the views and its user have said about it."""

    name: str
    votes: Votes
    """Of this object alone: L = 1."""
    view_points: Float64[Tensor, "C 3"] = field(
        default_factory=lambda: torch.zeros(0, 3, dtype=torch.float64)
    )
    """Optical centres of the cameras that voted, in m."""
    clicks: tuple[Click, ...] = ()
    """Where it was clicked, and where it is not."""
    voted_at_ns: int = 0
    """Stamp of the last image that voted; 0 if only rendered views did."""
    background_weight: float = MAPS_WEIGHT
    """Votes for must beat this, times those against; below 0: the map's weight."""
    revision: int = 0
    """How often the object has changed."""
    settled: bool = True
    """False while views are being looked for that change it, or when they ran out before."""
    rejected: tuple[int, ...] = ()
    """Masks that did not vote, by reason (gates.Objection, in its order)."""
    before: "Ballot | None" = None
    """What it was before its last refinement."""

    def moved(self, similarity: Similarity) -> "Ballot":
        """Return the ballot of the same object at another place."""
        clicks = tuple(
            replace(click, point=moved_points(similarity, click.point[None])[0])
            for click in self.clicks
        )
        return replace(
            self,
            view_points=moved_points(similarity, self.view_points),
            clicks=clicks,
            before=self.before and self.before.moved(similarity),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Done:
    """An edit that was made, and what it takes to undo it bit for bit."""

    edit: Edit
    overwritten: dict[str, Tensor]
    """Columns of the edit's rows as they were."""
    forgotten: Ballot | None = None
    """The object that a deletion took along."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """A map with its edits, and the objects in it."""

    gaussians: Gaussians
    """The map with its edits; row i is row i of its file."""
    hidden: Bool[Tensor, " N"]
    """Rows that are deleted or pruned: not seen, not exported; on the CPU, as all but the map."""
    ballots: dict[int, Ballot] = field(default_factory=dict)
    """Object id -> ballot, by rising id."""
    next_id: int = 1
    """Ids are not used twice."""
    done: tuple[Done, ...] = ()
    """Edits that can be undone, the last one first to go."""
    undone: tuple[Edit, ...] = ()
    """Edits that can be redone, the last one first."""

    @classmethod
    def of(cls, gaussians: Gaussians) -> "State":
        """Return a map as its file holds it, without objects."""
        return cls(gaussians=gaussians, hidden=torch.zeros(len(gaussians), dtype=torch.bool))

    def ballot(self, object_id: int) -> Ballot:
        """Return an object's ballot.

        Raises:
            NotFoundError: there is no such object.
        """
        if object_id not in self.ballots:
            raise NotFoundError("object", object_id, list(self.ballots) or "none yet")
        return self.ballots[object_id]

    def put(self, object_id: int, ballot: Ballot) -> "State":
        """Return the state with an object's ballot in place of the one it had."""
        return replace(self, ballots=dict(sorted({**self.ballots, object_id: ballot}.items())))

    def without(self, object_id: int) -> "State":
        """Return the state without an object."""
        ballots = {i: ballot for i, ballot in self.ballots.items() if i != object_id}
        return replace(self, ballots=ballots)
