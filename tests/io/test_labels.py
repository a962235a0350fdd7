# SPDX-License-Identifier: Apache-2.0
"""Labels remember their map, survive saving, and nothing is unpickled."""

import logging
import os
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ros2_clickgs.errors import ClickGSError, FileFormatError, MapMismatchError, ShapeError
from ros2_clickgs.io.atomic import atomic_path
from ros2_clickgs.io.labels import Labels, load_labels, save_labels

HASH, OTHER = "a" * 64, "b" * 64


def some_labels() -> Labels:
    votes = torch.arange(14, dtype=torch.float32).reshape(2, 7)
    return Labels(
        labels=torch.tensor([-1, 0, 1, 2, 2, 0, 1], dtype=torch.int32),
        votes_for=votes,
        votes_against=votes.flip(0),
        names=["mug", "größer"],
        map_sha256=HASH,
    )


def test_labels_survive(tmp_path: Path) -> None:
    saved = some_labels()
    save_labels(tmp_path / "new/L.npz", saved)
    loaded = load_labels(tmp_path / "new/L.npz", HASH)
    for name in ("labels", "votes_for", "votes_against"):
        assert torch.equal(getattr(loaded, name), getattr(saved, name))
        assert getattr(loaded, name).dtype == getattr(saved, name).dtype
    assert loaded.names == saved.names
    assert loaded.map_sha256 == HASH


def test_the_file_holds_what_the_design_says(tmp_path: Path) -> None:
    save_labels(tmp_path / "L.npz", some_labels())
    with np.load(tmp_path / "L.npz", allow_pickle=False) as arrays:
        assert arrays["labels"].dtype == np.int32
        assert arrays["votes_for"].shape == arrays["votes_against"].shape == (2, 7)
        assert arrays["votes_for"].dtype == np.float32
        assert arrays["names"].tolist() == ["mug", "größer"]
        assert str(arrays["map_sha256"]) == HASH


def test_another_maps_labels_are_refused_with_both_hashes(tmp_path: Path) -> None:
    save_labels(tmp_path / "L.npz", some_labels())
    with pytest.raises(MapMismatchError) as caught:
        load_labels(tmp_path / "L.npz", OTHER)
    assert HASH in str(caught.value)
    assert OTHER in str(caught.value)


def test_labels_alone_are_taken_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    np.savez(tmp_path / "L.npz", labels=np.array([0, 3, -1]))
    with caplog.at_level(logging.WARNING):
        loaded = load_labels(tmp_path / "L.npz", None)
    assert "not checked which map" in caplog.text
    assert loaded.labels.tolist() == [0, 3, -1]
    assert loaded.votes_for.shape == (0, 3)
    with pytest.raises(FileFormatError, match="does not say which map it is for; make the labels"):
        load_labels(tmp_path / "L.npz", HASH)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"votes_for": np.zeros((1, 2))}, "lacks the array 'labels'"),
        ({"labels": np.zeros((2, 2), int)}, "'labels' should be"),
        ({"labels": np.array([0.5, 1])}, "'labels' does not hold whole numbers"),
        ({"labels": np.array(["a"])}, "'labels' does not hold finite numbers"),
        ({"labels": np.array([{}], object)}, "no .npz of plain arrays"),
        ({"labels": np.zeros(2, int), "votes_for": np.zeros((1, 3))}, "votes_against"),
        ({"labels": np.zeros(2, int), "votes_for": np.full((1, 2), np.nan)}, "finite numbers"),
        ({"labels": np.zeros(2, int), "names": np.zeros(2)}, "'names' does not hold text"),
    ],
)
def test_broken_labels(tmp_path: Path, arrays: dict, expected: str) -> None:
    np.savez(tmp_path / "L.npz", **arrays)
    with pytest.raises((FileFormatError, ShapeError), match=expected):
        load_labels(tmp_path / "L.npz", None)


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    (tmp_path / "L.npz").write_bytes(b"PK\3\4 and nothing more")
    for path, expected in (
        ("L.npz", "is no .npz"),
        ("absent.npz", "does not exist"),
        ("", "is no"),
    ):
        with pytest.raises(FileFormatError, match=expected):
            load_labels(tmp_path / path, None)


def test_a_member_that_claims_too_much(tmp_path: Path) -> None:
    header = b"{'descr': '<i4', 'fortran_order': False, 'shape': (10000000000000,), }"
    header = header.ljust(117) + b"\n"
    member = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + b"\0" * 64
    with zipfile.ZipFile(tmp_path / "L.npz", "w") as archive:
        archive.writestr("labels.npy", member)
    with pytest.raises(FileFormatError, match="more than it holds"):
        load_labels(tmp_path / "L.npz", None)


def test_mutated_labels(tmp_path: Path) -> None:
    path = tmp_path / "L.npz"
    save_labels(path, some_labels())
    original = path.read_bytes()
    for seed in range(1000):
        rng, contents = random.Random(seed), bytearray(original)
        at = rng.randrange(len(contents))
        contents[at : at + seed % 7] = rng.randbytes(seed % 7)
        path.unlink()
        path.write_bytes(contents[: at + 1] if seed % 5 == 0 else contents)
        try:
            assert load_labels(path, HASH).labels.ndim == 1
        except ClickGSError:
            continue


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "L.npz"
    save_labels(path, some_labels())
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_bytes(b"half") / 0
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["L.npz"]


def test_atomic_path_replaces_and_fsyncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    with atomic_path(tmp_path / "a.txt") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert synced == [str(temporary), str(tmp_path)]
