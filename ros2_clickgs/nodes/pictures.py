# SPDX-License-Identifier: Apache-2.0
"""Pictures that the worker makes for people: overlays on live images, views from anywhere."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32, UInt8
from torch import Tensor

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.rendering import render, render_labels
from ros2_clickgs.core.types import Camera
from ros2_clickgs.nodes.conversions.objects import color_of
from ros2_clickgs.nodes.keyframes import Frame
from ros2_clickgs.nodes.workbench import Workbench

TINT = 0.5
"""How much of an object's colour covers the image."""


class Picture(NamedTuple):
    """A view rendered from the map."""

    color: UInt8[np.ndarray, "H W 3"]
    depth: Float32[np.ndarray, "H W"]
    """In m, NaN where the map covers less than half."""
    labels: Int32[np.ndarray, "H W"]


def overlay(workbench: Workbench, frame: Frame) -> UInt8[np.ndarray, "H W 3"]:
    """Return the image with every object's pixels tinted and outlined in its colour."""
    labels = seen_labels(workbench, frame.posed.camera)
    picture = frame.posed.image.astype(np.float32)
    for object_id in np.unique(labels[labels > 0]):
        mask = labels == object_id
        color = np.float32(color_of(int(object_id))) * 255
        picture[mask] = (1 - TINT) * picture[mask] + TINT * color
        picture[outline(mask)] = color
    return picture.astype(np.uint8)


def seen_labels(workbench: Workbench, camera: Camera) -> Int32[np.ndarray, "H W"]:
    """Return which object each pixel of a view shows, 0 for none."""
    labels = render_labels(workbench.rasterizer, camera, workbench.objects.labels())
    return labels.cpu().numpy()


def picture(workbench: Workbench, camera: Camera, rows: Bool[Tensor, " N"]) -> Picture:
    """Render some of the map's Gaussians."""
    rasterizer, labels = workbench.rasterizer, workbench.objects.labels()
    if not bool(rows.all()):
        rows = rows.to(labels.device)
        rasterizer = make_rasterizer(rasterizer.gaussians.select(rows), workbench.config.backend)
        labels = labels[rows]
    rendering = render(rasterizer, camera)
    depth = torch.where(rendering.depth > 0, rendering.depth, torch.nan)
    return Picture(
        color=(rendering.color * 255).round().to(torch.uint8).cpu().numpy(),
        depth=depth.float().cpu().numpy(),
        labels=render_labels(rasterizer, camera, labels).cpu().numpy(),
    )


def outline(mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Return the mask's pixels that touch a pixel outside it."""
    padded = np.pad(mask, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner
