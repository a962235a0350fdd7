# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.votes import cast_votes
from ros2_clickgs.errors import NotFoundError
from tests.core.blobs import BLOB_COUNT, blob_camera, blob_labels, blob_map


@pytest.fixture
def object_map():
    return ObjectMap(make_rasterizer(blob_map(), "numba"))


def integrate_all(object_map, ids=(1, 2)):
    for angle in (0.0, 1.0, 2.0):
        camera = blob_camera(angle)
        labels = blob_labels(object_map.rasterizer, camera)
        object_map.integrate(camera, labels, list(ids))


def test_masks_of_three_views_find_both_blobs(object_map):
    first, second = object_map.create("red"), object_map.create()
    integrate_all(object_map)
    red = object_map.get(first)
    assert red.name == "red"
    assert object_map.get(second).name == "object_2"
    assert red.view_count == 3
    assert red.score > 0.7
    assert len(red.gaussian_ids) > 0.95 * BLOB_COUNT
    assert (red.gaussian_ids < BLOB_COUNT).all()
    assert torch.allclose(red.pose[:3, 3], torch.tensor([-0.3, 0, 0]).double(), atol=0.02)
    cloud = object_map.cloud(first)
    assert len(cloud) == len(red.gaussian_ids)
    assert (cloud.object_ids == first).all()


def test_removed_renamed_merged_cleared(object_map):
    first, second = object_map.create(), object_map.create()
    integrate_all(object_map)
    object_map.rename(first, "kettle")
    assert object_map.get(first).name == "kettle"
    count = len(object_map.get(second).gaussian_ids)
    object_map.merge(first, second)
    assert object_map.ids == [first]
    assert (object_map.labels() == first).sum() >= count
    object_map.remove(first)
    assert not (object_map.labels() > 0).any()
    object_map.clear()
    assert object_map.create() == 3


def test_background_weight_is_live(object_map):
    object_map.create()
    object_map.create()
    integrate_all(object_map)
    before = (object_map.labels() > 0).sum()
    object_map.background_weight = 1e6
    assert (object_map.labels() > 0).sum() < before


def test_an_object_that_does_not_exist_is_named(object_map):
    object_map.create()
    with pytest.raises(NotFoundError, match=r"no object 7; there are: \[1\]"):
        object_map.get(7)


def test_an_object_without_votes_is_empty_not_an_error(object_map):
    found = object_map.get(object_map.create())
    assert len(found.gaussian_ids) == 0
    assert found.score == 0


def test_a_view_is_one_operation_and_its_votes_are_those_of_cast_votes(object_map):
    ids, recorded = [object_map.create(), object_map.create()], []
    object_map.record = recorded.append
    camera = blob_camera()
    labels = blob_labels(object_map.rasterizer, camera)
    object_map.integrate(camera, labels, ids)
    assert [operation.name for operation in recorded] == ["add_view"]
    votes = cast_votes(object_map.rasterizer, camera, labels, 2)
    for row, object_id in enumerate(ids):
        assert torch.equal(object_map.votes(object_id).votes_for, votes[[row]].votes_for)
        assert torch.equal(object_map.votes(object_id).votes_against, votes[[row]].votes_against)


def test_a_mask_that_is_off_is_moved_and_one_on_the_wrong_thing_does_not_vote(object_map):
    first, second = object_map.create(), object_map.create()
    integrate_all(object_map)
    labels, camera = object_map.labels().clone(), blob_camera(0.5)
    image = blob_labels(object_map.rasterizer, camera)
    assert object_map.integrate(camera, image.roll(3, 1), [first, second]) == []
    assert (object_map.labels() != labels).float().mean() < 0.01
    votes = object_map.votes(first)
    assert object_map.integrate(camera, image, [second, first]) == [second, first]
    assert object_map.votes(first) is votes
    assert object_map.get(first).view_count == 4


def test_of_an_object_that_few_views_have_seen_every_mask_votes(object_map):
    first = object_map.create()
    camera = blob_camera()
    image = blob_labels(object_map.rasterizer, camera)
    assert object_map.integrate(camera, (image == 1).int(), [first]) == []
    assert object_map.integrate(camera, (image == 2).int(), [first]) == []
    assert object_map.get(first).view_count == 2


def test_a_gaussian_belongs_to_several_objects_only_if_they_may_overlap():
    rasterizer = make_rasterizer(blob_map(), "numba")
    for allow_overlap in (False, True):
        objects = ObjectMap(rasterizer, allow_overlap=allow_overlap)
        camera, kettle, lid = blob_camera(), objects.create("kettle"), objects.create("lid")
        image = blob_labels(rasterizer, camera)
        objects.integrate(camera, (image > 0).int(), [kettle])
        objects.integrate(camera, (image == 1).int(), [lid])
        members = [set(objects.get(i).gaussian_ids.tolist()) for i in (kettle, lid)]
        assert bool(members[0] & members[1]) == allow_overlap
        assert set(objects.labels().tolist()) <= {-1, 0, kettle, lid}
        assert (objects.cloud(lid).object_ids == lid).all()
