# SPDX-License-Identifier: Apache-2.0
"""SAM 2 (Ravi et al. 2024) as a segmenter, on Meta's own package."""

import warnings
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from sam2.modeling.sam2_base import SAM2Base
from sam2.utils.amg import calculate_stability_score
from torch import Tensor

from ros2_clickgs.core.segmenter import Mask, Prompt, check_image, check_prompt
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.models.sam2_embeddings import RememberingPredictor
from ros2_clickgs.models.sam2_prompts import PromptBatch, encode, says_where

BATCH = 64
"""Prompts that are decoded together at most."""
STABLE, STABLE_OFFSET = 0.98, 0.05
"""SAM 2's own test of its single mask: its stability when the logits are cut at +-offset."""
OFFSET = 1.0
"""The offset of the stability that masks are told with, as for SAM 2's automatic masks."""


class Sam2Segmenter:
    """Points, boxes and soft masks to masks: float32 on a CPU, half precision on a GPU."""

    name = "sam2"

    def __init__(self, model: SAM2Base) -> None:
        """Take a network as `load_sam2` returns it; it works where its weights are."""
        self._model = model
        self._predictor = RememberingPredictor(model)
        self._image: UInt8[np.ndarray, "H W 3"] | None = None

    def set_image(
        self, image: UInt8[np.ndarray, "H W 3"], depth: Float32[np.ndarray, "H W"] | None = None
    ) -> None:
        """Take an RGB image for later prompts; the depth tells SAM 2 nothing.

        Raises:
            ShapeError: the image is not HxWx3 uint8, or the depth has another size.
        """
        check_image(image, depth)
        with half_precision(self._model.device):
            self._predictor.set_image(image)
        self._image = image

    def predict(self, prompts: list[Prompt]) -> list[Mask]:
        """Answer every prompt on the current image with one mask, its score the predicted IoU.

        Raises:
            ClickGSError: no image is set, or a prompt holds neither positive point, box nor mask.
            ShapeError: a soft mask is not of the image's size.
        """
        shape = self._current().shape[:2]
        for prompt in prompts:
            check_prompt(prompt, shape)
        nothing = Mask(pixels=np.zeros(shape, bool), score=0.0, stability=0.0)
        asked = [prompt for prompt in prompts if says_where(prompt)]
        batches = (asked[start : start + BATCH] for start in range(0, len(asked), BATCH))
        answers = iter([mask for batch in batches for mask in self._answer(batch)])
        return [next(answers) if says_where(prompt) else nothing for prompt in prompts]

    def everything(self) -> list[Mask]:
        """Return masks of all things in the current image and of their parts, overlapping.

        Raises:
            ClickGSError: no image is set.
        """
        image = self._current()
        with half_precision(self._model.device):
            found = self.generator.generate(image)
            self._predictor.set_image(image)  # which the generator has let go
        return [
            Mask(
                pixels=mask["segmentation"],
                score=mask["predicted_iou"],
                stability=mask["stability_score"],
            )
            for mask in found
        ]

    @cached_property
    def generator(self) -> SAM2AutomaticMaskGenerator:
        """Meta's automatic masks; thresholds and grid of points may be set."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch deprecates what Meta's uses
            generator = SAM2AutomaticMaskGenerator(self._model, points_per_batch=BATCH)
        generator.predictor = self._predictor
        return generator

    def _current(self) -> UInt8[np.ndarray, "H W 3"]:
        if self._image is None:
            raise ClickGSError("no image is set; call set_image first")
        return self._image

    @torch.no_grad()
    def _answer(self, prompts: list[Prompt]) -> list[Mask]:
        shape = self._current().shape[:2]
        batch = encode(prompts, shape, self._model.image_size).to(self._model.device)
        with half_precision(self._model.device):
            logits, ious = self._decode(batch)
        rows = torch.arange(len(prompts), device=logits.device)
        best = best_of_four(logits, ious, batch.is_ambiguous)
        logits, ious = logits[rows, best], ious[rows, best]
        stability = calculate_stability_score(logits, 0.0, OFFSET).nan_to_num(0.0)
        large = self._predictor.to_image_size(logits)
        return [
            Mask(pixels=pixels, score=score, stability=stable)
            for pixels, score, stable in zip(
                (large > 0).cpu().numpy(), ious.tolist(), stability.tolist(), strict=True
            )
        ]

    def _decode(self, batch: PromptBatch) -> tuple[Float[Tensor, "B 4 m m"], Float[Tensor, "B 4"]]:
        """Return SAM 2's mask for clear prompts and its three for ambiguous ones, as logits."""
        encoder = self._model.sam_prompt_encoder
        sparse, dense = encoder(points=(batch.coords, batch.labels), boxes=None, masks=None)
        if batch.has_mask.any():
            _, shaped = encoder(points=None, boxes=None, masks=batch.soft_masks)
            dense = torch.where(batch.has_mask[:, None, None, None], shaped, dense)
        embedding, details = self._predictor.embedding
        logits, ious, _, _ = self._model.sam_mask_decoder.predict_masks(
            image_embeddings=embedding,
            image_pe=encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            repeat_image=True,
            high_res_features=details,
        )
        return logits.float(), ious.float()


def half_precision(device: torch.device) -> torch.autocast:
    """Return the context in which a network computes in bfloat16 or float16, on a GPU only."""
    is_gpu = device.type == "cuda"
    dtype = torch.float16 if is_gpu and not torch.cuda.is_bf16_supported() else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=is_gpu)


def best_of_four(
    logits: Float[Tensor, "B 4 m m"], ious: Float[Tensor, "B 4"], is_ambiguous: Bool[Tensor, " B"]
) -> Int64[Tensor, " B"]:
    """Return which of SAM 2's four masks answers each prompt.

    The first is meant for clear prompts; where it is unstable, and for ambiguous prompts, the one
    of the other three with the best predicted IoU is taken.
    """
    best = ious[:, 1:].argmax(1) + 1
    stability = calculate_stability_score(logits[:, 0], 0.0, STABLE_OFFSET)
    is_stable = stability.nan_to_num(1.0) >= STABLE  # an empty mask is
    return torch.where(is_stable & ~is_ambiguous, 0, best)
