# SPDX-License-Identifier: Apache-2.0
"""The CPU backend: tiles of 16x16 pixels on all cores; votes need no image and no gradient."""

import numba
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ros2_clickgs.backends.numba_kernels import (
    backproject_tiles,
    labels_in_tiles,
    splat_tiles,
    vote_tiles,
    weigh_pixels,
)
from ros2_clickgs.backends.numba_projection import TILE, geometry_of
from ros2_clickgs.backends.numba_tiles import (
    TiledSplats,
    gather_credits,
    gather_votes,
    interleave,
    tile_splats,
)
from ros2_clickgs.core.rasterizer import BlendWeights
from ros2_clickgs.core.types import Camera, Gaussians

CHANNELS_AT_ONCE = 32
"""Channels blended in one pass, so that a tile's planes stay in the first-level cache."""

numba.config.THREADING_LAYER = (
    "omp"  # the default may be workqueue, which two threads cannot share
)


class NumbaRasterizer:
    """Blending weights on the CPU; remembers how the last camera's splats fell on its tiles."""

    def __init__(self, gaussians: Gaussians) -> None:
        self.gaussians = gaussians.to("cpu")
        names = ("means", "quats", "scales", "opacities")
        arrays = (getattr(self.gaussians, name).float().numpy() for name in names)
        self._geometry = geometry_of(*map(np.ascontiguousarray, arrays))
        self._last: tuple[Camera, TiledSplats] | None = None

    def splat(self, camera: Camera, values: Float[Tensor, "N D"]) -> Float[Tensor, "H W D"]:
        """See Rasterizer."""
        tiled = self._tiled(camera)
        image = torch.empty(camera.height, camera.width, values.shape[1])
        for start in range(0, values.shape[1], CHANNELS_AT_ONCE):
            chunk = contiguous(values[:, start : start + CHANNELS_AT_ONCE])
            part = np.empty((camera.height, camera.width, chunk.shape[1]), np.float32)
            splat_tiles(*tiles_of(tiled), tiled.order, tiled.ids, tiled.splats, chunk, part)
            image[..., start : start + CHANNELS_AT_ONCE] = torch.from_numpy(part)
        return image

    def backproject(self, camera: Camera, image: Float[Tensor, "H W D"]) -> Float[Tensor, "N D"]:
        """See Rasterizer."""
        tiled = self._tiled(camera)
        values = torch.empty(len(self.gaussians), image.shape[-1])
        for start in range(0, image.shape[-1], CHANNELS_AT_ONCE):
            chunk = contiguous(image[..., start : start + CHANNELS_AT_ONCE])
            credits = np.empty((len(tiled.order), chunk.shape[-1]), np.float32)
            backproject_tiles(*tiles_of(tiled), tiled.order, tiled.splats, chunk, credits)
            part = np.zeros((len(self.gaussians), chunk.shape[-1]), np.float32)
            gather_credits(*tiled.plan, credits, part)
            values[:, start : start + CHANNELS_AT_ONCE] = torch.from_numpy(part)
        return values

    def vote(
        self, camera: Camera, label_image: Int[Tensor, "H W"], label_count: int
    ) -> Float[Tensor, "N L"]:
        """See Rasterizer."""
        tiled, plan = self._tiled(camera), self._tiled(camera).plan
        labels = np.ascontiguousarray(label_image.numpy(), np.int32)
        tile_starts = tiled.tile_offsets[:-1]
        present, counts = labels_in_tiles(labels, plan.tiles_x, len(tile_starts), label_count)
        bases = np.concatenate([[0], np.cumsum(np.diff(tiled.tile_offsets) * counts)])
        credits = np.empty(bases[-1], np.float32)
        vote_tiles(
            *tiles_of(tiled), tiled.order, tiled.splats, labels, present, counts, bases, credits
        )
        votes = np.zeros((len(self.gaussians), label_count), np.float32)
        starts = bases[:-1] + (plan.starts - tile_starts) * counts
        gather_votes(*plan._replace(starts=starts), present, counts, credits, votes)
        return torch.from_numpy(votes)

    def weights(self, camera: Camera, pixels: Int[Tensor, "P 2"] | None = None) -> BlendWeights:
        """See Rasterizer."""
        tiled = self._tiled(camera)
        u, v = pixel_grid(camera) if pixels is None else pixels.numpy().astype(np.int64).T
        tiles = (v // TILE) * tiled.plan.tiles_x + u // TILE
        order = np.lexsort((v, tiles))
        jobs, starts = np.unique(tiles[order], return_index=True)
        listed = (
            jobs, np.append(starts, len(order)), tiled.tile_offsets, tiled.order, tiled.ids,
            tiled.splats, (u[order] + 0.5).astype(np.float32), (v[order] + 0.5).astype(np.float32),
        )  # fmt: skip
        counts = np.zeros(len(order), np.int64)
        weigh_pixels(*listed, counts, np.empty(0, np.int32), np.empty(0, np.float32))
        row_counts = np.empty_like(counts)
        row_counts[order] = counts
        row_offsets = np.concatenate([[0], np.cumsum(row_counts)])
        ids = np.empty(row_offsets[-1], np.int32)
        weights = np.empty(row_offsets[-1], np.float32)
        if len(ids):
            weigh_pixels(*listed, row_offsets[:-1][order], ids, weights)
        return BlendWeights(
            row_offsets=torch.from_numpy(row_offsets),
            gaussian_ids=torch.from_numpy(ids),
            weights=torch.from_numpy(weights),
            gaussian_count=len(self.gaussians),
        )

    def _tiled(self, camera: Camera) -> TiledSplats:
        if self._last is None or self._last[0] is not camera:
            self._last = (camera, tile_splats(self._geometry, *arrays_of(camera)))
        return self._last[1]


def arrays_of(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return the camera as viewmat [4, 4] and (fx, fy, cx, cy, width, height) (px)."""
    K = camera.K
    intrinsics = [K[0, 0], K[1, 1], K[0, 2], K[1, 2], camera.width, camera.height]
    return camera.viewmat.numpy(), np.array(intrinsics, np.float64)


def tiles_of(tiled: TiledSplats) -> tuple[np.ndarray, int, np.ndarray]:
    """Return what loops over tiles begin with: who takes which, tiles in a row, their offsets."""
    return interleave(len(tiled.tile_offsets) - 1), tiled.plan.tiles_x, tiled.tile_offsets


def contiguous(values: Tensor) -> np.ndarray:
    """Return a tensor's numbers one after the other, float32."""
    return np.ascontiguousarray(values.numpy(), np.float32)


def pixel_grid(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return u and v of every pixel, row by row."""
    v, u = np.divmod(np.arange(camera.width * camera.height), camera.width)
    return u, v
