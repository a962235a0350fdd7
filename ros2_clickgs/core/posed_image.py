# SPDX-License-Identifier: Apache-2.0
"""An image whose camera is known, and the clicks that it shows."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8

from ros2_clickgs.core.geometry import project
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import render
from ros2_clickgs.core.segmenter import Prompt
from ros2_clickgs.core.state import Click
from ros2_clickgs.core.types import Camera

VISIBLE_TOLERANCE = 0.07
"""How far a clicked point may lie off the map's surface, as a share of its depth."""


@dataclass(slots=True, eq=False)
class PosedImage:
    """An image whose camera is known, and what the map says of its depth."""

    camera: Camera
    image: UInt8[np.ndarray, "H W 3"]
    """RGB."""
    depth: Float32[np.ndarray, "H W"] | None = field(default=None, repr=False)
    """The map's depth in this view, in m, 0 where there is none; rendered when first needed."""


def rendered_image(rasterizer: Rasterizer, camera: Camera) -> PosedImage:
    """Return what the map itself shows from a camera."""
    rendering = render(rasterizer, camera)
    color = (rendering.color * 255).round().to(torch.uint8)
    return PosedImage(camera, color.cpu().numpy(), rendering.depth.cpu().numpy())


def with_depth(rasterizer: Rasterizer, image: PosedImage) -> PosedImage:
    """Return the image with the map's depth, rendered if nobody needed it before."""
    if image.depth is None:
        image.depth = render(rasterizer, image.camera).depth.cpu().numpy()
    return image


def shown_clicks(rasterizer: Rasterizer, image: PosedImage, clicks: list[Click]) -> Prompt | None:
    """Return the clicks that an image shows, on the surface, or None if it shows none."""
    depth = with_depth(rasterizer, image).depth
    uvz = project(image.camera, torch.stack([click.point.double() for click in clicks])).numpy()
    shown = [is_visible(depth, point) for point in uvz]
    if not any(shown):
        return None
    labels = np.array([click.positive for click in clicks])[shown]
    return Prompt(point_coords=uvz[shown, :2], point_labels=labels)


def prompt_of(rasterizer: Rasterizer, image: PosedImage, clicks: list[Click]) -> Prompt | None:
    """Return the clicks that an image shows, or None if it shows no positive one."""
    prompt = shown_clicks(rasterizer, image, clicks)
    return prompt if prompt is not None and prompt.point_labels.any() else None


def is_visible(depth: Float32[np.ndarray, "H W"], uvz: Float[np.ndarray, "3"]) -> bool:
    """Tell whether a projected point (px, px, m) lies in the image and on the surface it shows."""
    height, width = depth.shape
    if not (0 <= uvz[0] < width and 0 <= uvz[1] < height and uvz[2] > 0):
        return False
    off_surface = abs(float(depth[int(uvz[1]), int(uvz[0])]) - uvz[2])
    return bool(off_surface <= VISIBLE_TOLERANCE * uvz[2])
