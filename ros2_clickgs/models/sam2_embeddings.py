# SPDX-License-Identifier: Apache-2.0
"""One embedding per image, ever: SAM 2's image encoder is what costs."""

import hashlib
import warnings
from collections import OrderedDict

import numpy as np
from jaxtyping import Float, UInt8
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_image_predictor import SAM2ImagePredictor
from torch import Tensor

REMEMBERED = 48
"""Embeddings that are kept, 17 MB each in float32; the one used longest ago goes first."""
STRIDES = (4, 8, 16)
"""Pixels of the network's image per pixel of its feature maps."""


class RememberingPredictor(SAM2ImagePredictor):
    """Meta's predictor, which embeds an image that comes again, in any array, only once."""

    def __init__(self, model: SAM2Base) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch deprecates what Meta's uses
            super().__init__(model)
        # Meta's sizes are those of images of 1024 px.
        self._bb_feat_sizes = [(model.image_size // stride,) * 2 for stride in STRIDES]
        self._known: OrderedDict[tuple, dict] = OrderedDict()

    def set_image(self, image: UInt8[np.ndarray, "H W 3"]) -> None:
        """Embed an RGB image, or take its embedding from the last REMEMBERED ones."""
        digest = hashlib.blake2b(np.ascontiguousarray(image)).digest()
        key = (image.shape, digest)
        if key in self._known:
            self._known.move_to_end(key)
            self._features, self._orig_hw = self._known[key], [image.shape[:2]]
            self._is_image_set = True
            return
        super().set_image(image)
        self._known[key] = self._features
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    @property
    def embedding(self) -> tuple[Float[Tensor, "1 C h w"], list[Float[Tensor, "1 c v u"]]]:
        """The current image's embedding, and its feature maps of higher resolution."""
        return self._features["image_embed"], self._features["high_res_feats"]

    def to_image_size(self, logits: Float[Tensor, "B m m"]) -> Float[Tensor, "B H W"]:
        """Return masks at the size of the current image."""
        return self._transforms.postprocess_masks(logits[:, None], self._orig_hw[0])[:, 0]
