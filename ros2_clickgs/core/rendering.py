# SPDX-License-Identifier: Apache-2.0
"""Pictures of the map: colour, depth, alpha and labels are just values splatted."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from ros2_clickgs.core.geometry import project
from ros2_clickgs.core.harmonics import colors
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import BACKGROUND, Camera

HALF_COVERED = 0.5
"""Alpha below which a pixel shows no surface and has no depth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """One view of the map."""

    color: Float[Tensor, "H W 3"]
    """RGB in [0, 1] on black."""
    depth: Float[Tensor, "H W"]
    """Mean depth along the optical axis, in m; 0 where alpha is below one half."""
    alpha: Float[Tensor, "H W"]
    """How much of each pixel the map covers, in [0, 1]."""


def render(rasterizer: Rasterizer, camera: Camera) -> Rendering:
    """Render colour, depth and alpha in one pass."""
    gaussians = rasterizer.gaussians
    depths = project(camera, gaussians.means)[:, 2:].nan_to_num()
    image = rasterizer.splat(
        camera, torch.cat([colors(gaussians, camera), depths, torch.ones_like(depths)], dim=-1)
    )
    alpha = image[..., 4]
    depth = torch.where(alpha > HALF_COVERED, image[..., 3] / alpha.clamp(min=HALF_COVERED), 0.0)
    return Rendering(color=image[..., :3].clamp(0, 1), depth=depth, alpha=alpha)


def render_labels(
    rasterizer: Rasterizer, camera: Camera, labels: Int[Tensor, " N"]
) -> Int32[Tensor, "H W"]:
    """Return each pixel's label of largest splatted weight, 0 where objects cover under half.

    Args:
        rasterizer: owner of the blending weights.
        camera: the view.
        labels: one label per Gaussian; those <= 0 are background.
    """
    ids = torch.unique(labels[labels > BACKGROUND])
    if len(ids) == 0:
        return torch.zeros(camera.height, camera.width, dtype=torch.int32)
    cover = rasterizer.splat(camera, (labels[:, None] == ids).float())
    best = ids[cover.argmax(-1)].int()
    return torch.where(cover.sum(-1) >= HALF_COVERED, best, BACKGROUND).int()
