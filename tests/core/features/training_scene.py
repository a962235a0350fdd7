# SPDX-License-Identifier: Apache-2.0
"""Two blobs of two halves each, and masks of them whose ids differ from view to view."""

import math

import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.features.masks import MaskedView
from ros2_clickgs.core.features.options import TrainingOptions
from ros2_clickgs.core.rendering import render_labels
from tests.core.blobs import BLOB_COUNT, blob_camera, blob_map

OPTIONS = TrainingOptions(
    iterations=120,
    pixels_per_iteration=600,
    global_from=60,
    refresh_every=20,
    cluster_share=0.4,
    batches_per_view=2,
    batch_uses=3,
    spatial_count=500,
    border_px=1.0,
)
VIEW_COUNT = 8


def blob_truth() -> tuple[torch.Tensor, torch.Tensor]:
    """Return each Gaussian's blob (1, 2) and half (1 to 4: below and above)."""
    blob = (torch.arange(2 * BLOB_COUNT) >= BLOB_COUNT).int() + 1
    is_above = blob_map().means[:, 2] > 0
    return blob, 2 * (blob - 1) + is_above.int() + 1


def blob_views(rasterizer) -> list[MaskedView]:
    """Return views from all around; in each the ids are dealt anew."""
    views = []
    for i in range(VIEW_COUNT):
        camera = blob_camera(2 * math.pi * i / VIEW_COUNT)
        g = torch.Generator().manual_seed(i)
        images = []
        for truth in blob_truth():
            labels = render_labels(rasterizer, camera, truth).long()
            deal = torch.randperm(int(truth.max()), generator=g) + 1
            images.append(torch.cat([torch.zeros(1, dtype=torch.long), deal])[labels])
        views.append(MaskedView(camera=camera, coarse=images[0], fine=images[1]))
    return views


def blob_rasterizer():
    return make_rasterizer(blob_map(), "numba")
