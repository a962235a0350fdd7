# SPDX-License-Identifier: Apache-2.0
"""A click segmenter that needs no weights: colour edges, creases and planes make a tree of regions."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from ros2_clickgs.core.segmenter import Mask, Prompt
from ros2_clickgs.errors import ClickGSError, ShapeError
from ros2_clickgs.models import patches
from ros2_clickgs.models.borders import snap_to_colors
from ros2_clickgs.models.choosing import (
    choose_regions,
    distinctness,
    follow_soft_mask,
    largest_allowed,
)
from ros2_clickgs.models.hierarchy import RegionTree, grow_tree
from ros2_clickgs.models.patches import PatchGraph, cut_into_patches

WORKING_SIDE_PX = 640
"""Images are brought to this longest side."""
PART, WHOLE = 0.8, 0.25
"""Share of a mask in a low thing, and of the low thing in the mask, from which the thing is meant."""
OUTSIDE_SHARE = 0.08
"""Share of a region that may lie outside the box of a prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
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


class ClassicalSegmenter:
    """Clicks, boxes and soft masks to masks, from colour and, where known, depth."""

    name = "classical"

    def __init__(self) -> None:
        self._view: View | None = None

    def set_image(
        self, image: UInt8[np.ndarray, "H W 3"], depth: Float32[np.ndarray, "H W"] | None = None
    ) -> None:
        """Take an RGB image, and if known its depth in m (0 = unknown), for later prompts.

        Raises:
            ShapeError: the image is not HxWx3 uint8, or the depth has another size.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ShapeError(
                "image", expected="(H, W, 3) uint8", actual=(image.shape, image.dtype)
            )
        if depth is not None and depth.shape != image.shape[:2]:
            raise ShapeError("depth", expected=str(image.shape[:2]), actual=depth.shape)
        self._view = understand(image, depth)

    def predict(self, prompts: list[Prompt]) -> list[Mask]:
        """Answer every prompt on the current image with one mask.

        Raises:
            ClickGSError: no image is set, or a prompt holds neither positive point, box nor mask.
            ShapeError: a soft mask is not of the image's size.
        """
        if self._view is None:
            raise ClickGSError("no image is set; call set_image before predict")
        for prompt in prompts:
            check_prompt(prompt, self._view.shape)
        return [answer(self._view, prompt) for prompt in prompts]


def check_prompt(prompt: Prompt, shape: tuple[int, int]) -> None:
    """Raise unless a prompt says where its object is, and fits an image of that height and width."""
    if prompt.soft_mask is not None and prompt.soft_mask.shape != shape:
        raise ShapeError("soft_mask", expected=str(shape), actual=prompt.soft_mask.shape)
    if prompt.soft_mask is None and prompt.box is None and not prompt.point_labels.any():
        raise ClickGSError(
            "the prompt says nowhere where the object is; give a positive point, a box or a soft mask"
        )


def understand(
    image: UInt8[np.ndarray, "H W 3"], depth: Float32[np.ndarray, "H W"] | None
) -> View:
    """Return the regions of an image."""
    scale = WORKING_SIDE_PX / max(image.shape[:2])
    size = tuple(max(1, round(x * scale)) for x in image.shape[1::-1])
    small = cv2.resize(
        image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    if depth is not None:
        depth = cv2.resize(depth.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)
    graph = cut_into_patches(small, depth)
    tree = grow_tree(graph)
    areas = tree.totals(graph.regions[:, patches.AREA])
    worth = distinctness(tree, areas)
    return View(
        image=small, shape=image.shape[:2], graph=graph, tree=tree, areas=areas, worth=worth
    )


def answer(view: View, prompt: Prompt) -> Mask:
    """Return the mask that a prompt means."""
    regions = chosen_regions(view, prompt)
    coarse = view.tree.members(regions)[view.graph.labels]
    coarse = whole_low_thing(view, coarse, prompt)
    fine = snap_to_colors(view.image, coarse)
    fine = keep_prompted(view, fine, prompt)
    pixels = (
        cv2.resize(fine.astype(np.float32), view.shape[::-1], interpolation=cv2.INTER_AREA) > 0.5
    )
    pixels = obey(pixels, prompt)
    return Mask(pixels=pixels, score=belief(view, regions, coarse, fine, prompt))


def chosen_regions(view: View, prompt: Prompt) -> list[int]:
    """Return the regions of the tree that a prompt means."""
    positives = view.patches_at(prompt.point_coords[prompt.point_labels])
    negatives = view.patches_at(prompt.point_coords[~prompt.point_labels])
    allowed = allowed_regions(view, prompt.box)
    if prompt.soft_mask is not None:
        size = view.graph.labels.shape[::-1]
        soft = cv2.resize(prompt.soft_mask, size, interpolation=cv2.INTER_LINEAR)
        regions = follow_soft_mask(view.tree, view.areas, view.totals(soft))
        return corrected(view, regions, positives, negatives, allowed)
    if len(positives):
        return choose_regions(view.tree, view.worth, positives, negatives, allowed)
    misses = view.tree.totals(np.bincount(negatives, minlength=view.tree.patch_count))
    return largest_allowed(view.tree, allowed & (misses == 0))


def whole_low_thing(
    view: View, mask: Bool[np.ndarray, "h w"], prompt: Prompt
) -> Bool[np.ndarray, "h w"]:
    """Return the low thing that a mask is a part of, such as the hammer of a head; else the mask."""
    v, u = view.to_working(prompt.point_coords).T
    things = np.unique(view.graph.low[v, u][prompt.point_labels])
    if prompt.soft_mask is not None or prompt.box is not None or len(things) != 1 or not things[0]:
        return mask
    thing = view.graph.low == things[0]
    if thing[v, u][~prompt.point_labels].any() or (mask & thing).sum() < PART * mask.sum():
        return mask
    return thing if mask.sum() > WHOLE * thing.sum() else mask


def allowed_regions(view: View, box: Float[np.ndarray, " 4"] | None) -> Bool[np.ndarray, " R"]:
    """Return the regions that lie in a box of the original image; all without one."""
    if box is None:
        return np.ones(len(view.areas), bool)
    (top, left), (bottom, right) = view.to_working(np.reshape(box, (2, 2)))
    outside = np.ones(view.graph.labels.shape, np.float32)
    outside[top : bottom + 1, left : right + 1] = 0
    return view.totals(outside) <= OUTSIDE_SHARE * view.areas


def corrected(
    view: View,
    regions: list[int],
    positives: Int[np.ndarray, " P"],
    negatives: Int[np.ndarray, " Q"],
    allowed: Bool[np.ndarray, " R"],
) -> list[int]:
    """Return patches of regions, with what the positives mean added and the negatives' removed."""
    inside = view.tree.members(regions)
    if len(missing := positives[~inside[positives]]):
        added = choose_regions(view.tree, view.worth, missing, negatives, allowed)
        inside |= view.tree.members(added)
    if len(wrong := negatives[inside[negatives]]):
        removed = choose_regions(view.tree, view.worth, wrong, positives, allowed)
        inside &= ~view.tree.members(removed)
        inside[positives] = True
    return np.nonzero(inside)[0].tolist()


