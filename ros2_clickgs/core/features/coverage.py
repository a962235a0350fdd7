# SPDX-License-Identifier: Apache-2.0
"""Which of too many views to train on: those that together see the map best."""

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import Camera

PROBES = 4096
"""Gaussians that are asked which views see them."""
LOOK_PX = 160
"""Width of the images that they are looked for in."""
SEEN_PX = 0.05
"""Pixels that a Gaussian paints in such an image where it counts as seen."""


def choose_views(rasterizer: Rasterizer, cameras: list[Camera], count: int) -> list[int]:
    r"""Return at most `count` views, in their order, that see as much as possible, and often.

    Greedily, each next view v is the one with the largest gain, where :math:`n_i` views that were
    chosen before see Gaussian i:

    .. math:: g_v = \sum_{i \text{ seen by } v} \frac{1}{1 + n_i}
    """
    if len(cameras) <= count:
        return list(range(len(cameras)))
    sees = torch.stack([seen_probes(rasterizer, camera) for camera in cameras]).float()
    times, chosen = torch.zeros(sees.shape[1]), []
    for _ in range(count):
        gains = sees @ (1 / (1 + times))
        gains[chosen] = -1
        best = int(gains.argmax())
        chosen.append(best)
        times += sees[best]
    return sorted(chosen)


def seen_probes(rasterizer: Rasterizer, camera: Camera) -> Bool[Tensor, " M"]:
    """Return which of the map's probes a view sees; on the CPU."""
    camera = smaller(camera, LOOK_PX)
    ones = torch.ones(camera.height, camera.width, 1, device=rasterizer.gaussians.device)
    painted = rasterizer.backproject(camera, ones)[:, 0]
    return (painted[:: max(len(painted) // PROBES, 1)] > SEEN_PX).cpu()


def smaller(camera: Camera, width: int) -> Camera:
    """Return the same view in an image of at most so many columns."""
    shrink = min(1.0, width / camera.width)
    columns, rows = max(round(shrink * camera.width), 1), max(round(shrink * camera.height), 1)
    scale = torch.tensor([columns / camera.width, rows / camera.height, 1.0]).double()
    return replace(camera, K=scale[:, None] * camera.K, width=columns, height=rows)
