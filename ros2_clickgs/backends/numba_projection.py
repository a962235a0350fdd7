# SPDX-License-Identifier: Apache-2.0
"""From a map and a camera to splats on the image and the tiles they touch, on all CPU cores.

Projected in float64, in blocks whose steps vectorise; kept as one row of 28 bytes per Gaussian.
"""

import numpy as np
from numba import njit, prange

from ros2_clickgs.backends import constants as c

TILE = 16
"""Side of a tile, in px: one or two vector registers are a row."""
BLOCK = 256
"""Gaussians projected at a time: all that is known of them stays in the first-level cache."""
COLUMNS = 7
U, V, A, B, D, LEVEL, REACH_V = range(COLUMNS)
"""Columns of a splat: centre (px); a, b, d and level, such that at (dx, dy) from the centre there
is level + a dx^2 + b dx dy + d dy^2; how far it reaches in v (px)."""
LEFT, RIGHT, TOP, BOTTOM, DEPTH = range(COLUMNS, COLUMNS + 5)
"""What else is known of a projected Gaussian: first and last pixel column and row, depth (m)."""
INPUTS = 13
"""Rows of what geometry_of returns."""
FAST = {"contract", "arcp", "nsz"}


@njit(cache=True, parallel=True)
def geometry_of(means, quats, scales, opacities):
    """Return what views need of a map, [13, N] float32: mean, the axes of R S, level.

    A projected covariance is a sum of products of projected axes, which float32 does not spoil,
    however thin a Gaussian is. Its level is ln(opacity / threshold): below 0 it is never seen.
    """
    geometry = np.empty((INPUTS, len(means)), np.float32)
    for i in prange(len(means)):
        w, x, y, z = quats[i, 0], quats[i, 1], quats[i, 2], quats[i, 3]
        for k in range(3):
            geometry[k, i] = means[i, k]
        geometry[3, i] = scales[i, 0] * (1 - 2 * (y * y + z * z))
        geometry[4, i] = scales[i, 0] * (2 * (x * y + w * z))
        geometry[5, i] = scales[i, 0] * (2 * (x * z - w * y))
        geometry[6, i] = scales[i, 1] * (2 * (x * y - w * z))
        geometry[7, i] = scales[i, 1] * (1 - 2 * (x * x + z * z))
        geometry[8, i] = scales[i, 1] * (2 * (y * z + w * x))
        geometry[9, i] = scales[i, 2] * (2 * (x * z + w * y))
        geometry[10, i] = scales[i, 2] * (2 * (y * z - w * x))
        geometry[11, i] = scales[i, 2] * (1 - 2 * (x * x + y * y))
        geometry[12, i] = np.log(opacities[i] / c.ALPHA_THRESHOLD)
    return geometry


@njit(cache=True, parallel=True)
def project(
    geometry, viewmat, intrinsics, chunks, schedule, tiles_x, splats, depths, rects, counts
):
    """Project every Gaussian and count what each tile will hold.

    Args:
        geometry: [13, N] float32, see geometry_of.
        viewmat: [4, 4] float64, world to camera.
        intrinsics: [6] float64: fx, fy, cx, cy, width, height (px).
        chunks: [C + 1] int64: Gaussians are dealt in this many runs.
        schedule: [C] int64: the order in which threads take the chunks.
        tiles_x: tiles in a row of the image.
        splats: [N, COLUMNS] float32, filled.
        depths: [N] float32, filled, in m.
        rects: [N, 4] int16, filled: first and one-past-last tile column, then row; empty: unseen.
        counts: [C, tiles] int64, counted up.
    """
    for job in prange(len(schedule)):
        chunk = schedule[job]
        block = np.empty((INPUTS + 13) * BLOCK, np.float32)
        for start in range(chunks[chunk], chunks[chunk + 1], BLOCK):
            count = min(BLOCK, chunks[chunk + 1] - start)
            for k in range(INPUTS):
                for j in range(count):
                    block[(13 + k) * BLOCK + j] = geometry[k, start + j]
            project_block(viewmat, intrinsics, count, block)
            for j in range(count):
                i = start + j
                depths[i] = block[DEPTH * BLOCK + j]
                for k in range(COLUMNS):
                    splats[i, k] = block[k * BLOCK + j]
                rects[i, 0] = np.int32(block[LEFT * BLOCK + j]) // TILE
                rects[i, 1] = (np.int32(block[RIGHT * BLOCK + j]) + TILE) // TILE
                rects[i, 2] = np.int32(block[TOP * BLOCK + j]) // TILE
                rects[i, 3] = (np.int32(block[BOTTOM * BLOCK + j]) + TILE) // TILE
                for ty in range(rects[i, 2], rects[i, 3]):
                    for tx in range(rects[i, 0], rects[i, 1]):
                        counts[chunk, ty * tiles_x + tx] += 1


