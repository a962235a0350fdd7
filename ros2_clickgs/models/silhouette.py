# SPDX-License-Identifier: Apache-2.0
"""Where in an object's outline a pixel lies, and how thick, open and hollow it is there.

All lengths are shares of the object's longer side, all values about -1 to 1. Left and right in
the image mean the same; up and down do not, since gravity makes things stand as they do.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32

THICKNESSES = 12
"""Steps between the thinnest and the thickest that are told apart."""
NO_HOLE = 0.5
"""Distance to a hole where there is none."""
SLICES = 40
"""Across the long axis, to measure the width along it."""
STEP_PX = 2.0
"""Along rays."""


def silhouette(mask: Bool[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W D"]:
    """Describe each pixel by the mask around it. The mask must not touch the image's border."""
    v, u = np.nonzero(mask)
    side = float(max(np.ptp(u), np.ptp(v)) + 1)
    axes = Axes(mask, side)
    return np.concatenate(
        [
            thickness(mask, side),
            axes.positions(),
            axes.profile(),
            rays_of_image(mask, side),
            rays_of_axes(mask, side, axes.angle),
            hollows(mask, side),
        ],
        axis=-1,
    ).astype(np.float32)


def thickness(mask: Bool[np.ndarray, "H W"], side: float) -> Float[np.ndarray, "H W 4"]:
    """Return the radius of the largest disc inside that covers a pixel, and the pixel's depth."""
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    deepest = max(float(depth.max()), 2.0)
    radius = np.zeros_like(depth)
    for r in np.geomspace(1.5, deepest, THICKNESSES):
        outside = (depth < r).astype(np.uint8)
        if outside.all():
            break
        radius[mask & (cv2.distanceTransform(outside, cv2.DIST_L2, 5) <= r + 0.5)] = r
    return np.stack(
        [
            np.log((radius + 1) / side * 8),
            1 + np.log((radius + 1) / (deepest + 1)),
            2 * depth / (radius + 1) - 1,
            np.log((depth + 1) / side * 8) / 2,
        ],
        axis=-1,
    )


class Axes:
    """The long and the short axis of a mask; the long one points to the end with less mass."""

    def __init__(self, mask: Bool[np.ndarray, "H W"], side: float) -> None:
        self._mask = mask
        v, u = np.indices(mask.shape)
        self._x, self._y = ((c - c[mask].mean()) / side * 2 for c in (u, v))
        inside = np.stack([self._x[mask], self._y[mask]])
        variances, vectors = np.linalg.eigh(np.cov(inside) + 1e-9 * np.eye(2))
        long = vectors[:, 1]
        long = long if ((long @ inside) ** 3).mean() >= 0 else -long
        self.angle = float(np.arctan2(long[1], long[0]))
        self._along = (self._x * long[0] + self._y * long[1]) / np.sqrt(variances[1])
        self._across = (self._y * long[0] - self._x * long[1]) / np.sqrt(variances[0])

    def positions(self) -> Float[np.ndarray, "H W 6"]:
        """Return the place along and off the axes, and in the image, from the centroid."""
        from_center = np.hypot(self._x, self._y)
        return np.stack(
            [
                self._along,
                np.abs(self._along) - 1,
                np.abs(self._across) - 1,
                2 * np.abs(self._x) - 0.5,
                self._y,
                from_center - 0.5,
            ],
            axis=-1,
        )

    def profile(self) -> Float[np.ndarray, "H W 4"]:
        """Return the width of the mask across its long axis, and how much of it lies before."""
        mask, along = self._mask, self._along
        low, high = along[mask].min(), along[mask].max()
        place = np.clip((along - low) / (high - low + 1e-6) * SLICES, 0, SLICES).astype(int)
        widths = np.zeros(SLICES + 1)
        for k in np.unique(place[mask]):
            widths[k] = np.ptp(self._across[mask & (place == k)])
        widths = cv2.GaussianBlur(widths[None], (0, 0), 1.5)[0]
        wide = (widths / (widths.max() + 1e-6))[place]
        mass = np.cumsum(np.bincount(place[mask], minlength=SLICES + 1)) / mask.sum()
        return np.stack(
            [2 * wide - 1, np.log(wide + 0.05) + 1, place / (SLICES / 2) - 1, 2 * mass[place] - 1],
            axis=-1,
        )


def rays_of_image(mask: Bool[np.ndarray, "H W"], side: float) -> Float[np.ndarray, "H W 8"]:
    """Return how far it is to the outline: down, up, and the near and far one of three pairs."""
    rays = [ray(mask, side, np.pi / 4 * k) for k in range(8)]
    pairs = [pair(rays[a], rays[b]) for a, b in ((0, 4), (1, 3), (5, 7))]
    return np.stack([rays[2], rays[6], *(one for both in pairs for one in both)], axis=-1) / 2


def rays_of_axes(
    mask: Bool[np.ndarray, "H W"], side: float, angle: float
) -> Float[np.ndarray, "H W 4"]:
    """Return the same along the long axis and, the near one first, across it."""
    ahead, left, back, right = (ray(mask, side, angle + np.pi / 2 * k) for k in range(4))
    return np.stack([ahead, back, *pair(left, right)], axis=-1)


def ray(mask: Bool[np.ndarray, "H W"], side: float, angle: float) -> Float[np.ndarray, "H W"]:
    """Return how far one may go from each pixel inside the mask, logarithmic and about 0."""
    alive, length = mask.copy(), np.zeros(mask.shape)
    for k in range(1, int(1.5 * side / STEP_PX)):
        du, dv = (round(STEP_PX * k * c) for c in (np.cos(angle), np.sin(angle)))
        alive &= shifted(mask, du, dv)
        if not alive.any():
            break
        length[alive] = STEP_PX * k
    return np.log1p(length / side * 10) - 1


def shifted(mask: Bool[np.ndarray, "H W"], du: int, dv: int) -> Bool[np.ndarray, "H W"]:
    """Return each pixel's neighbour du to the right and dv down; False outside."""
    out = np.zeros_like(mask)
    height, width = mask.shape
    if abs(du) < width and abs(dv) < height:
        to = np.s_[max(0, -dv) : height - max(0, dv), max(0, -du) : width - max(0, du)]
        out[to] = mask[max(0, dv) : height + min(0, dv), max(0, du) : width + min(0, du)]
    return out


def pair(a: Float[np.ndarray, "H W"], b: Float[np.ndarray, "H W"]) -> tuple[np.ndarray, ...]:
    """Return the smaller and the larger of two, so that mirrored views agree."""
    return np.minimum(a, b), np.maximum(a, b)


def hollows(mask: Bool[np.ndarray, "H W"], side: float) -> Float[np.ndarray, "H W 6"]:
    """Return how near holes and bays of the outline are, and how far the convex hull's edge is."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled, hull = np.zeros((2, *mask.shape), np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.vstack(outlines)), 1)
    holes = (filled > 0) & ~mask
    to_hole = np.full(mask.shape, NO_HOLE)
    if holes.sum() > 0.002 * mask.sum():
        to_hole = cv2.distanceTransform((~holes).astype(np.uint8), cv2.DIST_L2, 5) / side
    bays = ((hull > 0) & ~mask).astype(np.float32)
    near = [cv2.GaussianBlur(bays, (0, 0), s * side) * 4 - 0.5 for s in (0.04, 0.1, 0.2)]
    to_edge = cv2.distanceTransform(hull, cv2.DIST_L2, 5) / side
    holed = [2 * np.exp(-to_hole / reach) - 0.5 for reach in (0.08, 0.2)]
    return np.stack([*holed, 6 * to_edge - 0.7, *near], axis=-1)
