# SPDX-License-Identifier: Apache-2.0
"""Which splats each tile of the image holds, and in which order light passes them."""

from typing import NamedTuple

import numpy as np
from numba import get_num_threads, njit, prange

from ros2_clickgs.backends.numba_projection import COLUMNS, TILE, project

CHUNKS_PER_THREAD = 4
"""Runs of Gaussians per thread, so that all have as much to do wherever the camera looks."""
BUCKETS = np.uint64(256)


class Plan(NamedTuple):
    """Who deals which Gaussians where: each chunk of them fills its own part of every tile."""

    chunks: np.ndarray
    """[C + 1] int64: where each chunk of Gaussians starts."""
    schedule: np.ndarray
    """[C] int64: the order in which threads take the chunks."""
    rects: np.ndarray
    """[N, 4] int16: first and one-past-last tile column, then row; empty: unseen."""
    starts: np.ndarray
    """[C, tiles] int64: where each chunk's part of a tile starts."""
    tiles_x: int
    """Tiles in a row of the image."""


class TiledSplats(NamedTuple):
    """What one view sees: per tile its splats, in the order of their rows in the map."""

    tile_offsets: np.ndarray
    """[tiles + 1] int64: where each tile's splats start in the arrays below."""
    splats: np.ndarray
    """[pairs, COLUMNS] float32: each as often as there are tiles it touches."""
    ids: np.ndarray
    """[pairs] int32: their rows in the map."""
    order: np.ndarray
    """[pairs] int32: places within the tile, front to back."""
    plan: Plan


def tile_splats(geometry: np.ndarray, viewmat: np.ndarray, intrinsics: np.ndarray) -> TiledSplats:
    """Project a map for one camera, and deal it to tiles; arguments as of `project`.

    Large arrays are made by numpy, which asks the system for large pages, unlike numba.
    """
    tiles_x, tiles_y = -(-int(intrinsics[4]) // TILE), -(-int(intrinsics[5]) // TILE)
    n, chunk_count = geometry.shape[1], get_num_threads() * CHUNKS_PER_THREAD
    chunks = np.linspace(0, n, chunk_count + 1).astype(np.int64)
    schedule = interleave(chunk_count)
    rects, counts = (
        np.empty((n, 4), np.int16),
        np.zeros((chunk_count, tiles_x * tiles_y), np.int64),
    )
    splats, depths = np.empty((n, COLUMNS), np.float32), np.empty(n, np.float32)
    project(
        geometry, viewmat, intrinsics, chunks, schedule, tiles_x, splats, depths, rects, counts
    )
    ends = np.cumsum(counts.T.ravel()).reshape(counts.T.shape)
    tile_offsets = np.concatenate([[0], ends[:, -1]])
    plan = Plan(chunks, schedule, rects, np.ascontiguousarray((ends - counts.T).T), tiles_x)
    pairs = tile_offsets[-1]
    dealt, ids = np.empty((pairs, COLUMNS), np.float32), np.empty(pairs, np.int32)
    keys, order = np.empty(pairs, np.uint32), np.empty(pairs, np.int32)
    deal(*plan, splats, depths.view(np.uint32), dealt, ids, keys)
    sort_tiles(interleave(len(tile_offsets) - 1), tile_offsets, keys, order)
    return TiledSplats(tile_offsets, dealt, ids, order, plan)


def interleave(count: int) -> np.ndarray:
    """Deal 0 .. count - 1 to the threads, whose share is a contiguous block of the result."""
    threads = get_num_threads()
    return np.concatenate([np.arange(k, count, threads) for k in range(threads)])


@njit(cache=True, parallel=True)
def deal(chunks, schedule, rects, starts, tiles_x, splats, depths, dealt, ids, keys):
    """Copy every splat to its tiles, so that those of a tile lie side by side when it is blended.

    depths [N] and keys [pairs] are float32 seen as uint32: of positive ones the order is the same.
    """
    for job in prange(len(schedule)):
        cursor = starts[schedule[job]].copy()
        for i in range(chunks[schedule[job]], chunks[schedule[job] + 1]):
            for ty in range(rects[i, 2], rects[i, 3]):
                for tx in range(rects[i, 0], rects[i, 1]):
                    slot = cursor[ty * tiles_x + tx]
                    cursor[ty * tiles_x + tx] = slot + 1
                    keys[slot] = depths[i]
                    ids[slot] = i
                    for k in range(COLUMNS):
                        dealt[slot, k] = splats[i, k]


@njit(cache=True, parallel=True)
def sort_tiles(schedule, tile_offsets, keys, order):
    """Fill order with each tile's places by depth rounded to float32, ties by row of the map.

    So does gsplat. Splats of a quantised map often lie equally deep; with float64 depths, rounding
    on the way would decide their order.
    """
    for job in prange(len(schedule)):
        start, end = tile_offsets[schedule[job]], tile_offsets[schedule[job] + 1]
        listed = np.empty(end - start, np.uint64)
        for i in range(end - start):
            listed[i] = (np.uint64(keys[start + i]) << np.uint64(32)) | np.uint64(i)
        listed = sorted_by_upper_half(listed)
        for i in range(end - start):
            order[start + i] = np.int32(listed[i] & np.uint64(0xFFFFFFFF))


@njit(inline="always")
def sorted_by_upper_half(keys):
    """Return keys sorted stably by their upper 32 bits: a radix sort by the bytes that vary."""
    varying = np.uint64(0)
    for key in keys:
        varying |= key ^ keys[0]
    other = np.empty_like(keys)
    for byte in range(4, 8):
        shift = np.uint64(8 * byte)
        if (varying >> shift) % BUCKETS == 0:
            continue
        places = np.zeros(BUCKETS, np.int64)
        for key in keys:
            places[(key >> shift) % BUCKETS] += 1
        place = 0
        for bucket in range(len(places)):
            place, places[bucket] = place + places[bucket], place
        for key in keys:
            bucket = (key >> shift) % BUCKETS
            other[places[bucket]] = key
            places[bucket] += 1
        keys, other = other, keys
    return keys


@njit(cache=True, parallel=True)
def gather_credits(chunks, schedule, rects, starts, tiles_x, credits, out):
    """Sum the pairs' credits [pairs, D] into the Gaussians' rows of out [N, D]."""
    for job in prange(len(schedule)):
        cursor = starts[schedule[job]].copy()
        for i in range(chunks[schedule[job]], chunks[schedule[job] + 1]):
            for ty in range(rects[i, 2], rects[i, 3]):
                for tx in range(rects[i, 0], rects[i, 1]):
                    slot = cursor[ty * tiles_x + tx]
                    cursor[ty * tiles_x + tx] = slot + 1
                    for k in range(credits.shape[1]):
                        out[i, k] += credits[slot, k]


@njit(cache=True, parallel=True)
def gather_votes(chunks, schedule, rects, starts, tiles_x, present, counts, credits, out):
    """Sum the pairs' votes into the Gaussians' rows of out [N, labels].

    A pair has counts[tile] of them, for the labels present[tile]; starts says where, accordingly.
    """
    for job in prange(len(schedule)):
        cursor = starts[schedule[job]].copy()
        for i in range(chunks[schedule[job]], chunks[schedule[job] + 1]):
            for ty in range(rects[i, 2], rects[i, 3]):
                for tx in range(rects[i, 0], rects[i, 1]):
                    tile = ty * tiles_x + tx
                    at = cursor[tile]
                    cursor[tile] = at + counts[tile]
                    for k in range(counts[tile]):
                        out[i, present[tile, k]] += credits[at + k]
