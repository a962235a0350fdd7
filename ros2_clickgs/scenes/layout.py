# SPDX-License-Identifier: Apache-2.0
"""Who is on the table and who stands where."""

from numpy.random import Generator

from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.scenes.placement import (
    DIRECTIONS,
    Footprint,
    beside,
    free_spot,
    is_free,
)

CAST = [
    "cereal_box", "ball", "mug", "mug_2", "book", "bottle", "hammer", "bowl",
    "knife", "banana", "screwdriver", "spoon", "cup", "apple",
]  # fmt: skip
"""Objects of the tabletop in the order of their labels 1, 2, ...; mug_2 has the colour of mug."""
TOUCHING = {"ball": "cereal_box", "bottle": "book"}
"""Things that stand against another one."""
HIDDEN = {"mug_2": "cereal_box"}
"""Things that stand behind another one, as seen from the open side of the room."""

TURN = DIRECTIONS // 8
"""An eighth of a turn: a thing with this heading looks at the open side (+x, -y) with its -y."""


def arrange(footprints: dict[str, Footprint], rng: Generator) -> dict[str, Footprint]:
    """Return every footprint at its place on the table.

    Raises:
        ClickGSError: there is no room for all of them.
    """
    for _ in range(100):
        placed = _attempt(footprints, rng)
        if len(placed) == len(footprints):
            return placed
    raise ClickGSError(f"no room on the table for {len(footprints)} things; take fewer")


def _attempt(footprints: dict[str, Footprint], rng: Generator) -> dict[str, Footprint]:
    placed: dict[str, Footprint] = {}
    for name, footprint in footprints.items():
        spot = _spot(name, footprint, placed, rng)
        if spot is None:
            break
        placed[name] = spot
    return placed


def _spot(
    name: str, footprint: Footprint, placed: dict[str, Footprint], rng: Generator
) -> Footprint | None:
    footprint = footprint.at(footprint.center, int(rng.integers(DIRECTIONS)))
    if name in TOUCHING:
        partner = TOUCHING[name]
        others = [spot for other, spot in placed.items() if other != partner]
        directions = rng.integers(0, DIRECTIONS, 20).tolist()
        tries = (beside(footprint, placed[partner], direction) for direction in directions)
        return next((spot for spot in tries if is_free(spot, others)), None)
    if name in HIDDEN:
        behind = 3 * TURN + int(rng.integers(-TURN // 3, TURN // 3))
        spot = beside(footprint, placed[HIDDEN[name]], behind, gap=rng.uniform(0.025, 0.04))
        return spot if is_free(spot, list(placed.values())) else None
    headings = (TURN // 2, 3 * TURN // 2) if name == "cereal_box" else (0, DIRECTIONS)
    return free_spot(footprint, list(placed.values()), rng, headings)
