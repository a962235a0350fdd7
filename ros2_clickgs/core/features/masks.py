# SPDX-License-Identifier: Apache-2.0
"""From overlapping automatic masks of one view to two label images, coarse and fine.

The paper leaves open how; ours: where masks overlap, the coarse level shows the largest and the
fine level the smallest. Ids mean nothing beyond their view.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Int32
from torch import Tensor

from ros2_clickgs.core.types import IGNORE, Camera
from ros2_clickgs.errors import ShapeError

SAME = 0.85
"""IoU from which on two masks are the same thing; the one with the better quality stays."""
WHOLE_VIEW = 0.6
"""Share of the image beyond which a mask is a scene, not a thing: all others lie on top of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedView:
    """One view's masks at both levels: ids >= 1, 0 background, IGNORE (-1) unlabelled."""

    camera: Camera
    coarse: Int[Tensor, "H W"]
    fine: Int[Tensor, "V U"]

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        for name in ("coarse", "fine"):
            if tuple(getattr(self, name).shape) != size:
                expected = f"{size[0]}x{size[1]} px like the camera"
                actual = tuple(getattr(self, name).shape)
                raise ShapeError(f"{name} masks", expected=expected, actual=actual)


def two_levels(
    masks: Bool[Tensor, "S H W"],
    qualities: Float[Tensor, " S"],
    min_quality: float = 0.7,
    min_area: int = 50,
) -> tuple[Int32[Tensor, "H W"], Int32[Tensor, "H W"]]:
    """Resolve overlapping masks into a coarse and a fine label image.

    1. Masks of low quality or few pixels are dropped.
    2. Of two that are nearly the same (IoU >= SAME) the one of lower quality is dropped.
    3. Coarse: every pixel shows the largest mask that covers it, but one beyond WHOLE_VIEW of the
       image only where nothing else is. Fine: every pixel shows the smallest.
    4. Pixels that no mask covers are IGNORE: they enter no loss.

    Args:
        masks: automatic masks, overlapping, in any order.
        qualities: predicted IoU of each, in [0, 1].
        min_quality: masks below are dropped.
        min_area: masks with fewer pixels are dropped.

    Returns:
        Coarse and fine labels: 1, 2, … and IGNORE.
    """
    areas = masks.flatten(1).sum(1)
    kept = torch.nonzero((qualities >= min_quality) & (areas >= min_area))[:, 0]
    kept = kept[torch.argsort(qualities[kept], descending=True, stable=True)]
    kept = kept[without_twins(masks[kept])]
    small_last = kept[torch.argsort(areas[kept], descending=True, stable=True)]
    is_whole = areas[small_last] > WHOLE_VIEW * masks[0].numel() if len(masks) else kept.bool()
    large_last = torch.cat([small_last[is_whole], small_last[~is_whole].flip(0)])
    return painted(masks, large_last), painted(masks, small_last)


def without_twins(masks: Bool[Tensor, "S H W"]) -> Int[Tensor, " K"]:
    """Return the rows that are left when each mask too like an earlier one is dropped."""
    flat = masks.flatten(1).float()
    both = flat @ flat.T
    area = both.diagonal()
    alike = both / (area[:, None] + area - both).clamp(min=1) >= SAME
    kept: list[int] = []
    for row in range(len(masks)):
        if not alike[row, kept].any():
            kept.append(row)
    return torch.tensor(kept, dtype=torch.long)


def painted(masks: Bool[Tensor, "S H W"], order: Int[Tensor, " K"]) -> Int32[Tensor, "H W"]:
    """Return labels 1, 2, … of masks painted over each other in order; IGNORE where none is."""
    labels = torch.full(masks.shape[1:], IGNORE, dtype=torch.int32)
    for label, row in enumerate(order.tolist(), 1):
        labels[masks[row]] = label
    return labels
