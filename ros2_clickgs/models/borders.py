# SPDX-License-Identifier: Apache-2.0
"""A region's outline drawn to the colours that are really there."""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

LARGEST_PX = 320
"""Side above which a crop is made smaller before its colours are modelled."""
REACH, REACH_BOUNDS_PX = 0.4, (2, 8)
"""How far an outline may move, as a share of the largest radius inside; and in px at most."""
ROUNDS = 2
"""Iterations of GrabCut."""


def snap_to_colors(
    image: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"]
) -> Bool[np.ndarray, "H W"]:
    """Return the mask with its outline moved a little, to where the colours part.

    GrabCut (Rother et al. 2004), its colours learnt from the mask and from a ring around it; only
    a band along the outline may change, narrower for thin things. A mask that would lose more than
    half stays as it is.
    """
    thickness_px = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5).max()
    reach_px = int(np.clip(REACH * thickness_px, *REACH_BOUNDS_PX))
    window = window_around(mask, 3 * reach_px)
    crop, inside = image[window], mask[window].astype(np.uint8)
    scale = min(1.0, LARGEST_PX / max(inside.shape))
    small = cv2.resize(inside, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    trimap = band(small, max(1, round(reach_px * scale)))
    if not ((trimap & 1).any() and (trimap == cv2.GC_BGD).any()):
        return mask
    cv2.setRNGSeed(0)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    pixels = cv2.resize(crop, small.shape[::-1], interpolation=cv2.INTER_AREA)
    cv2.grabCut(pixels, trimap, None, background, foreground, ROUNDS, cv2.GC_INIT_WITH_MASK)
    snapped = np.zeros_like(mask)
    found = (trimap & 1).astype(np.float32)
    snapped[window] = cv2.resize(found, inside.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    return snapped if snapped.sum() > 0.5 * mask.sum() else mask


def window_around(mask: Bool[np.ndarray, "H W"], margin_px: int) -> tuple[slice, slice]:
    """Return the rows and columns that hold the mask and a margin."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    rows = slice(max(top - margin_px, 0), top + height + margin_px)
    return rows, slice(max(left - margin_px, 0), left + width + margin_px)


def band(inside: UInt8[np.ndarray, "H W"], reach_px: int) -> UInt8[np.ndarray, "H W"]:
    """Return GrabCut's trimap: certain but for `reach_px` on both sides of the outline."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach_px + 1,) * 2)
    trimap = np.where(inside > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[cv2.erode(inside, disc) > 0] = cv2.GC_FGD
    trimap[cv2.dilate(inside, disc) == 0] = cv2.GC_BGD
    return trimap
