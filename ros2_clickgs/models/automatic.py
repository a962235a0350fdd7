# SPDX-License-Identifier: Apache-2.0
"""An image in, a coarse and a fine label image out: what Click-Gaussian is trained on."""

import numpy as np
import torch
from jaxtyping import Float32, Int32, UInt8
from torch import Tensor

from ros2_clickgs.core.features.masks import two_levels
from ros2_clickgs.core.segmenter import AutomaticSegmenter

LEAST_SHARE = 0.0002
"""Masks that fill less of an image are dropped: 61 px of 640x480."""


def two_level_masks(
    segmenter: AutomaticSegmenter,
    image: UInt8[np.ndarray, "H W 3"],
    depth: Float32[np.ndarray, "H W"] | None = None,
) -> tuple[Int32[Tensor, "H W"], Int32[Tensor, "H W"]]:
    """Return the coarse (things) and the fine (parts) label image of an RGB image.

    Args:
        segmenter: finds the masks; which of them are good enough is its own choice.
        image: RGB.
        depth: in m, 0 = unknown; the classical segmenter draws better masks with it.

    Returns:
        Labels 1, 2, … and IGNORE (-1) where no mask is; they mean nothing beyond this image.
    """
    segmenter.set_image(image, depth)
    masks = segmenter.everything()
    pixels = np.array([mask.pixels for mask in masks], bool).reshape(-1, *image.shape[:2])
    qualities = torch.tensor([mask.score for mask in masks], dtype=torch.float32)
    least_px = round(LEAST_SHARE * image.shape[0] * image.shape[1])
    return two_levels(torch.from_numpy(pixels), qualities, min_quality=0.0, min_area=least_px)
