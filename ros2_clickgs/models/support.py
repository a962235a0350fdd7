# SPDX-License-Identifier: Apache-2.0
"""Planes that things stand on, found without intrinsics.

A pinhole sees a plane as an affine inverse depth, 1/z = a u + b v + c, whatever its focal length.
"""

import cv2
import numpy as np
from jaxtyping import Float, Int

CELL_PX = 32
"""Side of the squares whose fits are the candidates."""
STRIDE = 4
"""Every so many pixels vote."""


def fit_affine(
    labels: Int[np.ndarray, "H W"], inverse_depth: Float[np.ndarray, "H W"], count: int
) -> Float[np.ndarray, "L 3"]:
    """Return (a, b, c) of 1/z = a u + b v + c for every label; NaN with too few pixels.

    Args:
        labels: region of each pixel, 0 .. count - 1.
        inverse_depth: 1/m; 0 = unknown.
        count: number of labels L.
    """
    v, u = np.nonzero(inverse_depth > 0)
    label, depth = labels[v, u], inverse_depth[v, u].astype(np.float64)
    n = np.maximum(np.bincount(label, minlength=count), 1e-9)
    mean = [np.bincount(label, x, minlength=count) / n for x in (u, v, depth)]
    du, dv, dd = (x - m[label] for x, m in zip((u, v, depth), mean, strict=True))
    uu, uv, vv, ud, vd = (
        np.bincount(label, x, minlength=count) / n
        for x in (du * du, du * dv, dv * dv, du * dd, dv * dd)
    )
    determinant = (uu + 0.3) * (vv + 0.3) - uv * uv
    a = ((vv + 0.3) * ud - uv * vd) / determinant
    b = ((uu + 0.3) * vd - uv * ud) / determinant
    planes = np.stack([a, b, mean[2] - a * mean[0] - b * mean[1]], -1)
    planes[n < 6] = np.nan
    return planes


def evaluate_affine(
    planes: Float[np.ndarray, "*n 3"], u: Float[np.ndarray, "*n"], v: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Return the inverse depth (1/m) of planes at pixels."""
    return planes[..., 0] * u + planes[..., 1] * v + planes[..., 2]


def find_planes(
    inverse_depth: Float[np.ndarray, "H W"], count: int = 5, least_share: float = 0.03
) -> tuple[Float[np.ndarray, "K 3"], Float[np.ndarray, " K"]]:
    """Return the largest planes, best first, and their tolerances (relative residual).

    Every square of the image proposes its own fit, all pixels vote, the winner is refitted and its
    pixels are taken out: RANSAC whose samples are local, hence few and the same on every run.

    Args:
        inverse_depth: 1/m; 0 = unknown.
        count: at most so many planes.
        least_share: share of the known pixels that a plane must hold.
    """
    depth = inverse_depth[::STRIDE, ::STRIDE].astype(float)
    v, u = np.indices(depth.shape) * STRIDE
    known = depth > 0
    candidates, free = _square_fits(inverse_depth), known.copy()
    planes, tolerances = [], []
    for _ in range(count if len(candidates) else 0):
        if free.sum() < 50:
            break
        plane, tolerance = _best_plane(candidates, u[free], v[free], depth[free])
        residual = np.abs(evaluate_affine(plane, u, v) / np.maximum(depth, 1e-6) - 1)
        solid = cv2.erode((free & (residual < tolerance)).astype(np.uint8), np.ones((3, 3)))
        if solid.sum() < least_share * known.sum():
            break
        planes.append(plane)
        tolerances.append(tolerance)
        free &= residual > 4 * tolerance
    return np.array(planes).reshape(-1, 3), np.array(tolerances)


def _square_fits(inverse_depth: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "C 3"]:
    height, width = inverse_depth.shape
    columns = -(-width // CELL_PX)
    squares = (np.arange(height) // CELL_PX)[:, None] * columns + np.arange(width) // CELL_PX
    fits = fit_affine(squares, inverse_depth, int(squares.max()) + 1)
    return fits[np.isfinite(fits).all(-1)]


def _best_plane(
    candidates: Float[np.ndarray, "C 3"],
    u: Float[np.ndarray, " P"],
    v: Float[np.ndarray, " P"],
    depth: Float[np.ndarray, " P"],
) -> tuple[Float[np.ndarray, " 3"], float]:
    sample = slice(None, None, max(1, len(depth) // 1000))
    ones = np.stack([u, v, np.ones_like(u)], -1)
    residuals = np.abs(candidates @ ones[sample].T / depth[sample] - 1)
    plane = candidates[(residuals < 0.01).sum(-1).argmax()]
    for tolerance in (0.02, 0.012, 0.012):
        near = np.abs(ones @ plane / depth - 1) < tolerance
        weight = 1 / depth[near]
        plane = np.linalg.lstsq(ones[near] * weight[:, None], depth[near] * weight, rcond=None)[0]
    residual = np.abs(ones @ plane / depth - 1)
    tolerance = float(np.clip(4 * np.median(residual[residual < 0.012]), 0.004, 0.012))
    return plane, tolerance
