# SPDX-License-Identifier: Apache-2.0
"""All objects at once, without a click: masks of many views that mean the same things.

Each view's automatic masks vote on their own. A mask joins the thing that it has most in common
with, measured on Gaussians by its votes, so that neither tracks nor ids over views are needed;
masks that fit no thing begin one.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from scipy.sparse import csr_array, vstack
from torch import Tensor

from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import Camera
from ros2_clickgs.core.votes import Votes, margins, weights_inside

AGREEMENT = 0.4
"""IoU with what the other views say of a thing, from which on a mask is of this thing."""
UNITED = 0.5
"""Share of each other's Gaussians inside their masks, from which on two things are one."""
KNOWN = 0.2
"""Least share of a mask that other views have seen, before it can be of a known thing."""
SUPPORT = 0.3
"""Things that a smaller share of the views that show them has masks of are dropped."""
SHOWN = 0.3
"""A view shows a thing with this share of the pixels that it has in the views that voted."""
NOTICEABLE_PX = 0.05
"""A Gaussian that painted less of a view is not seen by it."""
ROUNDS = 2
"""How often every mask is asked for its thing; the first time only some others are known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewMasks:
    """What one view's masks say of the Gaussians, in pixel-equivalents."""

    inside: csr_array
    """[L, N] weight inside each mask."""
    seen: Float32[np.ndarray, " N"]
    """Weight in all pixels that vote."""
    view_point: Float[Tensor, "3"]
    """Where the view was taken from, in m."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Thing:
    """Gaussians that the masks of several views agree on."""

    votes: Votes
    """L = 1; of the views that have a mask of it."""
    view_points: list[Float[Tensor, "3"]]
    """Where these were taken from, in m."""
    score: float
    """Mean margin of its Gaussians x share of the views showing it that have a mask of it."""


def masks_of_view(rasterizer: Rasterizer, camera: Camera, labels: Int[Tensor, "H W"]) -> ViewMasks:
    """Let one view's automatic masks vote.

    Args:
        rasterizer: owner of the blending weights.
        camera: the view.
        labels: 1, 2, …; 0 is background, IGNORE does not vote.

    Raises:
        ShapeError: labels and camera disagree on height x width.
    """
    inside, seen = weights_inside(rasterizer, camera, labels, max(int(labels.max()), 0))
    inside, seen = inside.cpu().numpy(), seen.cpu().numpy().astype(np.float32)
    is_noticed = seen > NOTICEABLE_PX
    return ViewMasks(
        inside=csr_array(inside * is_noticed),
        seen=seen * is_noticed,
        view_point=camera.center.clone(),
    )


def assemble(
    views: list[ViewMasks], free: Bool[Tensor, " N"], min_gaussians: int = 1
) -> list[Thing]:
    """Put things together from the masks of all views, the most certain one first.

    Args:
        views: one or more.
        free: Gaussians that things may have.
        min_gaussians: things with fewer are dropped; a Gaussian goes to the one with most votes.
    """
    if not any(view.inside.shape[0] for view in views):
        return []
    assembly = Assembly(views)
    for _ in range(ROUNDS):
        for view in range(len(views)):
            assembly.match(view)
        assembly.unite()
    things = assembly.things(free.cpu().numpy(), min_gaussians)
    return sorted(things, key=lambda thing: -thing.score)


class Assembly:
    """Which mask is of which thing, as it stands."""

    def __init__(self, views: list[ViewMasks]) -> None:
        counts = [view.inside.shape[0] for view in views]
        self._views = views
        self._inside = vstack([view.inside for view in views], format="csr")
        self._seen = np.stack([view.seen for view in views])
        self._view_of = np.repeat(np.arange(len(views)), counts)
        self._thing_of = np.full(sum(counts), -1)

    def match(self, view: int) -> None:
        """Give each mask of a view the thing of the other views that is most like it."""
        mine = np.nonzero(self._view_of == view)[0]
        self._thing_of[mine] = -1
        likeness = self._likeness(view)
        unused = np.setdiff1d(np.arange(len(self._thing_of)), self._thing_of)
        self._thing_of[mine] = unused[: len(mine)]
        for mask, thing in best_pairs(likeness, AGREEMENT):
            self._thing_of[mine[mask]] = thing

    def unite(self) -> None:
        """Make those things one each of whose views have the other inside their masks of it.

        So come together two sides of a thing that were begun apart.
        """
        votes_for, totals = self._votes()
        members, has_mask = members_of(votes_for, totals), self._has_mask()
        shown_px = has_mask @ (members @ self._seen.T).T
        inside = (votes_for @ members.T).toarray() / np.maximum(shown_px, 1e-9)
        mutual = np.triu(np.minimum(inside, inside.T), 1)
        for one, other in best_pairs(mutual, UNITED):
            self._thing_of[self._thing_of == other] = one

    def things(self, free: Bool[np.ndarray, " N"], min_gaussians: int) -> list[Thing]:
        """Return the things that enough views agree on and that get enough Gaussians."""
        votes_for, totals = self._votes()
        members = members_of(votes_for, totals)
        support = supports(self._has_mask(), members @ self._seen.T)
        votes_for = (votes_for * free).tocsr()
        claims = (votes_for * members).tocsr() * (support >= SUPPORT)[:, None]
        owner = np.where(claims.max(0).toarray() > 0, claims.argmax(0), -1)
        counts = np.bincount(owner[owner >= 0], minlength=len(support))
        return [
            self._thing(number, votes_for[[number]], totals[[number]], owner == number, support)
            for number in np.nonzero(counts >= max(min_gaussians, 1))[0].tolist()
        ]

    def _thing(
        self,
        number: int,
        votes_for: csr_array,
        totals: csr_array,
        own: Bool[np.ndarray, " N"],
        support: Float[np.ndarray, " O"],
    ) -> Thing:
        inside = torch.from_numpy(votes_for.toarray())
        outside = (torch.from_numpy(totals.toarray()) - inside).clamp(min=0)
        votes = Votes(votes_for=inside, votes_against=outside)
        margin = float(margins(votes)[0, torch.from_numpy(own)].mean())
        voters = np.unique(self._view_of[self._thing_of == number])
        points = [self._views[view].view_point for view in voters]
        return Thing(votes=votes, view_points=points, score=margin * float(support[number]))

    def _votes(self) -> tuple[csr_array, csr_array]:
        """Return the votes for every thing, and the weight of its Gaussians in the same views."""
        masks = np.nonzero(self._thing_of >= 0)[0]
        count = self._thing_of.max() + 1
        chosen = csr_array(
            (np.ones(len(masks), np.float32), (self._thing_of[masks], masks)),
            shape=(count, len(self._thing_of)),
        )
        votes_for = chosen @ self._inside
        totals = votes_for.copy()
        for row, voters in enumerate(self._has_mask()):
            span = slice(*votes_for.indptr[row : row + 2])
            seen = self._seen[np.ix_(voters, votes_for.indices[span])]
            totals.data[span] = seen.sum(0)
        return votes_for, totals

    def _has_mask(self) -> Bool[np.ndarray, "O V"]:
        """Return which views have a mask of which thing."""
        masks = np.nonzero(self._thing_of >= 0)[0]
        found = np.zeros((self._thing_of.max() + 1, len(self._views)), bool)
        found[self._thing_of[masks], self._view_of[masks]] = True
        return found

    def _likeness(self, view: int) -> Float[np.ndarray, "L O"]:
        """Return the IoU of a view's masks with the things of the other views, where these saw."""
        inside, seen = self._views[view].inside, self._views[view].seen
        members = members_of(*self._votes())
        others = np.unique(self._view_of[self._thing_of >= 0])
        known = (self._seen[others] > 0).any(0).astype(np.float32)
        both = (inside @ members.T).toarray()
        known_px = inside @ known
        either = known_px[:, None] + members @ seen - both
        is_known = known_px >= KNOWN * inside.sum(1)
        return is_known[:, None] * both / np.maximum(either, 1e-9)


