# SPDX-License-Identifier: Apache-2.0
"""Depth moved onto the colour image: registered sensors are often a few pixels off."""

import cv2
import numpy as np
from jaxtyping import Float32

from ros2_clickgs.models import cues

REACH_PX = 20
"""Largest shift looked for."""
LEAST_JUMP = 0.001
"""Relative depth changes per pixel below this are noise."""
LEAST_GAIN = 1.02
"""How much better the edges must agree before depth is moved at all."""


def align_depth(
    inverse_depth: Float32[np.ndarray, "H W"], color_edges: Float32[np.ndarray, "H W"]
) -> Float32[np.ndarray, "H W"]:
    """Return the inverse depth (1/m) shifted to where its jumps fit the colour edges."""
    if min(inverse_depth.shape) <= 4 * REACH_PX or not (inverse_depth > 0).any():
        return inverse_depth
    du, dv = best_shift(inverse_depth, color_edges)
    T = np.float32([[1, 0, du], [0, 1, dv]])
    return cv2.warpAffine(inverse_depth, T, inverse_depth.shape[::-1], flags=cv2.INTER_NEAREST)


def best_shift(
    inverse_depth: Float32[np.ndarray, "H W"], color_edges: Float32[np.ndarray, "H W"]
) -> tuple[int, int]:
    """Return the (du, dv) in px by which depth should move; (0, 0) unless it clearly helps."""
    known = cv2.erode((inverse_depth > 0).astype(np.uint8), np.ones((9, 9)))
    jumps = np.clip(cues.depth_jumps(inverse_depth) - LEAST_JUMP, 0, 0.02) * known
    inner = np.s_[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]
    color = np.ascontiguousarray(np.minimum(color_edges, 8)[inner])
    agreement = cv2.matchTemplate(cv2.GaussianBlur(jumps, (0, 0), 2), color, cv2.TM_CCORR)
    v, u = np.unravel_index(agreement.argmax(), agreement.shape)
    if agreement[v, u] <= LEAST_GAIN * agreement[REACH_PX, REACH_PX]:
        return 0, 0
    return REACH_PX - int(u), REACH_PX - int(v)
