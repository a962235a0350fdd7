# SPDX-License-Identifier: Apache-2.0
"""A click segmenter without weights: colour edges, creases and planes make a tree of regions."""

from collections import deque

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from ros2_clickgs.core.segmenter import Mask, Prompt, check_image, check_prompt
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.models.belief import belief
from ros2_clickgs.models.borders import snap_to_colors
from ros2_clickgs.models.everything import things_and_parts
from ros2_clickgs.models.finishing import keep_prompted, obey, to_original, whole_low_thing
from ros2_clickgs.models.picture import Picture, understand
from ros2_clickgs.models.selection import choose_regions, follow_soft_mask, largest_allowed

OUTSIDE_SHARE = 0.08
"""Share of a region that may lie outside the box of a prompt."""
REMEMBERED = 32
"""Images that are not looked at anew when they come again: more than one object has."""


class ClassicalSegmenter:
    """Clicks, boxes and soft masks to masks, from colour and, where known, depth."""

    name = "classical"

    def __init__(self) -> None:
        self._picture: Picture | None = None
        self._known: deque[tuple[object, object, Picture]] = deque(maxlen=REMEMBERED)

    def set_image(
        self, image: UInt8[np.ndarray, "H W 3"], depth: Float32[np.ndarray, "H W"] | None = None
    ) -> None:
        """Take an RGB image, and if known its depth in m (0 = unknown), for later prompts.

        Neither is copied: an array that is changed afterwards is not looked at again.

        Raises:
            ShapeError: the image is not HxWx3 uint8, or the depth has another size.
        """
        check_image(image, depth)
        for known_image, known_depth, picture in self._known:
            if known_image is image and known_depth is depth:
                self._picture = picture
                return
        self._picture = understand(image, depth)
        self._known.append((image, depth, self._picture))

    def predict(self, prompts: list[Prompt]) -> list[Mask]:
        """Answer every prompt on the current image with one mask.

        Raises:
            ClickGSError: no image is set, or a prompt holds neither positive point, box nor mask.
            ShapeError: a soft mask is not of the image's size.
        """
        picture = self._current()
        for prompt in prompts:
            check_prompt(prompt, picture.shape)
        return [answer(picture, prompt) for prompt in prompts]

    def everything(self) -> list[Mask]:
        """Return the masks of all things in the current image, and of their parts.

        Raises:
            ClickGSError: no image is set.
        """
        return things_and_parts(self._current())

    def _current(self) -> Picture:
        if self._picture is None:
            raise ClickGSError("no image is set; call set_image first")
        return self._picture


def answer(picture: Picture, prompt: Prompt) -> Mask:
    """Return the mask that a prompt means."""
    regions = chosen_regions(picture, prompt)
    coarse = picture.tree.members(regions)[picture.graph.labels]
    coarse = whole_low_thing(picture, coarse, prompt)
    fine = snap_to_colors(picture.image, coarse)
    fine = keep_prompted(picture, fine, prompt)
    pixels = obey(to_original(picture, fine), prompt)
    return Mask(pixels=pixels, score=belief(picture, regions, fine, prompt))


def chosen_regions(picture: Picture, prompt: Prompt) -> list[int]:
    """Return the regions of the tree that a prompt means."""
    positives = picture.patches_at(prompt.point_coords[prompt.point_labels])
    negatives = picture.patches_at(prompt.point_coords[~prompt.point_labels])
    allowed = allowed_regions(picture, prompt.box)
    if prompt.soft_mask is not None:
        size = picture.graph.labels.shape[::-1]
        soft = cv2.resize(prompt.soft_mask, size, interpolation=cv2.INTER_LINEAR)
        regions = follow_soft_mask(picture.tree, picture.areas, picture.totals(soft))
        return corrected(picture, regions, positives, negatives, allowed)
    if len(positives):
        return choose_regions(picture.tree, picture.worth, positives, negatives, allowed)
    misses = picture.tree.totals(np.bincount(negatives, minlength=picture.tree.patch_count))
    return largest_allowed(picture.tree, allowed & (misses == 0))


def allowed_regions(
    picture: Picture, box: Float[np.ndarray, " 4"] | None
) -> Bool[np.ndarray, " R"]:
    """Return the regions that lie in a box of the original image; all without one."""
    if box is None:
        return np.ones(len(picture.areas), bool)
    (top, left), (bottom, right) = picture.to_working(np.reshape(box, (2, 2)))
    outside = np.ones(picture.graph.labels.shape, np.float32)
    outside[top : bottom + 1, left : right + 1] = 0
    return picture.totals(outside) <= OUTSIDE_SHARE * picture.areas


def corrected(
    picture: Picture,
    regions: list[int],
    positives: Int[np.ndarray, " P"],
    negatives: Int[np.ndarray, " Q"],
    allowed: Bool[np.ndarray, " R"],
) -> list[int]:
    """Return patches of regions, with what the positives mean added and the negatives' removed."""
    inside = picture.tree.members(regions)
    if len(missing := positives[~inside[positives]]):
        added = choose_regions(picture.tree, picture.worth, missing, negatives, allowed)
        inside |= picture.tree.members(added)
    if len(wrong := negatives[inside[negatives]]):
        removed = choose_regions(picture.tree, picture.worth, wrong, positives, allowed)
        inside &= ~picture.tree.members(removed)
        inside[positives] = True
    return np.nonzero(inside)[0].tolist()
