# SPDX-License-Identifier: Apache-2.0
"""Colours of surfaces: each texture maps places to RGB in [0, 1].

A place is given twice: xyz in the thing's own frame (m), and uv in [0, 1] on its surface.
"""

import colorsys
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

Texture = Callable[[Float[np.ndarray, "P 3"], Float[np.ndarray, "P 2"]], Float[np.ndarray, "P 3"]]
Color = Float[np.ndarray, "3"]


def color(hue: float, saturation: float, value: float) -> Color:
    """Return the RGB colour of a hue in turns (0 red, 1/3 green, 2/3 blue)."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))


def vivid(paint: Generator) -> Color:
    """Return a random strong colour, as on things that are made of plastic or glazed."""
    return color(paint.random(), paint.uniform(0.55, 0.85), paint.uniform(0.55, 0.85))


def mix(a: Color, b: Color, share: Float[np.ndarray, " P"]) -> Float[np.ndarray, "P 3"]:
    """Return colours between a (share 0) and b (share 1)."""
    return a + np.clip(share, 0, 1)[:, None] * (np.asarray(b) - a)


def waves(
    paint: Generator, wavelengths_m: tuple[float, float, float], terms: int = 12
) -> Callable[[Float[np.ndarray, "P 3"]], Float[np.ndarray, " P"]]:
    """Return smooth noise of about unit deviation with the given feature size along x, y and z."""
    frequency = paint.normal(size=(terms, 3)) * 2 / np.array(wavelengths_m)
    phase = paint.uniform(0, 2 * np.pi, terms)
    return lambda xyz: np.sin(xyz @ frequency.T + phase).sum(1) * np.sqrt(2 / terms)


def plain(base: Color, paint: Generator, mottle: float = 0.02) -> Texture:
    """One colour, a little uneven."""
    noise = waves(paint, (0.02, 0.02, 0.02))
    return lambda xyz, uv: base * (1 + mottle * noise(xyz)[:, None])


def wood(base: Color, paint: Generator, along: int = 0, ring_m: float = 0.012) -> Texture:
    """Grain along one axis: stretched rings with fine fibres."""
    slow, fibre = np.full(3, ring_m * 3), np.full(3, ring_m / 4)
    slow[along], fibre[along] = ring_m * 30, ring_m * 8
    bend, fine = waves(paint, slow), waves(paint, fibre)
    across = (along + 1) % 3

    def texture(xyz, uv):
        ring = np.sin(2 * np.pi * xyz[:, across] / ring_m + 2.2 * bend(xyz))
        return base * (1 - 0.13 * (ring > 0.3) * ring - 0.05 * fine(xyz))[:, None]

    return texture


def striped(base: Color, band: Color, edges: list[float], axis: int = 1) -> Texture:
    """Bands of a second colour, between pairs of edges along u (axis 0) or v (axis 1)."""

    def texture(xyz, uv):
        inside = np.searchsorted(edges, uv[:, axis]) % 2 == 1
        return np.where(inside[:, None], band, base)

    return texture


def speckled(base: Color, dot: Color, paint: Generator, size_m: float = 0.006) -> Texture:
    """Irregular dots."""
    noise = waves(paint, (size_m, size_m, size_m), terms=20)
    return lambda xyz, uv: np.where(noise(xyz)[:, None] > 1.3, dot, base)


def metal(base: Color, paint: Generator, along: int = 0) -> Texture:
    """Brushed steel: fine streaks along one axis."""
    streak = np.full(3, 0.0015)
    streak[along] = 0.05
    noise = waves(paint, streak)
    return lambda xyz, uv: base * (1 + 0.06 * noise(xyz)[:, None])


def printed(base: Color, paint: Generator) -> Texture:
    """A packet's front: a title bar, a round picture and lines of small print."""
    title, picture, core = vivid(paint), vivid(paint), color(paint.uniform(0.08, 0.16), 0.5, 0.95)
    center, radius = (paint.uniform(0.4, 0.6), paint.uniform(0.36, 0.46)), paint.uniform(0.2, 0.26)
    top = paint.uniform(0.74, 0.8)

    def texture(xyz, uv):
        u, v = uv.T
        out = np.broadcast_to(mix(base, np.ones(3), 0.35 * v), (len(uv), 3)).copy()
        out[(v > top) & (v < top + 0.14) & (abs(u - 0.5) < 0.42)] = title
        letters = (abs(v - top - 0.07) < 0.035) & (abs(u - 0.5) < 0.34) & (np.sin(70 * u) > -0.2)
        out[letters] = 0.97
        distance = np.hypot(u - center[0], (v - center[1]) * 1.4)
        out[distance < radius] = picture
        out[distance < radius * 0.62] = core
        lines = (v > 0.04) & (v < 0.14) & (abs(u - 0.5) < 0.4) & (np.sin(190 * v) > 0)
        out[lines] *= 0.45
        return out

    return texture
