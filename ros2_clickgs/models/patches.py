# SPDX-License-Identifier: Apache-2.0
"""An image cut into small patches along its edges, and what lies between two neighbours.

All measurements are sums over pixels or over touching pixel pairs, so that those of a merged
region are the sums of its parts.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8
from scipy import ndimage

from ros2_clickgs.models import cues
from ros2_clickgs.models.alignment import align_depth

AREA, COLOR, COLOR_SQUARED, ON, BEFORE = (
    0,
    slice(1, 4),
    slice(4, 7),
    slice(7, None, 2),
    slice(8, None, 2),
)
"""Columns of `PatchGraph.regions`."""
LENGTH, COLOR_OPEN, DEPTH_OPEN = range(3)
"""Columns of `PatchGraph.borders`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchGraph:
    """Patches of one image and the borders between them."""

    labels: Int[np.ndarray, "H W"]
    """Patch of each pixel, 0 .. L - 1."""
    regions: Float[np.ndarray, "L F"]
    """Sums over each patch's pixels: 1, Lab, Lab squared, and for each plane: on it, before it."""
    pairs: Int[np.ndarray, "E 2"]
    """Patches that touch, smaller index first."""
    borders: Float[np.ndarray, "E 3"]
    """Sums over the touching pixel pairs: 1, exp(-colour edge), exp(-concave crease)."""
    edges: Float32[np.ndarray, "H W"]
    """Colour difference per pixel."""
    low: Int[np.ndarray, "H W"]
    """Low thing that each pixel belongs to, 0 = none."""


def cut_into_patches(
    image: UInt8[np.ndarray, "H W 3"], depth: Float32[np.ndarray, "H W"] | None
) -> PatchGraph:
    """Return the patches of an RGB image with depth (m; 0 = unknown; None = all unknown)."""
    lab = cues.weighted_lab(image)
    edges = cues.color_edges(lab)
    inverse_depth = cues.invert(np.zeros(edges.shape, np.float32) if depth is None else depth)
    inverse_depth = align_depth(inverse_depth, edges)
    layers = cues.plane_layers(inverse_depth)
    jumps = cues.depth_jumps(inverse_depth)
    labels = flood(edges + np.minimum(1000 * jumps, 15))
    labels = split_by_layers(labels, layers)
    pairs, borders = measure_borders(labels, edges, cues.concave_creases(inverse_depth))
    regions = measure_regions(labels, lab, layers)
    low = cues.low_things(layers, jumps)
    return PatchGraph(
        labels=labels, regions=regions, pairs=pairs, borders=borders, edges=edges, low=low
    )


def flood(strength: Float32[np.ndarray, "H W"]) -> Int[np.ndarray, "H W"]:
    """Return the watershed basins of an edge strength: one patch per local minimum."""
    levels = np.minimum(strength * 6, 255).astype(np.uint8)
    smooth = cv2.GaussianBlur(strength, (0, 0), 1)
    minima = smooth <= cv2.erode(smooth, np.ones((5, 5))) + 1e-6
    seeds, _ = ndimage.label(minima, np.ones((3, 3)))
    return ndimage.watershed_ift(levels, seeds.astype(np.int32)) - 1


def split_by_layers(
    labels: Int[np.ndarray, "H W"], layers: Bool[np.ndarray, "K 2 H W"]
) -> Int[np.ndarray, "H W"]:
    """Return patches that do not reach across the outline of a plane."""
    code = np.zeros(labels.shape, np.uint8)
    for on, _ in layers:
        code = 2 * code + on
    keys = labels.astype(np.int64) * 256 + cv2.medianBlur(code, 3)
    return np.unique(keys, return_inverse=True)[1].reshape(labels.shape)


def measure_borders(
    labels: Int[np.ndarray, "H W"],
    edges: Float32[np.ndarray, "H W"],
    creases: Float32[np.ndarray, "H W"],
) -> tuple[Int[np.ndarray, "E 2"], Float[np.ndarray, "E 3"]]:
    """Return the patches that touch, and how open their borders are."""
    ends, v, u = touching_pixels(labels)
    count = int(labels.max()) + 1
    keys, index = np.unique(ends.min(-1) * count + ends.max(-1), return_inverse=True)
    columns = (np.ones(len(u)), np.exp(-edges[v, u] / 6), np.exp(-creases[v, u]))
    sums = [np.bincount(index, x, minlength=len(keys)) for x in columns]
    return np.stack([keys // count, keys % count], -1), np.stack(sums, -1)


def touching_pixels(
    labels: Int[np.ndarray, "H W"],
) -> tuple[Int[np.ndarray, "B 2"], Int[np.ndarray, " B"], Int[np.ndarray, " B"]]:
    """Return both labels, v and u of every pixel with another label to its right or below it."""
    ends, rows, columns = [], [], []
    for here, there in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        v, u = np.nonzero(here != there)
        ends.append(np.stack([here[v, u], there[v, u]], -1).astype(np.int64))
        rows.append(v)
        columns.append(u)
    return np.concatenate(ends), np.concatenate(rows), np.concatenate(columns)


def measure_regions(
    labels: Int[np.ndarray, "H W"],
    lab: Float32[np.ndarray, "H W 3"],
    layers: Bool[np.ndarray, "K 2 H W"],
) -> Float[np.ndarray, "L F"]:
    """Return the sums over each patch's pixels, columns as in `PatchGraph.regions`."""
    flat = labels.ravel()
    pixels = (
        np.ones(labels.shape),
        *np.moveaxis(lab, -1, 0),
        *np.moveaxis(lab**2, -1, 0),
        *layers.reshape(-1, *labels.shape),
    )
    return np.stack([np.bincount(flat, x.ravel()) for x in pixels], -1)
