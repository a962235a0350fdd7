# SPDX-License-Identifier: Apache-2.0
"""Other things on a table: cereal box, book, ball, apple, banana. Sizes in m.

Makers take a generator for the sizes and one for the colours, as in `tableware`.
"""

import numpy as np
from numpy.random import Generator

from ros2_clickgs.scenes.shapes import box, revolve, smooth_curve, sweep
from ros2_clickgs.scenes.textures import (
    Texture,
    color,
    mix,
    plain,
    printed,
    speckled,
    vivid,
    waves,
)
from ros2_clickgs.scenes.thing import Part, Thing


def cereal_box(shape: Generator, paint: Generator) -> Thing:
    """A standing packet, printed on the front (-y) and the back."""
    half, depth = shape.uniform(0.08, 0.1), shape.uniform(0.025, 0.035)
    height = shape.uniform(0.23, 0.29)
    front, back, *rest = box((-half, -depth, 0), (half, depth, height), detail=0.8)
    card = vivid(paint)
    return Thing("cereal_box", [
        Part("front", [front], printed(card, paint), gloss=0.05),
        Part("body", [back, *rest], _panels(card, height), gloss=0.05),
    ])  # fmt: skip


def book(shape: Generator, paint: Generator) -> Thing:
    """A closed book lying on its back cover, spine toward -x."""
    half_x, half_y = shape.uniform(0.065, 0.08), shape.uniform(0.095, 0.115)
    height, board = shape.uniform(0.022, 0.04), 0.0025
    inset = 0.004
    lid = box((-half_x, -half_y, height - board), (half_x, half_y, height))
    base = box((-half_x, -half_y, 0), (half_x, half_y, board), detail=0.5)
    spine = box((-half_x - board, -half_y, 0), (-half_x, half_y, height))
    pages = box((-half_x, inset - half_y, board), (half_x - inset, half_y - inset, height - board))
    cloth = vivid(paint)
    return Thing("book", [
        Part("cover", [*lid, *base, *spine], _bound(cloth, paint, half_x, half_y), gloss=0.06),
        Part("pages", [*pages[:2], pages[3]], _leaves, gloss=0.02),
    ])  # fmt: skip


def ball(shape: Generator, paint: Generator) -> Thing:
    """A ball with two-coloured panels."""
    radius = shape.uniform(0.036, 0.05)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 48)
    sphere = revolve(radius * np.stack([np.cos(angle), 1 + np.sin(angle)], -1))
    first, second = vivid(paint), color(0.12, paint.uniform(0.0, 0.2), 0.93)
    panels = int(paint.choice([2, 3, 4]))

    def texture(xyz, uv):
        tilted = uv[:, 0] + 0.06 * np.sin(2 * np.pi * uv[:, 1])
        return np.where(((tilted * 2 * panels).astype(int) % 2 == 0)[:, None], first, second)

    return Thing("ball", [Part("body", [sphere], texture, gloss=0.12)])


def apple(shape: Generator, paint: Generator) -> Thing:
    """An apple with its dimples and a stem."""
    radius, tall = shape.uniform(0.034, 0.041), shape.uniform(0.85, 1.0)
    knots = np.array([
        (0, 0.22), (0.3, 0.06), (0.55, 0.03), (0.9, 0.45), (1, 1.0),
        (0.86, 1.5), (0.5, 1.72), (0.2, 1.62), (0, 1.45),
    ])  # fmt: skip
    flesh = revolve(smooth_curve(knots * (1, tall) * radius, 60))
    root, bend = 1.45 * tall * radius, shape.uniform(-0.006, 0.006)
    knots = [(0, 0, root - 0.002), (bend / 3, 0, root + 0.012), (bend, 0, root + 0.022)]
    stem = sweep(smooth_curve(knots), np.full((24, 2), 0.0016), side=(0, 1, 0), detail=3.0)
    ripe = color(paint.choice([0.0, 0.98, 0.22, 0.16]), paint.uniform(0.7, 0.85), 0.72)
    blush, noise = color(0.14, 0.6, 0.8), waves(paint, (0.012, 0.012, 0.05))

    def texture(xyz, uv):
        pole = abs(xyz[:, 2] / (1.75 * tall * radius) - 0.5) * 2
        return mix(ripe, blush, 1.5 * (pole - 0.7) + 0.18 * noise(xyz))

    return Thing("apple", [
        Part("body", [flesh], texture, gloss=0.14),
        Part("stem", [stem], plain(color(0.08, 0.5, 0.3), paint)),
    ]).resting()  # fmt: skip


def banana(shape: Generator, paint: Generator) -> Thing:
    """A banana lying on its side, curved in the table's plane."""
    bend, arc = shape.uniform(0.09, 0.13), shape.uniform(0.155, 0.185)
    thick = shape.uniform(0.0155, 0.0185)
    angle = np.linspace(-arc / 2, arc / 2, 48) / bend
    path = np.stack([bend * np.sin(angle), bend * (1 - np.cos(angle)), 0 * angle], -1)
    stations = [0, 0.04, 0.14, 0.35, 0.6, 0.86, 0.94, 1]
    swell = np.interp(np.linspace(0, 1, 48), stations, [0.2, 0.45, 0.8, 1, 1, 0.72, 0.35, 0.28])
    skin = np.repeat(thick * swell[:, None], 2, 1)
    flesh = sweep(path[:45], skin[:45], flutes=(5, 0.035))
    stalk = path[-4] + np.linspace(-0.002, 0.02, 8)[:, None] * (path[-1] - path[-4]) / 0.012
    stem = sweep(stalk, np.linspace(skin[-4] * 0.95, skin[-1] * 0.6, 8), detail=2.0)
    ripe = color(0.14, paint.uniform(0.65, 0.78), paint.uniform(0.82, 0.92))
    spots = speckled(ripe, color(0.09, 0.6, 0.45), paint, size_m=0.011)
    return Thing("banana", [
        Part("body", [flesh], spots, gloss=0.06),
        Part("stem", [stem], plain(color(0.17, 0.55, 0.5), paint)),
    ]).resting()  # fmt: skip


def _panels(card, height: float) -> Texture:
    def texture(xyz, uv):
        out = mix(card, np.ones(3), 0.35 * xyz[:, 2] / height)
        u, v = uv.T
        table = (abs(u - 0.5) < 0.36) & (v > 0.3) & (v < 0.85) & (abs(xyz[:, 2] - height) > 1e-4)
        out[table] = 0.92
        out[table & (np.sin(110 * v) > 0.4) & (abs(u - 0.5) < 0.3)] = 0.35
        return out

    return texture


def _leaves(xyz, uv):
    return color(0.12, 0.1, 0.9) * (0.94 + 0.06 * np.sin(xyz[:, 2:] * 5000))


def _bound(cloth, paint: Generator, half_x: float, half_y: float) -> Texture:
    trim, plate = vivid(paint), color(0.12, 0.12, 0.92)
    weave = waves(paint, (0.003, 0.003, 0.003))

    def texture(xyz, uv):
        out = cloth * (1 + 0.03 * weave(xyz)[:, None])
        x, y = xyz[:, 0] / half_x, xyz[:, 1] / half_y
        out[(abs(abs(y) - 0.82) < 0.03) & (abs(x) < 0.86)] = trim
        out[(abs(x) < 0.55) & (abs(y - 0.25) < 0.22)] = plate
        out[(abs(x) < 0.42) & (abs(y - 0.25) < 0.12) & (np.sin(26 * y) > -0.3)] = 0.7 * trim
        return out

    return texture
