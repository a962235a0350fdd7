# SPDX-License-Identifier: Apache-2.0
"""The terms on rendered pixels in two launches: sums per mask, then everything else at once.

No matrix of pairs is kept: a program compares its pixels with a few others at a time. Equations
are those of core/features/losses.py.
"""

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from ros2_clickgs.core.features.losses import SMALLEST_NORM
from ros2_clickgs.core.features.options import COARSE_DEPTH, DEPTH, TrainingOptions

SMALLEST = tl.constexpr(SMALLEST_NORM)
COARSE = tl.constexpr(COARSE_DEPTH)
WIDTH = 32
"""Channels that a program has room for."""
PIXELS, OTHERS, SUMMED = 32, 32, 64
"""Pixels of a program; pixels they are compared with at once; pixels that are summed at once."""
VALUES = 3
"""positive, negative, norm2d."""


@triton.jit
def features_at(rendered, rows, inside, first, last, DEPTH: tl.constexpr, WIDTH: tl.constexpr):
    """Return features of pixels in the channels of a level, 0 in all others."""
    channels = tl.arange(0, WIDTH)[None, :]
    wanted = inside[:, None] & (channels >= first) & (channels < last)
    return tl.load(
        rendered + rows.to(tl.int64)[:, None] * DEPTH + channels, mask=wanted, other=0.0
    )


@triton.jit
def lengths(x):
    """Return the length of each row, at least SMALLEST."""
    return tl.maximum(tl.sqrt(tl.sum(x * x, axis=1)), SMALLEST)


@triton.jit
def through_norm(gradient, unit, norms):
    """Turn the gradient of directions into that of what they are the directions of."""
    along = tl.sum(unit * gradient, axis=1)
    return (gradient - unit * along[:, None]) / norms[:, None]


