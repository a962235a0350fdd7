# SPDX-License-Identifier: Apache-2.0
"""What stands out from the border of an image, where nobody says which pixels are the object."""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

SIDE_PX = 256
"""Larger images are shrunk to this for the cut."""
BORDER = 0.03
"""Share of the sides that is taken for background."""
ROUNDS = 4
ALL_KNOWN = 1.3
"""What is hardly more than the known pixels is those: annotations follow outlines better."""


def figure(
    image: UInt8[np.ndarray, "H W 3"], inside: Bool[np.ndarray, "H W"] | None = None
) -> Bool[np.ndarray, "H W"]:
    """Cut out what does not look like the image's border (GrabCut, Rother et al. 2004).

    Args:
        image: RGB.
        inside: pixels that are known to be the object's.

    Returns:
        The object's pixels: `inside` alone if hardly more stands out, else that and what is
        connected with it; the largest piece if nothing is known, or all if nothing stands out.
    """
    height, width = image.shape[:2]
    shrink = min(1.0, SIDE_PX / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    cut = np.full(small.shape[:2], cv2.GC_PR_FGD, np.uint8)
    edge = max(1, round(BORDER * min(size)))
    cut[:edge], cut[-edge:], cut[:, :edge], cut[:, -edge:] = (cv2.GC_BGD,) * 4
    if inside is not None:
        known = cv2.resize(inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        cut[known] = cv2.GC_FGD
    models = np.zeros((2, 1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(small, cut, None, models[0], models[1], ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = cv2.resize(
        np.isin(cut, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8),
        (width, height),
        interpolation=cv2.INTER_NEAREST,
    )
    return main_piece(found, inside)


def main_piece(
    found: UInt8[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"] | None
) -> Bool[np.ndarray, "H W"]:
    """Return which of the pieces that were cut out are the object; see `figure`."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(found)
    if inside is not None and inside.any():
        touched = np.setdiff1d(np.unique(pieces[inside]), [0])
        together = np.isin(pieces, touched) | inside
        return together if together.sum() > ALL_KNOWN * inside.sum() else inside
    if len(stats) < 2:
        return np.ones(found.shape, bool)
    return pieces == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
