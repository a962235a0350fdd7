# SPDX-License-Identifier: Apache-2.0
"""Votes on a GPU in one forward pass: no image, no gradient, one program per tile.

A program keeps its 16x16 pixels in registers, walks the tile's splats front to back, sums each
splat's weights over the pixels, and adds once per (splat, label present in the tile).
The rule is backends/constants.py's.
"""

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from ros2_clickgs.backends import constants as c
from ros2_clickgs.backends.gsplat_tiles import TILE, TiledSplats

ALPHA_THRESHOLD = tl.constexpr(c.ALPHA_THRESHOLD)
MAX_ALPHA = tl.constexpr(c.MAX_ALPHA)
DONE = tl.constexpr(c.TRANSMITTANCE_THRESHOLD)
LOG2E = tl.constexpr(1.4426950408889634)

CHECK_EVERY = 8
"""Splats between two looks at whether a tile is finished."""
WARPS = 1
"""Warps per tile: with one, eight pixels per thread are summed before anything is exchanged."""
CHANNELS_AT_ONCE = 8
"""Channels whose pixels a program keeps in registers."""
SIZES = ["width", "height", "tiles_x", "tile_count", "pair_count"]
"""Arguments that must not change the code, nor how a tile's pixels lie on the threads."""


@triton.jit
def load_splat(means2d, conics, opacities, ids, listed):
    """Return u, v (px), conic a, b, d (1/px^2), opacity of splats; opacity 0 if not listed."""
    u = tl.load(means2d + 2 * ids, mask=listed, other=0.0)
    v = tl.load(means2d + 2 * ids + 1, mask=listed, other=0.0)
    a = tl.load(conics + 3 * ids, mask=listed, other=0.0)
    b = tl.load(conics + 3 * ids + 1, mask=listed, other=0.0)
    d = tl.load(conics + 3 * ids + 2, mask=listed, other=0.0)
    opacity = tl.load(opacities + ids, mask=listed, other=0.0)
    return u, v, a, b, d, opacity


@triton.jit
def alpha_at(u, v, a, b, d, opacity, x, y):
    """Return alpha at pixel centres (px), 0 where the rule skips it; arguments broadcast.

    exp(-sigma) is 2^power with the conic scaled beforehand, and what depends on x alone is shared
    by a column of pixels.
    """
    dx, dy = u - x, v - y
    a, b, d = a * (-0.5 * LOG2E), b * -LOG2E, d * (-0.5 * LOG2E)
    power = (d * dy + b * dx) * dy + (a * dx) * dx
    alpha = tl.minimum(opacity * tl.exp2(power), MAX_ALPHA)
    return tl.where((power > 0.0) | (alpha < ALPHA_THRESHOLD), 0.0, alpha)


@triton.jit
def list_of_tile(tile_offsets, tile, tile_count, pair_count):
    """Return where a tile's list of splats starts and ends."""
    start = tl.load(tile_offsets + tile)
    end = tl.load(tile_offsets + tile + 1, mask=tile + 1 < tile_count, other=pair_count)
    return start, end


