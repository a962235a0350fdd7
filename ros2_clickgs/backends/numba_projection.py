# SPDX-License-Identifier: Apache-2.0
"""From a map and a camera to splats sorted front to back and dealt to tiles, on all CPU cores.

Projected in float64, sorted by depth rounded to float32: so that splats of a quantised map, which
often lie equally deep, tie, and rounding on the way does not decide their order.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import get_num_threads, njit, prange

from ros2_clickgs.backends import constants as c

TILE = 16
"""Side of a tile, in px: one vector register is a row."""


class TiledSplats(NamedTuple):
    """What one view sees: M splats front to back, and for each tile the list of its splats."""

    gaussian_ids: np.ndarray
    """[M] int32: row of each splat in the map."""
    splats: np.ndarray
    """[M, 8] float32: u, v (px), conic a, b, c (1/px^2), opacity, reach in v (px), unused."""
    tile_rects: np.ndarray
    """[M, 4] int32: first and one-past-last tile column, then row."""
    pair_offsets: np.ndarray
    """[M + 1] int64: where each splat's (splat, tile) pairs start in `pair_slots`."""
    pair_slots: np.ndarray
    """[pairs] int32: position of each splat's pairs in the tile lists, rect row by row."""
    tile_offsets: np.ndarray
    """[tiles + 1] int64: where each tile's list starts in `tile_splats`."""
    tile_splats: np.ndarray
    """[pairs] int32: splats of each tile, front to back."""
    tiles_x: int
    """Tiles in a row of the image."""


def tile_splats(
    means: np.ndarray,
    quats: np.ndarray,
    scales: np.ndarray,
    opacities: np.ndarray,
    viewmat: np.ndarray,
    intrinsics: np.ndarray,
) -> TiledSplats:
    """Project, sort and bin a map for one camera.

    Args:
        means: [N, 3] float32, in m.
        quats: [N, 4] float32, wxyz, unit.
        scales: [N, 3] float32, in m.
        opacities: [N] float32.
        viewmat: [4, 4] float64, world to camera.
        intrinsics: [6] float64: fx, fy, cx, cy, width, height (px).
    """
    tiles_x, tiles_y = -(-int(intrinsics[4]) // TILE), -(-int(intrinsics[5]) // TILE)
    splats, rects, depths = project(means, quats, scales, opacities, viewmat, intrinsics)
    order = front_to_back(depths)
    splats, rects = gather_rows(splats, order), gather_rows(rects, order)
    chunks = np.linspace(0, len(order), get_num_threads() + 1).astype(np.int64)
    counts = count_pairs(rects, chunks, tiles_x, tiles_x * tiles_y)
    ends = np.cumsum(counts.T.ravel()).reshape(counts.T.shape)
    tile_offsets = np.concatenate([[0], ends[:, -1]]).astype(np.int64)
    pairs_each = np.prod(rects[:, 1::2] - rects[:, 0::2], axis=1, dtype=np.int64)
    pair_offsets = np.concatenate([[0], np.cumsum(pairs_each)])
    cursors = (ends - counts.T).T.copy()
    slots, lists = deal_pairs(rects, chunks, tiles_x, cursors, pair_offsets)
    return TiledSplats(order, splats, rects, pair_offsets, slots, tile_offsets, lists, tiles_x)


def front_to_back(depths: np.ndarray) -> np.ndarray:
    """Return the rows with a finite depth, nearest first, ties by row (as gsplat sorts)."""
    seen = np.flatnonzero(depths < np.inf).astype(np.uint64)
    keys = depths[seen].view(np.uint32).astype(np.uint64) << np.uint64(32) | seen
    keys.sort()
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int32)