@triton.jit(do_not_specialize=["pixel_count", "mask_count"])
def sums_kernel(
    rendered, masks, sums, pixel_count, mask_count,
    FINE_FROM: tl.constexpr, DEPTH: tl.constexpr, SUMMED: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Sum the directions of one mask's pixels at one level."""
    mask, level = tl.program_id(0), tl.program_id(1)
    first = level * FINE_FROM
    last = tl.where(level == 0, COARSE, DEPTH)
    total = tl.zeros([WIDTH], tl.float32)
    start = 0
    while start < pixel_count:
        rows = start + tl.arange(0, SUMMED)
        inside = rows < pixel_count
        ids = tl.load(masks + level * pixel_count + rows, mask=inside, other=-1).to(tl.int32)
        own = inside & (ids == mask)
        x = features_at(rendered, rows, own, first, last, DEPTH, WIDTH)
        total += tl.sum(x / lengths(x)[:, None], axis=0)
        start += SUMMED
    tl.store(sums + (level * mask_count + mask) * WIDTH + tl.arange(0, WIDTH), total)


@triton.jit
def push_of(
    rendered, masks, columns, unit, ids, level, first, last, tau, pixel_count, column_count,
    DEPTH: tl.constexpr, OTHERS: tl.constexpr, PIXELS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Return the sum of the directions that each pixel is too like, of pixels of other masks."""
    push = tl.zeros([PIXELS, WIDTH], tl.float32)
    start = 0
    while start < column_count:
        slots = start + tl.arange(0, OTHERS)
        there = slots < column_count
        rows = tl.load(columns + slots, mask=there, other=0)
        theirs = tl.load(masks + level * pixel_count + rows, mask=there, other=-1).to(tl.int32)
        y = features_at(rendered, rows, there & (theirs >= 0), first, last, DEPTH, WIDTH)
        other = y / lengths(y)[:, None]
        similar = tl.dot(unit, tl.trans(other), input_precision="ieee")
        pairs = (ids[:, None] != theirs[None, :]) & (theirs >= 0)[None, :] & (ids >= 0)[:, None]
        pushes = (pairs & (similar > tau)).to(tl.float32)
        push += tl.dot(pushes, other, input_precision="ieee")
        start += OTHERS
    return push


@triton.jit(do_not_specialize=["pixel_count", "column_count", "mask_count"])
def pixel_kernel(
    rendered, masks, columns, sums, gradient, values,
    pixel_count, column_count, mask_count,
    negative_weight, norm2d_weight, tau_coarse, tau_fine, radius_coarse, radius_fine,
    FINE_FROM: tl.constexpr, DEPTH: tl.constexpr, PIXELS: tl.constexpr,
    OTHERS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Write the gradient of some pixels' features, and what they add to each term."""
    program = tl.program_id(0)
    rows = program * PIXELS + tl.arange(0, PIXELS)
    channels = tl.arange(0, WIDTH)[None, :]
    inside = rows < pixel_count
    total = tl.zeros([PIXELS, WIDTH], tl.float32)
    positive, negative, norm2d = 0.0, 0.0, 0.0
    count = pixel_count.to(tl.float32)
    pair_count = count * tl.maximum(column_count, 1).to(tl.float32)
    for level in tl.static_range(2):
        first = level * FINE_FROM
        last = COARSE if level == 0 else DEPTH
        tau = tau_coarse if level == 0 else tau_fine
        radius = radius_coarse if level == 0 else radius_fine
        ids = tl.load(masks + level * pixel_count + rows, mask=inside, other=-1).to(tl.int32)
        x = features_at(rendered, rows, inside, first, last, DEPTH, WIDTH)
        norms = lengths(x)
        unit = x / norms[:, None]
        own = tl.load(
            sums + (level * mask_count + tl.maximum(ids, 0))[:, None] * WIDTH + channels,
            mask=(ids >= 0)[:, None],
            other=0.0,
        )
        positive -= tl.sum(tl.sum(unit * own, axis=1), axis=0) / count / count
        total += through_norm(own * (-2.0 / count / count), unit, norms)
        push = push_of(
            rendered, masks, columns, unit, ids, level, first, last, tau, pixel_count,
            column_count, DEPTH, OTHERS, PIXELS, WIDTH,
        )  # fmt: skip
        scale = negative_weight / pair_count
        negative += tl.sum(tl.sum(unit * push, axis=1), axis=0) * scale
        push = through_norm(push * (2.0 * scale), unit, norms)
        if level == 1:
            push = tl.where(channels < COARSE, 0.0, push)
        total += push
        off = tl.where(ids >= 0, norms - radius, 0.0)
        norm2d += tl.sum(off * off, axis=0) * (norm2d_weight / count)
        total += x * (off / norms * (2.0 * norm2d_weight / count))[:, None]
    into = gradient + rows.to(tl.int64)[:, None] * DEPTH + channels
    tl.store(into, total, mask=inside[:, None] & (channels < DEPTH))
    tl.store(values + program * 3, positive)
    tl.store(values + program * 3 + 1, negative)
    tl.store(values + program * 3 + 2, norm2d)


def pixel_terms(
    rendered: Float[Tensor, "P D"],
    masks: Int[Tensor, "2 P"],
    columns: Int[Tensor, " Q"],
    options: TrainingOptions,
) -> tuple[Float[Tensor, "P D"], dict[str, float]]:
    """Return the gradient and the values of the terms, as core.features.terms.pixel_terms does."""
    masks, count = masks.contiguous(), len(rendered)
    mask_count, programs = int(masks.max()) + 1, triton.cdiv(count, PIXELS)
    columns = columns if options.negative_weight else columns[:0]
    sums = rendered.new_zeros(2, max(mask_count, 1), WIDTH)
    gradient, values = torch.empty_like(rendered), rendered.new_empty(programs, VALUES)
    fine_from = options.channels("fine").start
    if mask_count:
        sums_kernel[(mask_count, 2)](
            rendered, masks, sums, count, sums.shape[1],
            FINE_FROM=fine_from, DEPTH=DEPTH, SUMMED=SUMMED, WIDTH=WIDTH, num_warps=4,
        )  # fmt: skip
    pixel_kernel[(programs,)](
        rendered, masks, columns.contiguous(), sums, gradient, values,
        count, len(columns), sums.shape[1],
        options.negative_weight, options.norm2d_weight, options.tau_coarse, options.tau_fine,
        options.radius("coarse"), options.radius("fine"),
        FINE_FROM=fine_from, DEPTH=DEPTH, PIXELS=PIXELS, OTHERS=OTHERS, WIDTH=WIDTH, num_warps=8,
    )  # fmt: skip
    names = ("positive", "negative", "norm2d")
    return gradient, dict(zip(names, values.sum(0).tolist(), strict=True))
