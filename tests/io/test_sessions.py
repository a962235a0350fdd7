# SPDX-License-Identifier: Apache-2.0
"""A session on disk: what was acknowledged is in it, whatever is cut off; no other map's."""

import random

import pytest
import torch

from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.operations import Operation
from ros2_clickgs.core.recipe import recipe
from ros2_clickgs.errors import (
    ClickGSError,
    FileFormatError,
    MapMismatchError,
    SessionInUseError,
)
from ros2_clickgs.io.sessions import MAGIC, Journal, SessionMap, load_session, save_session
from tests.core.blobs import BLOB_COUNT, blob_map
from tests.core.sessions import StillRasterizer, act, digest

ABOUT = SessionMap(
    sha256="a" * 64, gaussian_count=2 * BLOB_COUNT, map_to_splat=(1.0, 0.0, 0.0, 0.0)
)


def fresh() -> ObjectMap:
    return ObjectMap(StillRasterizer(blob_map()))


def restored(path) -> str:
    objects = fresh()
    objects.replay(load_session(path, ABOUT))
    return digest(objects.state)


@pytest.fixture
def history(tmp_path):
    """Return a journal's path, and after each accepted change its size and the state's digest."""
    objects, rng, change = fresh(), random.Random(3), []
    objects.record = change.append
    journal = Journal(tmp_path / "s" / "kitchen.session", ABOUT)
    sizes = [(journal.size, digest(objects.state))]
    for _ in range(9):
        act(objects, rng)
        journal.append(change)
        change.clear()
        sizes.append((journal.size, digest(objects.state)))
    journal.close()
    return journal.path, sizes


def test_cut_off_anywhere_every_whole_change_is_there_and_none_is_half(history, tmp_path):
    path, sizes = history
    whole, cut = path.read_bytes(), tmp_path / "cut.session"
    rng = random.Random(0)
    places = [rng.randrange(sizes[0][0], len(whole) + 1) for _ in range(20)]
    places += [size + offset for size, _ in sizes for offset in (-1, 0, 9)]
    for place in places:
        cut.write_bytes(whole[: max(place, sizes[0][0])])
        expected = [seen for size, seen in sizes if size <= max(place, sizes[0][0])][-1]
        assert restored(cut) == expected


def test_blocks_that_never_reached_the_disk_are_a_torn_record(history, tmp_path):
    path, sizes = history
    whole, cut = path.read_bytes(), tmp_path / "cut.session"
    start = sizes[-2][0]
    for first in (start, start + 7, start + 40):
        cut.write_bytes(whole[:first] + bytes(len(whole) - first))
        assert restored(cut) == sizes[-2][1]


def test_a_torn_record_is_overwritten_by_the_next_one(history):
    path, sizes = history
    path.write_bytes(path.read_bytes()[:-3])
    journal, objects = Journal(path, ABOUT), fresh()
    objects.replay(journal.operations)
    assert digest(objects.state) == sizes[-2][1]
    objects.record = lambda operation: journal.append([operation])
    found = objects.create("after the cut")
    journal.close()
    objects.replay([])
    assert restored(path) == digest(objects.state)
    assert found in objects.ids


def test_damage_in_the_middle_is_told_not_dropped(history, tmp_path):
    path, sizes = history
    whole, bad = bytearray(path.read_bytes()), tmp_path / "bad.session"
    rng = random.Random(1)
    for _ in range(20):
        place = rng.randrange(0, sizes[-2][0])
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        bad.write_bytes(damaged)
        with pytest.raises(FileFormatError, match=r"damaged at byte|no session"):
            restored(bad)


def test_a_snapshot_is_shorter_and_the_same(history, tmp_path):
    path, sizes = history
    objects = fresh()
    objects.replay(load_session(path, ABOUT))
    journal = Journal(path, ABOUT)
    journal.replace(recipe(objects.state))
    journal.append([Operation("clear", {})])
    journal.close()
    save_session(tmp_path / "copy.session", ABOUT, recipe(objects.state))
    assert restored(tmp_path / "copy.session") == sizes[-1][1]
    assert restored(path) != sizes[-1][1]
    snapshot = (tmp_path / "copy.session").read_bytes()
    (tmp_path / "copy.session").write_bytes(snapshot[:-40])
    with pytest.raises(FileFormatError, match="cut off within its snapshot"):
        restored(tmp_path / "copy.session")


def test_another_map_is_refused_with_both_hashes(history):
    path, _ = history
    other = SessionMap(sha256="b" * 64, gaussian_count=5, map_to_splat=ABOUT.map_to_splat)
    with pytest.raises(MapMismatchError, match=f"{'a' * 64}.*{'b' * 64}"):
        load_session(path, other)
    turned = SessionMap(sha256="a" * 64, gaussian_count=5, map_to_splat=(2.0, 0.0, 0.0, 0.0))
    with pytest.raises(FileFormatError, match="map_to_splat"):
        Journal(path, turned)


def test_one_process_at_a_time(history):
    path, _ = history
    first = Journal(path, ABOUT)
    with pytest.raises(SessionInUseError, match="in use by another process"):
        Journal(path, ABOUT)
    first.close()
    Journal(path, ABOUT).close()


def test_what_is_no_session_is_refused(tmp_path):
    path = tmp_path / "x.session"
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_session(path, ABOUT)
    for content in (b"", b"\x80\x04pickle", MAGIC, MAGIC + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(FileFormatError):
            load_session(path, ABOUT)


ROWS = {"rows": torch.tensor([0], dtype=torch.int32)}
NAN = torch.full((1,), torch.nan)
VOTES = {"votes_for": torch.ones(1), "votes_against": torch.ones(1)}
CENTERS = {"view_points": torch.zeros(0, 3, dtype=torch.float64)}


@pytest.mark.parametrize(
    "operation",
    [
        ("explode", {}),
        ("clear", {"object_id": 1}),
        ("rename", {"object_id": "1", "name": "x"}),
        ("rename", {"object_id": 1, "name": ["x"]}),
        ("hide", {"object_id": 0, "rows": torch.tensor([2 * BLOB_COUNT])}),
        ("hide", {"object_id": 0, "rows": torch.tensor([-1])}),
        ("hide", {"object_id": 0, "rows": torch.tensor([0.5])}),
        ("replace_votes", {"object_id": 1, **ROWS, **VOTES, **CENTERS, "votes_for": NAN}),
        (
            "replace_votes",
            {"object_id": 1, **ROWS, **VOTES, **CENTERS, "votes_for": torch.ones(2)},
        ),
    ],
)
def test_operations_that_make_no_sense_are_refused(tmp_path, operation):
    save_session(tmp_path / "x.session", ABOUT, [Operation(*operation)])
    with pytest.raises(FileFormatError, match="holds"):
        load_session(tmp_path / "x.session", ABOUT)


def test_a_disk_that_refuses_leaves_the_file_as_it_was(history, monkeypatch):
    path, sizes = history
    journal = Journal(path, ABOUT)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(ClickGSError, match="No space left on device"):
            journal.append([Operation("clear", {})])
    journal.append([Operation("reserve", {"next_id": 99})])
    journal.close()
    assert path.stat().st_size > sizes[-1][0]
    assert load_session(path, ABOUT)[-1].name == "reserve"
