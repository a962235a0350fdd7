# SPDX-License-Identifier: Apache-2.0
"""The shortest list of operations that leads to a state: what a snapshot of a session holds."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.editing import Edit, Hide, Recolor
from ros2_clickgs.core.operations import (
    Operation,
    create,
    hide,
    judge,
    move,
    note,
    recolor,
    remember,
    replace_votes,
    reserve,
    undo,
    weigh,
)
from ros2_clickgs.core.state import Ballot, Click, State
from ros2_clickgs.core.votes import Votes


def operation(function: Any, **arguments: Any) -> Operation:
    """Return a function of operations.py, and its arguments, to be applied later."""
    return Operation(function.__name__, arguments)


def recipe(state: State) -> Iterator[Operation]:
    """Yield operations that lead from the map as its file holds it to a state.

    The edits come first, also those that were taken back; a deleted object is there just before it
    is deleted, so that undoing brings it back. Then come the objects as they are.
    """
    for entry in state.done:
        if entry.forgotten is not None:
            yield from recipe_of_ballot(entry.edit.object_id, entry.forgotten)
        yield operation_of_edit(entry.edit)
    for edit in reversed(state.undone):
        yield operation_of_edit(edit)
    for _ in state.undone:
        yield operation(undo)
    for object_id, ballot in state.ballots.items():
        yield from recipe_of_ballot(object_id, ballot)
    yield operation(reserve, next_id=state.next_id)


def recipe_of_ballot(object_id: int, ballot: Ballot) -> Iterator[Operation]:
    """Yield operations that make an object, its refinements one after the other."""
    if ballot.before is not None:
        yield from recipe_of_ballot(object_id, ballot.before)
        yield operation(remember, object_id=object_id)
    yield operation(create, object_id=object_id, name=ballot.name, revision=ballot.revision)
    yield operation(
        replace_votes,
        object_id=object_id,
        view_points=ballot.view_points,
        **sparse(ballot.votes),
    )
    yield operation(
        note,
        object_id=object_id,
        voted_at_ns=ballot.voted_at_ns,
        **signed_points(ballot.clicks),
    )
    yield operation(
        judge,
        object_id=object_id,
        settled=ballot.settled,
        rejected=torch.tensor(ballot.rejected, dtype=torch.int64),
    )
    yield operation(weigh, object_id=object_id, background_weight=ballot.background_weight)


def operation_of_edit(edit: Edit) -> Operation:
    """Return the operation that makes an edit."""
    where, change = {"object_id": edit.object_id, "rows": edit.rows}, edit.change
    if isinstance(change, Hide):
        return operation(hide, **where)
    if isinstance(change, Recolor):
        rgb = torch.tensor(change.rgb, dtype=torch.float64)
        return operation(recolor, **where, rgb=rgb, mix=change.mix)
    return operation(move, **where, R=change.R, translation=change.translation, scale=change.scale)


def sparse(votes: Votes) -> dict[str, Tensor]:
    """Return the rows that have votes (L = 1), and these, on the CPU."""
    votes_for, votes_against = votes.votes_for[0].cpu(), votes.votes_against[0].cpu()
    rows = torch.nonzero((votes_for != 0) | (votes_against != 0))[:, 0]
    return {
        "rows": rows.int(),
        "votes_for": votes_for[rows].float(),
        "votes_against": votes_against[rows].float(),
    }


def sparse_view(votes_for: Float[Tensor, "L N"], seen: Float[Tensor, " N"]) -> dict[str, Tensor]:
    """Return the rows that a view sees, and its votes there, on the CPU."""
    rows = torch.nonzero(seen)[:, 0]
    return {
        "rows": rows.cpu().int(),
        "seen": seen[rows].cpu().float(),
        "votes_for": votes_for[:, rows].cpu().float(),
    }


def signed_points(clicks: tuple[Click, ...]) -> dict[str, Tensor]:
    """Return clicks as points (m) and signs."""
    points = [click.point.double().cpu() for click in clicks]
    return {
        "points": stacked(points),
        "positive": torch.tensor([click.positive for click in clicks], dtype=torch.bool),
    }


def stacked(points: list[Tensor]) -> Float[Tensor, "P 3"]:
    """Return points as one tensor, float64; of no points, too."""
    if not points:
        return torch.zeros(0, 3, dtype=torch.float64)
    return torch.stack([point.double().cpu() for point in points])
