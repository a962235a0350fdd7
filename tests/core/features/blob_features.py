# SPDX-License-Identifier: Apache-2.0
"""Features of the two blobs as a perfect training would leave them."""

import torch
from torch.nn.functional import normalize

from ros2_clickgs.core.features.feature_map import FeatureMap
from ros2_clickgs.core.features.options import COARSE_DEPTH
from tests.core.features.training_scene import blob_truth


def blob_features(noise: float = 0.05) -> FeatureMap:
    """Return features whose coarse part names the blob and whose fine part names the half."""
    g = torch.Generator().manual_seed(0)
    blob, half = (truth.long() - 1 for truth in blob_truth())
    coarse, fine = torch.eye(COARSE_DEPTH)[:2], torch.eye(COARSE_DEPTH)[:4]
    exact = torch.cat([coarse[blob], fine[half]], dim=1)
    of_halves = torch.cat([coarse.repeat_interleave(2, 0), fine], dim=1)
    return FeatureMap(
        features=exact + noise * torch.randn(exact.shape, generator=g),
        coarse_clusters=coarse,
        fine_clusters=normalize(of_halves, dim=1),
    )
