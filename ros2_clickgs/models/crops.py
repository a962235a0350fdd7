# SPDX-License-Identifier: Apache-2.0
"""An object's part of an image at a size that does not depend on its distance."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A resized window of an image. (u, v) = origin + (x, y) / scale, centres at +0.5."""

    image: UInt8[np.ndarray, "h w 3"]
    mask: Bool[np.ndarray, "h w"]
    origin: tuple[float, float]
    """Left and top edge of the window, in px of the whole image."""
    scale: float
    """Pixels of the crop per pixel of the whole image."""


def crop_object(
    image: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"], side: int, margin: int
) -> Crop:
    """Return the mask's bounding box with its longer side `side` px long, and a margin (px)."""
    v, u = np.nonzero(mask)
    left, top, width, height = u.min(), v.min(), np.ptp(u) + 1, np.ptp(v) + 1
    scale = side / max(width, height)
    size = (round(width * scale) + 2 * margin, round(height * scale) + 2 * margin)
    shift = np.array([left, top]) - margin / scale
    cover = _window(mask.astype(np.float32), shift, scale, size, outside=0)
    return Crop(
        image=_window(image, shift, scale, size),
        mask=cover > 0.5 * cover.max(),
        origin=(float(shift[0]), float(shift[1])),
        scale=float(scale),
    )


def _window(
    pixels: np.ndarray,
    shift: np.ndarray,
    scale: float,
    size: tuple[int, int],
    outside: float | None = None,
) -> np.ndarray:
    if scale < 1:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.5 / scale)
    offset = (0.5 - shift) * scale - 0.5
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    A = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    return cv2.warpAffine(pixels, A, size, flags=cv2.INTER_LINEAR, borderMode=border)
