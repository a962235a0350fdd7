# SPDX-License-Identifier: Apache-2.0
"""The blending loops: per tile, front to back, one row of pixels at a time so that they vectorise.

A tile's work is written per pair (splat, tile) without atomics, then gathered per Gaussian.
"""

import math

import numpy as np
from numba import njit, prange

from ros2_clickgs.backends import constants as c
from ros2_clickgs.backends.numba_projection import LEVEL, REACH_V, TILE, A, B, D, U, V

f32 = np.float32
MAX_ALPHA, DONE = f32(c.MAX_ALPHA), f32(c.TRANSMITTANCE_THRESHOLD)
ZERO, HALF, ONE = f32(0), f32(0.5), f32(1)
PIXELS = TILE * TILE
CHECK_EVERY = 16
"""Splats between two looks at whether a tile is finished."""
ROOT = np.polynomial.Chebyshev.interpolate(
    lambda level: (c.ALPHA_THRESHOLD * np.exp(level)) ** (1 / 8),
    5,
    domain=[0, -math.log(c.ALPHA_THRESHOLD)],
)
"""The eighth root of alpha by its level, ln(alpha / threshold), to 2e-7."""
R0, R1, R2, R3, R4, R5 = ROOT.convert(kind=np.polynomial.Polynomial).coef.astype(np.float32)

FAST = {"contract", "arcp", "nsz", "reassoc", "nnan", "ninf"}


@njit(inline="always", fastmath=FAST)
def alpha_of(level):
    """Return min(MAX_ALPHA, threshold exp(level)), or 0 below level 0: vectorisable."""
    root = R0 + level * (R1 + level * (R2 + level * (R3 + level * (R4 + level * R5))))
    root = root * root
    root = root * root
    alpha = min(MAX_ALPHA, root * root)
    return alpha if level >= ZERO else ZERO


@njit(inline="always", fastmath=FAST)
def blend(splat, u0, v0, first, last, tile):
    """Write alpha T of one splat in rows first .. last - 1 to tile[1]; move T, tile[0], on.

    Both lie in one array, at a distance that the compiler knows: it needs no check for overlaps.
    """
    u, top = splat[U] - u0, splat[LEVEL]
    for y in range(first, last):
        dy = splat[V] - (v0 + f32(y))
        slope, start = splat[B] * dy, top + splat[D] * dy * dy
        for x in range(TILE):
            dx = u - f32(x)
            alpha = alpha_of(start + (splat[A] * dx + slope) * dx)
            before = tile[0, y, x]
            weight = alpha * before
            after = before - weight
            tile[0, y, x] = after if after > DONE else ZERO
            tile[1, y, x] = weight if after > DONE else ZERO


@njit(inline="always")
def rows_of(splat, v0, rows):
    """Return the first and one-past-last row of a tile that a splat reaches."""
    first = max(math.ceil(splat[V] - splat[REACH_V] - v0), 0)
    last = min(math.floor(splat[V] + splat[REACH_V] - v0), rows - 1)
    return first, last + 1


@njit(inline="always")
def start_tile(rows, columns):
    """Return a tile [2, TILE, TILE] whose pixels let all light pass, but for those outside."""
    tile = np.zeros((2, TILE, TILE), np.float32)
    tile[0, :rows, :columns] = ONE
    return tile


@njit(inline="always", fastmath=FAST)
def is_finished(tile):
    """Tell whether no light passes a tile any more."""
    left = ZERO
    for y in range(TILE):
        for x in range(TILE):
            left += tile[0, y, x]
    return left == ZERO


