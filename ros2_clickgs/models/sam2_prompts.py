# SPDX-License-Identifier: Apache-2.0
"""Prompts as SAM 2's prompt encoder takes them: tokens on a square image, and mask logits."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32
from torch import Tensor

from ros2_clickgs.core.segmenter import Prompt

NOTHING, NEGATIVE, POSITIVE, TOP_LEFT, BOTTOM_RIGHT = -1, 0, 1, 2, 3
"""What SAM 2's point labels mean."""
SURE = 1e-3
"""Soft masks are cut off this near to 0 and 1, so that their logits stay within +-7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptBatch:
    """Several prompts on one image; shorter ones are filled up with NOTHING."""

    coords: Float32[Tensor, "B T 2"]
    """Points and corners of boxes, in px of the network's image, pixel centres at 0."""
    labels: Int32[Tensor, "B T"]
    """What each of them is."""
    soft_masks: Float32[Tensor, "B 1 m m"]
    """Logits, at a quarter of the network's image size."""
    has_mask: Bool[Tensor, " B"]
    """Whether there is a soft mask."""
    is_ambiguous: Bool[Tensor, " B"]
    """Whether all that is known is one point: of a thing, its part, or what it is part of."""

    def to(self, device: torch.device) -> "PromptBatch":
        """Return the batch on a device."""
        return PromptBatch(**{name: getattr(self, name).to(device) for name in self.__slots__})


def encode(prompts: list[Prompt], shape: tuple[int, int], image_size: int) -> PromptBatch:
    """Return prompts in pixels of an image of that height and width for a network's image size.

    SAM 2 sees every image stretched to a square, and so do its prompts.
    """
    tokens = [tokens_of(prompt) for prompt in prompts]
    longest = max(len(labels) for _, labels in tokens)
    coords = np.zeros((len(prompts), longest, 2), np.float32)
    labels = np.full((len(prompts), longest), NOTHING, np.int32)
    for row, (uv, kinds) in enumerate(tokens):
        # The encoder adds half a pixel; ours have theirs already.
        coords[row, : len(kinds)] = uv * image_size / np.array(shape[::-1]) - 0.5
        labels[row, : len(kinds)] = kinds
    side = image_size // 4
    soft_masks = np.stack([logits_of(prompt.soft_mask, side) for prompt in prompts])
    return PromptBatch(
        coords=torch.from_numpy(coords),
        labels=torch.from_numpy(labels),
        soft_masks=torch.from_numpy(soft_masks[:, None]),
        has_mask=torch.tensor([prompt.soft_mask is not None for prompt in prompts]),
        is_ambiguous=torch.tensor([is_ambiguous(prompt) for prompt in prompts]),
    )


def tokens_of(prompt: Prompt) -> tuple[Float32[np.ndarray, "T 2"], Int32[np.ndarray, " T"]]:
    """Return the box's corners and the points of a prompt, in px of the image, with labels.

    A soft mask alone brings the box around it: SAM 2 was not trained on masks without any token.
    """
    uv, kinds = [prompt.point_coords], np.where(prompt.point_labels, POSITIVE, NEGATIVE)
    box = prompt.box
    if box is None and not prompt.point_labels.any():
        box = box_around(prompt.soft_mask)
    if box is not None:
        uv.insert(0, np.reshape(box, (2, 2)))
        kinds = np.append([TOP_LEFT, BOTTOM_RIGHT], kinds)
    return np.concatenate(uv).astype(np.float32), kinds.astype(np.int32)


def box_around(soft_mask: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, " 4"]:
    """Return (u_min, v_min, u_max, v_max) around what is more likely in a mask than not."""
    left, top, width, height = cv2.boundingRect((soft_mask > 0.5).astype(np.uint8))
    return np.array([left, top, left + width, top + height], np.float32)


def logits_of(
    soft_mask: Float32[np.ndarray, "H W"] | None, side: int
) -> Float32[np.ndarray, "m m"]:
    """Return a soft mask as logits of a square of that side; zeros for none."""
    if soft_mask is None:
        return np.zeros((side, side), np.float32)
    small = cv2.resize(soft_mask, (side, side), interpolation=cv2.INTER_AREA)
    share = np.clip(small, SURE, 1 - SURE)
    return np.log(share / (1 - share))


def is_ambiguous(prompt: Prompt) -> bool:
    """Return whether a prompt is a single point."""
    return len(prompt.point_labels) == 1 and prompt.box is None and prompt.soft_mask is None


def says_where(prompt: Prompt) -> bool:
    """Return whether there is something to look for: not if all is an empty soft mask."""
    is_marked = prompt.box is not None or bool(prompt.point_labels.any())
    return is_marked or bool((prompt.soft_mask > 0.5).any())
