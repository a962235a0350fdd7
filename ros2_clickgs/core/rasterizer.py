# SPDX-License-Identifier: Apache-2.0
r"""The hardware seam: one matrix W of blending weights and its transpose.

Alpha compositing is linear in whatever the Gaussians carry. For one camera, pixel p and
Gaussian i, with :math:`w_{pi} = \alpha_{pi} T_{pi}` (Kerbl et al. 2023, eq. 3):

.. math::
    \text{splat: } I_p = \sum_i w_{pi} v_i \qquad \text{backproject: } v_i = \sum_p w_{pi} I_p
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ros2_clickgs.core.types import Camera, Gaussians


@runtime_checkable
class Rasterizer(Protocol):
    """Owner of the blending weights w of one map."""

    gaussians: Gaussians
    """The map whose weights these are."""

    def splat(self, camera: Camera, values: Float[Tensor, "N D"]) -> Float[Tensor, "H W D"]:
        """Render what the Gaussians carry: W values."""
        ...

    def backproject(self, camera: Camera, image: Float[Tensor, "H W D"]) -> Float[Tensor, "N D"]:
        """Credit every Gaussian with the pixels that it helped to paint: W^T image."""
        ...

    def vote(
        self, camera: Camera, label_image: Int[Tensor, "H W"], label_count: int
    ) -> Float[Tensor, "N L"]:
        """Backproject the one-hot image of `label_image` without making it.

        Args:
            camera: the view.
            label_image: labels 0 .. label_count - 1; IGNORE (-1) does not vote.
            label_count: number of columns of the result, background included.

        Returns:
            Votes in pixel-equivalents: column l sums w over the pixels labelled l.
        """
        ...

    def weights(self, camera: Camera, pixels: Int[Tensor, "P 2"] | None = None) -> "BlendWeights":
        """Return the rows of W for pixels (u, v), front to back; None means all, row by row."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BlendWeights:
    """Rows of W in CSR form: the map's geometry is frozen, so they never change."""

    row_offsets: Int[Tensor, " P1"]
    """Where each pixel's entries start; one more than there are pixels; int64."""
    gaussian_ids: Int[Tensor, " M"]
    """Column of each entry, front to back within a pixel; int32."""
    weights: Float[Tensor, " M"]
    """alpha * T of each entry; float32."""
    gaussian_count: int
    """Number of columns N."""

    def splat(self, values: Float[Tensor, "N D"]) -> Float[Tensor, "P D"]:
        """Render values at these pixels only."""
        out = values.new_zeros(len(self.row_offsets) - 1, values.shape[1])
        contributions = self.weights[:, None] * values[self.gaussian_ids.long()]
        return out.index_add_(0, self._rows(), contributions)

    def backproject(self, pixel_values: Float[Tensor, "P D"]) -> Float[Tensor, "N D"]:
        """Credit the Gaussians with these pixels only."""
        out = pixel_values.new_zeros(self.gaussian_count, pixel_values.shape[1])
        contributions = self.weights[:, None] * pixel_values[self._rows()]
        return out.index_add_(0, self.gaussian_ids.long(), contributions)

    def _rows(self) -> Int[Tensor, " M"]:
        return torch.repeat_interleave(self.row_offsets.diff())