@triton.jit
def pixels_of_tile(tile, tiles_x, TILE: tl.constexpr):
    """Return columns [1, TILE] and rows [TILE, 1] of a tile."""
    columns = (tile % tiles_x) * TILE + tl.arange(0, TILE)[None, :]
    rows = (tile // tiles_x) * TILE + tl.arange(0, TILE)[:, None]
    return columns, rows


@triton.jit(do_not_specialize=[*SIZES, "label_count"])
def vote_kernel(
    means2d, conics, opacities, tile_offsets, flatten_ids, label_image, votes,
    width, height, tiles_x, tile_count, pair_count, label_count,
    TILE: tl.constexpr, CHECK_EVERY: tl.constexpr,
):  # fmt: skip
    """Add a tile's votes to [N, label_count]; pixels that do not vote count as finished.

    Transmittance only falls, so a pixel that is done stays done without a flag. The next splat is
    fetched while one is blended.
    """
    tile = tl.program_id(0)
    start, end = list_of_tile(tile_offsets, tile, tile_count, pair_count)
    columns, rows = pixels_of_tile(tile, tiles_x, TILE)
    inside = (columns < width) & (rows < height)
    labels = tl.load(label_image + rows * width + columns, mask=inside, other=0).to(tl.int32)
    labels = tl.where(inside & (labels >= 0) & (labels < label_count), labels, -1)
    first = tl.min(tl.where(labels >= 0, labels, label_count))
    last = tl.max(labels)
    end = tl.where(last >= 0, end, start)
    transmittance = tl.where(labels >= 0, 1.0, 0.0)
    x, y = columns + 0.5, rows + 0.5
    i = tl.load(flatten_ids + start, mask=start < end, other=0).to(tl.int64)
    j = tl.load(flatten_ids + start + 1, mask=start + 1 < end, other=0).to(tl.int64)
    u, v, a, b, d, opacity = load_splat(means2d, conics, opacities, i, start < end)
    while start < end:
        stop = tl.minimum(start + CHECK_EVERY, end)
        while start < stop:
            u_j, v_j, a_j, b_j, d_j, opacity_j = load_splat(
                means2d, conics, opacities, j, start + 1 < end
            )
            k = tl.load(flatten_ids + start + 2, mask=start + 2 < end, other=0).to(tl.int64)
            alpha = alpha_at(u, v, a, b, d, opacity, x, y)
            after = transmittance * (1.0 - alpha)
            weights = tl.where(after > DONE, transmittance * alpha, 0.0)
            transmittance = after
            row = votes + i * label_count
            if first == last:
                total = tl.sum(weights)
                tl.atomic_add(row + first, total, mask=total > 0.0, sem="relaxed")
            else:
                label = first
                while label <= last:
                    total = tl.sum(tl.where(labels == label, weights, 0.0))
                    tl.atomic_add(row + label, total, mask=total > 0.0, sem="relaxed")
                    label = tl.min(tl.where(labels > label, labels, last + 1))
            i, j = j, k
            u, v, a, b, d, opacity = u_j, v_j, a_j, b_j, d_j, opacity_j
            start += 1
        left = tl.max((transmittance > DONE).to(tl.int32))
        start = tl.where(left > 0, start, end)


@triton.jit(do_not_specialize=[*SIZES, "depth"])
def credit_kernel(
    means2d, conics, opacities, tile_offsets, flatten_ids, planes, credits,
    width, height, tiles_x, tile_count, pair_count, depth,
    TILE: tl.constexpr, CHECK_EVERY: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Add a tile's credits to [N, depth] for CHANNELS of the planes [depth, height, width]."""
    tile = tl.program_id(0)
    channels = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    start, end = list_of_tile(tile_offsets, tile, tile_count, pair_count)
    columns, rows = pixels_of_tile(tile, tiles_x, TILE)
    inside = (columns < width) & (rows < height)
    at = planes + channels.to(tl.int64)[:, None, None] * (width * height)
    values = tl.load(
        at + (rows * width + columns)[None, :, :],
        mask=inside[None, :, :] & (channels < depth)[:, None, None],
        other=0.0,
    ).to(tl.float32)
    transmittance = tl.where(inside, 1.0, 0.0)
    x, y = columns + 0.5, rows + 0.5
    i = tl.load(flatten_ids + start, mask=start < end, other=0).to(tl.int64)
    j = tl.load(flatten_ids + start + 1, mask=start + 1 < end, other=0).to(tl.int64)
    u, v, a, b, d, opacity = load_splat(means2d, conics, opacities, i, start < end)
    while start < end:
        stop = tl.minimum(start + CHECK_EVERY, end)
        while start < stop:
            u_j, v_j, a_j, b_j, d_j, opacity_j = load_splat(
                means2d, conics, opacities, j, start + 1 < end
            )
            k = tl.load(flatten_ids + start + 2, mask=start + 2 < end, other=0).to(tl.int64)
            alpha = alpha_at(u, v, a, b, d, opacity, x, y)
            after = transmittance * (1.0 - alpha)
            weights = tl.where(after > DONE, transmittance * alpha, 0.0)
            transmittance = after
            totals = tl.sum(tl.sum(values * weights[None, :, :], axis=1), axis=1)
            wanted = (channels < depth) & (totals != 0.0)
            tl.atomic_add(credits + i * depth + channels, totals, mask=wanted, sem="relaxed")
            i, j = j, k
            u, v, a, b, d, opacity = u_j, v_j, a_j, b_j, d_j, opacity_j
            start += 1
        left = tl.max((transmittance > DONE).to(tl.int32))
        start = tl.where(left > 0, start, end)


def vote(
    tiled: TiledSplats, label_image: Int[Tensor, "H W"], label_count: int, warps: int = WARPS
) -> Float[Tensor, "N L"]:
    """Return the votes of one view for labels 0 .. label_count - 1; all others do not vote."""
    means2d = tiled.means2d
    votes = torch.zeros(means2d.shape[1], label_count, device=means2d.device)
    if len(tiled.flatten_ids) and label_count:
        vote_kernel[(tiled.tile_offsets.numel(),)](
            *tiled, label_image.contiguous(), votes, *sizes(tiled, label_image), label_count,
            TILE=TILE, CHECK_EVERY=CHECK_EVERY, num_warps=warps, enable_fp_fusion=True,
        )  # fmt: skip
    return votes


def backproject(
    tiled: TiledSplats, image: Float[Tensor, "H W D"], warps: int = WARPS
) -> Float[Tensor, "N D"]:
    """Return W^T image for any number of channels; half precision is read as it is."""
    means2d, depth = tiled.means2d, image.shape[2]
    credits = torch.zeros(means2d.shape[1], depth, device=means2d.device)
    planes = image.permute(2, 0, 1).contiguous()
    if len(tiled.flatten_ids) and depth:
        channels = min(CHANNELS_AT_ONCE, triton.next_power_of_2(depth))
        credit_kernel[(tiled.tile_offsets.numel(), triton.cdiv(depth, channels))](
            *tiled, planes, credits, *sizes(tiled, image), depth,
            TILE=TILE, CHECK_EVERY=CHECK_EVERY, CHANNELS=channels, num_warps=warps,
            enable_fp_fusion=True,
        )  # fmt: skip
    return credits


def sizes(tiled: TiledSplats, image: Tensor) -> tuple[int, int, int, int, int]:
    """Return width, height (px), tiles in a row, tiles, pairs."""
    height, width = image.shape[:2]
    offsets = tiled.tile_offsets
    return width, height, offsets.shape[-1], offsets.numel(), len(tiled.flatten_ids)
