# SPDX-License-Identifier: Apache-2.0
"""Global features from masks of many views: noise, nothing, one, many."""

import torch
from torch.nn.functional import normalize

from ros2_clickgs.core.features.clusters import find_clusters, merged, pooled_features


def bunches(centers: torch.Tensor, count: int, spread: float, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(centers), count, centers.shape[1], generator=g) * spread
    return normalize((centers[:, None] + noise).flatten(0, 1), dim=1)


def test_pooling_is_the_mean_over_the_mask() -> None:
    features, masks = torch.randn(40, 12), torch.randint(-1, 3, (40,))
    things, background = pooled_features(features, masks, torch.ones(40))
    assert torch.allclose(things, torch.stack([features[masks == s].mean(0) for s in (1, 2)]))
    assert torch.allclose(background[0], features[masks == 0].mean(0))


def test_importance_undoes_the_sampling() -> None:
    features, masks = torch.tensor([[1.0], [3.0], [3.0]]), torch.tensor([1, 1, 1])
    things, background = pooled_features(features, masks, torch.tensor([2.0, 1.0, 1.0]))
    assert things.item() == 2
    assert len(background) == 0


def test_unlabelled_pixels_make_no_mask() -> None:
    things, background = pooled_features(torch.randn(5, 12), torch.full((5,), -1), torch.ones(5))
    assert len(things) == len(background) == 0


def test_clusters_are_the_bunches() -> None:
    centers = normalize(torch.randn(6, 12, generator=torch.Generator().manual_seed(1)), dim=1)
    found = find_clusters(bunches(centers, 20, 0.02), 1e-2, 5, 0.98)
    assert len(found) == 6
    assert torch.allclose(found.norm(dim=1), torch.ones(6))
    assert (centers @ found.T).amax(1).min() > 0.99


def test_noise_belongs_to_no_cluster() -> None:
    centers = torch.eye(12)[:3]
    stray = normalize(torch.randn(6, 12, generator=torch.Generator().manual_seed(3)), dim=1)
    found = find_clusters(torch.cat([bunches(centers, 20, 0.01), stray]), 1e-2, 5, 0.98)
    assert len(found) == 3
    assert (centers @ found.T).amax(1).min() > 0.99


def test_too_few_masks_make_no_cluster() -> None:
    assert find_clusters(torch.zeros(0, 12), 1e-2, 5, 0.98).shape == (0, 12)
    assert find_clusters(torch.randn(4, 12), 1e-2, 5, 0.98).shape == (0, 12)


def test_one_thing_is_one_cluster() -> None:
    assert len(find_clusters(bunches(torch.eye(12)[:1], 30, 0.01), 1e-2, 5, 0.98)) == 1


def test_clusters_that_claim_the_same_are_one() -> None:
    sums = torch.tensor([[10.0, 0, 0], [9.0, 0.5, 0], [0, 0, 4.0]])
    found = merged(sums, 0.98)
    assert len(found) == 2
    assert torch.allclose(found[0], normalize(torch.tensor([19.0, 0.5, 0]), dim=0))
    assert len(merged(sums, 0.9999)) == 3