@njit(inline="always", fastmath=FAST, error_model="numpy")
def project_block(viewmat, intrinsics, count, block):
    """Project Gaussians (EWA splatting, Zwicker et al. 2001): rows 13 on of the block to 0 .. 12.

    All lies in one array, so that nothing can overlap unknown to the compiler: it vectorises.
    """
    fx, fy, cx, cy, width, height = intrinsics
    margin_x, margin_y = c.FRUSTUM_MARGIN * 0.5 * width / fx, c.FRUSTUM_MARGIN * 0.5 * height / fy
    low_x, high_x = -cx / fx - margin_x, (width - cx) / fx + margin_x
    low_y, high_y = -cy / fy - margin_y, (height - cy) / fy + margin_y
    v00, v01, v02, v03 = viewmat[0]
    v10, v11, v12, v13 = viewmat[1]
    v20, v21, v22, v23 = viewmat[2]
    for j in range(count):
        mx = np.float64(block[13 * BLOCK + j])
        my = np.float64(block[14 * BLOCK + j])
        mz = np.float64(block[15 * BLOCK + j])
        z = v20 * mx + v21 * my + v22 * mz + v23
        rz = 1 / z
        x = (v00 * mx + v01 * my + v02 * mz + v03) * rz
        y = (v10 * mx + v11 * my + v12 * mz + v13) * rz
        u, v = fx * x + cx, fy * y + cy
        x = low_x if x < low_x else (high_x if x > high_x else x)
        y = low_y if y < low_y else (high_y if y > high_y else y)
        jx, jy = fx * rz, fy * rz
        s0, s1, s2 = jx * (v00 - x * v20), jx * (v01 - x * v21), jx * (v02 - x * v22)
        t0, t1, t2 = jy * (v10 - y * v20), jy * (v11 - y * v21), jy * (v12 - y * v22)
        p0 = s0 * block[16 * BLOCK + j] + s1 * block[17 * BLOCK + j] + s2 * block[18 * BLOCK + j]
        p1 = s0 * block[19 * BLOCK + j] + s1 * block[20 * BLOCK + j] + s2 * block[21 * BLOCK + j]
        p2 = s0 * block[22 * BLOCK + j] + s1 * block[23 * BLOCK + j] + s2 * block[24 * BLOCK + j]
        q0 = t0 * block[16 * BLOCK + j] + t1 * block[17 * BLOCK + j] + t2 * block[18 * BLOCK + j]
        q1 = t0 * block[19 * BLOCK + j] + t1 * block[20 * BLOCK + j] + t2 * block[21 * BLOCK + j]
        q2 = t0 * block[22 * BLOCK + j] + t1 * block[23 * BLOCK + j] + t2 * block[24 * BLOCK + j]
        a = c.EPS2D + p0 * p0 + p1 * p1 + p2 * p2
        b = p0 * q0 + p1 * q1 + p2 * q2
        d = c.EPS2D + q0 * q0 + q1 * q1 + q2 * q2
        det = a * d - b * b
        level = np.float64(block[25 * BLOCK + j])
        half = -0.5 / det
        reach_u, reach_v = np.sqrt(2 * level * a), np.sqrt(2 * level * d)
        block[U * BLOCK + j], block[V * BLOCK + j], block[DEPTH * BLOCK + j] = u, v, z
        block[A * BLOCK + j], block[D * BLOCK + j] = d * half, a * half
        block[B * BLOCK + j], block[LEVEL * BLOCK + j] = -2 * b * half, level
        block[REACH_V * BLOCK + j] = reach_v
        left, right = np.ceil(u - reach_u - 0.5), np.floor(u + reach_u - 0.5)
        top, bottom = np.ceil(v - reach_v - 0.5), np.floor(v + reach_v - 0.5)
        left, right = (left if left > 0 else 0.0), (right if right < width - 1 else width - 1)
        top, bottom = (top if top > 0 else 0.0), (bottom if bottom < height - 1 else height - 1)
        seen = (z >= c.NEAR_PLANE) & (z <= c.FAR_PLANE) & (level >= 0) & (det > 0)
        seen &= (left <= right) & (top <= bottom)
        block[LEFT * BLOCK + j] = left if seen else 0.0
        block[RIGHT * BLOCK + j] = right if seen else -TILE
        block[TOP * BLOCK + j] = top if seen else 0.0
        block[BOTTOM * BLOCK + j] = bottom if seen else -TILE
