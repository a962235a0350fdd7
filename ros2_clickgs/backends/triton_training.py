# SPDX-License-Identifier: Apache-2.0
"""An iteration of Click-Gaussian on a GPU in five launches of ours and Adam's.

Without atomics, so that a training goes on bit for bit here, too. No CUDA graph: rows of W differ
in size from batch to batch, and five launches hide behind the memory traffic of Adam.
"""

from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.backends.triton_gaussians import gaussian_terms
from ros2_clickgs.backends.triton_pixels import pixel_terms
from ros2_clickgs.backends.triton_sparse import add_product, product
from ros2_clickgs.core.features.products import PixelRows


class TritonKernels:
    """Kernels of core.features.kernels for CUDA."""

    def splat(self, rows: PixelRows, features: Float[Tensor, "N D"]) -> Float[Tensor, "P D"]:
        """See Kernels."""
        return product(rows.gaussian_ids, rows.row_offsets, features, rows.weights)

    def backproject_into(
        self,
        gradient: Float[Tensor, "N D"],
        rows: PixelRows,
        pixel_gradient: Float[Tensor, "P D"],
    ) -> None:
        """See Kernels."""
        add_product(
            gradient, rows.touched, rows.pixel_ids, rows.touched_offsets, pixel_gradient,
            rows.touched_weights,
        )  # fmt: skip

    pixel_terms = staticmethod(pixel_terms)
    gaussian_terms = staticmethod(gaussian_terms)
