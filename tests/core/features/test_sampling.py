# SPDX-License-Identifier: Apache-2.0
"""Which pixels are drawn, and that the pool gives the same ones again."""

from dataclasses import replace

import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.features.masks import MaskedView
from ros2_clickgs.core.features.options import TrainingOptions
from ros2_clickgs.core.features.sampling import (
    MemoryShelf,
    PixelPool,
    labels_of,
    pixel_weights,
)
from ros2_clickgs.core.types import IGNORE
from tests.conftest import random_camera, random_gaussians

OPTIONS = TrainingOptions(pixels_per_iteration=50, batches_per_view=2, batch_uses=2)


def new_pool(views: list[MaskedView]) -> PixelPool:
    rasterizer = make_rasterizer(random_gaussians(200), "numba")
    return PixelPool(rasterizer, views, OPTIONS, torch.arange(200))


def masked_views(count: int = 3) -> list[MaskedView]:
    views = []
    for seed in range(count):
        labels = torch.full((50, 70), IGNORE)
        labels[:40], labels[10:20, 10:30] = 0, 1
        labels[12:15, 12:20] = 2
        views.append(
            MaskedView(camera=random_camera(seed), coarse=labels.clamp(max=1), fine=labels)
        )
    return views


def test_masks_are_drawn_by_the_root_of_their_area() -> None:
    labels = torch.tensor([[1] * 4 + [2] * 16 + [IGNORE]] * 2)
    weights = pixel_weights(labels)
    assert weights[:4].sum() * 2 == weights[4:20].sum()
    assert weights[-1] == 0


def test_background_can_be_left_out() -> None:
    (view,) = masked_views(1)
    assert (labels_of(view, OPTIONS) == 0).any()
    assert not (labels_of(view, replace(OPTIONS, background_is_mask=False)) == 0).any()


def test_borders_are_left_out() -> None:
    (view,) = masked_views(1)
    coarse, fine = (level.reshape(50, 70) for level in labels_of(view, OPTIONS))
    assert (coarse[10:20, 10:12] == IGNORE).all()
    assert (coarse[13:17, 13:27] == 1).all()
    assert 0 < (fine == 2).sum() < (view.fine == 2).sum()


def test_no_unlabelled_pixel_is_drawn() -> None:
    pool = new_pool(masked_views())
    for iteration in range(12):
        assert (pool.at(iteration).masks != IGNORE).any(0).all()


def test_every_view_comes_up_once_a_round() -> None:
    pool = new_pool(masked_views())
    own = [pool.of_view(view, 0).rows.weights for view in range(3)]

    def view_at(iteration: int) -> int:
        found = pool.at(iteration).rows.weights
        return next(i for i, weights in enumerate(own) if torch.equal(weights, found))

    rounds = [[view_at(6 * turn + i) for i in range(3)] for turn in (0, 1)]
    assert all(sorted(order) == [0, 1, 2] for order in rounds)


def test_pixels_serve_their_times_and_are_drawn_anew() -> None:
    pool = new_pool(masked_views(1))
    batches = [pool.of_view(0, i).rows.weights.sum().item() for i in range(8)]
    assert batches[0] == batches[2] != batches[1] == batches[3]
    assert batches[4] == batches[6] != batches[0]


def test_a_pool_that_starts_later_draws_the_same() -> None:
    first, later = (new_pool(masked_views()) for _ in range(2))
    walked = [first.at(i) for i in range(20)]
    for iteration in (19, 7, 13):
        expected, found = walked[iteration].tensors(), later.at(iteration).tensors()
        assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_shelf_returns_what_was_put_last() -> None:
    shelf = MemoryShelf()
    assert shelf.get("a") is None
    shelf.put("a", {"x": torch.ones(1)})
    shelf.put("a", {"x": torch.zeros(1)})
    assert shelf.get("a")["x"] == 0
