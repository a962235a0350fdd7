# SPDX-License-Identifier: Apache-2.0
"""The background: a wooden table in the corner of a room. Sizes in m, z up, floor at z = 0."""

import numpy as np
from numpy.random import Generator

from ros2_clickgs.scenes.shapes import Surface, box, rectangle
from ros2_clickgs.scenes.textures import Texture, color, plain, vivid, waves, wood
from ros2_clickgs.scenes.thing import Part

TABLE_SIZE = (1.2, 0.8)
"""Length along x and width along y of the table, centred on the map's origin."""
TABLE_HEIGHT = 0.75
"""Height of the table's top."""
WALL_X, WALL_Y = -1.7, 1.6
"""Where the two near walls stand; toward +x and -y the room is open."""
FAR = 5.0
"""How far the room reaches toward +x and -y."""
UP = (0, 0, 2.2)
"""From the floor to the upper end of the walls."""


def table(paint: Generator) -> Part:
    """Return the table: a wooden board on four legs."""
    x, y = TABLE_SIZE[0] / 2, TABLE_SIZE[1] / 2
    *edges, under, top = box((-x, -y, TABLE_HEIGHT - 0.03), (x, y, TABLE_HEIGHT))
    under = Surface(under.grid, detail=0.1)
    legs = [
        face for sx in (-1, 1) for sy in (-1, 1) for face in _leg(sx * (x - 0.06), sy * (y - 0.06))
    ]
    hue, value = paint.uniform(0.06, 0.1), paint.uniform(0.5, 0.85)
    board = wood(color(hue, paint.uniform(0.35, 0.6), value), paint, along=0, ring_m=0.05)
    return Part("table", [top, *edges, under, *legs], board, gloss=0.05)


def room(paint: Generator) -> list[Part]:
    """Return floor, walls with their skirting boards, and a poster."""
    paper = color(paint.random(), paint.uniform(0.04, 0.16), paint.uniform(0.8, 0.92))
    carpet = color(paint.random(), paint.uniform(0.1, 0.3), paint.uniform(0.4, 0.6))
    walls = [
        rectangle((WALL_X, -2, 0), (0, WALL_Y + 2, 0), UP),
        rectangle((WALL_X, WALL_Y, 0), (2 - WALL_X, 0, 0), UP),
        rectangle((WALL_X, -FAR, 0), (0, FAR - 2, 0), UP, detail=0.15),
        rectangle((2, WALL_Y, 0), (FAR - 2, 0, 0), UP, detail=0.15),
        rectangle((FAR, WALL_Y, 0), (0, -FAR - WALL_Y, 0), UP, detail=0.06),
        rectangle((FAR, -FAR, 0), (WALL_X - FAR, 0, 0), UP, detail=0.06),
    ]
    skirting = [
        *box((WALL_X, -FAR, 0), (WALL_X + 0.02, WALL_Y, 0.09), detail=2)[3::2],
        *box((WALL_X, WALL_Y - 0.02, 0), (FAR, WALL_Y, 0.09), detail=2)[0::5],
    ]
    left = paint.uniform(-0.7, 0.0)
    poster = rectangle((left, WALL_Y - 0.012, 0.85), (0.6, 0, 0), (0, 0, 0.8), detail=4)
    return [
        Part("floor", _floor(), _tiles(carpet, paint), gloss=0.03),
        Part("walls", walls, _paper(paper, paint), gloss=0.01),
        Part("skirting", skirting, plain(color(0.1, 0.05, 0.9), paint), gloss=0.02),
        Part("poster", [poster], _poster(paint), gloss=0.02),
    ]


def _leg(x: float, y: float) -> list[Surface]:
    low, high = (x - 0.03, y - 0.03, 0), (x + 0.03, y + 0.03, TABLE_HEIGHT - 0.03)
    return box(low, high, detail=0.3)[:4]


def _floor() -> list[Surface]:
    x, y = 2.0, -2.0
    near = rectangle((WALL_X, y, 0), (x - WALL_X, 0, 0), (0, WALL_Y - y, 0))
    beside = rectangle((x, y, 0), (FAR - x, 0, 0), (0, WALL_Y - y, 0), detail=0.15)
    before = rectangle((WALL_X, -FAR, 0), (FAR - WALL_X, 0, 0), (0, y + FAR, 0), detail=0.15)
    return [near, beside, before]


def _tiles(base, paint: Generator, size_m: float = 0.35) -> Texture:
    cloud = waves(paint, (0.25, 0.25, 0.25))

    def texture(xyz, uv):
        dark = (np.floor(xyz[:, 0] / size_m) + np.floor(xyz[:, 1] / size_m)) % 2
        return base * (1.06 - 0.22 * dark + 0.03 * cloud(xyz))[:, None]

    return texture


def _paper(base, paint: Generator) -> Texture:
    cloud = waves(paint, (0.8, 0.8, 0.8))
    return lambda xyz, uv: base * (1 + 0.03 * cloud(xyz))[:, None]


def _poster(paint: Generator) -> Texture:
    sky, hill, sun = vivid(paint), vivid(paint), color(0.12, 0.6, 0.95)

    def texture(xyz, uv):
        u, v = uv.T
        out = 0.4 * sky + 0.55 * v[:, None] * np.ones(3)
        out[np.hypot(u - 0.65, v - 0.7) < 0.13] = sun
        out[v < 0.35 + 0.08 * np.sin(7 * u)] = hill
        out[v < 0.2 + 0.06 * np.sin(9 * u + 2)] = 0.6 * hill
        out[(abs(u - 0.5) > 0.46) | (abs(v - 0.5) > 0.47)] = 0.15
        return out

    return texture