def keep_prompted(
    view: View, mask: Bool[np.ndarray, "h w"], prompt: Prompt
) -> Bool[np.ndarray, "h w"]:
    """Return the components of the mask that hold a positive click; without clicks, all but crumbs."""
    _, components, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    keep = stats[:, cv2.CC_STAT_AREA] >= 0.1 * stats[1:, cv2.CC_STAT_AREA].max(initial=0)
    if prompt.soft_mask is None and prompt.point_labels.any():
        v, u = view.to_working(prompt.point_coords[prompt.point_labels]).T
        hit = components[v, u]
        keep = np.isin(np.arange(len(stats)), hit[hit > 0]) if (hit > 0).any() else keep
    keep[0] = False
    return keep[components]


def obey(pixels: Bool[np.ndarray, "H W"], prompt: Prompt) -> Bool[np.ndarray, "H W"]:
    """Return the mask with every click's own pixel as clicked, and nothing outside the box."""
    if prompt.box is not None:
        left, top = np.floor(prompt.box[:2]).astype(int)
        right, bottom = np.ceil(prompt.box[2:]).astype(int)
        inside = np.zeros_like(pixels)
        inside[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
        pixels = pixels & inside
    height, width = pixels.shape
    u, v = np.clip(prompt.point_coords.astype(int), 0, (width - 1, height - 1)).T
    pixels[v, u] = prompt.point_labels
    return pixels


def belief(
    view: View,
    regions: list[int],
    coarse: Bool[np.ndarray, "h w"],
    fine: Bool[np.ndarray, "h w"],
    prompt: Prompt,
) -> float:
    """Return an estimate of the mask's IoU: how distinct the regions are, and how little colours moved them."""
    steady = overlap(coarse, fine)
    if prompt.soft_mask is not None:
        soft = cv2.resize(prompt.soft_mask, fine.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return steady * overlap(soft > 0.5, fine)
    distinct = np.average(view.worth[regions], weights=view.areas[regions]) if regions else 0.0
    return float(np.clip(steady * distinct, 0, 1))


def overlap(first: Bool[np.ndarray, "h w"], second: Bool[np.ndarray, "h w"]) -> float:
    """Return the intersection over the union; 0 if both are empty."""
    return float((first & second).sum() / max((first | second).sum(), 1))
