# SPDX-License-Identifier: Apache-2.0
"""The built-in scenes: a table full of everyday things, or one thing alone, made from a seed.

The things of `make_tabletop(seed)` are those of `make_object(kind, seed)`, at other places.
"""

from zlib import crc32

import numpy as np
import torch
from numpy.random import Generator, default_rng

from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import NotFoundError
from ros2_clickgs.scenes import groceries, tableware, tools
from ros2_clickgs.scenes.layout import CAST, arrange
from ros2_clickgs.scenes.light import Light, random_light, shade
from ros2_clickgs.scenes.placement import footprint
from ros2_clickgs.scenes.room import TABLE_HEIGHT, TABLE_SIZE, room, table
from ros2_clickgs.scenes.sampling import Samples, joined, sample_part, shares, weight
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.surfels import surfels
from ros2_clickgs.scenes.thing import Thing
from ros2_clickgs.scenes.viewpoints import around_object, around_table

MAKERS = {
    "mug": tableware.mug, "cup": tableware.cup, "bowl": tableware.bowl,
    "bottle": tableware.bottle, "spoon": tableware.spoon, "hammer": tools.hammer,
    "knife": tools.knife, "screwdriver": tools.screwdriver,
    "cereal_box": groceries.cereal_box, "book": groceries.book, "ball": groceries.ball,
    "apple": groceries.apple, "banana": groceries.banana,
}  # fmt: skip
"""What makes each kind of thing."""
OBJECT_SHARE, TABLE_SHARE = 0.55, 0.22
"""How the Gaussians of a tabletop are shared out; the rest is the room."""


def make_tabletop(seed: int = 0, count: int = 200_000) -> Scene:
    """Return a table with fourteen things in the corner of a room, and 60 views of it.

    Two pairs touch, mug_2 has the colour of mug and stands partly hidden behind the cereal box
    (see `layout`). The same seed gives the same bytes.

    Args:
        seed: decides shapes, colours, places, light and views.
        count: number of Gaussians, background included.
    """
    things = {name: make_thing(name, seed) for name in CAST}
    prints = {name: footprint(thing.points()) for name, thing in things.items()}
    spots = arrange(prints, _rng(seed, "layout"))
    poses = [np.eye(4), *(spots[name].pose() for name in CAST)]
    rng = _rng(seed, "surface")
    on_table = round(OBJECT_SHARE * count)
    board = sample_part(table(_rng(seed, "table")), round(TABLE_SHARE * count), rng)
    walls = _background(seed, count - on_table - len(board.points), rng)
    samples = joined([_sample_things(list(things.values()), poses, on_table, rng), board, walls])
    cameras = around_table(_rng(seed, "views"), (0.0, 0.0, TABLE_HEIGHT + 0.05))
    return _scene(samples, CAST, list(things.values()), poses, cameras, seed)


def make_object(kind: str, seed: int, count: int = 12_000, view_count: int = 12) -> Scene:
    """Return one thing alone, standing on z = 0 at the origin, and random views of it.

    Args:
        kind: a key of MAKERS, or mug_2 for the second mug of that seed.
        seed: decides shape, colours, light and views.
        count: number of Gaussians.
        view_count: number of views.

    Raises:
        NotFoundError: there is no such kind.
    """
    thing = make_thing(kind, seed)
    poses = [np.eye(4), np.eye(4)]
    samples = _sample_things([thing], poses, count, _rng(seed, "surface"))
    low, high = samples.points.min(0), samples.points.max(0)
    radius_m = float(np.linalg.norm(high - low)) / 2
    views = _rng(seed, f"views of {kind}")
    cameras = around_object(views, (low + high) / 2, radius_m, view_count)
    return _scene(samples, [kind], [thing], poses, cameras, seed)


def make_thing(name: str, seed: int) -> Thing:
    """Return instance `seed` of a kind; NAME_2 differs from NAME in shape and shares its colours.

    Raises:
        NotFoundError: there is no such kind.
    """
    kind = name.removesuffix("_2")
    if kind not in MAKERS:
        raise NotFoundError("kind of object", name, sorted(MAKERS))
    return MAKERS[kind](_rng(seed, f"{name} shape"), _rng(seed, f"{kind} paint"))


def _rng(seed: int, purpose: str) -> Generator:
    """Return the random numbers of one purpose, so that one choice never shifts another."""
    return default_rng([seed, crc32(purpose.encode())])


def _sample_things(
    things: list[Thing], poses: list[np.ndarray], count: int, rng: Generator
) -> Samples:
    """Sample every part of every thing; labels count up from 1."""
    parts = [(i, part) for i, thing in enumerate(things, 1) for part in thing.parts]
    counts = shares(count, [weight(part) for _, part in parts])
    return joined([
        sample_part(part, n, rng, object_label=i, part_label=k).moved(poses[i])
        for k, ((i, part), n) in enumerate(zip(parts, counts, strict=True), 1)
    ])  # fmt: skip


def _background(seed: int, count: int, rng: Generator) -> Samples:
    parts = room(_rng(seed, "room"))
    counts = shares(count, [weight(part) for part in parts])
    return joined([sample_part(p, n, rng) for p, n in zip(parts, counts, strict=True)])


def _lit(samples: Samples, light: Light, count: int) -> np.ndarray:
    """Return shaded colours: fine shadows on and above the table top, coarse ones elsewhere."""
    fine_m = 0.006 * max(1.0, np.sqrt(200_000 / count))
    margin = np.abs(samples.points[:, :2]) < np.array(TABLE_SIZE) / 2 + 0.01
    is_near = margin.all(1) & (samples.points[:, 2] > TABLE_HEIGHT - 0.002)
    colors = np.empty_like(samples.colors)
    for chosen, voxel_m, blockers in ((is_near, fine_m, is_near), (~is_near, 0.05, slice(None))):
        if chosen.any():
            lit = samples.select(np.flatnonzero(chosen))
            colors[chosen] = shade(lit, light, voxel_m, samples.points[blockers])
    return colors


def _scene(
    samples: Samples,
    names: list[str],
    things: list[Thing],
    poses: list[np.ndarray],
    cameras: list[Camera],
    seed: int,
) -> Scene:
    """Light the samples, turn them into Gaussians in random order and name everything."""
    rng, light = _rng(seed, "surfels"), random_light(_rng(seed, "light"))
    samples = samples.select(rng.permutation(len(samples.points)))
    colors = _lit(samples, light, len(samples.points))
    parts = [(i, part.name) for i, thing in enumerate(things, 1) for part in thing.parts]
    return Scene(
        gaussians=surfels(samples, colors, light.toward_lamp, rng),
        object_labels=torch.from_numpy(samples.object_labels),
        part_labels=torch.from_numpy(samples.part_labels),
        object_names=["background", *names],
        part_names=["background", *(name for _, name in parts)],
        part_object=[0, *(i for i, _ in parts)],
        object_poses=torch.from_numpy(np.stack(poses)),
        cameras=cameras,
    )
