# SPDX-License-Identifier: Apache-2.0
"""What an iteration of a training is made of, so that a device can bring kernels of its own."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from ros2_clickgs.core.features import terms
from ros2_clickgs.core.features.clusters import Clusters
from ros2_clickgs.core.features.neighbours import NeighbourGroup
from ros2_clickgs.core.features.options import TrainingOptions
from ros2_clickgs.core.features.products import PixelRows
from ros2_clickgs.core.features.terms import Terms


@runtime_checkable
class Kernels(Protocol):
    """The four parts of an iteration."""

    def splat(self, rows: PixelRows, features: Float[Tensor, "N D"]) -> Float[Tensor, "P D"]:
        """Return the pixels' features, see PixelRows.splat."""
        ...

    def backproject_into(
        self,
        gradient: Float[Tensor, "N D"],
        rows: PixelRows,
        pixel_gradient: Float[Tensor, "P D"],
    ) -> None:
        """Add the pixels' gradient to the Gaussians', see PixelRows.backproject_into."""
        ...

    def pixel_terms(
        self,
        rendered: Float[Tensor, "P D"],
        masks: Int[Tensor, "2 P"],
        columns: Int[Tensor, " Q"],
        options: TrainingOptions,
    ) -> tuple[Float[Tensor, "P D"], Terms]:
        """Return the gradient and the values of the terms on pixels, see terms.py."""
        ...

    def gaussian_terms(
        self,
        features: Float[Tensor, "N D"],
        group: NeighbourGroup,
        clusters: dict[str, Clusters],
        options: TrainingOptions,
    ) -> tuple[Float[Tensor, "N D"], Terms]:
        """Return the gradient and the values of the terms on Gaussians, see terms.py."""
        ...


class TorchKernels:
    """Torch's own, on any device: what all others are compared with."""

    def splat(self, rows: PixelRows, features: Float[Tensor, "N D"]) -> Float[Tensor, "P D"]:
        """See Kernels."""
        return rows.splat(features)

    def backproject_into(
        self,
        gradient: Float[Tensor, "N D"],
        rows: PixelRows,
        pixel_gradient: Float[Tensor, "P D"],
    ) -> None:
        """See Kernels."""
        rows.backproject_into(gradient, pixel_gradient)

    pixel_terms = staticmethod(terms.pixel_terms)
    gaussian_terms = staticmethod(terms.gaussian_terms)
