# SPDX-License-Identifier: Apache-2.0
"""Evenly spread points on surfaces, each with what its texture and its thing say of it."""

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator

from ros2_clickgs.scenes.shapes import Surface
from ros2_clickgs.scenes.thing import Part

GOLDEN = (np.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Coloured, labelled points with normals."""

    points: Float[np.ndarray, "N 3"]
    """Places, in m."""
    normals: Float[np.ndarray, "N 3"]
    """Outward unit vectors."""
    tangents: Float[np.ndarray, "N 3"]
    """Unit vectors along the surface's first direction."""
    edge_m: Float[np.ndarray, "N 2"]
    """Distances to the surface's edges along the tangent and across it; inf if it has none."""
    colors: Float[np.ndarray, "N 3"]
    """What the texture says, before any light; RGB in [0, 1]."""
    gloss: Float[np.ndarray, " N"]
    """Strength of the sheen, in units of colour."""
    spacing_m: Float[np.ndarray, " N"]
    """Typical distance to the nearest other point of the same surface."""
    object_labels: Int[np.ndarray, " N"]
    """Object of each point; 0 is the background."""
    part_labels: Int[np.ndarray, " N"]
    """Part of each point, unique over the scene; 0 is the background."""

    def moved(self, T: Float[np.ndarray, "4 4"]) -> "Samples":
        """Return the same points after a rigid transform."""
        R, t = T[:3, :3], T[:3, 3]
        return replace(
            self, points=self.points @ R.T + t, normals=self.normals @ R.T,
            tangents=self.tangents @ R.T,
        )  # fmt: skip

    def select(self, order: Int[np.ndarray, " M"]) -> "Samples":
        """Return the points at these indices, in that order."""
        return Samples(**{f.name: getattr(self, f.name)[order] for f in fields(self)})


def joined(samples: list[Samples]) -> Samples:
    """Return all points in one."""
    names = [f.name for f in fields(Samples)]
    return Samples(**{n: np.concatenate([getattr(s, n) for s in samples]) for n in names})


def shares(count: int, weights: list[float]) -> list[int]:
    """Split `count` in proportion to `weights`, rounding so that the sum is exact."""
    edges = np.round(count * np.cumsum([0, *weights]) / np.sum(weights)).astype(int)
    return np.diff(edges).tolist()


def weight(part: Part) -> float:
    """Return how many samples a part asks for, relative to others: area times detail."""
    return sum(_cell_areas(s.grid).sum() * s.detail for s in part.surfaces)


def sample_part(
    part: Part, count: int, rng: Generator, object_label: int = 0, part_label: int = 0
) -> Samples:
    """Spread `count` points over a part, in the frame of its thing."""
    counts = shares(count, [_cell_areas(s.grid).sum() * s.detail for s in part.surfaces])
    sheets = [
        _sample(surface, part, n, rng) for surface, n in zip(part.surfaces, counts, strict=True)
    ]
    names = ("points", "normals", "tangents", "edge_m", "colors", "spacing_m")
    arrays = {n: np.concatenate(a) for n, a in zip(names, zip(*sheets, strict=True), strict=True)}
    return Samples(
        **arrays,
        gloss=np.full(count, part.gloss),
        object_labels=np.full(count, object_label, np.int32),
        part_labels=np.full(count, part_label, np.int32),
    )  # fmt: skip


def _sample(surface: Surface, part: Part, count: int, rng: Generator):
    """Map a Fibonacci lattice, even at any aspect ratio, onto the surface by area."""
    lattice_u = (np.arange(count) * GOLDEN + rng.random()) % 1
    lattice_v = (np.arange(count) + rng.random()) / max(count, 1)
    areas = _cell_areas(surface.grid)
    row, t = _inverse_cdf(areas.sum(1)[None], np.zeros(count, int), lattice_v)
    column, s = _inverse_cdf(areas, row, lattice_u)
    points, across, along = _bilinear(surface.grid, row, column, t[:, None], s[:, None])
    uv = np.stack([column + s, row + t], -1) / areas.shape[::-1]
    edge_m = np.stack([
        _border_m(np.diff(surface.grid, axis=1), surface.sharp, "u", row, column, s),
        _border_m(np.diff(surface.grid, axis=0), surface.sharp, "v", row, column, t),
    ], -1)  # fmt: skip
    spacing_m = np.full(count, np.sqrt(areas.sum() / max(count, 1)))
    normals = _unit(np.cross(across, along))
    return points, normals, _unit(across), edge_m, part.texture(points, uv), spacing_m


def _cell_areas(grid):
    across, along = grid[:, 1:] - grid[:, :-1], grid[1:] - grid[:-1]
    across, along = (across[1:] + across[:-1]) / 2, (along[:, 1:] + along[:, :-1]) / 2
    return np.linalg.norm(np.cross(across, along), axis=-1)


def _inverse_cdf(density, row, at):
    """Return cell and place in it where row `row` of `density` has the share `at` behind it."""
    share = density / np.maximum(density.sum(1, keepdims=True), 1e-30)
    ends = np.cumsum(share, 1) + np.arange(len(share))[:, None]
    flat = np.searchsorted(ends.ravel(), row + at, side="right")
    flat = np.clip(flat, row * density.shape[1], (row + 1) * density.shape[1] - 1)
    begin = ends.ravel()[flat] - share.ravel()[flat]
    place = (row + at - begin) / np.maximum(share.ravel()[flat], 1e-30)
    return flat - row * density.shape[1], np.clip(place, 0, 1)


def _bilinear(grid, row, column, t, s):
    a, b = grid[row, column], grid[row, column + 1]
    c, d = grid[row + 1, column], grid[row + 1, column + 1]
    points = (1 - t) * ((1 - s) * a + s * b) + t * ((1 - s) * c + s * d)
    return points, (1 - t) * (b - a) + t * (d - c), (1 - s) * (c - a) + s * (d - b)


def _border_m(steps, sharp, direction: str, row, column, place):
    """Return how far it is to the nearer sharp border along one direction; inf without any."""
    axis = "vu".index(direction)
    lengths = np.linalg.norm(steps, axis=-1)
    behind = np.cumsum(lengths, axis) - lengths
    from_start = behind[row, column] + place * lengths[row, column]
    total = lengths.sum(axis)[column if axis == 0 else row]
    first = np.where(f"{direction}0" in sharp, from_start, np.inf)
    return np.minimum(first, np.where(f"{direction}1" in sharp, total - from_start, np.inf))


def _unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
