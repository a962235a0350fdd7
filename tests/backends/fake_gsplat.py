# SPDX-License-Identifier: Apache-2.0
"""The four functions of gsplat 1.5.3 that we call, in plain torch: same arguments and layouts.

What gsplat leaves unwritten is NaN here, and what its launchers cannot take is refused.
"""

import math

import torch

from ros2_clickgs.backends.reference import blend, project_gaussians
from ros2_clickgs.core.types import Camera, Gaussians


def fully_fused_projection(
    means, covars, quats, scales, viewmats, Ks, width, height, eps2d=0.3, near_plane=0.01,
    far_plane=1e10, radius_clip=0.0, packed=False, sparse_grad=False, calc_compensations=False,
    camera_model="pinhole", opacities=None,
):  # fmt: skip
    (n,), c = means.shape[:-1], len(viewmats)
    assert n > 0, "the launcher divides by N"
    assert (means.shape, quats.shape, scales.shape) == ((n, 3), (n, 4), (n, 3))
    assert (viewmats.shape, Ks.shape, opacities.shape) == ((c, 4, 4), (c, 3, 3), (n,))
    assert covars is None
    assert not packed
    tensors = (means, quats, scales, viewmats, Ks, opacities)
    assert {t.dtype for t in tensors} == {torch.float32}
    assert {t.device for t in tensors} == {means.device}
    exact = [t.cpu().double() for t in (means, quats, scales, opacities)]
    names = ("means", "quats", "scales", "opacities")
    gaussians = Gaussians(**dict(zip(names, exact, strict=True)), sh=exact[0][:, None])
    pose = torch.linalg.inv(viewmats[0].cpu().double())
    camera = Camera(K=Ks[0].cpu(), T_world_camera=pose, width=width, height=height)
    means2d, conics, radii, depths = project_gaussians(gaussians, camera)
    unseen = ~torch.isfinite(depths)
    radii = torch.where(unseen[:, None], 0.0, radii).int()
    for written in (means2d, conics, depths):
        written[unseen] = math.nan
    out = [t.float().to(means)[None] for t in (means2d, depths, conics)]
    return radii.to(means.device)[None], *out, None


def isect_tiles(means2d, radii, depths, tile_size, tile_width, tile_height):
    images, n = means2d.shape[:2]
    assert images == 1
    assert (radii.shape, depths.shape) == ((1, n, 2), (1, n))
    assert radii.dtype == torch.int32
    rows = torch.nonzero((radii[0] > 0).all(1))[:, 0]
    center, reach = means2d[0, rows] / tile_size, radii[0, rows] / tile_size
    limit = torch.tensor([tile_width, tile_height], device=means2d.device)
    low = (center - reach).floor().clamp(min=0).minimum(limit).long()
    high = (center + reach).ceil().clamp(min=0).minimum(limit).long()
    keys, ids = [], []
    for row, (x0, y0), (x1, y1) in zip(rows.tolist(), low.tolist(), high.tolist(), strict=True):
        depth = int(depths[0, row].cpu().view(torch.int32))
        for tile in (y * tile_width + x for y in range(y0, y1) for x in range(x0, x1)):
            keys.append(tile << 32 | depth)
            ids.append(row)
    keys = torch.tensor(keys, dtype=torch.int64, device=means2d.device)
    ids = torch.tensor(ids, dtype=torch.int32, device=means2d.device)
    keys, order = torch.sort(keys, stable=True)
    return None, keys, ids[order]


def isect_offset_encode(isect_ids, n_images, tile_width, tile_height):
    tiles = torch.arange(tile_width * tile_height, device=isect_ids.device)
    offsets = torch.searchsorted(isect_ids >> 32, tiles).int()
    return offsets.reshape(n_images, tile_height, tile_width)


def rasterize_to_pixels(
    means2d, conics, colors, opacities, image_width, image_height, tile_size,
    isect_offsets, flatten_ids,
):  # fmt: skip
    n = means2d.shape[1]
    assert (means2d.shape, conics.shape, opacities.shape) == ((1, n, 2), (1, n, 3), (1, n))
    assert colors.shape == (1, n, colors.shape[-1])
    assert 1 <= colors.shape[-1] <= 513
    assert colors.dtype == torch.float32
    starts = [*isect_offsets.flatten().tolist(), len(flatten_ids)]
    tiles_x, size = isect_offsets.shape[-1], tile_size
    image = colors.new_zeros(image_height * image_width, colors.shape[-1])
    for tile in range(isect_offsets.numel()):
        ids = flatten_ids[starts[tile] : starts[tile + 1]].long()
        v = torch.arange((tile // tiles_x) * size, min((tile // tiles_x + 1) * size, image_height))
        u = torch.arange((tile % tiles_x) * size, min((tile % tiles_x + 1) * size, image_width))
        pixels = torch.cartesian_prod(v, u).to(means2d.device)
        delta = means2d[0, ids] - (pixels.flip(-1)[:, None] + 0.5)
        painted = blend(delta, conics[0, ids], opacities[0, ids]) @ colors[0, ids]
        image = image.index_add(0, pixels[:, 0] * image_width + pixels[:, 1], painted)
    return image.reshape(1, image_height, image_width, -1), None
