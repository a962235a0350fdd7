# SPDX-License-Identifier: Apache-2.0
"""The seam for promptable 2D segmenters: a view and a prompt in, a mask out."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from ros2_clickgs.errors import ClickGSError, ShapeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is known of one object in one image. Pixels are (u, v), centres at +0.5."""

    point_coords: Float[np.ndarray, "P 2"] = field(default_factory=lambda: np.zeros((0, 2)))
    """Clicked pixels."""
    point_labels: Bool[np.ndarray, " P"] = field(default_factory=lambda: np.zeros(0, bool))
    """True where the object is (positive click), False where it is not."""
    box: Float[np.ndarray, " 4"] | None = None
    """(u_min, v_min, u_max, v_max) around the object."""
    soft_mask: Float32[np.ndarray, "H W"] | None = None
    """The object as known so far, splatted into this view, in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """A segmenter's answer for one prompt."""

    pixels: Bool[np.ndarray, "H W"]
    """Where the object is."""
    score: float
    """The segmenter's own belief in the mask (predicted IoU), in [0, 1]."""
    stability: float = 1.0
    """IoU of the mask with itself drawn a little stricter or laxer; 1 where nobody looked."""


@runtime_checkable
class Segmenter(Protocol):
    """A promptable 2D segmenter: `set_image` once, `predict` many times."""

    name: str
    """Short name for logs, such as `classical` or `sam2`."""

    def set_image(
        self, image: UInt8[np.ndarray, "H W 3"], depth: Float32[np.ndarray, "H W"] | None = None
    ) -> None:
        """Take an RGB image, and if known its depth in m (0 = unknown), for later prompts."""
        ...

    def predict(self, prompts: list[Prompt]) -> list[Mask]:
        """Answer every prompt on the current image with one mask.

        Raises:
            ClickGSError: no image is set, or a prompt holds neither positive point, box nor mask.
        """
        ...


@runtime_checkable
class AutomaticSegmenter(Segmenter, Protocol):
    """A segmenter that also finds things by itself."""

    def everything(self) -> list[Mask]:
        """Return masks of all things in the current image and of their parts, overlapping.

        Raises:
            ClickGSError: no image is set.
        """
        ...


def check_image(image: np.ndarray, depth: np.ndarray | None) -> None:
    """Raise ShapeError unless an image is HxWx3 uint8 and its depth, if known, has its size."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError("image", expected="(H, W, 3) uint8", actual=(image.shape, image.dtype))
    if depth is not None and depth.shape != image.shape[:2]:
        raise ShapeError("depth", expected=str(image.shape[:2]), actual=depth.shape)


def check_prompt(prompt: Prompt, shape: tuple[int, int]) -> None:
    """Raise unless a prompt says where its object is, in an image of that height and width."""
    if prompt.soft_mask is not None and prompt.soft_mask.shape != shape:
        raise ShapeError("soft_mask", expected=str(shape), actual=prompt.soft_mask.shape)
    if prompt.soft_mask is None and prompt.box is None and not prompt.point_labels.any():
        raise ClickGSError(
            "the prompt says nowhere where the object is; "
            "give a positive point, a box or a soft mask"
        )
