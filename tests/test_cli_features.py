# SPDX-License-Identifier: Apache-2.0
"""`clickgs train`, `query` and `everything` on two blobs."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ros2_clickgs.cli import features as commands
from ros2_clickgs.cli import main
from ros2_clickgs.io.cameras import View, save_transforms
from ros2_clickgs.io.images import write_label_image
from ros2_clickgs.io.labels import load_labels
from ros2_clickgs.io.maps import load_map, map_sha256, save_map
from tests.core.blobs import blob_map
from tests.core.features.training_scene import blob_rasterizer, blob_truth, blob_views

ITERATIONS = "300"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> SimpleNamespace:
    """Return a folder with map, cameras, masks of two levels, and trained features."""
    folder = tmp_path_factory.mktemp("blobs")
    save_map(folder / "map.ply", blob_map())
    views = []
    (folder / "masks").mkdir()
    for i, view in enumerate(blob_views(blob_rasterizer())):
        views.append(View(name=f"{i:04d}", camera=view.camera))
        for level in ("coarse", "fine"):
            labels = getattr(view, level).numpy()
            write_label_image(folder / "masks" / f"{i:04d}.{level}.png", labels)
    save_transforms(folder / "transforms.json", views)
    inputs = [str(folder / "map.ply"), "--cameras", str(folder / "transforms.json")]
    train = ["train", *inputs, "--masks", str(folder / "masks"), "--iterations", ITERATIONS]
    assert main([*train, "--out", str(folder / "F.npz")]) == 0
    return SimpleNamespace(folder=folder, map=inputs[0], train=train, out=str(folder / "F.npz"))


def run(capsys, *words: str) -> dict:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_train_writes_features_of_this_map(world) -> None:
    with np.load(world.out) as arrays:
        assert arrays["features"].shape == (len(blob_map()), 24)
        assert len(arrays["coarse_clusters"]) == 2
        assert str(arrays["map_sha256"]) == map_sha256(world.map)
    assert not list(world.folder.glob("*.checkpoint.pt"))


def test_query_by_pixel_needs_no_cameras(world, capsys) -> None:
    out = str(world.folder / "object.ply")
    query = ["query", world.map, "--features", world.out, "--level", "coarse", "--out", out]
    report = run(capsys, *query, "--pixel", "0000", "49", "62")
    found = load_map(out)
    assert len(found) == report["gaussians"]
    assert (found.means[:, 0] < 0).float().mean() > 0.9
    assert len(found) > 0.5 * len(blob_map()) / 2


def test_query_by_point(world, capsys) -> None:
    out = str(world.folder / "object.ply")
    query = ["query", world.map, "--features", world.out, "--out", out]
    run(capsys, *query, "--point", "0.3", "-0.15", "0")
    assert (load_map(out).means[:, 0] > 0).float().mean() > 0.9


def test_everything_labels_the_map(world, capsys) -> None:
    out = str(world.folder / "L.npz")
    report = run(capsys, "everything", world.map, "--features", world.out, "--out", out)
    assert len(report["labels"]) == 2
    labels = load_labels(out, map_sha256(world.map)).labels
    blob, _ = blob_truth()
    agreement = [(labels[blob == i] == labels[blob == i].mode().values).float() for i in (1, 2)]
    assert torch.cat(agreement).mean() > 0.9


def test_a_stopped_training_is_usable_and_goes_on_the_same(world, monkeypatch, capsys) -> None:
    out = world.folder / "stopped.npz"
    walked = commands.progress

    def stop(items, doing, total):
        for i in walked(items, doing, total):
            if i == 25:
                raise KeyboardInterrupt
            yield i

    monkeypatch.setattr(commands, "progress", stop)
    report = run(capsys, *world.train, "--out", str(out))
    assert report["iterations"] == 25
    assert out.exists()
    monkeypatch.setattr(commands, "progress", walked)
    report = run(capsys, *world.train, "--out", str(out), "--resume")
    assert report["iterations"] == int(ITERATIONS)
    with np.load(out) as resumed, np.load(world.out) as whole:
        for name in ("features", "coarse_clusters", "fine_clusters"):
            assert (resumed[name] == whole[name]).all()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--pixel", "nowhere", "1", "1"], "no view 'nowhere'"),
        (["--pixel", "0000", "0", "0"], "surface"),
        ([], "--pixel VIEW U V or --point"),
    ],
)
def test_clicks_that_mean_nothing_are_told(world, capsys, words: list[str], told: str) -> None:
    out = ["--out", str(world.folder / "x.ply")]
    assert main(["query", world.map, "--features", world.out, *out, *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_features_of_another_map_are_refused(world, tmp_path, capsys) -> None:
    save_map(tmp_path / "other.ply", blob_map().select(torch.arange(50)))
    words = ["everything", str(tmp_path / "other.ply"), "--features", world.out]
    assert main([*words, "--out", str(tmp_path / "L.npz")]) == 2
    assert "sha256" in capsys.readouterr().err


def test_missing_masks_are_told(world, tmp_path, capsys) -> None:
    words = [*world.train, "--out", str(tmp_path / "F.npz")]
    words[words.index("--masks") + 1] = str(tmp_path)
    assert main(words) == 2
    assert "0000.coarse.png" in capsys.readouterr().err