@njit(cache=True, parallel=True, fastmath={"contract", "arcp", "nsz"}, error_model="numpy")
def project(means, quats, scales, opacities, viewmat, intrinsics):
    """Project every Gaussian: splats [N, 8], tile rects [N, 4], depths [N] (inf: unseen)."""
    n = len(means)
    splats = np.empty((n, 8), np.float32)
    rects = np.empty((n, 4), np.int32)
    depths = np.full(n, np.inf, np.float32)
    fx, fy, cx, cy, width, height = intrinsics
    margin_x, margin_y = c.FRUSTUM_MARGIN * 0.5 * width / fx, c.FRUSTUM_MARGIN * 0.5 * height / fy
    low_x, high_x = -cx / fx - margin_x, (width - cx) / fx + margin_x
    low_y, high_y = -cy / fy - margin_y, (height - cy) / fy + margin_y
    V = viewmat
    for i in prange(n):
        mx, my, mz = means[i, 0], means[i, 1], means[i, 2]
        z = V[2, 0] * mx + V[2, 1] * my + V[2, 2] * mz + V[2, 3]
        opacity = opacities[i]
        if not (c.NEAR_PLANE <= z <= c.FAR_PLANE) or opacity < c.ALPHA_THRESHOLD:
            continue
        rz = 1 / z
        x = (V[0, 0] * mx + V[0, 1] * my + V[0, 2] * mz + V[0, 3]) * rz
        y = (V[1, 0] * mx + V[1, 1] * my + V[1, 2] * mz + V[1, 3]) * rz
        u, v = fx * x + cx, fy * y + cy
        x, y = min(high_x, max(low_x, x)), min(high_y, max(low_y, y))
        a, b, d = projected_covariance(quats[i], scales[i], V, fx * rz, fy * rz, x, y)
        det = a * d - b * b
        if det <= 0:
            continue
        extent = min(c.MAX_EXTENT, math.sqrt(2 * math.log(opacity / c.ALPHA_THRESHOLD)))
        reach_u, reach_v = extent * math.sqrt(a), extent * math.sqrt(d)
        radius_u, radius_v = math.ceil(reach_u), math.ceil(reach_v)
        if u + radius_u <= 0 or u - radius_u >= width:
            continue
        if v + radius_v <= 0 or v - radius_v >= height:
            continue
        depths[i] = z
        splats[i, 0], splats[i, 1] = u, v
        splats[i, 2], splats[i, 3], splats[i, 4] = d / det, -b / det, a / det
        splats[i, 5], splats[i, 6] = opacity, reach_v
        rects[i, 0], rects[i, 1] = tile_span(u, reach_u, width)
        rects[i, 2], rects[i, 3] = tile_span(v, reach_v, height)
    return splats, rects, depths


@njit(inline="always")
def projected_covariance(q, s, V, jx, jy, x, y):
    """Return a, b, d of J V R S S^T R^T V^T J^T + EPS2D I; J's third column is (-jx x, -jy y)."""
    w, qx, qy, qz = q[0], q[1], q[2], q[3]
    a, b, d = c.EPS2D, 0.0, c.EPS2D
    for k in range(3):
        if k == 0:
            r0, r1, r2 = (
                1 - 2 * (qy * qy + qz * qz),
                2 * (qx * qy + w * qz),
                2 * (qx * qz - w * qy),
            )
        elif k == 1:
            r0, r1, r2 = (
                2 * (qx * qy - w * qz),
                1 - 2 * (qx * qx + qz * qz),
                2 * (qy * qz + w * qx),
            )
        else:
            r0, r1, r2 = (
                2 * (qx * qz + w * qy),
                2 * (qy * qz - w * qx),
                1 - 2 * (qx * qx + qy * qy),
            )
        c0 = V[0, 0] * r0 + V[0, 1] * r1 + V[0, 2] * r2
        c1 = V[1, 0] * r0 + V[1, 1] * r1 + V[1, 2] * r2
        c2 = V[2, 0] * r0 + V[2, 1] * r1 + V[2, 2] * r2
        p = jx * (c0 - x * c2) * s[k]
        r = jy * (c1 - y * c2) * s[k]
        a += p * p
        b += p * r
        d += r * r
    return a, b, d


@njit(inline="always")
def tile_span(center, reach, size):
    """Return the first and one-past-last tile with pixel centres in center +- reach (px)."""
    first = max(math.ceil(center - reach - 0.5), 0)
    last = min(math.floor(center + reach - 0.5), int(size) - 1)
    if last < first:
        return 0, 0
    return first // TILE, last // TILE + 1


@njit(cache=True, parallel=True)
def gather_rows(rows, order):
    """Return rows[order]."""
    out = np.empty((len(order), rows.shape[1]), rows.dtype)
    for i in prange(len(order)):
        out[i] = rows[order[i]]
    return out


@njit(cache=True, parallel=True)
def count_pairs(rects, chunks, tiles_x, tile_count):
    """Count the splats of each chunk in each tile: [chunks, tiles]."""
    counts = np.zeros((len(chunks) - 1, tile_count), np.int64)
    for chunk in prange(len(chunks) - 1):
        for i in range(chunks[chunk], chunks[chunk + 1]):
            for ty in range(rects[i, 2], rects[i, 3]):
                for tx in range(rects[i, 0], rects[i, 1]):
                    counts[chunk, ty * tiles_x + tx] += 1
    return counts


@njit(cache=True, parallel=True)
def deal_pairs(rects, chunks, tiles_x, cursors, pair_offsets):
    """Deal every splat to its tiles, keeping the order; cursors [chunks, tiles] say where."""
    slots = np.empty(pair_offsets[-1], np.int32)
    lists = np.empty(pair_offsets[-1], np.int32)
    for chunk in prange(len(chunks) - 1):
        cursor = cursors[chunk]
        for i in range(chunks[chunk], chunks[chunk + 1]):
            pair = pair_offsets[i]
            for ty in range(rects[i, 2], rects[i, 3]):
                for tx in range(rects[i, 0], rects[i, 1]):
                    slot = cursor[ty * tiles_x + tx]
                    cursor[ty * tiles_x + tx] = slot + 1
                    slots[pair] = slot
                    lists[slot] = i
                    pair += 1
    return slots, lists
