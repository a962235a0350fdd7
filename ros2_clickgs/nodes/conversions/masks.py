# SPDX-License-Identifier: Apache-2.0
"""ObjectMaskArray to label images that votes are cast with, and masks back to messages."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from ros2_clickgs.core.types import BACKGROUND, IGNORE
from ros2_clickgs.errors import ClickGSError, ShapeError
from ros2_clickgs.msg import ObjectMask, ObjectMaskArray
from ros2_clickgs.nodes.conversions.images import MAX_PIXELS, msg_from_mono, pixels_from_msg

UNDECIDED = 128
"""Value of a mask's pixel that does not vote."""


class MaskOwner(NamedTuple):
    """Whom a mask is for, as its message says."""

    object_id: int
    """0: the object called `name`, or a new one."""
    name: str
    score: float
    """The segmenter's belief in the mask, in [0, 1]."""


class LabelLayer(NamedTuple):
    """Masks of one picture that do not touch each other."""

    label_image: Int32[np.ndarray, "H W"]
    """0 background, l the mask of owners[l - 1], IGNORE undecided."""
    owners: list[MaskOwner]


def layers_from_msg(msg: ObjectMaskArray) -> list[LabelLayer]:
    """Return the masks as few label images; masks that overlap go to different ones.

    Raises:
        ClickGSError: the picture is too large, a mask is not mono8, its score not in [0, 1], or
            a crop leaves the picture.
    """
    if msg.height * msg.width > MAX_PIXELS:
        size = (msg.height, msg.width)
        raise ShapeError("masks", expected=f"at most {MAX_PIXELS} px", actual=size)
    layers: list[LabelLayer] = []
    for mask in msg.masks:
        if not 0.0 <= mask.score <= 1.0:
            raise ClickGSError(
                f"score {mask.score} of mask {mask.id} {mask.name!r} is not in [0, 1]"
            )
        _add(layers, _full_size(mask, msg.height, msg.width), mask)
    return layers


def _full_size(mask: ObjectMask, height: int, width: int) -> np.ndarray:
    """Return the mask's bytes pasted into an empty picture."""
    crop = mask.mask
    if crop.encoding != "mono8":
        raise ClickGSError(f"mask encoding {crop.encoding!r} is not supported; publish mono8")
    if mask.x_offset + crop.width > width or mask.y_offset + crop.height > height:
        actual = f"{crop.width}x{crop.height} at ({mask.x_offset}, {mask.y_offset})"
        raise ShapeError("mask", expected=f"inside {width}x{height} px", actual=actual)
    pixels = pixels_from_msg(crop, np.dtype(np.uint8), 1)[:, :, 0]
    full = np.zeros((height, width), np.uint8)
    rows = slice(mask.y_offset, mask.y_offset + crop.height)
    full[rows, mask.x_offset : mask.x_offset + crop.width] = pixels
    return full


def _add(layers: list[LabelLayer], pixels: np.ndarray, mask: ObjectMask) -> None:
    """Write a mask into the first layer where it touches nothing."""
    touched = pixels > 0
    for layer in layers:
        if not (layer.label_image[touched] != BACKGROUND).any():
            break
    else:
        layer = LabelLayer(np.full(pixels.shape, BACKGROUND, np.int32), [])
        layers.append(layer)
    layer.owners.append(MaskOwner(mask.id, mask.name, mask.score))
    layer.label_image[touched] = len(layer.owners)
    layer.label_image[pixels == UNDECIDED] = IGNORE


def msg_from_mask(mask: Bool[np.ndarray, "H W"], owner: MaskOwner) -> ObjectMask:
    """Return a mask cropped to what it covers."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = (rows[0], columns[0]) if len(rows) else (0, 0)
    crop = mask[top : rows[-1] + 1, left : columns[-1] + 1] if len(rows) else mask[:0, :0]
    image: Image = msg_from_mono(crop.astype(np.uint8) * 255, Header())
    return ObjectMask(
        id=owner.object_id, name=owner.name, score=owner.score,
        x_offset=int(left), y_offset=int(top), mask=image,
    )  # fmt: skip
