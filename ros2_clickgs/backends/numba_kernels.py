# SPDX-License-Identifier: Apache-2.0
"""The blending loops: per tile, front to back, one row of pixels at a time so that they vectorise.

A tile's work is written per (splat, tile) pair without atomics, then gathered per Gaussian.
"""

import math

import numpy as np
from numba import njit, prange

from ros2_clickgs.backends import constants as c
from ros2_clickgs.backends.numba_projection import TILE

f32 = np.float32
ALPHA_THRESHOLD, MAX_ALPHA = f32(c.ALPHA_THRESHOLD), f32(c.MAX_ALPHA)
DONE = f32(c.TRANSMITTANCE_THRESHOLD)
ZERO, HALF, ONE = f32(0), f32(0.5), f32(1)
EIGHTH, FAINT = f32(0.125), f32(6.0)
E2, E3, E4, E5, E6 = f32(1 / 2), f32(1 / 6), f32(1 / 24), f32(1 / 120), f32(1 / 720)
CHECK_EVERY = 8
"""Splats between two looks at whether a tile is finished."""

FAST = {"contract", "arcp", "nsz", "reassoc", "nnan", "ninf"}


@njit(inline="always", fastmath=FAST)
def exp_minus(sigma):
    """Return exp(-sigma) to 1e-6 for sigma in [0, 6]: (Taylor of exp(-sigma / 8))^8, vectorisable.

    Beyond 6 every alpha is below the threshold, so sigma is clamped there.
    """
    x = min(max(sigma, ZERO), FAINT) * -EIGHTH
    p = ONE + x * (ONE + x * (E2 + x * (E3 + x * (E4 + x * (E5 + x * E6)))))
    p = p * p
    p = p * p
    return p * p


@njit(inline="always", fastmath=FAST)
def blend_row(splat, u0, v, transmittance, w):
    """Fill w with alpha T of one splat along a row of TILE pixels; move the transmittance on."""
    dy = splat[1] - v
    a, b, d = HALF * splat[2], splat[3] * dy, HALF * splat[4] * dy * dy
    opacity = splat[5]
    for x in range(TILE):
        dx = splat[0] - (u0 + f32(x))
        alpha = min(MAX_ALPHA, opacity * exp_minus((a * dx + b) * dx + d))
        alpha = alpha if alpha >= ALPHA_THRESHOLD else ZERO
        before = transmittance[x]
        after = before * (ONE - alpha)
        w[x] = alpha * before if after > DONE else ZERO
        transmittance[x] = after if after > DONE else ZERO


@njit(inline="always")
def rows_of(splat, v0, rows):
    """Return the first and one-past-last row of a tile that a splat reaches."""
    first = max(math.ceil(splat[1] - splat[6] - v0), 0)
    last = min(math.floor(splat[1] + splat[6] - v0), rows - 1)
    return first, last + 1


@njit(inline="always")
def start_tile(transmittance, rows, columns):
    """Make every pixel of a tile transparent, and those outside the image finished."""
    transmittance[:] = ZERO
    transmittance[:rows, :columns] = ONE


@njit(cache=True, parallel=True, fastmath=FAST)
def splat_tiles(schedule, tiles_x, tile_offsets, tile_splats, splats, values, image):
    """Render values [M, D] of the splats into image [H, W, D], which starts at zero."""
    height, width, depth = image.shape
    for job in prange(len(schedule)):
        tile = schedule[job]
        x0, y0 = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        transmittance = np.empty((TILE, TILE), np.float32)
        planes = np.zeros((TILE, depth, TILE), np.float32)
        w = np.empty(TILE, np.float32)
        start_tile(transmittance, rows, columns)
        u0, v0 = f32(x0) + HALF, f32(y0) + HALF
        for pair in range(tile_offsets[tile], tile_offsets[tile + 1]):
            splat, value = splats[tile_splats[pair]], values[tile_splats[pair]]
            first, last = rows_of(splat, v0, rows)
            for y in range(first, last):
                blend_row(splat, u0, v0 + f32(y), transmittance[y], w)
                for k in range(depth):
                    for x in range(TILE):
                        planes[y, k, x] += w[x] * value[k]
            if pair % CHECK_EVERY == 0 and transmittance.max() == ZERO:
                break
        for y in range(rows):
            for x in range(columns):
                for k in range(depth):
                    image[y0 + y, x0 + x, k] = planes[y, k, x]


