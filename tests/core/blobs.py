# SPDX-License-Identifier: Apache-2.0
"""Two solid blobs side by side on nothing, and a segmenter that knows them: for tests."""

import math
from dataclasses import replace

import numpy as np
import torch

from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.harmonics import sh_from_rgb
from ros2_clickgs.core.rendering import render_labels
from ros2_clickgs.core.segmenter import Mask
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.core.views import pinhole

BLOB_COUNT = 600


def blob_map():
    """Return a red blob at x = -0.3 m and a green one at x = 0.3 m, radius 0.15 m."""
    g = torch.Generator().manual_seed(0)
    shell = (
        torch.nn.functional.normalize(torch.randn(2 * BLOB_COUNT, 3, generator=g), dim=-1) * 0.15
    )
    shell[:, 0] += torch.where(torch.arange(2 * BLOB_COUNT) < BLOB_COUNT, -0.3, 0.3)
    red, green = torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.1, 0.9, 0.1])
    rgb = torch.where(torch.arange(2 * BLOB_COUNT)[:, None] < BLOB_COUNT, red, green)
    return Gaussians(
        means=shell,
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(2 * BLOB_COUNT, 1),
        scales=torch.full((2 * BLOB_COUNT, 3), 0.015),
        opacities=torch.full((2 * BLOB_COUNT,), 0.95),
        sh=sh_from_rgb(rgb),
    )


def solid_blob_map():
    """Return the same blobs, but with surfaces that let no light through."""
    blobs = blob_map()
    scales, opacities = torch.full_like(blobs.scales, 0.03), torch.ones_like(blobs.opacities)
    return replace(blobs, scales=scales, opacities=opacities)


def blob_camera(angle=0.0):
    """Return a camera 1.2 m away, at an angle (rad) around the vertical."""
    eye = torch.tensor([math.sin(angle) * 1.2, -math.cos(angle) * 1.2, 0.4])
    return pinhole(look_at(eye, torch.zeros(3), torch.tensor([0.0, 0, 1])), 160, 120)


def blob_labels(rasterizer, camera):
    """Return the true label image: 1 red, 2 green."""
    truth = (torch.arange(2 * BLOB_COUNT) >= BLOB_COUNT).int() + 1
    return render_labels(rasterizer, camera, truth)


class TrueSegmenter:
    """Answers with the blob under the first positive click."""

    name = "true"

    def set_image(self, image, depth=None):
        self.labels = np.select([image[..., 0] > 60, image[..., 1] > 60], [1, 2], 0)

    def predict(self, prompts):
        answers = []
        for prompt in prompts:
            u, v = prompt.point_coords[prompt.point_labels][0].astype(int)
            answers.append(Mask(pixels=self.labels == self.labels[v, u], score=1.0))
        return answers
