# SPDX-License-Identifier: Apache-2.0
"""A first splat map from posed RGB-D frames: flat Gaussians on the fused surface."""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, UInt8
from torch import Tensor

from ros2_clickgs.core.distance_field import DepthView, DistanceField
from ros2_clickgs.core.geometry import quat_wxyz_from_rotmat, unproject
from ros2_clickgs.core.harmonics import sh_from_rgb
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.errors import ClickGSError, ShapeError

Frame = tuple[Camera, UInt8[np.ndarray, "H W 3"], Float32[np.ndarray, "Hd Wd"]]
"""A camera, its RGB image and its depth along the optical axis (m; 0 = unknown)."""

MIN_COSINE = 0.17
"""Rays that graze a surface by less than 10 degrees are dropped."""
DISPARITY_STEP = 0.01
"""Bend of 1/z (1/m per px^2) that is a depth step; on a plane 1/z does not bend at all."""
TANGENT_SCALE = 0.65
"""Standard deviation along the surface, in voxels: neighbours overlap and close it."""
NORMAL_SCALE = 0.12
"""Standard deviation along the normal, in voxels."""
SURFEL_OPACITY = 0.95


def fuse(frames: Iterable[Frame], voxel_m: float, *, min_views: int = 3) -> Gaussians:
    """Fuse posed RGB-D frames into surfels, one frame in memory at a time.

    Depth is averaged as a signed distance field, so that noise cancels and views carve the
    free space in front of what they see; each voxel that the surface crosses gives one surfel.

    Args:
        frames: camera, RGB image and depth (m, 0 = unknown), in any order.
        voxel_m: spacing of the surfels.
        min_views: surfaces seen by fewer frames are dropped (or by fewer than all frames).

    Returns:
        The map, in the cameras' world frame; normals are the third axis, towards the cameras.

    Raises:
        ShapeError: an image or depth has another size than its camera.
        ClickGSError: there is no frame, or no surface in any of them.
    """
    field = DistanceField(voxel_m, truncation_m=max(4 * voxel_m, 0.03))
    count = 0
    for camera, rgb, depth in frames:
        field.integrate(clean(camera, rgb, depth))
        count += 1
    surfels = surfels_from(field, min(min_views, count)) if count else None
    if surfels is None or len(surfels) == 0:
        raise ClickGSError(
            f"{count} RGB-D frames hold no surface seen by {min_views} views; "
            "check that depth is registered to the images and its unit is right"
        )
    return surfels


def clean(
    camera: Camera, rgb: UInt8[np.ndarray, "H W 3"], depth: Float32[np.ndarray, "Hd Wd"]
) -> DepthView:
    """Drop what RGB-D cameras get wrong: depth steps, flying pixels, hole rims, grazing rays."""
    size = (camera.height, camera.width)
    for name, shape in (("depth", depth.shape), ("image", rgb.shape[:2])):
        if shape != size:
            raise ShapeError(name, expected=f"{size} (height, width) as its camera", actual=shape)
    z = torch.from_numpy(np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0)).float()
    cosine = ray_cosines(camera, z)
    good = (z > 0) & ~has_step(z) & (cosine > MIN_COSINE)
    color = torch.from_numpy(np.ascontiguousarray(rgb)).float() / 255
    return DepthView(camera=camera, depth=z * good, cosine=cosine * good, color=color)


def has_step(z: Float[Tensor, "H W"]) -> Bool[Tensor, "H W"]:
    """Return where depth jumps or ends: 1/z is linear on planes, so its bend tells a step."""
    inverse = torch.where(z > 0, 1 / z.clamp(min=1e-3), torch.nan)
    padded = torch.nn.functional.pad(inverse[None], (1, 1, 1, 1), mode="replicate")[0]
    bend_u = padded[1:-1, 2:] + padded[1:-1, :-2] - 2 * inverse
    bend_v = padded[2:, 1:-1] + padded[:-2, 1:-1] - 2 * inverse
    return ~((bend_u.abs() < DISPARITY_STEP) & (bend_v.abs() < DISPARITY_STEP))


