# SPDX-License-Identifier: Apache-2.0
"""The demo's picture: per object a row of input, mask, object alone, map without it."""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

COLUMNS = ("input and click", "mask", "object alone", "map without it")
WIDTH_PX = 420
"""Of one panel."""
CAPTION_PX = 26
TINT = np.array([255, 60, 200])
Picture = UInt8[np.ndarray, "H W 3"]


def row(
    image: Picture,
    clicks: list[tuple[float, float]],
    mask: Bool[np.ndarray, "H W"],
    alone: Picture,
    without: Picture,
    title: str,
) -> Picture:
    """Return one object's panels with captions; clicks are (u, v) in px."""
    panels = [marked(image, clicks), tinted(image, mask), alone, without]
    captions = [f"{title}: {COLUMNS[0]}", *COLUMNS[1:]]
    return np.hstack([captioned(p, c) for p, c in zip(panels, captions, strict=True)])


def marked(image: Picture, clicks: list[tuple[float, float]]) -> Picture:
    """Return the image with a cross at every (u, v)."""
    size = max(8, image.shape[1] // 25)
    out = image.copy()
    for u, v in clicks:
        for color, thickness in (((0, 0, 0), 5), ((255, 255, 0), 2)):
            cv2.drawMarker(out, (int(u), int(v)), color, cv2.MARKER_CROSS, size, thickness)
    return out


def tinted(image: Picture, mask: Bool[np.ndarray, "H W"]) -> Picture:
    """Return the image with the mask's pixels tinted and outlined."""
    out = image.copy()
    out[mask] = (0.5 * image[mask] + 0.5 * TINT).astype(np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(out, contours, -1, (255, 255, 255), 1)


def captioned(panel: Picture, caption: str) -> Picture:
    """Return a panel at its width with a line of text above."""
    height = round(panel.shape[0] * WIDTH_PX / panel.shape[1])
    out = np.full((height + CAPTION_PX, WIDTH_PX, 3), 24, np.uint8)
    out[CAPTION_PX:] = cv2.resize(panel, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    font = cv2.FONT_HERSHEY_SIMPLEX
    return cv2.putText(out, caption, (6, 18), font, 0.5, (240, 240, 240), 1, cv2.LINE_AA)