def members_of(votes_for: csr_array, totals: csr_array) -> csr_array:
    """Return 1 where a thing has more votes for than against."""
    members = votes_for.copy()
    members.data = (2 * votes_for.data > totals.data).astype(np.float32)
    members.eliminate_zeros()
    return members


def supports(
    has_mask: Bool[np.ndarray, "O V"], shown_px: Float[np.ndarray, "O V"]
) -> Float[np.ndarray, " O"]:
    """Return the share of the views showing each thing that have a mask of it."""
    voters = np.maximum(has_mask.sum(1), 1)
    usual_px = (shown_px * has_mask).sum(1) / voters
    shows = has_mask | (shown_px >= SHOWN * np.maximum(usual_px, 1e-9)[:, None])
    return has_mask.sum(1) / np.maximum(shows.sum(1), 1)


def best_pairs(likeness: Float[np.ndarray, "L O"], least: float) -> list[tuple[int, int]]:
    """Return pairs of row and column, none twice, the most alike first."""
    rows, columns = np.nonzero(likeness >= least)
    order = np.argsort(-likeness[rows, columns], kind="stable")
    taken_rows, taken_columns, pairs = set(), set(), []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in taken_rows and column not in taken_columns:
            taken_rows.add(row)
            taken_columns.add(column)
            pairs.append((row, column))
    return pairs
