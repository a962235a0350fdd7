# SPDX-License-Identifier: Apache-2.0
"""A sparse truncated signed distance field: depth images in, distances and colours out.

Space is cut into blocks of 8^3 voxels, kept only near surfaces and found by a sorted key. Unlike
Open3D's VoxelBlockGrid it weights every pixel by its noise and lets later views carve free space.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ros2_clickgs.core.geometry import project, unproject
from ros2_clickgs.core.types import Camera

BLOCK = 8
"""Voxels along a block's edge."""
KEY_RANGE = 1 << 20
"""Blocks per axis that a key can tell apart: 80 km at 1 cm."""
BEHIND_M, BEHIND_PER_M2 = 0.01, 0.006
"""How far behind a depth z (m) it still tells of the surface: noise grows as z squared."""
COLOR_SIGMA = 0.15
"""Colour difference at which a new colour counts half (highlights, shadows, wrong exposure)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthView:
    """One cleaned RGB-D frame, a row per pixel in `H W` order; depth 0 is unknown."""

    camera: Camera
    depth: Float[Tensor, "H W"]
    """Along the optical axis, in m."""
    cosine: Float[Tensor, "H W"]
    """Between the surface normal and the pixel's ray, in [0, 1]."""
    color: Float[Tensor, "H W 3"]
    """RGB in [0, 1]."""


