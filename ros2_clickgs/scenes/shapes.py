# SPDX-License-Identifier: Apache-2.0
"""Parametric surfaces as grids of points: things turned on a lathe, swept along a path, or flat.

A grid [V, U, 3] has its outward normal along dU x dV. Lengths in m.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, slots=True)
class Surface:
    """A curved sheet with one outward side."""

    grid: Float[np.ndarray, "V U 3"]
    """Points of the sheet, in m; between them it is bilinear."""
    detail: float = 1.0
    """How densely to sample it, relative to other surfaces of the scene."""
    sharp: tuple[str, ...] = ()
    """Borders that no Gaussian sticks out of: u0, u1, v0, v1, first and last of each direction."""

    def moved(self, T: Float[np.ndarray, "4 4"]) -> "Surface":
        """Return the sheet after a rigid (or scaling) transform of its points."""
        return replace(self, grid=self.grid @ T[:3, :3].T + T[:3, 3])

    def stretched(self, x: float, y: float, z: float = 1.0) -> "Surface":
        """Return the sheet scaled along the axes."""
        return replace(self, grid=self.grid * np.array([x, y, z]))


def smooth_curve(knots: Float[np.ndarray, "K D"], count: int = 24) -> Float[np.ndarray, "count D"]:
    """Return a curve through `knots` with continuous direction (Catmull and Rom, 1974)."""
    knots = np.asarray(knots, float)
    padded = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    at = np.linspace(0, len(knots) - 1, count)
    segment = np.minimum(at.astype(int), len(knots) - 2)
    t = (at - segment)[:, None]
    a, b, c, d = (padded[segment + k] for k in range(4))
    return b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


def subdivided(curve: Float[np.ndarray, "K D"], step_m: float) -> Float[np.ndarray, "M D"]:
    """Return the same polyline with more points, no two further apart than `step_m`."""
    curve = np.asarray(curve, float)
    lengths = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    pieces = np.maximum(1, np.ceil(lengths / step_m).astype(int))
    runs = [
        np.linspace(a, b, n, endpoint=False)
        for a, b, n in zip(curve[:-1], curve[1:], pieces, strict=True)
    ]
    return np.vstack([*runs, curve[-1:]])


def revolve(
    profile: Float[np.ndarray, "K 2"],
    sides: int = 72,
    step_m: float = 0.004,
    detail: float = 1.0,
    sharp: tuple[str, ...] = (),
) -> Surface:
    """Turn a profile of (radius, z) around the z axis.

    Walk the profile up along the outside and down along the inside: normals then point outward
    on the outside and into the hollow on the inside.
    """
    radius, z = subdivided(profile, step_m).T
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    x, y = np.outer(radius, np.cos(angle)), np.outer(radius, np.sin(angle))
    return Surface(np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], -1), detail, sharp)


def sweep(
    path: Float[np.ndarray, "K 3"],
    half_widths: Float[np.ndarray, "K 2"],
    side: tuple[float, float, float] = (0, 0, 1),
    roundness: float = 2.0,
    flutes: tuple[int, float] = (0, 0.0),
    capped: bool = True,
    detail: float = 1.0,
) -> Surface:
    """Sweep a superellipse along a path.

    Args:
        path: its centre, in m; never parallel to `side`.
        half_widths: half extents in m along `side` and across it, per point of the path.
        side: the direction that the first half width is measured along.
        roundness: 2 is an ellipse, larger is closer to a rectangle.
        flutes: number and relative depth of grooves along the sweep.
        capped: close both ends.
        detail: as in Surface.
    """
    path, half_widths = np.asarray(path, float), np.asarray(half_widths, float)
    tangent = _unit(np.gradient(path, axis=0))
    first = _unit(np.array(side) - (tangent @ np.array(side))[:, None] * tangent)
    second = np.cross(tangent, first)
    if capped:
        path, half_widths, first, second = _cap(path, half_widths, first, second)
    angle = np.linspace(0, 2 * np.pi, 41)
    section = np.stack([np.cos(angle), np.sin(angle)], -1)
    section = np.sign(section) * np.abs(section) ** (2 / roundness)
    section *= (1 + flutes[1] * np.cos(flutes[0] * angle))[:, None]
    scaled = half_widths[:, None, :] * section
    grid = path[:, None] + scaled[..., :1] * first[:, None] + scaled[..., 1:] * second[:, None]
    return Surface(grid, detail)


def rectangle(
    corner: Float[np.ndarray, "3"],
    u: Float[np.ndarray, "3"],
    v: Float[np.ndarray, "3"],
    detail: float = 1.0,
) -> Surface:
    """Return the flat sheet from `corner` along edges u and v (m), facing u x v."""
    corner, u, v = (np.asarray(a, float) for a in (corner, u, v))
    return between([corner, corner + u], [corner + v, corner + u + v], detail)


def between(
    first: Float[np.ndarray, "U 3"], second: Float[np.ndarray, "U 3"], detail: float = 1.0
) -> Surface:
    """Return the sheet between two curves, facing (along the first) x (from first to second)."""
    return Surface(np.stack([first, second]), detail, sharp=("u0", "u1", "v0", "v1"))


def box(
    low: tuple[float, float, float], high: tuple[float, float, float], detail: float = 1.0
) -> list[Surface]:
    """Return the faces of an upright block between two corners (m).

    Order: front (-y), back (+y), left (-x), right (+x), bottom, top; u runs to the right and v
    up as seen from outside.
    """
    (x0, y0, z0), (x1, y1, z1) = low, high
    dx, dy, dz = np.diag(np.subtract(high, low))
    corners_and_edges = (
        ((x0, y0, z0), dx, dz), ((x1, y1, z0), -dx, dz), ((x0, y1, z0), -dy, dz),
        ((x1, y0, z0), dy, dz), ((x1, y0, z0), -dx, dy), ((x0, y0, z1), dx, dy),
    )  # fmt: skip
    return [rectangle(*face, detail=detail) for face in corners_and_edges]


def _unit(vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _cap(path, half_widths, *frames):
    shrink = np.linspace(0, 1, 5)[:-1, None]
    starts = np.repeat(path[:1], 4, 0), np.repeat(path[-1:], 4, 0)
    closed = [
        np.vstack([starts[0], path, starts[1]]),
        np.vstack([shrink * half_widths[0], half_widths, shrink[::-1] * half_widths[-1]]),
    ]
    return *closed, *(np.vstack([f[:1].repeat(4, 0), f, f[-1:].repeat(4, 0)]) for f in frames)