@njit(inline="always", fastmath=FAST)
def credit_pairs(tile, u0, v0, rows, columns, tile_offsets, tile_splats, splats, planes, credits):
    """For every splat of a tile, sum w times each of the planes [TILE, K, TILE] into credits."""
    depth = planes.shape[1]
    transmittance = np.empty((TILE, TILE), np.float32)
    w = np.empty(TILE, np.float32)
    start_tile(transmittance, rows, columns)
    base = 0
    for pair in range(tile_offsets[tile], tile_offsets[tile + 1]):
        splat = splats[tile_splats[pair]]
        for k in range(depth):
            credits[base + k] = ZERO
        first, last = rows_of(splat, v0, rows)
        for y in range(first, last):
            blend_row(splat, u0, v0 + f32(y), transmittance[y], w)
            for k in range(depth):
                total = ZERO
                for x in range(TILE):
                    total += w[x] * planes[y, k, x]
                credits[base + k] += total
        base += depth
        if pair % CHECK_EVERY == 0 and transmittance.max() == ZERO:
            break
    credits[base:] = ZERO


@njit(cache=True, parallel=True, fastmath=FAST)
def backproject_tiles(schedule, tiles_x, tile_offsets, tile_splats, splats, image, credits):
    """Credit every (splat, tile) pair [pairs, D] with the pixels of image [H, W, D] it painted."""
    height, width, depth = image.shape
    for job in prange(len(schedule)):
        tile = schedule[job]
        x0, y0 = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        planes = np.zeros((TILE, depth, TILE), np.float32)
        for y in range(rows):
            for k in range(depth):
                for x in range(columns):
                    planes[y, k, x] = image[y0 + y, x0 + x, k]
        out = credits[tile_offsets[tile] : tile_offsets[tile + 1]].reshape(-1)
        u0, v0 = f32(x0) + HALF, f32(y0) + HALF
        credit_pairs(tile, u0, v0, rows, columns, tile_offsets, tile_splats, splats, planes, out)


@njit(cache=True, parallel=True)
def labels_in_tiles(label_image, tiles_x, tile_count, label_count):
    """List the labels present in each tile: [tiles, label_count] int32 and how many, [tiles]."""
    height, width = label_image.shape
    present = np.empty((tile_count, label_count), np.int32)
    counts = np.zeros(tile_count, np.int32)
    for tile in prange(tile_count):
        x0, y0 = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        seen = np.zeros(label_count, np.bool_)
        for y in range(y0, min(y0 + TILE, height)):
            for x in range(x0, min(x0 + TILE, width)):
                label = label_image[y, x]
                if 0 <= label < label_count and not seen[label]:
                    seen[label] = True
                    present[tile, counts[tile]] = label
                    counts[tile] += 1
    return present, counts


@njit(cache=True, parallel=True, fastmath=FAST)
def vote_tiles(
    schedule,
    tiles_x,
    tile_offsets,
    tile_splats,
    splats,
    label_image,
    present,
    counts,
    bases,
    credits,
):
    """Credit each pair with the labels of its tile: counts[tile] numbers from bases[tile] on."""
    height, width = label_image.shape
    for job in prange(len(schedule)):
        tile = schedule[job]
        if counts[tile] == 0:
            continue
        x0, y0 = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        planes = np.zeros((TILE, counts[tile], TILE), np.float32)
        for y in range(rows):
            for k in range(counts[tile]):
                for x in range(columns):
                    if label_image[y0 + y, x0 + x] == present[tile, k]:
                        planes[y, k, x] = ONE
        out = credits[bases[tile] : bases[tile + 1]]
        u0, v0 = f32(x0) + HALF, f32(y0) + HALF
        credit_pairs(tile, u0, v0, rows, columns, tile_offsets, tile_splats, splats, planes, out)


