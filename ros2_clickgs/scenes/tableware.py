# SPDX-License-Identifier: Apache-2.0
"""Things to eat and drink from: mug, cup, bowl, bottle, spoon. Sizes in m.

Each maker takes two generators: `shape` decides the sizes and `paint` the colours, so that two
things of different shape can share their colour.
"""

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from ros2_clickgs.scenes.shapes import Surface, revolve, smooth_curve, sweep
from ros2_clickgs.scenes.textures import (
    Color,
    Texture,
    color,
    metal,
    plain,
    speckled,
    striped,
    vivid,
)
from ros2_clickgs.scenes.thing import Part, Thing


def mug(shape: Generator, paint: Generator) -> Thing:
    """A mug: outside body, inside, and a handle toward +x."""
    radius, height = shape.uniform(0.037, 0.046), shape.uniform(0.082, 0.105)
    base, belly = radius * shape.uniform(0.8, 1.0), radius * shape.uniform(0.95, 1.08)
    outer = smooth_curve([(base, 0.004), (belly, height * 0.45), (radius, height)])
    body, inside = _walls(outer, wall=0.004)
    top, bottom = height * shape.uniform(0.76, 0.86), height * shape.uniform(0.18, 0.3)
    reach, stay = shape.uniform(0.028, 0.04), np.interp([bottom, top], outer[:, 1], outer[:, 0])
    knots = [
        (stay[1] - 0.002, 0, top),
        (radius + 0.72 * reach, 0, top + 0.004),
        (radius + reach, 0, 0.35 * bottom + 0.65 * top),
        (radius + 0.62 * reach, 0, bottom + 0.008),
        (stay[0] - 0.002, 0, bottom),
    ]
    thick = (shape.uniform(0.0055, 0.009), shape.uniform(0.004, 0.0055))
    path = smooth_curve(knots, 40)
    handle = sweep(path, np.tile(thick, (40, 1)), side=(0, 1, 0), capped=False, detail=1.8)
    glaze = vivid(paint)
    lining = color(0.11, 0.06, 0.93) if paint.random() < 0.7 else 0.75 * glaze + 0.25
    return Thing("mug", [
        Part("body", body, _glazed(glaze, paint), gloss=0.12),
        Part("inside", [inside], plain(lining, paint), gloss=0.08),
        Part("handle", [handle], plain(glaze, paint), gloss=0.12),
    ])  # fmt: skip


def cup(shape: Generator, paint: Generator) -> Thing:
    """A tumbler without a handle, wider at the top."""
    radius, height = shape.uniform(0.034, 0.041), shape.uniform(0.09, 0.12)
    base = radius * shape.uniform(0.68, 0.82)
    outer = smooth_curve([(base, 0.003), (0.5 * (base + radius), height * 0.5), (radius, height)])
    body, inside = _walls(outer, wall=0.003)
    tint = vivid(paint)
    band = striped(tint, color(0.1, 0.05, 0.95), sorted(paint.uniform(0.3, 0.95, 4)))
    return Thing("cup", [
        Part("body", body, band, gloss=0.08),
        Part("inside", [inside], plain(0.6 * tint + 0.3, paint), gloss=0.05),
    ])  # fmt: skip


def bowl(shape: Generator, paint: Generator) -> Thing:
    """A bowl on a foot, with a real hollow."""
    radius, height = shape.uniform(0.066, 0.084), shape.uniform(0.05, 0.068)
    foot, fullness = radius * shape.uniform(0.4, 0.55), shape.uniform(0.8, 0.92)
    outer = smooth_curve([
        (foot, 0.004), (radius * 0.72, height * 0.25),
        (radius * fullness, height * 0.55), (radius, height),
    ])  # fmt: skip
    outside, inside = _walls(outer, wall=0.0045)
    glaze = vivid(paint)
    lining = speckled(color(0.12, 0.12, 0.9), 0.6 * glaze, paint, size_m=0.009)
    return Thing("bowl", [
        Part("body", outside, _glazed(glaze, paint), gloss=0.12),
        Part("inside", [inside], lining, gloss=0.08),
    ])  # fmt: skip


