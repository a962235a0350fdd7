# SPDX-License-Identifier: Apache-2.0
"""Everything that can happen to a session: pure functions from a state to the next.

An operation is such a function's name and its arguments: numbers, texts and tensors. So a session
is a list of operations: it is written down, replayed, and shortened (recipe.py).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float32, Float64, Int, Int64
from torch import Tensor

from ros2_clickgs.core.editing import Edit, Hide, Recolor, old_columns, with_columns
from ros2_clickgs.core.similarity import Similarity
from ros2_clickgs.core.state import REMEMBERED, Ballot, Click, Done, State
from ros2_clickgs.core.votes import Votes
from ros2_clickgs.errors import ClickGSError, NotFoundError


class Operation(NamedTuple):
    """A function of this file, by name, and its arguments."""

    name: str
    arguments: dict[str, Any]

    def __call__(self, state: State) -> State:
        """Return the state after it."""
        return OPERATIONS[self.name](state, **self.arguments)


def create(state: State, *, object_id: int, name: str, revision: int) -> State:
    """Make an object without votes, or empty one; what it was before its refinement is kept."""
    old = state.ballots.get(object_id)
    votes = Votes.none(1, len(state.gaussians))
    ballot = Ballot(name=name, votes=votes, revision=revision, before=old and old.before)
    state = state.put(object_id, ballot)
    return replace(state, next_id=max(state.next_id, object_id + 1))


def reserve(state: State, *, next_id: int) -> State:
    """Leave out ids that objects had which are gone."""
    return replace(state, next_id=max(state.next_id, next_id))


def replace_votes(
    state: State,
    *,
    object_id: int,
    rows: Int[Tensor, " M"],
    votes_for: Float32[Tensor, " M"],
    votes_against: Float32[Tensor, " M"],
    view_points: Float64[Tensor, "C 3"],
) -> State:
    """Put an object on new votes; rows that are not given have none."""
    ballot = state.ballot(object_id)
    votes = dense(len(state.gaussians), rows, votes_for, votes_against)
    return state.put(object_id, replace(ballot, votes=votes, view_points=view_points))


def add_view(
    state: State,
    *,
    ids: Int[Tensor, " L"],
    rows: Int[Tensor, " M"],
    seen: Float32[Tensor, " M"],
    votes_for: Float32[Tensor, "L M"],
    view_point: Float64[Tensor, "3"],
) -> State:
    """Add a view's votes to those that some objects have; what is seen and not for is against."""
    for object_id, mine in zip(ids.tolist(), votes_for, strict=True):
        ballot = state.ballot(object_id)
        votes = ballot.votes + dense(len(state.gaussians), rows, mine, seen - mine)
        points = torch.cat([ballot.view_points, view_point[None]])
        state = state.put(object_id, replace(ballot, votes=votes, view_points=points))
    return state


def note(
    state: State,
    *,
    object_id: int,
    points: Float64[Tensor, "P 3"],
    positive: Bool[Tensor, " P"],
    voted_at_ns: int,
) -> State:
    """Write down an object's clicks and the stamp of the last image that voted for it."""
    clicks = tuple(Click(p, bool(s)) for p, s in zip(points, positive, strict=True))
    ballot = replace(state.ballot(object_id), clicks=clicks, voted_at_ns=voted_at_ns)
    return state.put(object_id, ballot)


def judge(state: State, *, object_id: int, settled: bool, rejected: Int64[Tensor, " G"]) -> State:
    """Write down whether further views still change an object, and how many masks did not vote."""
    counts = tuple(rejected.tolist())
    ballot = replace(state.ballot(object_id), settled=settled, rejected=counts)
    return state.put(object_id, ballot)


def weigh(state: State, *, object_id: int, background_weight: float) -> State:
    """Give an object a background weight of its own; below 0: the map's."""
    ballot = replace(state.ballot(object_id), background_weight=background_weight)
    return state.put(object_id, ballot)


def touch(state: State, *, ids: Int[Tensor, " L"]) -> State:
    """Count a change of some objects."""
    for object_id in ids.tolist():
        ballot = state.ballot(object_id)
        state = state.put(object_id, replace(ballot, revision=ballot.revision + 1))
    return state


def remember(state: State, *, object_id: int) -> State:
    """Begin a refinement: what the object is now can be had back."""
    ballot = state.ballot(object_id)
    return state.put(object_id, replace(ballot, before=shortened(ballot, REMEMBERED)))


def take_back(state: State, *, object_id: int) -> State:
    """Take back an object's last refinement."""
    ballot = state.ballot(object_id)
    if ballot.before is None:
        raise ClickGSError(
            f"object {object_id} has no refinement to take back; remove_object forgets it"
        )
    earlier = replace(ballot.before, name=ballot.name, revision=ballot.revision)
    return state.put(object_id, earlier)


def rename(state: State, *, object_id: int, name: str) -> State:
    """Give an object another name."""
    return state.put(object_id, replace(state.ballot(object_id), name=name))


