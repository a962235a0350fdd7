# SPDX-License-Identifier: Apache-2.0
"""What pixels tell of borders: colour edges, depth jumps, concave creases, planes."""

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8

from ros2_clickgs.models.support import evaluate_affine, find_planes

LAB_WEIGHTS = np.float32([0.7, 1.4, 1.4])
"""Light and shadow change L more than a and b."""
CREASE_FLOOR = 0.001
"""Least bend of the relative inverse depth, per pixel squared, that counts as a crease."""
NOISE = 7
"""Bends of less than so many medians are noise."""
LOW_JUMP, LOW_SHARE = 0.003, 0.015
"""Largest relative depth change per pixel within a low thing, and largest share of the image."""


def weighted_lab(image: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "H W 3"]:
    """Return CIE Lab of an RGB image, chroma counted more than lightness."""
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) * LAB_WEIGHTS


def color_edges(lab: Float32[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "H W"]:
    """Return the colour difference per pixel."""
    smooth = cv2.GaussianBlur(lab, (0, 0), max(lab.shape) / 800)
    du, dv = _gradient(smooth)
    return np.sqrt((du**2 + dv**2).sum(-1))


def invert(depth: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """Return the median-filtered inverse depth (1/m), 0 where unknown."""
    known = np.isfinite(depth) & (depth > 0)
    inverse = np.divide(1, depth, out=np.zeros(depth.shape, np.float32), where=known)
    return np.where(known, cv2.medianBlur(inverse, 3), 0)


def fill(inverse_depth: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """Return the inverse depth with every unknown pixel taken from the nearest known one."""
    known = inverse_depth > 0
    if not known.any():
        return inverse_depth
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(nearest.max() + 1, np.float32)
    values[nearest[known]] = inverse_depth[known]
    return values[nearest]


def concave_creases(inverse_depth: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """Return how strongly the surface bends towards the camera: 0 .. 3, and 0 where unknown.

    Inverse depth is affine on a plane, so its second difference is 0 there, negative on convex
    edges (mostly inside one thing), positive where one thing stands on or before another (Stein et
    al. 2014, object partitioning using local convexity).
    """
    filled = fill(inverse_depth)
    bends = [cv2.Sobel(filled, cv2.CV_32F, *o, ksize=3, scale=0.25) for o in ((2, 0), (0, 2))]
    relative = np.maximum(np.maximum(*bends), 0) / np.maximum(filled, 1e-6)
    noise = NOISE * np.median(relative[relative > 0]) if (relative > 0).any() else 0
    known = cv2.erode((inverse_depth > 0).astype(np.uint8), np.ones((3, 3)))
    near = cv2.dilate(relative, np.ones((5, 5)))
    return known * np.minimum(near / max(CREASE_FLOOR, noise), 3)


def depth_jumps(inverse_depth: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """Return the relative depth change per pixel beyond the slope of the surface around."""
    filled = fill(inverse_depth)
    slope = np.hypot(*_gradient(filled)) / np.maximum(filled, 1e-6)
    return cv2.morphologyEx(slope, cv2.MORPH_TOPHAT, np.ones((9, 9)))


def plane_layers(inverse_depth: Float32[np.ndarray, "H W"]) -> Bool[np.ndarray, "K 2 H W"]:
    """Return, for every large plane of the view, the pixels on it and those before it."""
    v, u = np.indices(inverse_depth.shape)
    known = inverse_depth > 0
    layers = []
    for plane, tolerance in zip(*find_planes(inverse_depth), strict=True):
        height = 1 - evaluate_affine(plane, u, v) / np.maximum(inverse_depth, 1e-6)
        layers.append([known & (np.abs(height) <= tolerance), known & (height > tolerance)])
    return np.array(layers, bool).reshape(-1, 2, *inverse_depth.shape)


def low_things(
    layers: Bool[np.ndarray, "K 2 H W"], jumps: Float32[np.ndarray, "H W"]
) -> Int[np.ndarray, "H W"]:
    """Return a number for every pixel of small things that lie low on a plane, 0 elsewhere.

    What stands out of a plane as one piece, without a depth jump within, is one thing of any
    colours: a knife, a hammer. Tall things overlap in the picture, with jumps between.
    """
    on, before = layers[:, 0].any(0), layers[:, 1].any(0)
    pieces = cv2.morphologyEx((before & ~on).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3)))
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(pieces)
    core = cv2.erode(pieces, np.ones((7, 7))) > 0
    inside = np.bincount(numbers[core], minlength=count)
    jumping = np.bincount(numbers[core & (jumps > LOW_JUMP)], minlength=count)
    low = (stats[:, cv2.CC_STAT_AREA] < LOW_SHARE * pieces.size) & (jumping <= 0.02 * inside)
    low[0] = False
    return np.where(low[numbers], numbers, 0)


def _gradient(values: Float32[np.ndarray, "H W *C"]) -> list[Float32[np.ndarray, "H W *C"]]:
    return [cv2.Scharr(values, cv2.CV_32F, *order, scale=1 / 32) for order in ((1, 0), (0, 1))]
