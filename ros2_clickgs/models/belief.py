# SPDX-License-Identifier: Apache-2.0
"""How far a mask may be trusted, as an estimate of its IoU."""

import cv2
import numpy as np
from jaxtyping import Bool

from ros2_clickgs.core.segmenter import Prompt
from ros2_clickgs.models.picture import Picture
from ros2_clickgs.models.selection import contrast

SHIFT_PX = 7
"""How far clicks are moved, at working size, to see whether the answer stays."""
CLEAR_EDGE = 9.0
"""Mean colour edge along an outline (Lab per px) from which it is as clear as can be."""


def belief(
    picture: Picture, regions: list[int], mask: Bool[np.ndarray, "h w"], prompt: Prompt
) -> float:
    """Return contrast of the regions x clearness of the outline x steadiness of the answer."""
    if not mask.any():
        return 0.0
    clear = clearness(picture, mask)
    if prompt.soft_mask is not None:
        soft = cv2.resize(prompt.soft_mask, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return clear * overlap(soft > 0.5, mask)
    apart = np.average(contrast(picture.tree)[regions], weights=picture.areas[regions])
    return float(apart * clear * steadiness(picture, mask, prompt))


def clearness(picture: Picture, mask: Bool[np.ndarray, "h w"]) -> float:
    """Return how clearly colours part along the outline of a mask, in [0, 1]."""
    return min(edge_along(picture, mask) / CLEAR_EDGE, 1.0) ** 0.5


def edge_along(picture: Picture, mask: Bool[np.ndarray, "h w"]) -> float:
    """Return the mean colour edge along the outline of a mask, in Lab per px, up to 10."""
    outline = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0
    return float(np.minimum(picture.graph.edges[outline], 10).mean()) if outline.any() else 0.0


def steadiness(picture: Picture, mask: Bool[np.ndarray, "h w"], prompt: Prompt) -> float:
    """Return the mean overlap of what the clicks mean with what they mean a little to the side."""
    clicks = picture.to_working(prompt.point_coords[prompt.point_labels])
    overlaps = []
    for v, u in clicks:
        here = best_around(picture, v, u)
        for dv, du in ((0, SHIFT_PX), (0, -SHIFT_PX), (SHIFT_PX, 0), (-SHIFT_PX, 0)):
            beside = np.clip((v + dv, u + du), 0, np.array(mask.shape) - 1)
            if mask[tuple(beside)]:
                overlaps.append(nested_overlap(picture, here, best_around(picture, *beside)))
    return float(np.mean(overlaps)) if overlaps else 1.0


def best_around(picture: Picture, v: int, u: int) -> int:
    """Return the most distinct region around a pixel at working size."""
    chain = picture.tree.chain(int(picture.graph.labels[v, u]))
    return chain[int(picture.worth[chain].argmax())]


def nested_overlap(picture: Picture, first: int, second: int) -> float:
    """Return the IoU of two regions of the tree: one holds the other, or they share nothing."""
    small, large = sorted((first, second))
    if large not in picture.tree.chain(small):
        return 0.0
    return float(picture.areas[small] / picture.areas[large])


def overlap(first: Bool[np.ndarray, "h w"], second: Bool[np.ndarray, "h w"]) -> float:
    """Return the intersection over the union; 0 if both are empty."""
    return float((first & second).sum() / max((first | second).sum(), 1))
