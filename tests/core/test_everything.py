# SPDX-License-Identifier: Apache-2.0
"""Masks of many views, their ids dealt anew in each, become the things that are there."""

import math

import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.everything import Thing, ViewMasks, assemble, masks_of_view
from ros2_clickgs.core.types import IGNORE, Gaussians
from ros2_clickgs.core.votes import Votes, cast_votes, decide_labels
from ros2_clickgs.scenes.masks import scene_masks
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.tabletop import make_tabletop
from tests.core.blobs import BLOB_COUNT, blob_camera, blob_labels, blob_map
from tests.scenes.conftest import small

VIEW_COUNT = 8
ALL = torch.ones(2 * BLOB_COUNT, dtype=torch.bool)
RED = torch.arange(2 * BLOB_COUNT) < BLOB_COUNT


@pytest.fixture(scope="module")
def rasterizer():
    return make_rasterizer(blob_map(), "numba")


def dealt(labels: torch.Tensor, seed: int) -> torch.Tensor:
    """Return a label image with other ids; 0 stays 0."""
    count = int(labels.max())
    ids = torch.randperm(count, generator=torch.Generator().manual_seed(seed)) + 1
    return torch.cat([torch.zeros(1, dtype=torch.long), ids])[labels.long()].int()


def blob_views(rasterizer, change=lambda labels, view: labels) -> list[ViewMasks]:
    views = []
    for i in range(VIEW_COUNT):
        camera = blob_camera(2 * math.pi * i / VIEW_COUNT)
        labels = change(blob_labels(rasterizer, camera), i)
        views.append(masks_of_view(rasterizer, camera, dealt(labels, i)))
    return views


def owners(things: list[Thing], gaussians: Gaussians) -> torch.Tensor:
    votes = Votes.none(0, len(gaussians))
    if things:
        votes = Votes(
            votes_for=torch.cat([thing.votes.votes_for for thing in things]),
            votes_against=torch.cat([thing.votes.votes_against for thing in things]),
        )
    return decide_labels(votes)


def iou(labels: torch.Tensor, truth: torch.Tensor) -> float:
    """Return the IoU of a thing with the label that has most of it, on Gaussians that are seen."""
    counts = torch.bincount(labels[truth].clamp(min=0), minlength=2)
    best = int(counts[1:].argmax()) + 1
    found, truth = labels == best, truth & (labels >= 0)
    return float((found & truth).sum() / (found | truth).sum())


def check_blobs(views: list[ViewMasks]) -> list[Thing]:
    things = assemble(views, ALL)
    labels = owners(things, blob_map())
    assert len(things) == 2
    assert min(iou(labels, RED), iou(labels, ~RED)) > 0.95
    return things


def test_two_blobs_are_two_things(rasterizer) -> None:
    things = check_blobs(blob_views(rasterizer))
    assert [len(thing.view_points) for thing in things] == [VIEW_COUNT] * 2
    assert min(thing.score for thing in things) > 0.8


def test_a_thing_without_a_mask_in_some_views_is_found(rasterizer) -> None:
    def only_red(labels: torch.Tensor, view: int) -> torch.Tensor:
        return torch.where(labels == 2, IGNORE, labels) if view % 3 == 0 else labels

    views = [
        masks_of_view(rasterizer, camera, only_red(blob_labels(rasterizer, camera), i))
        for i in range(VIEW_COUNT)
        for camera in [blob_camera(2 * math.pi * i / VIEW_COUNT)]
    ]
    things = check_blobs(views)
    assert sorted(len(thing.view_points) for thing in things) == [5, VIEW_COUNT]


def test_views_that_take_both_for_one_are_outvoted(rasterizer) -> None:
    check_blobs(blob_views(rasterizer, lambda x, view: x.clamp(max=1) if view % 4 == 1 else x))


def test_views_that_cut_a_thing_in_two_are_outvoted(rasterizer) -> None:
    def cut(labels: torch.Tensor, view: int) -> torch.Tensor:
        lower = torch.arange(len(labels))[:, None] > len(labels) / 2
        return torch.where(lower & (labels == 1), 3, labels) if view % 4 == 1 else labels

    labels = owners(assemble(blob_views(rasterizer, cut), ALL, 50), blob_map())
    assert min(iou(labels, RED), iou(labels, ~RED)) > 0.85


def test_a_view_without_masks_changes_nothing(rasterizer) -> None:
    views = blob_views(rasterizer)
    camera = blob_camera(0.1)
    nothing = torch.full((camera.height, camera.width), IGNORE)
    check_blobs([masks_of_view(rasterizer, camera, nothing), *views])


def test_without_masks_there_is_nothing(rasterizer) -> None:
    camera = blob_camera()
    nothing = torch.full((camera.height, camera.width), IGNORE)
    assert assemble([masks_of_view(rasterizer, camera, nothing)], ALL) == []


def test_what_is_not_free_goes_to_no_thing(rasterizer) -> None:
    (thing,) = assemble(blob_views(rasterizer), ~RED)
    assert not thing.votes.votes_for[0, RED].any()
    assert iou(owners([thing], blob_map()), ~RED) > 0.95


def test_small_things_are_dropped(rasterizer) -> None:
    assert assemble(blob_views(rasterizer), ALL, min_gaussians=BLOB_COUNT + 1) == []


def test_one_view_is_enough(rasterizer) -> None:
    assert len(assemble(blob_views(rasterizer)[:1], ALL)) == 2


@pytest.fixture(scope="module")
def tabletop() -> Scene:
    return make_tabletop(4, 30_000)


def test_every_object_of_the_tabletop_is_found(tabletop: Scene) -> None:
    """As well as if the masks' ids were the same in all views."""
    rasterizer = make_rasterizer(tabletop.gaussians, "numba")
    views, known = [], Votes.none(14, len(tabletop.gaussians))
    for i, camera in enumerate(small(camera, 3) for camera in tabletop.cameras[::6]):
        truth = scene_masks(tabletop, rasterizer, camera).objects
        views.append(masks_of_view(rasterizer, camera, dealt(truth, i)))
        known += cast_votes(rasterizer, camera, truth, 14)
    things = assemble(views, torch.ones(len(tabletop.gaussians), dtype=torch.bool), 20)
    labels, best = owners(things, tabletop.gaussians), decide_labels(known)
    assert len(things) == 14
    for number in range(1, 15):
        truth = tabletop.object_labels == number
        assert iou(labels, truth) > iou(best, truth) - 0.03