def merge(state: State, *, kept_id: int, merged_id: int) -> State:
    """Make two objects one: what was for either is for both, and no longer against the other."""
    kept, merged = state.ballot(kept_id), state.ballot(merged_id)
    votes = Votes(
        votes_for=kept.votes.votes_for + merged.votes.votes_for,
        votes_against=torch.minimum(kept.votes.votes_against, merged.votes.votes_against),
    )
    both = replace(
        kept,
        votes=votes,
        view_points=torch.cat([kept.view_points, merged.view_points]),
        clicks=kept.clicks + merged.clicks,
        voted_at_ns=max(kept.voted_at_ns, merged.voted_at_ns),
        settled=kept.settled and merged.settled,
        before=None,
    )
    return state.put(kept_id, both).without(merged_id)


def remove(state: State, *, object_id: int) -> State:
    """Forget an object; its Gaussians go back to the background."""
    state.ballot(object_id)
    return state.without(object_id)


def clear(state: State) -> State:
    """Forget all objects; ids are not used again."""
    return replace(state, ballots={})


def hide(state: State, *, object_id: int, rows: Int[Tensor, " M"]) -> State:
    """Take rows out of the map, and forget the object whose they were (0: no object's)."""
    there = rows[~state.hidden[rows.long()]]
    return done(replace(state, undone=()), Edit(object_id, there, Hide()))


def move(
    state: State,
    *,
    object_id: int,
    rows: Int[Tensor, " M"],
    R: Float64[Tensor, "3 3"],
    translation: Float64[Tensor, "3"],
    scale: float,
) -> State:
    """Move, turn and scale rows, and the object whose they are."""
    similarity = Similarity(R=R, translation=translation, scale=scale)
    return done(replace(state, undone=()), Edit(object_id, rows, similarity))


def recolor(
    state: State,
    *,
    object_id: int,
    rows: Int[Tensor, " M"],
    rgb: Float64[Tensor, "3"],
    mix: float,
) -> State:
    """Tint rows."""
    tint = Recolor(rgb=tuple(rgb.tolist()), mix=mix)
    return done(replace(state, undone=()), Edit(object_id, rows, tint))


def undo(state: State) -> State:
    """Take back the last edit: the map is again what it was, bit for bit."""
    if not state.done:
        raise NotFoundError("edit", "to undo", "none left")
    last = state.done[-1]
    edit, rows = last.edit, last.edit.rows.to(state.gaussians.device).long()
    state = replace(
        state,
        gaussians=with_columns(state.gaussians, rows, last.overwritten),
        hidden=hidden_with(state, edit, False),
        done=state.done[:-1],
        undone=(*state.undone, edit),
    )
    if last.forgotten is not None:
        state = state.put(edit.object_id, last.forgotten)
    return moved_along(state, edit, back=True)


def redo(state: State) -> State:
    """Make the edit again that was taken back last."""
    if not state.undone:
        raise NotFoundError("edit", "to redo", "none left")
    return done(replace(state, undone=state.undone[:-1]), state.undone[-1])


OPERATIONS: dict[str, Callable[..., State]] = {
    function.__name__: function
    for function in (
        create, reserve, replace_votes, add_view, note, judge, weigh, touch, remember, take_back,
        rename, merge, remove, clear, hide, move, recolor, undo, redo,
    )
}  # fmt: skip
"""By name."""


def done(state: State, edit: Edit) -> State:
    """Return the state after an edit."""
    gaussians = edit(state.gaussians)
    is_deletion = isinstance(edit.change, Hide)
    forgotten = state.ballots.get(edit.object_id) if is_deletion else None
    overwritten = old_columns(state.gaussians, gaussians, edit.rows.long())
    entry = Done(edit=edit, overwritten=overwritten, forgotten=forgotten)
    state = replace(
        state,
        gaussians=gaussians,
        hidden=hidden_with(state, edit, True),
        done=(*state.done, entry),
    )
    state = state.without(edit.object_id) if is_deletion else state
    return moved_along(state, edit, back=False)


def hidden_with(state: State, edit: Edit, value: bool) -> Bool[Tensor, " N"]:
    """Return which rows are hidden once an edit is made (or unmade)."""
    if not isinstance(edit.change, Hide):
        return state.hidden
    return state.hidden.index_fill(0, edit.rows.long(), value)


def moved_along(state: State, edit: Edit, *, back: bool) -> State:
    """Return the state with clicks and view points where a moved object is now."""
    if not isinstance(edit.change, Similarity) or edit.object_id not in state.ballots:
        return state
    similarity = edit.change.inverse() if back else edit.change
    return state.put(edit.object_id, state.ballots[edit.object_id].moved(similarity))


def shortened(ballot: Ballot, length: int) -> Ballot | None:
    """Return a ballot with so many of those before it, itself included."""
    if length == 0:
        return None
    return replace(ballot, before=ballot.before and shortened(ballot.before, length - 1))


def dense(
    count: int,
    rows: Int[Tensor, " M"],
    votes_for: Float32[Tensor, " M"],
    votes_against: Float32[Tensor, " M"],
) -> Votes:
    """Return the votes (L = 1) that are 0 everywhere but in some rows."""
    empty, index = Votes.none(1, count), rows.long()
    return Votes(
        votes_for=empty.votes_for.index_copy(1, index, votes_for[None]),
        votes_against=empty.votes_against.index_copy(1, index, votes_against[None]),
    )