@njit(cache=True, parallel=True)
def gather_credits(gaussian_ids, pair_offsets, pair_slots, credits, out):
    """Sum the pairs' credits [pairs, D] into the Gaussians' rows of out [N, D]."""
    for i in prange(len(gaussian_ids)):
        row = out[gaussian_ids[i]]
        for pair in range(pair_offsets[i], pair_offsets[i + 1]):
            credit = credits[pair_slots[pair]]
            for k in range(len(row)):
                row[k] += credit[k]


@njit(cache=True, parallel=True)
def gather_votes(
    gaussian_ids, tile_rects, tiles_x, pair_offsets, pair_slots,
    tile_offsets, present, counts, bases, credits, out,
):  # fmt: skip
    """Sum the pairs' votes into the Gaussians' rows of out [N, labels]."""
    for i in prange(len(gaussian_ids)):
        row = out[gaussian_ids[i]]
        pair = pair_offsets[i]
        for ty in range(tile_rects[i, 2], tile_rects[i, 3]):
            for tx in range(tile_rects[i, 0], tile_rects[i, 1]):
                tile = ty * tiles_x + tx
                at = bases[tile] + (pair_slots[pair] - tile_offsets[tile]) * counts[tile]
                for k in range(counts[tile]):
                    row[present[tile, k]] += credits[at + k]
                pair += 1


@njit(inline="always", fastmath=FAST)
def blend_pixels(splat, us, vs, first, last, transmittance, w):
    """Fill w with alpha T of one splat at the pixels first .. last - 1 of a list."""
    for p in range(first, last):
        dx, dy = splat[0] - us[p], splat[1] - vs[p]
        sigma = (HALF * splat[2] * dx + splat[3] * dy) * dx + HALF * splat[4] * dy * dy
        alpha = min(MAX_ALPHA, splat[5] * exp_minus(sigma))
        alpha = alpha if alpha >= ALPHA_THRESHOLD else ZERO
        before = transmittance[p]
        after = before * (ONE - alpha)
        w[p] = alpha * before if after > DONE else ZERO
        transmittance[p] = after if after > DONE else ZERO


@njit(cache=True, parallel=True, fastmath=FAST)
def weigh_pixels(
    jobs,
    job_offsets,
    tile_offsets,
    tile_splats,
    splats,
    gaussian_ids,
    us,
    vs,
    row_offsets,
    ids,
    weights,
):
    """Write the rows of W of listed pixels; with empty ids, only count: row_offsets[p] += entries.

    Pixel centres us, vs (px) are grouped by tile, from job_offsets on for each tile of jobs, and
    sorted by row within it. row_offsets says where each pixel's entries start, when not counting.
    """
    filling = len(ids) > 0
    for job in prange(len(jobs)):
        start, end = job_offsets[job], job_offsets[job + 1]
        u, v, cursor = us[start:end], vs[start:end], row_offsets[start:end].copy()
        transmittance = np.ones(end - start, np.float32)
        w = np.empty(end - start, np.float32)
        for pair in range(tile_offsets[jobs[job]], tile_offsets[jobs[job] + 1]):
            splat = splats[tile_splats[pair]]
            first = np.searchsorted(v, splat[1] - splat[6])
            last = np.searchsorted(v, splat[1] + splat[6], "right")
            blend_pixels(splat, u, v, first, last, transmittance, w)
            for p in range(first, last):
                if w[p] > ZERO:
                    if filling:
                        ids[cursor[p]] = gaussian_ids[tile_splats[pair]]
                        weights[cursor[p]] = w[p]
                    cursor[p] += 1
            if pair % CHECK_EVERY == 0 and transmittance.max() == ZERO:
                break
        if not filling:
            row_offsets[start:end] = cursor
