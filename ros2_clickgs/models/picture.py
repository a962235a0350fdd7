# SPDX-License-Identifier: Apache-2.0
"""An image understood: its tree of regions at working size, asked in pixels of the original."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from ros2_clickgs.models import cues, patches
from ros2_clickgs.models.hierarchy import RegionTree, grow_tree
from ros2_clickgs.models.patches import PatchGraph, cut_into_patches
from ros2_clickgs.models.selection import distinctness

WORKING_SIDE_PX = 640
"""Images are brought to this longest side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image understood: its regions, at working size."""

    image: UInt8[np.ndarray, "h w 3"]
    """RGB at working size."""
    shape: tuple[int, int]
    """Height and width of the original."""
    graph: PatchGraph
    """Patches at working size."""
    tree: RegionTree
    """Their hierarchy."""
    areas: Float[np.ndarray, " R"]
    """Pixels of each region."""
    worth: Float[np.ndarray, " R"]
    """How much each region looks like a thing."""

    def totals(self, pixels: Float32[np.ndarray, "h w"]) -> Float[np.ndarray, " R"]:
        """Return each region's sum of an image at working size."""
        labels = self.graph.labels.ravel()
        return self.tree.totals(
            np.bincount(labels, pixels.ravel(), minlength=self.tree.patch_count)
        )

    def to_working(self, uv: Float[np.ndarray, "P 2"]) -> Int[np.ndarray, "P 2"]:
        """Return (v, u) indices at working size of pixels of the original."""
        size = np.array(self.graph.labels.shape)
        vu = np.floor(uv[:, ::-1] * size / self.shape).astype(int)
        return np.clip(vu, 0, size - 1)

    def patches_at(self, uv: Float[np.ndarray, "P 2"]) -> Int[np.ndarray, " P"]:
        """Return the patches under pixels of the original."""
        v, u = self.to_working(uv).T
        return self.graph.labels[v, u]


def understand(
    image: UInt8[np.ndarray, "H W 3"], depth: Float32[np.ndarray, "H W"] | None
) -> Picture:
    """Return the regions of an image."""
    scale = WORKING_SIDE_PX / max(image.shape[:2])
    size = tuple(max(1, round(x * scale)) for x in image.shape[1::-1])
    small = cv2.resize(
        image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    graph = cut_into_patches(small, None if depth is None else resize_depth(depth, size))
    tree = grow_tree(graph)
    areas = tree.totals(graph.regions[:, patches.AREA])
    worth = distinctness(tree, areas)
    return Picture(
        image=small, shape=image.shape[:2], graph=graph, tree=tree, areas=areas, worth=worth
    )


def resize_depth(
    depth: Float32[np.ndarray, "H W"], size: tuple[int, int]
) -> Float32[np.ndarray, "h w"]:
    """Return the depth at another (width, height): smooth, without steps where it is enlarged."""
    known = np.isfinite(depth) & (depth > 0)
    filled = cues.fill(np.where(known, depth, 0).astype(np.float32))
    smooth = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)
    nearest = cv2.resize(known.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return np.where(nearest > 0, smooth, 0)
