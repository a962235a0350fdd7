# SPDX-License-Identifier: Apache-2.0
"""Pruning: which Gaussians no view sees, and what leaving them out costs."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import render
from ros2_clickgs.core.types import Camera

View = tuple[Camera, UInt8[np.ndarray, "H W 3"] | None]
"""A camera and, where there is one, the image that it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """How two maps look from the same views."""

    max_pixel_change: float
    """Largest difference of any colour channel of any pixel, in [0, 1]."""
    psnr_before: float
    """Mean over the views with images, in dB; NaN without any."""
    psnr_after: float
    """The same of the other map."""
    psnr_between: float
    """Of the one map's pictures against the other's, all pixels of all views together, in dB."""


def visibility(rasterizer: Rasterizer, cameras: Iterable[Camera]) -> Float[Tensor, " N"]:
    r"""Return how much every Gaussian paints in all views together, in pixel-equivalents.

    .. math:: v = \sum_{views} W^T 1
    """
    total = torch.zeros(len(rasterizer.gaussians), device=rasterizer.gaussians.device)
    for camera in cameras:
        ones = torch.ones(camera.height, camera.width, 1, device=total.device)
        total += rasterizer.backproject(camera, ones)[:, 0].to(total.device)
    return total


def seen(
    rasterizer: Rasterizer, cameras: Iterable[Camera], min_visibility: float = 0.0
) -> Bool[Tensor, " N"]:
    """Return which Gaussians to keep: those that paint anything at all in any view.

    With 0 the rule of Joseph et al., arXiv:2409.11681: the gradient of the image with respect to
    the colour is above 0, strictly; what is dropped changes no pixel of these views.

    Args:
        rasterizer: the map.
        cameras: the views that count.
        min_visibility: what has this or less is dropped, in px.
    """
    return visibility(rasterizer, cameras).cpu() > min_visibility


def fidelity(before: Rasterizer, after: Rasterizer, views: Iterable[View]) -> Fidelity:
    """Compare what two maps show, with each other and with the images."""
    changes, errors, psnrs = [0.0], [], []
    for camera, image in views:
        pictures = [render(rasterizer, camera).color.cpu() for rasterizer in (before, after)]
        changes.append(float((pictures[0] - pictures[1]).abs().max()))
        errors.append(squared_error(pictures[0], pictures[1]))
        if image is not None:
            truth = torch.from_numpy(image) / 255
            psnrs.append([psnr(picture, truth) for picture in pictures])
    return Fidelity(
        max_pixel_change=max(changes),
        psnr_before=mean([p[0] for p in psnrs]),
        psnr_after=mean([p[1] for p in psnrs]),
        psnr_between=decibels(mean(errors)),
    )


def psnr(picture: Float[Tensor, "H W 3"], truth: Float[Tensor, "H W 3"]) -> float:
    """Return the peak signal-to-noise ratio of colours in [0, 1], in dB; infinite if equal."""
    return decibels(squared_error(picture, truth))


def squared_error(picture: Float[Tensor, "H W 3"], truth: Float[Tensor, "H W 3"]) -> float:
    """Return the mean squared difference of colours in [0, 1]."""
    return float((picture - truth).double().square().mean())


def decibels(error: float) -> float:
    """Return the peak signal-to-noise ratio (dB) of a mean squared error of a peak of 1."""
    return math.inf if error == 0 else -10 * math.log10(error)


def mean(values: list[float]) -> float:
    """Return the mean, NaN of nothing."""
    return sum(values) / len(values) if values else math.nan