def keys_from_blocks(blocks: Int[Tensor, "B 3"]) -> Int[Tensor, " B"]:
    """Pack integer block coordinates into one sortable number."""
    x, y, z = (blocks + KEY_RANGE // 2).unbind(-1)
    return (x * KEY_RANGE + y) * KEY_RANGE + z


def blocks_from_keys(keys: Int[Tensor, " B"]) -> Int[Tensor, "B 3"]:
    """Undo `keys_from_blocks`."""
    parts = (keys // KEY_RANGE**2, keys // KEY_RANGE % KEY_RANGE, keys % KEY_RANGE)
    return torch.stack(parts, -1) - KEY_RANGE // 2


class DistanceField:
    """Distances to the nearest surface, positive on the cameras' side, averaged over the frames.

    Source: Curless and Levoy, "A volumetric method for building complex models from range images",
    SIGGRAPH 1996; block hashing as in Niessner et al., TOG 2013.
    """

    def __init__(self, voxel_m: float, truncation_m: float) -> None:
        """Start empty.

        Args:
            voxel_m: edge of a voxel.
            truncation_m: distances are kept up to here; must exceed the noise of far depth.
        """
        self.voxel_m = voxel_m
        self.truncation_m = truncation_m
        self.keys = torch.zeros(0, dtype=torch.int64)
        """Keys of the blocks, [B], in the order of their making."""
        self.sorted_keys, self.order = self.keys.sort()
        self.storage = torch.zeros(1024, BLOCK**3, 7)
        """Fields of the blocks, with room for more: it doubles when it is full."""
        axis = torch.arange(BLOCK)
        self.offsets = torch.cartesian_prod(axis, axis, axis)
        """Voxel coordinates within a block, [512, 3]."""

    @property
    def fields(self) -> Float[Tensor, "B V 7"]:
        """Per voxel: distance (m), weight, number of frames, red, green, blue, colour weight."""
        return self.storage[: len(self.keys)]

    def integrate(self, view: DepthView) -> None:
        """Average one frame into the field."""
        self._allocate(view)
        rows = self._visible_rows(view)
        origins = blocks_from_keys(self.keys[rows]) * BLOCK
        voxels = (origins[:, None] + self.offsets).reshape(-1, 3)
        hits, distances, pixels = self._measure(view, (voxels + 0.5) * self.voxel_m)
        flat = rows.repeat_interleave(BLOCK**3)[hits] * BLOCK**3 + hits % BLOCK**3
        self._average(view, flat, distances, pixels)

    def at(self, voxels: Int[Tensor, "M 3"]) -> Float[Tensor, "M 7"]:
        """Return the fields of voxels by integer coordinates; zeros where nothing is kept."""
        rows, known = self._find(keys_from_blocks(voxels.div(BLOCK, rounding_mode="floor")))
        inner = voxels.remainder(BLOCK)
        columns = (inner[:, 0] * BLOCK + inner[:, 1]) * BLOCK + inner[:, 2]
        return self.fields[rows, columns] * known[:, None]

    def voxels(self, chosen: Bool[Tensor, "B V"]) -> Int[Tensor, "M 3"]:
        """Return the integer coordinates of the chosen voxels."""
        rows, columns = chosen.nonzero(as_tuple=True)
        return blocks_from_keys(self.keys[rows]) * BLOCK + self.offsets[columns]

    def behind(self, depth: Float[Tensor, " M"]) -> Float[Tensor, " M"]:
        """Return how far (m) behind its depth (m) a pixel measures: thin walls have two sides."""
        reach = BEHIND_M + BEHIND_PER_M2 * depth**2
        return reach.clamp(2 * self.voxel_m, self.truncation_m)

    def _find(self, keys: Int[Tensor, " M"]) -> tuple[Int[Tensor, " M"], Bool[Tensor, " M"]]:
        places = torch.searchsorted(self.sorted_keys, keys).clamp(max=len(self.keys) - 1)
        return self.order[places], self.sorted_keys[places] == keys

    def _allocate(self, view: DepthView) -> None:
        """Make room for the blocks within the truncation of this frame's surface points."""
        v, u = (view.depth > 0).nonzero(as_tuple=True)
        depths = view.depth[v, u]
        uv = torch.stack([u, v], -1) + 0.5
        edge = BLOCK * self.voxel_m
        reach = (self.truncation_m / depths).clamp(max=0.9)
        near = unproject(view.camera, uv, depths * (1 - reach))
        far = unproject(view.camera, uv, depths * (1 + reach))
        steps = 2 + int(2 * self.truncation_m / edge)
        samples = [torch.lerp(near, far, i / steps) for i in range(steps + 1)]
        blocks = (torch.cat(samples) / edge).floor().long()
        keys = torch.unique(keys_from_blocks(blocks))
        self.keys = torch.cat([self.keys, keys[~torch.isin(keys, self.keys)]])
        self.sorted_keys, self.order = self.keys.sort()
        if len(self.keys) > len(self.storage):
            room = self.storage.new_zeros(max(len(self.storage), len(self.keys)), BLOCK**3, 7)
            self.storage = torch.cat([self.storage, room])

    def _visible_rows(self, view: DepthView) -> Int[Tensor, " R"]:
        """Return the blocks in view that are not hidden behind this frame's surfaces."""
        edge = BLOCK * self.voxel_m
        u, v, z = project(view.camera, (blocks_from_keys(self.keys) + 0.5) * edge).unbind(-1)
        K, height, width = view.camera.K, *view.depth.shape
        margin = edge / z.clamp(min=edge) * float(K[0, 0])
        inside = (
            (z > 0) & (u > -margin) & (v > -margin) & (u < width + margin) & (v < height + margin)
        )
        reach = int(edge * float(K[0, 0]))
        farthest = torch.nn.functional.max_pool2d(
            view.depth[None], (2 * reach + 1, 1), 1, (reach, 0)
        )
        farthest = torch.nn.functional.max_pool2d(farthest, (1, 2 * reach + 1), 1, (0, reach))[0]
        limit = farthest[v.long().clamp(0, height - 1), u.long().clamp(0, width - 1)]
        return (inside & (z < limit + self.truncation_m + edge)).nonzero()[:, 0]

    def _measure(
        self, view: DepthView, centers: Float[Tensor, "M 3"]
    ) -> tuple[Int[Tensor, " R"], Float[Tensor, " R"], Int[Tensor, " R"]]:
        """Return which voxels this frame measures, their distance (m), and the telling pixel."""
        u, v, z = project(view.camera, centers).unbind(-1)
        height, width = view.depth.shape
        inside = (z > 0) & (u >= 0) & (v >= 0) & (u < width) & (v < height)
        pixels = v.long().clamp(0, height - 1) * width + u.long().clamp(0, width - 1)
        measured = view.depth.reshape(-1)[pixels]
        distances = (measured - z) * view.cosine.reshape(-1)[pixels]
        near = distances > -self.behind(measured)
        hits = (inside & (measured > 0) & near).nonzero()[:, 0]
        return hits, distances[hits].clamp(max=self.truncation_m), pixels[hits]

    def _average(
        self,
        view: DepthView,
        flat: Int[Tensor, " R"],
        distances: Float[Tensor, " R"],
        pixels: Int[Tensor, " R"],
    ) -> None:
        """Fold measurements into voxels: weight cos / z^2, fading behind the surface."""
        depth, cosine = view.depth.reshape(-1)[pixels], view.cosine.reshape(-1)[pixels]
        fade = (1 + (distances + self.voxel_m) / (self.behind(depth) - self.voxel_m)).clamp(0, 1)
        weight = cosine / depth**2 * fade
        old = self.fields.view(-1, 7)[flat]
        color = view.color.reshape(-1, 3)[pixels]
        near = distances.abs() < 2 * self.voxel_m
        off = torch.where(old[:, 2] > 2, (color - old[:, 3:6]).norm(dim=-1) / COLOR_SIGMA, 0.0)
        color_weight = weight * near / (1 + off**2)
        total, color_total = old[:, 1] + weight, old[:, 6] + color_weight
        new = torch.empty_like(old)
        new[:, 0] = torch.lerp(old[:, 0], distances, weight / total.clamp(min=1e-9))
        new[:, 1], new[:, 2] = total, old[:, 2] + 1
        share = (color_weight / color_total.clamp(min=1e-9))[:, None]
        new[:, 3:6], new[:, 6] = torch.lerp(old[:, 3:6], color, share), color_total
        self.fields.view(-1, 7)[flat] = new
