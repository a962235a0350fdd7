# SPDX-License-Identifier: Apache-2.0
"""Edits of a map: which rows change and how, as small data; applying one makes another map.

Rows are never renumbered, so that labels, votes and features stay those of the map's file: what is
deleted stays in its row with opacity 0, which no view sees.
"""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ros2_clickgs.core.harmonics import sh_from_rgb
from ros2_clickgs.core.similarity import Similarity
from ros2_clickgs.core.types import Gaussians


@dataclass(frozen=True, slots=True)
class Hide:
    """Take Gaussians out of every view."""

    def __call__(self, gaussians: Gaussians) -> Gaussians:
        """Return them with opacity 0."""
        return replace(gaussians, opacities=torch.zeros_like(gaussians.opacities))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recolor:
    """Tint Gaussians."""

    rgb: tuple[float, float, float]
    """The tint, each in [0, 1]."""
    mix: float
    """Share of the tint: 0 leaves the old colour, 1 is the tint alone, the same from all sides."""

    def __call__(self, gaussians: Gaussians) -> Gaussians:
        """Return them tinted; colour is linear in the harmonics, so that those are mixed."""
        sh = gaussians.sh * (1 - self.mix)
        sh[:, :1] += self.mix * sh_from_rgb(torch.tensor([self.rgb])).to(sh)
        return replace(gaussians, sh=sh)


Change = Similarity | Hide | Recolor
"""What may be done to Gaussians; each is a function of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """One change of some rows of the map."""

    object_id: int
    """Whose rows they were; 0 if no object's."""
    rows: Int[Tensor, " M"]
    """Rows of the map."""
    change: Change
    """What is done to them."""

    def __call__(self, gaussians: Gaussians) -> Gaussians:
        """Return the map with these rows changed."""
        rows = self.rows.to(gaussians.device).long()
        return with_columns(gaussians, rows, columns_of(self.change(gaussians.select(rows))))


def columns_of(gaussians: Gaussians) -> dict[str, Tensor]:
    """Return the tensors of a map by name."""
    return {f.name: getattr(gaussians, f.name) for f in fields(gaussians)}


def with_columns(
    gaussians: Gaussians, rows: Int[Tensor, " M"], columns: dict[str, Tensor]
) -> Gaussians:
    """Return the map with the columns written into its rows; what is the same is shared."""
    changed = {
        name: getattr(gaussians, name).index_copy(0, rows, values.to(gaussians.means))
        for name, values in columns.items()
        if not torch.equal(getattr(gaussians, name)[rows], values)
    }
    return replace(gaussians, **changed)


def old_columns(before: Gaussians, after: Gaussians, rows: Int[Tensor, " M"]) -> dict[str, Tensor]:
    """Return what an edit overwrote: put back by `with_columns`, it undoes it bit for bit."""
    columns = columns_of(before)
    return {n: c[rows.to(c.device)] for n, c in columns.items() if c is not getattr(after, n)}


def turned_about(
    center: Float[Tensor, "3"], R: Float[Tensor, "3 3"], scale: float, shift: Float[Tensor, "3"]
) -> Similarity:
    """Return: scale and turn (R) about a centre (m), then shift (m)."""
    center, R = center.double(), R.double()
    return Similarity(R=R, translation=center + shift.double() - scale * (R @ center), scale=scale)


def moved_points(similarity: Similarity, points: Float[Tensor, "P 3"]) -> Float[Tensor, "P 3"]:
    """Return points (m) where the similarity takes them, float64."""
    return similarity.scale * points.double() @ similarity.R.T + similarity.translation
