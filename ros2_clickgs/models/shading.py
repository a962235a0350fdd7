# SPDX-License-Identifier: Apache-2.0
"""How a pixel looks beside the rest of its object: lighter, greyer, edgier; not its hue."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

INNER_PX = 3.0
"""Nearer to the outline, edges are the outline's."""


def shading(
    image: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"]
) -> Float32[np.ndarray, "H W 8"]:
    """Describe each pixel by lightness, saturation and edges, fine and coarse.

    Lightness and coarse saturation are relative to the object, so that lamps do not matter.
    """
    lab = cv2.cvtColor((image / 255).astype(np.float32), cv2.COLOR_RGB2LAB)
    lightness, chroma = lab[..., 0], np.hypot(lab[..., 1], lab[..., 2])
    typical, spread = np.median(lightness[mask]), lightness[mask].std() + 5
    light = np.clip((lightness - typical) / spread, -3, 3)
    vivid = np.clip(chroma / (lightness + 10), 0, 1.5)
    near = Around(mask)
    smooth = near(light, 1.5)
    inner = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5) > INNER_PX
    du, dv = (cv2.Sobel(smooth, cv2.CV_32F, *order) * inner for order in ((1, 0), (0, 1)))
    edge = np.hypot(du, dv)
    return np.stack(
        [
            smooth,
            near(light, 6),
            2 * near(vivid, 2) - 1,
            4 * near(vivid - np.median(vivid[mask]), 6),
            near(edge, 2) - 0.5,
            near(edge, 6) - 0.5,
            3 * np.abs(near(du, 8)) - 0.5,
            3 * near(dv, 8),
        ],
        axis=-1,
    ).astype(np.float32)


class Around:
    """Gaussian means over the mask's pixels only."""

    def __init__(self, mask: Bool[np.ndarray, "H W"]) -> None:
        self._weight = mask.astype(np.float32)

    def __call__(self, values: Float[np.ndarray, "H W"], sigma_px: float) -> np.ndarray:
        """Return the mean of values around each pixel."""
        total = cv2.GaussianBlur(values.astype(np.float32) * self._weight, (0, 0), sigma_px)
        weight = cv2.GaussianBlur(self._weight, (0, 0), sigma_px)
        return total / np.maximum(weight, 1e-3)
