# SPDX-License-Identifier: Apache-2.0
"""Rows of W on a GPU: one program per pixel walks its tile's list, to count, then to fill."""

import torch
import triton
import triton.language as tl
from jaxtyping import Int
from torch import Tensor

from ros2_clickgs.backends import constants as c
from ros2_clickgs.backends.gsplat_tiles import TILE, TiledSplats
from ros2_clickgs.backends.triton_votes import SIZES, alpha_at, list_of_tile, load_splat
from ros2_clickgs.core.rasterizer import BlendWeights

DONE = tl.constexpr(c.TRANSMITTANCE_THRESHOLD)
BATCH = 64
"""Splats that a program blends at once; most pixels are done within a few times as many."""


@triton.jit(do_not_specialize=SIZES[2:])
def weigh_kernel(
    means2d, conics, opacities, tile_offsets, flatten_ids,
    pixels, counts, row_offsets, ids_out, weights_out,
    tiles_x, tile_count, pair_count,
    FILL: tl.constexpr, TILE: tl.constexpr, BATCH: tl.constexpr,
):  # fmt: skip
    """Count the entries of one pixel's row, or write them from row_offsets on, front to back."""
    pixel = tl.program_id(0).to(tl.int64)
    column = tl.load(pixels + 2 * pixel).to(tl.int32)
    row = tl.load(pixels + 2 * pixel + 1).to(tl.int32)
    tile = (row // TILE) * tiles_x + column // TILE
    start, end = list_of_tile(tile_offsets, tile, tile_count, pair_count)
    first = tl.load(row_offsets + pixel)
    cursor = first
    transmittance = 1.0
    while start < end:
        slots = start + tl.arange(0, BATCH)
        listed = slots < end
        ids = tl.load(flatten_ids + slots, mask=listed, other=0).to(tl.int64)
        u, v, a, b, d, opacity = load_splat(means2d, conics, opacities, ids, listed)
        alpha = alpha_at(u, v, a, b, d, opacity, column + 0.5, row + 0.5)
        after = transmittance * tl.cumprod(1.0 - alpha, axis=0)
        hit = (alpha > 0.0) & (after > DONE)
        if FILL:
            at = cursor + tl.cumsum(hit.to(tl.int32), axis=0) - 1
            tl.store(ids_out + at, ids.to(tl.int32), mask=hit)
            tl.store(weights_out + at, after * (alpha / (1.0 - alpha)), mask=hit)
        cursor += tl.sum(hit.to(tl.int32), axis=0)
        transmittance = tl.min(after, axis=0)
        start = tl.where(transmittance > DONE, start + BATCH, end)
    if not FILL:
        tl.store(counts + pixel, cursor - first)


def weigh(tiled: TiledSplats, pixels: Int[Tensor, "P 2"]) -> BlendWeights:
    """Return the rows of W for pixels (u, v) in the order asked for, each front to back."""
    counts = count_entries(tiled, pixels)
    row_offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    total = int(row_offsets[-1])
    ids = torch.empty(total, dtype=torch.int32, device=counts.device)
    weights = torch.empty(total, device=counts.device)
    if total:
        launch(tiled, pixels, counts, row_offsets, ids, weights)
    return BlendWeights(
        row_offsets=row_offsets,
        gaussian_ids=ids,
        weights=weights,
        gaussian_count=tiled.means2d.shape[1],
    )


def count_entries(tiled: TiledSplats, pixels: Int[Tensor, "P 2"]) -> Int[Tensor, " P"]:
    """Return how many Gaussians paint each pixel (u, v); int64."""
    counts = torch.zeros(len(pixels), dtype=torch.int64, device=tiled.means2d.device)
    if len(pixels) and len(tiled.flatten_ids):
        launch(tiled, pixels, counts, torch.zeros_like(counts), None, None)
    return counts


def launch(
    tiled: TiledSplats,
    pixels: Int[Tensor, "P 2"],
    counts: Int[Tensor, " P"],
    row_offsets: Int[Tensor, " P1"],
    ids: Tensor | None,
    weights: Tensor | None,
) -> None:
    """Run one program per pixel; without ids, it counts."""
    weigh_kernel[(len(pixels),)](
        *tiled, pixels.contiguous(), counts, row_offsets, ids, weights,
        tiled.tile_offsets.shape[-1], tiled.tile_offsets.numel(), len(tiled.flatten_ids),
        FILL=ids is not None, TILE=TILE, BATCH=BATCH, num_warps=1, enable_fp_fusion=True,
    )  # fmt: skip
