# SPDX-License-Identifier: Apache-2.0
"""A sparse matrix in CSR form times a dense one on a GPU: rows of W and their transpose.

A program takes ROWS rows and goes along them together; no atomics, so the same bits come out on
every run.
"""

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

ROWS = 16
"""Rows of a program: their entries are fetched side by side."""
WIDTH = 32
"""Channels that a program has room for; a feature has 24."""


@triton.jit
def entries_of(offsets, rows, inside, row_count, entry_count):
    """Return where the entries of rows start and end."""
    start = tl.load(offsets + rows, mask=inside, other=0)
    has_next = inside & (rows + 1 < row_count)
    end = tl.load(offsets + rows + 1, mask=has_next, other=0)
    return start, tl.where(has_next, end, tl.where(inside, entry_count, start))


@triton.jit(do_not_specialize=["row_count", "entry_count"])
def product_kernel(
    values, columns, offsets, weights, targets, out, row_count, entry_count,
    DEPTH: tl.constexpr, ADD: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Write rows of the product, or add them to the rows `targets` of `out`."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    channels = tl.arange(0, WIDTH)[None, :]
    inside = rows < row_count
    at, end = entries_of(offsets, rows, inside, row_count, entry_count)
    total = tl.zeros([ROWS, WIDTH], tl.float32)
    longest = tl.max(end - at)
    step = 0
    while step < longest:
        there = at < end
        column = tl.load(columns + at, mask=there, other=0).to(tl.int64)
        weight = tl.load(weights + at, mask=there, other=0.0)
        value = tl.load(
            values + column[:, None] * DEPTH + channels,
            mask=there[:, None] & (channels < DEPTH),
            other=0.0,
        )
        total += weight[:, None] * value.to(tl.float32)
        at += 1
        step += 1
    wanted = inside[:, None] & (channels < DEPTH)
    if ADD:
        place = tl.load(targets + rows, mask=inside, other=0)
        into = out + place[:, None] * DEPTH + channels
        total += tl.load(into, mask=wanted, other=0.0)
    else:
        into = out + rows.to(tl.int64)[:, None] * DEPTH + channels
    tl.store(into, total, mask=wanted)


def product(
    columns: Int[Tensor, " M"],
    offsets: Int[Tensor, " R"],
    values: Float[Tensor, "C D"],
    weights: Float[Tensor, " M"],
) -> Float[Tensor, "R D"]:
    """Return the product in float32; values may be half precision.

    Args:
        columns: column of each entry.
        offsets: where each row's entries start.
        values: the dense matrix, at most 32 columns.
        weights: value of each entry.
    """
    out = torch.empty(len(offsets), values.shape[1], device=values.device)
    _launch(columns, offsets, values, weights, None, out)
    return out


def add_product(
    out: Float[Tensor, "N D"],
    targets: Int[Tensor, " R"],
    columns: Int[Tensor, " M"],
    offsets: Int[Tensor, " R"],
    values: Float[Tensor, "C D"],
    weights: Float[Tensor, " M"],
) -> None:
    """Add row r of the product to row targets[r] of `out`; targets are all different."""
    _launch(columns, offsets, values, weights, targets, out)


def _launch(
    columns: Tensor,
    offsets: Tensor,
    values: Tensor,
    weights: Tensor,
    targets: Tensor | None,
    out: Tensor,
) -> None:
    if len(offsets):
        product_kernel[(triton.cdiv(len(offsets), ROWS),)](
            values.contiguous(), columns, offsets, weights, targets, out,
            len(offsets), len(columns),
            DEPTH=values.shape[1], ADD=targets is not None, ROWS=ROWS, WIDTH=WIDTH, num_warps=2,
        )  # fmt: skip
