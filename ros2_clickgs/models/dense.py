# SPDX-License-Identifier: Apache-2.0
"""Dense features without weights: where in the object's outline a place lies, how it looks.

Parts of things are told apart by shape more than by colour: handles are thin and beside a hole,
necks are narrow and on top, insides lie between the outline's upper half and an edge. Made for
one object per image whose outline is known; views of other instances of its kind compare.
"""

import numpy as np
import torch
from jaxtyping import Bool, UInt8

from ros2_clickgs.core.descriptor import FeatureGrid
from ros2_clickgs.models.crops import crop_object
from ros2_clickgs.models.figure import figure
from ros2_clickgs.models.shading import shading
from ros2_clickgs.models.silhouette import silhouette

SIDE_PX, MARGIN_PX = 112, 8
"""Longer side of the resized object, and what is around it."""
CELL_PX = 2
"""Side of a cell in the resized object."""
LOOK = 1.5
"""Weight of how a place looks, beside where it lies."""


class DenseDescriptor:
    """Shape and shading of an object's pixels; see Descriptor."""

    name = "dense-1"

    def describe(
        self,
        image: UInt8[np.ndarray, "H W 3"],
        mask: Bool[np.ndarray, "H W"] | None = None,
        inside: Bool[np.ndarray, "H W"] | None = None,
    ) -> FeatureGrid:
        """See Descriptor. Without a mask, what stands out from the border is the object."""
        mask = figure(image, inside) if mask is None else mask
        crop = crop_object(image, mask, SIDE_PX, MARGIN_PX)
        features = np.concatenate(
            [silhouette(crop.mask), LOOK * shading(crop.image, crop.mask)], axis=-1
        )
        features /= np.linalg.norm(features, axis=-1, keepdims=True) + 1e-6
        features[~crop.mask] = 0
        cell = CELL_PX / crop.scale
        return FeatureGrid(
            features=torch.from_numpy(features[CELL_PX // 2 :: CELL_PX, CELL_PX // 2 :: CELL_PX]),
            origin=crop.origin,
            cell=(cell, cell),
        )
