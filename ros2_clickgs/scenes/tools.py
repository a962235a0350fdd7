# SPDX-License-Identifier: Apache-2.0
"""Things to work with, lying on the table with their long axis along x. Sizes in m.

Makers take a generator for the sizes and one for the colours, as in `tableware`.
"""

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from ros2_clickgs.scenes.shapes import between, smooth_curve, sweep
from ros2_clickgs.scenes.textures import Texture, color, metal, plain, striped, vivid, wood
from ros2_clickgs.scenes.thing import Part, Thing


def hammer(shape: Generator, paint: Generator) -> Thing:
    """A claw hammer on its side: handle along x, head across at +x."""
    length, face = shape.uniform(0.24, 0.3), shape.uniform(0.0135, 0.0165)
    grip, neck = shape.uniform(0.0105, 0.013), shape.uniform(0.0075, 0.009)
    x = np.linspace(0, length, 40)
    swell = np.interp(x / length, [0, 0.12, 0.3, 0.55, 0.85, 1], [0.9, 1.12, 1, 1.05, 0, 0])
    handle_width = neck + (grip - neck) * swell
    handle = sweep(_along_x(x), np.stack([handle_width, 1.25 * handle_width], -1), roundness=2.4)
    y = np.array([0.058, 0.056, 0.036, 0.03, 0.02, 0.016, -0.016, -0.02])
    block = np.array([0.9, 1, 1, 0.66, 0.66, 0.98, 0.98, 0.8]) * face
    poll = sweep(_along_y(y[::-1], length), np.repeat(block[::-1, None], 2, 1), roundness=2.6)
    steel = color(0.6, 0.06, paint.uniform(0.34, 0.46))
    surfaces = [poll, *(_prong(length, face, side, shape.uniform(0.05, 0.06)) for side in (-1, 1))]
    return Thing("hammer", [
        Part("handle", [handle], _grip(paint), gloss=0.06),
        Part("head", surfaces, metal(steel, paint, along=1), gloss=0.2),
    ]).resting()  # fmt: skip


def knife(shape: Generator, paint: Generator) -> Thing:
    """A kitchen knife lying flat: blade toward +x with a straight spine, handle toward -x."""
    blade, grip = shape.uniform(0.15, 0.2), shape.uniform(0.105, 0.125)
    tall, thick = shape.uniform(0.014, 0.02), shape.uniform(0.0075, 0.0095)
    t = np.linspace(0, 1, 40)
    half = tall * np.sqrt(np.clip(1 - t ** shape.uniform(2.2, 3.5), 0.0004, 1))
    spine = np.stack([blade * t, np.full(40, tall), np.full(40, thick)], -1)
    back, front = (np.outer(1 - 0.5 * t, (0, 0, thickness)) for thickness in (0.0015, 0.0005))
    edge = spine - np.outer(2 * half, (0, 1, 0))
    faces = [
        (edge + front, spine + back), (spine - back, edge - front), (spine + back, spine - back),
    ]  # fmt: skip
    steel_faces = [between(*face, detail=1.5) for face in faces]
    swell = np.interp(t, [0, 0.06, 0.2, 0.6, 0.9, 1], [0.5, 0.95, 1.05, 0.88, 1.02, 0.8])
    width = np.stack([swell * 0.72 * tall, thick * np.minimum(1, 0.6 + swell / 2.5)], -1)
    hold = _along_x(np.linspace(-grip, 0.004, 40), 0.25 * tall, thick)
    handle = sweep(hold, width, side=(0, 1, 0), roundness=3.0, detail=1.3)
    steel = color(0.6, 0.03, paint.uniform(0.52, 0.64))
    return Thing("knife", [
        Part("blade", steel_faces, metal(steel, paint), gloss=0.18),
        Part("handle", [handle], _riveted(paint, grip, 0.25 * tall), gloss=0.08),
    ]).resting()  # fmt: skip


def screwdriver(shape: Generator, paint: Generator) -> Thing:
    """A screwdriver: fluted handle toward -x, steel shaft with a flat tip toward +x."""
    grip, reach = shape.uniform(0.09, 0.11), shape.uniform(0.09, 0.13)
    radius, shaft_radius = shape.uniform(0.0125, 0.016), shape.uniform(0.0028, 0.0036)
    t = np.linspace(0, 1, 40)
    swell = np.interp(t, [0, 0.05, 0.5, 0.72, 0.85, 1], [0.72, 0.98, 1, 0.92, 0.66, 0.62])
    handle = sweep(
        _along_x(np.linspace(-grip, 0, 40)), np.repeat(radius * swell[:, None], 2, 1),
        flutes=(6, 0.06), detail=1.2,
    )  # fmt: skip
    flat = np.interp(t, [0, 0.88, 0.95, 1], [1, 1, 0.5, 0.25])
    wide = np.interp(t, [0, 0.88, 0.95, 1], [1, 1, 1.35, 1.25])
    widths = shaft_radius * np.stack([flat, wide], -1)
    shaft = sweep(_along_x(np.linspace(-0.003, reach, 40)), widths, detail=2.5)
    plastic, steel = vivid(paint), color(0.6, 0.04, 0.68)
    return Thing("screwdriver", [
        Part("handle", [handle], _two_tone(plastic, 0.25 * plastic, -0.3 * grip), gloss=0.14),
        Part("shaft", [shaft], metal(steel, paint), gloss=0.22),
    ]).resting()  # fmt: skip


def _along_x(x: Float[np.ndarray, " K"], y: float = 0.0, z: float = 0.0):
    return np.stack([x, np.full(len(x), y), np.full(len(x), z)], -1)


def _along_y(y: Float[np.ndarray, " K"], x: float):
    return np.stack([np.full(len(y), x), y, 0 * y], -1)


def _prong(x: float, face: float, side: int, reach: float):
    """Return one half of a claw that bends back toward the handle."""
    z = side * 0.52 * face
    knots = [(x, -0.016, z), (x - 0.002, -0.034, z), (x - 0.018, -0.016 - reach, 1.15 * z)]
    thickness = np.linspace(0.9 * face, 0.0018, 24)
    widths = np.stack([np.linspace(0.44, 0.36, 24) * face, thickness], -1)
    return sweep(smooth_curve(knots, 24), widths, roundness=3.0, detail=1.3)


def _grip(paint: Generator) -> Texture:
    if paint.random() < 0.5:
        base = color(paint.uniform(0.07, 0.11), paint.uniform(0.35, 0.6), paint.uniform(0.6, 0.85))
        return wood(base, paint, along=0, ring_m=0.006)
    rubber, shank = color(paint.random(), 0.1, 0.16), vivid(paint)
    return striped(rubber, shank, [0.5, 0.53, 0.6, 1.1])


def _riveted(paint: Generator, grip: float, center_m: float) -> Texture:
    dark = color(paint.uniform(0.04, 0.1), paint.uniform(0.3, 0.7), paint.uniform(0.12, 0.4))
    base = wood(dark, paint, along=0, ring_m=0.005)

    def texture(xyz, uv):
        out = base(xyz, uv)
        for x in (-0.2 * grip, -0.5 * grip, -0.8 * grip):
            out[np.hypot(xyz[:, 0] - x, xyz[:, 1] - center_m) < 0.0035] = 0.78
        return out

    return texture


def _two_tone(front, back, split_m: float) -> Texture:
    ends = plain(back, np.random.default_rng(0))
    return lambda xyz, uv: np.where(xyz[:, :1] > split_m, front, ends(xyz, uv))
