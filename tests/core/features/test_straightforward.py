# SPDX-License-Identifier: Apache-2.0
"""The trainer that the benchmark compares with computes the same loss, by autograd."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from benchmarks.straightforward import Straightforward
from ros2_clickgs.core.features.clusters import Clusters
from ros2_clickgs.core.features.masks import MaskedView
from ros2_clickgs.core.features.neighbours import dealt_order, neighbour_groups
from ros2_clickgs.core.features.options import TrainingOptions
from ros2_clickgs.core.features.terms import gaussian_terms, pixel_terms
from tests.conftest import random_camera

OPTIONS = TrainingOptions(tau_coarse=0.1, tau_fine=0.2, pixels_per_iteration=40, border_px=0.0)
COUNT = 60
SAME = {"rtol": 1e-4, "atol": 1e-7}


def trainer_with(render, options: TrainingOptions = OPTIONS) -> Straightforward:
    labels = (torch.arange(50 * 70) // 1200).reshape(50, 70)
    view = MaskedView(camera=random_camera(), coarse=labels.clamp(max=1), fine=labels)
    means = torch.rand(COUNT, 3, generator=torch.Generator().manual_seed(0))
    return Straightforward(render, means, [view, view], options)


@pytest.fixture
def trainer() -> Straightforward:
    g = torch.Generator().manual_seed(1)
    blend = torch.rand(50 * 70, COUNT, generator=g).softmax(1)
    return trainer_with(lambda camera, f: (blend @ f).reshape(50, 70, -1))


def test_pixels_have_the_same_gradient(trainer: Straightforward) -> None:
    g = torch.Generator().manual_seed(2)
    F = torch.randn(40, 24, generator=g).requires_grad_()
    masks = torch.randint(-1, 3, (2, 40), generator=g)
    expected, terms = pixel_terms(F.detach(), masks, torch.arange(40), OPTIONS)
    loss = trainer.pixel_loss(F, masks)
    assert float(loss.detach()) == pytest.approx(sum(terms.values()), rel=1e-4)
    torch.testing.assert_close(torch.autograd.grad(loss, F)[0], expected, **SAME)


def test_gaussians_have_the_same_gradient(trainer: Straightforward) -> None:
    g = torch.Generator().manual_seed(3)
    for level, depth in (("coarse", 12), ("fine", 24)):
        things = normalize(torch.randn(3, depth, generator=g), dim=1)
        trainer.clusters[level] = Clusters(things=things, background=things[:0])
    order = dealt_order(trainer.means, COUNT)
    (group,) = neighbour_groups(trainer.means[order], COUNT, OPTIONS.neighbours)
    features = trainer.features.detach()[order]
    expected, terms = gaussian_terms(features, group, trainer.clusters, OPTIONS)
    loss = trainer.gaussian_loss()
    assert float(loss.detach()) == pytest.approx(sum(terms.values()), rel=1e-4)
    gradient = torch.autograd.grad(loss, trainer.features)[0]
    torch.testing.assert_close(gradient[order], expected, **SAME)


def test_it_trains_to_the_end(trainer: Straightforward) -> None:
    trainer.options = replace(OPTIONS, iterations=6, global_from=3, refresh_every=2)
    losses = []
    while not trainer.is_done:
        losses.append(trainer.step())
    assert all(loss == loss for loss in losses)
    assert trainer.result().features.shape == (COUNT, 24)
