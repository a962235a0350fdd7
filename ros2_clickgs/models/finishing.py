# SPDX-License-Identifier: Apache-2.0
"""From the regions that were chosen to the mask that was asked for."""

import cv2
import numpy as np
from jaxtyping import Bool

from ros2_clickgs.core.segmenter import Prompt
from ros2_clickgs.models.picture import Picture

PART, WHOLE = 0.8, 0.25
"""Least share of a mask in a low thing, and of that thing in the mask, to mean all of it."""
CRUMB_SHARE = 0.1
"""Components smaller than this share of the largest are dropped."""


def whole_low_thing(
    picture: Picture, mask: Bool[np.ndarray, "h w"], prompt: Prompt
) -> Bool[np.ndarray, "h w"]:
    """Return the low thing that a mask is part of, as a head is of a hammer; else the mask."""
    v, u = picture.to_working(prompt.point_coords).T
    things = np.unique(picture.graph.low[v, u][prompt.point_labels])
    if prompt.soft_mask is not None or prompt.box is not None or len(things) != 1 or not things[0]:
        return mask
    thing = picture.graph.low == things[0]
    if thing[v, u][~prompt.point_labels].any() or not is_most_of(mask, thing):
        return mask
    return thing


def is_most_of(mask: Bool[np.ndarray, "h w"], thing: Bool[np.ndarray, "h w"]) -> bool:
    """Return whether a mask lies in a low thing and covers enough of it to mean all of it."""
    lies_in = (mask & thing).sum() >= PART * mask.sum()
    return bool(lies_in and mask.sum() > WHOLE * thing.sum())


def keep_prompted(
    picture: Picture, mask: Bool[np.ndarray, "h w"], prompt: Prompt
) -> Bool[np.ndarray, "h w"]:
    """Return the components of the mask that hold a click; without clicks, all but crumbs."""
    _, components, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    keep = stats[:, cv2.CC_STAT_AREA] >= CRUMB_SHARE * stats[1:, cv2.CC_STAT_AREA].max(initial=0)
    if prompt.soft_mask is None and prompt.point_labels.any():
        v, u = picture.to_working(prompt.point_coords[prompt.point_labels]).T
        hit = components[v, u]
        keep = np.isin(np.arange(len(stats)), hit[hit > 0]) if (hit > 0).any() else keep
    keep[0] = False
    return keep[components]


def to_original(picture: Picture, mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "H W"]:
    """Return a mask of working size at the size of the original image."""
    size = picture.shape[::-1]
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5


def obey(pixels: Bool[np.ndarray, "H W"], prompt: Prompt) -> Bool[np.ndarray, "H W"]:
    """Return the mask with every click's own pixel as clicked, and nothing outside the box."""
    if prompt.box is not None:
        left, top = np.floor(prompt.box[:2]).astype(int)
        right, bottom = np.ceil(prompt.box[2:]).astype(int)
        inside = np.zeros_like(pixels)
        inside[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
        pixels = pixels & inside
    height, width = pixels.shape
    u, v = np.clip(prompt.point_coords.astype(int), 0, (width - 1, height - 1)).T
    pixels[v, u] = prompt.point_labels
    return pixels
