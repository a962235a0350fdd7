# SPDX-License-Identifier: Apache-2.0
"""Colours of a map from images alone: its geometry stays, so rendering is linear in them."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from ros2_clickgs.core.fusion import has_step
from ros2_clickgs.core.geometry import project
from ros2_clickgs.core.harmonics import rgb_from_sh, sh_from_rgb
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import Camera, Gaussians

STEP = 0.4
"""Share of a view's error that is corrected at once; below 1 because exposures differ."""
COVERED = 0.9
"""Alpha from which a pixel shows the map and nothing behind it."""
RIM_PX = 2
"""Outlines and holes are left alone up to here."""
FAINT = 0.05
"""Weight (px) added below the line, so that Gaussians hardly in view hardly change."""


def refine_colors(
    rasterizer: Rasterizer, images: Iterable[tuple[Camera, UInt8[np.ndarray, "H W 3"]]]
) -> Gaussians:
    r"""Sharpen the colours of a map by the images that it should look like.

    Averaging colours blurs; this undoes it, one view after the other (SART):

    .. math:: c \leftarrow c + \lambda \, W^T (I - W c) \, / \, W^T 1

    Source: Andersen and Kak, "Simultaneous algebraic reconstruction technique", Ultrasonic
    Imaging 1984.

    Args:
        rasterizer: owner of the blending weights; its map must have SH degree 0.
        images: cameras and RGB images in mixed order, as neighbours say the same.

    Returns:
        The map with new colours.
    """
    gaussians = rasterizer.gaussians
    colors = rgb_from_sh(gaussians.sh)
    ones = torch.ones_like(colors[:, :1])
    for camera, rgb in images:
        depths = project(camera, gaussians.means)[:, 2:]
        rendered = rasterizer.splat(camera, torch.cat([colors, depths, ones], dim=-1))
        clear = is_clear(rendered[..., 3], rendered[..., 4])[..., None].float()
        error = torch.from_numpy(rgb).to(rendered) / 255 - rendered[..., :3]
        credit = rasterizer.backproject(camera, torch.cat([error * clear, clear], dim=-1))
        colors = (colors + STEP * credit[:, :3] / (credit[:, 3:] + FAINT)).clamp(0, 1)
    return replace(gaussians, sh=sh_from_rgb(colors))


def is_clear(depth_sum: Float[Tensor, "H W"], alpha: Float[Tensor, "H W"]) -> Bool[Tensor, "H W"]:
    """Return where a view shows one surface, away from outlines, which may be off by pixels."""
    step = has_step(torch.where(alpha > COVERED, depth_sum / alpha, 0.0))[None].float()
    return torch.nn.functional.max_pool2d(step, 2 * RIM_PX + 1, 1, RIM_PX)[0] == 0
