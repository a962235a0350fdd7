# SPDX-License-Identifier: Apache-2.0
"""States are values: what is undone is as before, what is replayed is the same, to the bit."""

import random

import pytest
import torch

from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.recipe import recipe
from ros2_clickgs.core.similarity import Similarity
from ros2_clickgs.core.state import REMEMBERED, Click
from ros2_clickgs.core.votes import Votes
from ros2_clickgs.errors import ClickGSError, NotFoundError
from tests.core.blobs import BLOB_COUNT, blob_map
from tests.core.sessions import (
    StillRasterizer,
    act,
    blob_votes,
    delete,
    digest,
    map_digest,
    move,
    new_object,
    prune,
    recolor,
    refine,
)


def fresh() -> ObjectMap:
    return ObjectMap(StillRasterizer(blob_map()))


@pytest.fixture
def objects() -> ObjectMap:
    made, rng = fresh(), random.Random(1)
    new_object(made, rng)
    new_object(made, rng)
    return made


@pytest.mark.parametrize("seed", range(6))
def test_recorded_operations_replayed_and_shortened_lead_to_the_same_bits(seed):
    objects, rng, record = fresh(), random.Random(seed), []
    objects.record = record.append
    for _ in range(60):
        act(objects, rng)
    replayed, shortened = fresh(), fresh()
    replayed.replay(record)
    assert digest(replayed.state) == digest(objects.state)
    shortened.replay(recipe(objects.state))
    assert digest(shortened.state) == digest(objects.state)
    assert torch.equal(shortened.labels(), objects.labels())
    while objects.state.done:
        objects.undo()
        shortened.undo()
        assert map_digest(shortened.state) == map_digest(objects.state)
        assert shortened.names == objects.names


@pytest.mark.parametrize("seed", range(4))
def test_undoing_all_edits_returns_the_file_s_map_bit_for_bit(seed, objects):
    before, rng = map_digest(objects.state), random.Random(seed)
    digests = [before]
    for _ in range(12):
        if not objects.ids:
            new_object(objects, rng)
        rng.choice([move, recolor, delete, prune])(objects, rng)
        digests.append(map_digest(objects.state))
    for expected in reversed(digests[:-1]):
        objects.undo()
        assert map_digest(objects.state) == expected
    with pytest.raises(NotFoundError, match="none left"):
        objects.undo()
    for expected in digests[1:]:
        objects.redo()
        assert map_digest(objects.state) == expected
    with pytest.raises(NotFoundError, match="none left"):
        objects.redo()


def test_a_deleted_object_is_gone_and_comes_back_with_its_votes(objects):
    labels, votes = objects.labels(), objects.votes(1)
    count = objects.delete(1)
    assert count == int((labels == 1).sum())
    assert objects.ids == [2]
    assert (objects.labels()[labels == 1] == -1).all()
    assert not objects.rasterizer.gaussians.opacities[labels == 1].any()
    objects.undo()
    assert torch.equal(objects.labels(), labels)
    assert objects.votes(1) is votes


def test_a_new_edit_forgets_what_was_undone(objects):
    objects.recolor(1, torch.tensor([1.0, 0, 0]), 1.0)
    objects.undo()
    objects.recolor(2, torch.tensor([0.0, 0, 1]), 1.0)
    with pytest.raises(NotFoundError):
        objects.redo()


def test_undoing_an_edit_keeps_objects_that_came_later(objects):
    objects.recolor(1, torch.tensor([1.0, 0, 0]), 0.5)
    new_object(objects, random.Random(5))
    objects.undo()
    assert objects.ids == [1, 2, 3]


def test_clicks_and_view_points_move_along_and_back(objects):
    objects.note(1, [Click(torch.tensor([1.0, 0, 0]).double())], 7)
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]).double()
    shift = torch.tensor([0.0, 0, 1]).double()
    objects.move(1, Similarity(R=quarter, translation=shift, scale=2.0))
    assert torch.allclose(objects.clicks(1)[0].point, torch.tensor([0.0, 2, 1]).double())
    objects.undo()
    assert torch.allclose(objects.clicks(1)[0].point, torch.tensor([1.0, 0, 0]).double())


def test_refinements_are_taken_back_one_by_one(objects):
    rng, seen = random.Random(2), [objects.votes(1)]
    for _ in range(REMEMBERED + 3):
        refine(objects, rng)
        seen.append(objects.votes(1))
    objects.remove(2)
    objects.rename(1, "kept")
    taken = 0
    while objects.state.ballots[1].before:
        objects.take_back(1)
        taken += 1
        assert objects.names[1] == "kept"
    assert 1 <= taken <= REMEMBERED
    with pytest.raises(ClickGSError, match="no refinement to take back"):
        objects.take_back(1)


def test_an_object_s_own_weight_decides_its_border_only(objects):
    ones = torch.ones(1, 2 * BLOB_COUNT)
    objects.replace_votes(1, Votes(votes_for=ones, votes_against=0.8 * ones), [])
    objects.replace_votes(2, blob_votes(random.Random(0)), [])
    others = (objects.labels() == 2).sum()
    objects.weigh(1, 2.0)
    assert not (objects.labels() == 1).any()
    assert (objects.labels() == 2).sum() >= others
    objects.weigh(1, -1.0)
    assert (objects.labels() == 1).any()


def test_a_gaussian_has_one_owner(objects):
    for object_id in (1, 2):
        objects.replace_votes(object_id, blob_votes(random.Random(object_id)), [])
    members = [set(objects.get(i).gaussian_ids.tolist()) for i in objects.ids]
    assert not members[0] & members[1]
