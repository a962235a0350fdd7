# SPDX-License-Identifier: Apache-2.0
"""An object is found at the first image, settles, takes further clicks, and grows."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.gates import Objection, objection_counts, refused_masks
from ros2_clickgs.core.growing import grow
from ros2_clickgs.core.looking import Look
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.posed_image import rendered_image
from ros2_clickgs.core.segmenter import Mask
from ros2_clickgs.core.state import Click
from tests.core.blobs import BLOB_COUNT, TrueSegmenter, blob_camera, solid_blob_map

RED_FRONT = torch.tensor([-0.3, -0.15, 0.0])
IS_RED = torch.arange(2 * BLOB_COUNT) < BLOB_COUNT


class GuidedSegmenter(TrueSegmenter):
    """Answers with the blob that the points or the soft mask mean; counts what it looked at."""

    def __init__(self):
        self.images = []

    def set_image(self, image, depth=None):
        super().set_image(image, depth)
        self.images.append(id(image))

    def predict(self, prompts):
        return [Mask(pixels=self._meant(prompt), score=1.0) for prompt in prompts]

    def _meant(self, prompt):
        if prompt.point_labels.any():
            u, v = prompt.point_coords[prompt.point_labels][0].astype(int)
            return self.labels == self.labels[v, u]
        return self.labels == 1 + (prompt.soft_mask[self.labels == 2].sum() > 1)


class PartSegmenter(GuidedSegmenter):
    """Answers with all blobs that a positive point or the soft mask means, inside the box."""

    def _meant(self, prompt):
        u, v = prompt.point_coords.astype(int).T
        outside = set(self.labels[v, u][~prompt.point_labels])
        meant = set(self.labels[v, u][prompt.point_labels])
        if prompt.soft_mask is not None:
            meant |= {k for k in (1, 2) if prompt.soft_mask[self.labels == k].sum() > 50}
        mask = np.isin(self.labels, list(meant - outside - {0}))
        if prompt.box is not None:
            left, top, right, bottom = prompt.box.astype(int)
            mask[:top], mask[bottom:], mask[:, :left], mask[:, right:] = (False,) * 4
        return mask


@pytest.fixture(scope="module")
def rasterizer():
    return make_rasterizer(solid_blob_map(), "numba")


def members(objects, object_id=1):
    return objects.labels() == object_id


def test_one_image_gives_the_first_answer_and_rendered_views_the_whole(rasterizer):
    objects = ObjectMap(rasterizer)
    look = Look(objects, GuidedSegmenter())
    steps = look.find([rendered_image(rasterizer, blob_camera())], [Click(RED_FRONT)], 12)
    assert next(step for step in steps if step) == 1
    first = members(objects)
    assert not objects.state.ballot(1).settled
    assert 0.3 < first[IS_RED].float().mean() < 0.9
    assert set(steps) == {0, 1}
    whole = members(objects)
    assert whole[IS_RED].float().mean() > 0.97
    assert not whole[~IS_RED].any()
    assert objects.state.ballot(1).settled
    assert len(look.sightings) < 12


def test_what_still_changes_when_views_run_out_is_not_settled(rasterizer):
    objects = ObjectMap(rasterizer)
    look = Look(objects, GuidedSegmenter())
    images = [rendered_image(rasterizer, blob_camera())]
    assert list(look.find(images, [Click(RED_FRONT)], 2))[-1] == 1
    assert not objects.state.ballot(1).settled


def test_masks_that_do_not_vote_are_counted_by_reason(rasterizer):
    class Fickle(GuidedSegmenter):
        def predict(self, prompts):
            (mask,) = super().predict(prompts)
            if prompts[0].point_coords[0, 0] % 1 != 0.5:
                return [mask]
            return [Mask(pixels=mask.pixels, score=0.1)]

    objects = ObjectMap(rasterizer)
    images = [rendered_image(rasterizer, blob_camera())]
    list(Look(objects, Fickle()).find(images, [Click(RED_FRONT)], 4))
    ballot = objects.state.ballot(1)
    assert set(refused_masks(ballot)) == {Objection.UNSURE}
    assert objection_counts(ballot).total() == 4
    assert not ballot.settled
    assert len(ballot.view_points) == 1


def test_a_further_click_asks_only_images_that_show_it_before_it_answers(rasterizer):
    objects, segmenter = ObjectMap(rasterizer), GuidedSegmenter()
    look = Look(objects, segmenter)
    images = [rendered_image(rasterizer, blob_camera(angle)) for angle in (0.0, 0.4, 3.1)]
    clicks = [Click(RED_FRONT), Click(torch.tensor([-0.3, 0.15, 0.0]))]
    list(look.find(images, clicks))
    segmenter.images.clear()
    beside = Click(torch.tensor([0.3, -0.15, 0.0]), positive=False)
    steps = look.refine([*clicks, beside], [beside])
    assert next(step for step in steps if step) == 1
    assert segmenter.images == [id(image.image) for image in images[:2]]
    list(steps)
    assert segmenter.images[2:] == [id(images[2].image)]
    assert members(objects)[IS_RED].float().mean() > 0.97


def test_a_click_on_another_part_adds_it():
    blobs = solid_blob_map()
    shift = torch.where(IS_RED, 0.16, -0.16)[:, None] * torch.tensor([1.0, 0.0, 0.0])
    touching = make_rasterizer(replace(blobs, means=blobs.means + shift), "numba")
    objects = ObjectMap(touching)
    look = Look(objects, PartSegmenter())
    images = [rendered_image(touching, blob_camera(angle)) for angle in (0.0, 3.1, 2.9, 3.3)]
    click, other = (Click(torch.tensor([x, -0.15, 0.0])) for x in (-0.14, 0.14))
    list(look.find(images, [click], 6))
    assert members(objects)[~IS_RED].float().mean() < 0.5
    steps = look.refine([click, other], [other])
    next(step for step in steps if step)
    assert members(objects)[~IS_RED].float().mean() > 0.7
    list(steps)
    assert members(objects).float().mean() > 0.9


def test_more_views_can_be_asked_for_without_a_click(rasterizer):
    objects = ObjectMap(rasterizer)
    look, click = Look(objects, GuidedSegmenter()), Click(RED_FRONT)
    list(look.find([rendered_image(rasterizer, blob_camera())], [click]))
    assert len(look.sightings) == 1
    list(look.refine([click], [], rendered_views=2))
    assert len(look.sightings) == 3
    assert len(objects.view_points(1)) > 1


def test_what_others_say_in_between_is_kept(rasterizer):
    objects = ObjectMap(rasterizer)
    look = Look(objects, GuidedSegmenter())
    images = [rendered_image(rasterizer, blob_camera(angle)) for angle in (0.0, 0.4)]
    steps = look.find(images, [Click(RED_FRONT)])
    next(step for step in steps if step)
    behind = blob_camera(3.1)
    mask = rendered_image(rasterizer, behind).image[..., 0] > 60
    objects.integrate(behind, torch.from_numpy(mask.astype(np.int32)), [1])
    list(steps)
    assert len(objects.view_points(1)) == 3
    assert members(objects)[IS_RED].float().mean() > 0.97


def test_looking_ends_when_the_object_is_gone(rasterizer):
    objects = ObjectMap(rasterizer)
    look = Look(objects, GuidedSegmenter())
    steps = look.find([rendered_image(rasterizer, blob_camera())], [Click(RED_FRONT)], 12)
    next(step for step in steps if step)
    objects.remove(1)
    assert list(steps) == []
    assert look.is_outdated


def test_an_object_grows_with_an_image_that_shows_another_side(rasterizer):
    objects, segmenter = ObjectMap(rasterizer), GuidedSegmenter()
    images = [rendered_image(rasterizer, blob_camera(angle)) for angle in (0.0, 2.0)]
    list(Look(objects, segmenter).find(images[:1], [Click(RED_FRONT)]))
    before = members(objects).sum()
    assert list(grow(objects, segmenter, images[1], [1]))[-1] == 1
    assert members(objects).sum() > 1.1 * before
    assert not members(objects)[~IS_RED].any()
    assert len(objects.view_points(1)) == 2


def test_an_image_that_does_not_show_the_object_is_not_looked_at(rasterizer):
    objects, segmenter = ObjectMap(rasterizer), GuidedSegmenter()
    image = rendered_image(rasterizer, blob_camera())
    list(Look(objects, segmenter).find([image], [Click(RED_FRONT)]))
    segmenter.images.clear()
    away = blob_camera()
    T = away.T_world_camera.clone()
    T[:3, 3] += torch.tensor([5.0, 0, 0])
    elsewhere = type(away)(K=away.K, T_world_camera=T, width=160, height=120)
    assert not any(grow(objects, segmenter, rendered_image(rasterizer, elsewhere), [1]))
    assert segmenter.images == []