def bottle(shape: Generator, paint: Generator) -> Thing:
    """A bottle: body with a label, neck, screw cap."""
    radius, shoulder = shape.uniform(0.031, 0.039), shape.uniform(0.125, 0.165)
    throat, neck_start = shape.uniform(0.012, 0.0145), shoulder + shape.uniform(0.03, 0.045)
    neck_end, cap_height = neck_start + shape.uniform(0.035, 0.055), shape.uniform(0.016, 0.022)
    cap_radius = throat + shape.uniform(0.0018, 0.003)
    slope = smooth_curve([
        (radius, shoulder), (radius * 0.86, 0.6 * shoulder + 0.4 * neck_start),
        (throat * 1.25, 0.12 * shoulder + 0.88 * neck_start), (throat, neck_start),
    ])  # fmt: skip
    base = [(0, 0), (radius * 0.92, 0), (radius, 0.005)]
    body = revolve(np.vstack([base, slope]))
    neck = revolve([(throat, neck_start), (throat * 0.97, neck_end)], detail=1.8)
    lid = neck_end + cap_height
    cap = [
        (throat, neck_end), (cap_radius, neck_end),
        (cap_radius, lid - 0.002), (cap_radius - 0.002, lid), (0, lid),
    ]  # fmt: skip
    glass, paper, ink = vivid(paint), color(0.13, 0.1, 0.95), vivid(paint)
    return Thing("bottle", [
        Part("body", [body], _labelled(glass, paper, ink, 0.035, shoulder - 0.02), gloss=0.15),
        Part("neck", [neck], plain(glass, paint), gloss=0.15),
        Part("cap", [revolve(cap, detail=1.8)], striped(ink, 0.8 * ink, _ribs(24), axis=0)),
    ])  # fmt: skip


def spoon(shape: Generator, paint: Generator) -> Thing:
    """A spoon lying on its back: scoop around the origin, handle toward +x."""
    length, width = shape.uniform(0.028, 0.034), shape.uniform(0.018, 0.022)
    depth, reach = shape.uniform(0.007, 0.01), shape.uniform(0.115, 0.14)
    rho = np.linspace(0, 1, 14)
    under = np.stack([rho, depth * (rho**2 - 1) - 0.0012], -1)
    upper = np.stack([rho, depth * (rho**2 - 1)], -1)[::-1]
    dish = revolve(np.vstack([under, upper]), step_m=0.1, detail=2.0).stretched(length, width)
    knots = [
        (length - 0.002, 0, -0.001), (length + 0.02, 0, 0.007),
        (length + 0.6 * reach, 0, 0.009), (length + reach, 0, 0.0),
    ]  # fmt: skip
    wide = np.interp(np.linspace(0, 1, 40), [0, 0.15, 0.85, 1], [0.005, 0.003, 0.0075, 0.004])
    flat = np.stack([wide, np.full(40, 0.0012)], -1)
    handle = sweep(smooth_curve(knots, 40), flat, side=(0, 1, 0), roundness=2.6, detail=2.5)
    steel = color(0.6, 0.04, paint.uniform(0.52, 0.66))
    return Thing("spoon", [
        Part("scoop", [dish], metal(steel, paint), gloss=0.18),
        Part("handle", [handle], metal(0.95 * steel, paint), gloss=0.18),
    ]).resting()  # fmt: skip


def _walls(outer: Float[np.ndarray, "K 2"], wall: float) -> tuple[list[Surface], Surface]:
    """Return the outside (wall with foot, and rim) and the inside of a turned vessel.

    Args:
        outer: profile (radius, z) of the wall, from the foot up to the rim.
        wall: its thickness.
    """
    (foot, low), (radius, height) = outer[0], outer[-1]
    base = [(0, low / 2), (foot * 0.9, 0), (foot, low / 2)]
    inner = outer[outer[:, 1] > low + 1.5 * wall] - (wall, 0)
    floor = [(0, low + wall), (inner[0, 0] * 0.75, low + wall)]
    angle = np.linspace(0, np.pi, 9)
    arc = [radius - wall / 2 * (1 - np.cos(angle)), height + wall / 2 * np.sin(angle)]
    rim = revolve(np.stack(arc, -1), detail=3.0)
    outside = revolve(np.vstack([base, outer]), sharp=("v1",))
    return [outside, rim], revolve(np.vstack([inner[::-1], floor[::-1]]), sharp=("v0",))


def _glazed(glaze: Color, paint: Generator) -> Texture:
    pick = paint.integers(3)
    pale = 0.3 * glaze + 0.66
    if pick == 0:
        return striped(glaze, pale, sorted(paint.uniform(0.3, 0.9, 4)))
    if pick == 1:
        return speckled(glaze, pale, paint, size_m=0.008)
    return plain(glaze, paint, mottle=0.04)


def _labelled(glass: Color, paper: Color, ink: Color, low_m: float, high_m: float) -> Texture:
    def texture(xyz, uv):
        z, u = xyz[:, 2], uv[:, 0]
        out = np.broadcast_to(glass, (len(z), 3)).copy()
        label = (z > low_m) & (z < high_m)
        out[label] = paper
        across = (z - low_m) / (high_m - low_m)
        out[label & (abs(across - 0.8) < 0.08)] = ink
        out[label & (abs(across - 0.42) < 0.2) & (np.sin(8 * np.pi * u) > 0.3)] = 0.7 * ink
        return out

    return texture


def _ribs(count: int) -> list[float]:
    return list(np.linspace(0, 1, 2 * count + 1))