def ray_cosines(camera: Camera, z: Float[Tensor, "H W"]) -> Float[Tensor, "H W"]:
    """Return |cos| between each pixel's ray and the normal of its smoothed surface."""
    v, u = torch.meshgrid(torch.arange(z.shape[0]), torch.arange(z.shape[1]), indexing="ij")
    uv = torch.stack([u, v], -1).reshape(-1, 2) + 0.5
    known = (z > 0).float()
    blur = torch.nn.AvgPool2d(5, 1, 2, count_include_pad=False)
    smooth = blur((known / z.clamp(min=1e-3))[None])[0] / blur(known[None])[0].clamp(min=1e-6)
    points = unproject(camera, uv, (1 / smooth.clamp(min=1e-3)).reshape(-1)).view(*z.shape, 3)
    along_v, along_u = torch.gradient(points, dim=(0, 1))
    normals = torch.nn.functional.normalize(torch.linalg.cross(along_u, along_v), dim=-1)
    rays = torch.nn.functional.normalize(points - camera.center.float(), dim=-1)
    return (normals * rays).sum(-1).abs()


def surfels_from(field: DistanceField, min_views: int) -> Gaussians:
    """Return one flat Gaussian for every voxel that the zero level crosses."""
    distance, frames, color_weight = (
        field.fields[..., 0],
        field.fields[..., 2],
        field.fields[..., 6],
    )
    crossed = distance.abs() < 0.55 * field.voxel_m
    voxels = field.voxels(crossed & (frames >= min_views) & (color_weight > 0))
    values = field.at(voxels)
    gradients, complete = distance_gradients(field, voxels)
    slope = gradients.norm(dim=-1)
    good = complete & (slope > 0.4) & (slope < 1.6)
    voxels, values, gradients, slope = voxels[good], values[good], gradients[good], slope[good]
    normals = gradients / slope[:, None]
    means = (voxels + 0.5) * field.voxel_m - normals * (values[:, 0] / slope)[:, None]
    return flat_gaussians(means, normals, values[:, 3:6], field.voxel_m)


def distance_gradients(
    field: DistanceField, voxels: Int[Tensor, "M 3"]
) -> tuple[Float[Tensor, "M 3"], Bool[Tensor, " M"]]:
    """Return the distance's central differences (m per m), and where all of them are known."""
    differences, complete = [], torch.ones(len(voxels), dtype=torch.bool)
    for step in torch.eye(3, dtype=torch.int64):
        after, before = field.at(voxels + step), field.at(voxels - step)
        differences.append((after[:, 0] - before[:, 0]) / (2 * field.voxel_m))
        complete &= (after[:, 1] > 0) & (before[:, 1] > 0)
    return torch.stack(differences, -1), complete


def flat_gaussians(
    means: Float[Tensor, "N 3"],
    normals: Float[Tensor, "N 3"],
    colors: Float[Tensor, "N 3"],
    spacing_m: float,
) -> Gaussians:
    """Return discs that close a surface sampled every `spacing_m`: thin along their third axis."""
    helper = torch.nn.functional.one_hot(normals.abs().argmin(-1), 3).to(normals)
    first = torch.nn.functional.normalize(torch.linalg.cross(helper, normals), dim=-1)
    R = torch.stack([first, torch.linalg.cross(normals, first), normals], -1)
    scales = torch.tensor([TANGENT_SCALE, TANGENT_SCALE, NORMAL_SCALE]) * spacing_m
    return Gaussians(
        means=means,
        quats=quat_wxyz_from_rotmat(R),
        scales=scales.expand(len(means), 3).contiguous(),
        opacities=torch.full((len(means),), SURFEL_OPACITY),
        sh=sh_from_rgb(colors),
    )
