# SPDX-License-Identifier: Apache-2.0
"""What one view sees, as gsplat projects, sorts and bins it: the input of every GPU kernel."""

from typing import NamedTuple

import torch
from torch import Tensor

from ros2_clickgs.backends.constants import EPS2D, FAR_PLANE, NEAR_PLANE
from ros2_clickgs.core.types import Camera, Gaussians

TILE = 16
"""Side of a tile, in px."""


class TiledSplats(NamedTuple):
    """Splats and, for each tile, the list of its splats front to back; leading axis: one image."""

    means2d: Tensor
    """[1, N, 2] float32, px; undefined where a Gaussian is in no list."""
    conics: Tensor
    """[1, N, 3] float32: a, b, c of the inverse covariance, 1/px^2."""
    opacities: Tensor
    """[1, N] float32."""
    tile_offsets: Tensor
    """[1, tiles_y, tiles_x] int32: where each tile's list starts; the next one's start ends it."""
    flatten_ids: Tensor
    """[pairs] int32: Gaussians of each tile, front to back."""


@torch.no_grad()
def tile_splats(gaussians: Gaussians, camera: Camera) -> TiledSplats:
    """Project, sort and bin a float32 map; one host round trip, for the number of pairs."""
    from gsplat import fully_fused_projection, isect_offset_encode, isect_tiles

    tiles_x, tiles_y = -(-camera.width // TILE), -(-camera.height // TILE)
    opacities = gaussians.opacities[None]
    if len(gaussians) == 0:  # gsplat's launcher divides by the number of Gaussians
        none = opacities.new_zeros(1, 0, 3)
        offsets = torch.zeros(1, tiles_y, tiles_x, dtype=torch.int32, device=gaussians.device)
        return TiledSplats(none[..., :2], none, opacities, offsets, offsets.new_zeros(0))
    viewmat, K = camera.viewmat.to(gaussians.means)[None], camera.K.to(gaussians.means)[None]
    radii, means2d, depths, conics, _ = fully_fused_projection(
        gaussians.means, None, gaussians.quats, gaussians.scales, viewmat, K,
        camera.width, camera.height, eps2d=EPS2D,
        near_plane=NEAR_PLANE, far_plane=FAR_PLANE, opacities=gaussians.opacities,
    )  # fmt: skip
    _, isect_ids, flatten_ids = isect_tiles(means2d, radii, depths, TILE, tiles_x, tiles_y)
    tile_offsets = isect_offset_encode(isect_ids, 1, tiles_x, tiles_y)
    return TiledSplats(means2d, conics, opacities, tile_offsets, flatten_ids)
