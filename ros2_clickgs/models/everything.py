# SPDX-License-Identifier: Apache-2.0
"""Every thing and every part in a picture, without a prompt."""

import numpy as np
from jaxtyping import Bool, Int

from ros2_clickgs.core.segmenter import Mask
from ros2_clickgs.models.belief import clearness
from ros2_clickgs.models.borders import snap_to_colors
from ros2_clickgs.models.finishing import is_most_of, to_original
from ros2_clickgs.models.picture import Picture
from ros2_clickgs.models.selection import contrast, distinctness

OBJECT_SHARE, PART_SHARE = 0.05, 0.01
"""Typical share of an image that things and their parts fill; tried on built-in scenes."""
LEAST_CONTRAST = 0.4
"""Regions that are less apart from their neighbours are no thing of their own."""
LEAST_PX = 50
"""Smaller pieces, at working size, are left out."""


def things_and_parts(picture: Picture) -> list[Mask]:
    """Return the things of a picture, then those of their parts that are no whole thing.

    Things do not overlap each other, nor do parts; a part lies in one thing.
    """
    pieces = pieces_of(cut(picture, OBJECT_SHARE))
    known = {piece.tobytes() for piece in pieces}
    smaller = [x for x in pieces_of(cut(picture, PART_SHARE)) if x.tobytes() not in known]
    things = drawn(picture, [with_low_thing(picture, piece) for piece in pieces])
    parts = at_home(drawn(picture, smaller), things)
    return [
        Mask(pixels=to_original(picture, piece), score=clearness(picture, piece))
        for piece in [*pieces_of(things), *pieces_of(parts)]
    ]


def cut(picture: Picture, typical_share: float) -> Int[np.ndarray, "h w"]:
    """Return for each pixel the region around it that looks most like a thing of such a size."""
    worth = distinctness(picture.tree, picture.areas, typical_share)
    worth[(contrast(picture.tree) < LEAST_CONTRAST) | (picture.areas < LEAST_PX)] = -1
    best = np.arange(len(worth))
    for region in range(len(worth) - 2, -1, -1):
        above = best[picture.tree.parents[region]]
        if worth[above] >= worth[region]:
            best[region] = above
    return best[picture.graph.labels]


def pieces_of(labels: Int[np.ndarray, "h w"]) -> list[Bool[np.ndarray, "h w"]]:
    """Return the pixels of every label >= 0 that has enough of them."""
    found, counts = np.unique(labels, return_counts=True)
    return [labels == label for label in found[(counts >= LEAST_PX) & (found >= 0)]]


def with_low_thing(picture: Picture, piece: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Return the low thing that a piece makes up most of, such as a hammer's head; else it."""
    counts = np.bincount(picture.graph.low[piece], minlength=2)
    thing = picture.graph.low == counts[1:].argmax() + 1
    return thing if is_most_of(piece, thing) else piece


def drawn(picture: Picture, drafts: list[Bool[np.ndarray, "h w"]]) -> Int[np.ndarray, "h w"]:
    """Return the number of the draft at each pixel, -1 for none, outlines drawn to the colours.

    Where two of them overlap now, the larger one gives way.
    """
    snapped = [snap_to_colors(picture.image, draft) for draft in drafts]
    owner = np.full(picture.graph.labels.shape, -1)
    for number in np.argsort([-mask.sum() for mask in snapped], kind="stable"):
        owner[snapped[number]] = number
    return owner


def at_home(
    parts: Int[np.ndarray, "h w"], things: Int[np.ndarray, "h w"]
) -> Int[np.ndarray, "h w"]:
    """Return the parts without what lies outside the thing that most of each lies in."""
    shared = np.zeros((parts.max() + 2, things.max() + 2), int)
    np.add.at(shared, (parts, things), 1)
    return np.where(things == shared.argmax(1)[parts], parts, -1)
