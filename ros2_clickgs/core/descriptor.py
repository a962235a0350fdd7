# SPDX-License-Identifier: Apache-2.0
"""What an image looks like, place by place: the seam to dense features of any kind."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Num, UInt8
from torch import Tensor
from torch.nn.functional import grid_sample


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureGrid:
    """Features of an image's cells.

    Cell (row i, column j) is centred on the pixel position
    (u, v) = origin + (j + 1/2, i + 1/2) * cell, with pixel centres at +0.5.
    """

    features: Float32[Tensor, "h w D"]
    """Of length 1; of length 0 where nothing is described, such as off the object."""
    origin: tuple[float, float]
    """Left and top edge of the grid (u, v), in px."""
    cell: tuple[float, float]
    """Width and height of a cell, in px."""

    @property
    def described(self) -> Bool[Tensor, "h w"]:
        """Cells that have a feature."""
        return self.features.norm(dim=-1) > 0.5

    def take(self, image: Num[Tensor, "H W"] | Bool[Tensor, "H W"]) -> Tensor:
        """Return an image's values [h, w] at the cells' centres, the nearest where outside."""
        rows, columns = self.features.shape[:2]
        v = (self.origin[1] + (torch.arange(rows) + 0.5) * self.cell[1]).long()
        u = (self.origin[0] + (torch.arange(columns) + 0.5) * self.cell[0]).long()
        height, width = image.shape
        return image[v.clamp(0, height - 1)[:, None], u.clamp(0, width - 1)]

    def paint(
        self, values: Float[Tensor, "h w C"], height: int, width: int, smooth: bool = True
    ) -> Float[Tensor, "H W C"]:
        """Return an image of the cells' values: bilinear between centres, or the nearest cell's.

        Args:
            values: one vector per cell.
            height: of the image, in px.
            width: of the image, in px.
            smooth: whether to interpolate.
        """
        rows, columns = values.shape[:2]
        u = (torch.arange(width) + 0.5 - self.origin[0]) / (self.cell[0] * columns) * 2 - 1
        v = (torch.arange(height) + 0.5 - self.origin[1]) / (self.cell[1] * rows) * 2 - 1
        places = torch.stack(torch.meshgrid(u, v, indexing="xy"), -1)[None].to(values)
        painted = grid_sample(
            values.permute(2, 0, 1)[None],
            places,
            mode="bilinear" if smooth else "nearest",
            padding_mode="border",
            align_corners=False,
        )
        return painted[0].permute(1, 2, 0)


@runtime_checkable
class Descriptor(Protocol):
    """Dense features of one image, comparable by cosine between images."""

    name: str
    """What the features are and how they were made; features of other names do not compare."""

    def describe(
        self,
        image: UInt8[np.ndarray, "H W 3"],
        mask: Bool[np.ndarray, "H W"] | None = None,
        inside: Bool[np.ndarray, "H W"] | None = None,
    ) -> FeatureGrid:
        """Describe an RGB image.

        Args:
            image: RGB.
            mask: the object's pixels, at least one; only cells that show it are described.
            inside: where the mask is not known, pixels that are certainly the object's.
        """
        ...