@njit(cache=True, parallel=True, fastmath=FAST)
def splat_tiles(schedule, tiles_x, tile_offsets, order, ids, splats, values, image):
    """Render values [N, D] of the Gaussians into image [H, W, D]."""
    height, width, depth = image.shape
    for job in prange(len(schedule)):
        start, end = tile_offsets[schedule[job]], tile_offsets[schedule[job] + 1]
        x0, y0 = (schedule[job] % tiles_x) * TILE, (schedule[job] // tiles_x) * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        tile = start_tile(rows, columns)
        planes = np.zeros((TILE, depth, TILE), np.float32)
        u0, v0 = f32(x0) + HALF, f32(y0) + HALF
        for pair in range(start, end):
            if (pair - start) % CHECK_EVERY == 0 and is_finished(tile):
                break
            splat, value = splats[start + order[pair]], values[ids[start + order[pair]]]
            first, last = rows_of(splat, v0, rows)
            blend(splat, u0, v0, first, last, tile)
            for y in range(first, last):
                for k in range(depth):
                    for x in range(TILE):
                        planes[y, k, x] += tile[1, y, x] * value[k]
        for y in range(rows):
            for x in range(columns):
                for k in range(depth):
                    image[y0 + y, x0 + x, k] = planes[y, k, x]


@njit(inline="always", fastmath=FAST)
def credit_tile(u0, v0, rows, columns, order, splats, planes, credits):
    """For every splat of a tile, sum alpha T times each of the planes [K, PIXELS] into credits."""
    tile = start_tile(rows, columns)
    weights = tile.reshape(2 * PIXELS)[PIXELS:]
    credits[:] = ZERO
    for pair in range(len(order)):
        if pair % CHECK_EVERY == 0 and is_finished(tile):
            break
        splat = splats[order[pair]]
        first, last = rows_of(splat, v0, rows)
        if first >= last:
            continue
        blend(splat, u0, v0, first, last, tile)
        w = weights[first * TILE : last * TILE]
        for k in range(len(planes)):
            plane = planes[k, first * TILE : last * TILE]
            total = ZERO
            for i in range(len(w)):
                total += w[i] * plane[i]
            credits[order[pair], k] = total


@njit(cache=True, parallel=True, fastmath=FAST)
def backproject_tiles(schedule, tiles_x, tile_offsets, order, splats, image, credits):
    """Credit every pair [pairs, D] with the pixels of image [H, W, D] that it painted."""
    height, width, depth = image.shape
    for job in prange(len(schedule)):
        start, end = tile_offsets[schedule[job]], tile_offsets[schedule[job] + 1]
        x0, y0 = (schedule[job] % tiles_x) * TILE, (schedule[job] // tiles_x) * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        planes = np.zeros((depth, PIXELS), np.float32)
        for y in range(rows):
            for k in range(depth):
                for x in range(columns):
                    planes[k, y * TILE + x] = image[y0 + y, x0 + x, k]
        u0, v0 = f32(x0) + HALF, f32(y0) + HALF
        mine, out = splats[start:end], credits[start:end]
        credit_tile(u0, v0, rows, columns, order[start:end], mine, planes, out)


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
    schedule, tiles_x, tile_offsets, order, splats, label_image, present, counts, bases, credits
):
    """Credit each pair with the labels of its tile: counts[tile] numbers from bases[tile] on."""
    height, width = label_image.shape
    for job in prange(len(schedule)):
        tile = schedule[job]
        if counts[tile] == 0:
            continue
        start, end = tile_offsets[tile], tile_offsets[tile + 1]
        x0, y0 = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        planes = np.zeros((counts[tile], PIXELS), np.float32)
        for k in range(counts[tile]):
            for y in range(rows):
                for x in range(columns):
                    if label_image[y0 + y, x0 + x] == present[tile, k]:
                        planes[k, y * TILE + x] = ONE
        u0, v0 = f32(x0) + HALF, f32(y0) + HALF
        out = credits[bases[tile] : bases[tile + 1]].reshape(end - start, counts[tile])
        credit_tile(u0, v0, rows, columns, order[start:end], splats[start:end], planes, out)


@njit(inline="always", fastmath=FAST)
def blend_pixels(splat, us, vs, first, last, transmittance, w):
    """Fill w with alpha T of one splat at the pixels first .. last - 1 of a list."""
    for p in range(first, last):
        dx, dy = splat[U] - us[p], splat[V] - vs[p]
        level = splat[LEVEL] + (splat[A] * dx + splat[B] * dy) * dx + splat[D] * dy * dy
        before = transmittance[p]
        weight = alpha_of(level) * before
        after = before - weight
        w[p] = weight if after > DONE else ZERO
        transmittance[p] = after if after > DONE else ZERO


@njit(cache=True, parallel=True, fastmath=FAST)
def weigh_pixels(
    jobs, job_offsets, tile_offsets, order, gaussian_ids, splats, us, vs, row_offsets, ids, weights
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
        listed = tile_offsets[jobs[job]]
        for pair in range(listed, tile_offsets[jobs[job] + 1]):
            splat = splats[listed + order[pair]]
            first = np.searchsorted(v, splat[V] - splat[REACH_V])
            last = np.searchsorted(v, splat[V] + splat[REACH_V], "right")
            blend_pixels(splat, u, v, first, last, transmittance, w)
            for p in range(first, last):
                if w[p] > ZERO:
                    if filling:
                        ids[cursor[p]] = gaussian_ids[listed + order[pair]]
                        weights[cursor[p]] = w[p]
                    cursor[p] += 1
            if pair % CHECK_EVERY == 0 and transmittance.max() == ZERO:
                break
        if not filling:
            row_offsets[start:end] = cursor
