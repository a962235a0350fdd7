# SPDX-License-Identifier: Apache-2.0
"""Rows of W and their transpose, both as gathers: no atomics, the same bits on every run.

torch's embedding_bag is the sparse product; it is compiled for CPUs and GPUs alike.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

from ros2_clickgs.core.rasterizer import BlendWeights


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelRows:
    """W of P pixels, ready to be multiplied from both sides many times; indices are int32."""

    row_offsets: Int[Tensor, " P"]
    """Where each pixel's entries start."""
    gaussian_ids: Int[Tensor, " M"]
    """Column of each entry."""
    weights: Float[Tensor, " M"]
    """w of each entry."""
    touched: Int[Tensor, " U"]
    """The Gaussians that these pixels see, ascending; int64."""
    touched_offsets: Int[Tensor, " U"]
    """Where the entries of each of them start in the transpose."""
    pixel_ids: Int[Tensor, " M"]
    """Pixel of each entry of the transpose."""
    touched_weights: Float[Tensor, " M"]
    """w of each entry of the transpose."""

    def splat(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "P D"]:
        r"""Return the pixels' features :math:`F_p = \sum_i w_{pi} f_i` (eq. 1)."""
        return gather(self.gaussian_ids, self.row_offsets, features, self.weights)

    def backproject_into(
        self, gradient: Float[Tensor, "N D"], pixel_gradient: Float[Tensor, "P D"]
    ) -> None:
        r"""Add :math:`\nabla_{f_i} = \sum_p w_{pi} \nabla_{F_p}` to the Gaussians' gradient."""
        gradient[self.touched] += gather(
            self.pixel_ids, self.touched_offsets, pixel_gradient, self.touched_weights
        )


def gather(
    columns: Int[Tensor, " M"],
    offsets: Int[Tensor, " R"],
    values: Float[Tensor, "C D"],
    weights: Float[Tensor, " M"] | None = None,
) -> Float[Tensor, "R D"]:
    """Return the product of a sparse matrix in CSR form with a dense one.

    Args:
        columns: column of each entry.
        offsets: where each row's entries start.
        values: the dense matrix.
        weights: value of each entry; None means ones.
    """
    return embedding_bag(columns, values, offsets, mode="sum", per_sample_weights=weights)


def pixel_rows(
    weights: BlendWeights, places: Int[Tensor, " N"], first: int, last: int
) -> PixelRows:
    """Return the rows first .. last - 1 of W with their transpose.

    Args:
        weights: W.
        places: row that each Gaussian of the map has in the features.
        first: first pixel.
        last: the pixel after the last one.
    """
    offsets = weights.row_offsets[first : last + 1]
    entries = slice(int(offsets[0]), int(offsets[-1]))
    ids = places[weights.gaussian_ids[entries].long()].int()
    values = weights.weights[entries].clone()
    order, touched, touched_offsets = by_column(ids)
    return PixelRows(
        row_offsets=(offsets[:-1] - offsets[0]).int(),
        gaussian_ids=ids,
        weights=values,
        touched=touched,
        touched_offsets=touched_offsets,
        pixel_ids=torch.repeat_interleave(offsets.diff())[order].int(),
        touched_weights=values[order],
    )


def by_column(
    columns: Int[Tensor, " M"],
) -> tuple[Int[Tensor, " M"], Int[Tensor, " U"], Int[Tensor, " U"]]:
    """Return what turns rows into the transpose's: an order of the entries, and its rows.

    Returns:
        The order that sorts entries by column, ties by place; the columns that have entries; where
        each one's entries start in that order.
    """
    order = columns.argsort(stable=True) if columns.is_cuda else _order_on_cpu(columns)
    touched, counts = torch.unique_consecutive(columns[order], return_counts=True)
    return order, touched.long(), (counts.cumsum(0) - counts).int()


def _order_on_cpu(columns: Int[Tensor, " M"]) -> Int[Tensor, " M"]:
    """Return the same order; numpy sorts numbers that hold their place faster than torch does."""
    keys = columns.numpy().astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(keys), dtype=np.uint64)
    keys.sort()
    return torch.from_numpy((keys & np.uint64(0xFFFFFFFF)).astype(np.int64))
