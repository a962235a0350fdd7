# SPDX-License-Identifier: Apache-2.0
"""`clickgs affordance` from files to a file, and what wrong input gets."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.cli import BAD_INPUT, DONE, main
from ros2_clickgs.core.clicking import rendered_image
from ros2_clickgs.io.labels import Labels, save_labels
from ros2_clickgs.io.maps import map_sha256, save_map
from ros2_clickgs.scenes.masks import scene_masks
from ros2_clickgs.scenes.tabletop import make_object


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a hammer's map and labels, and two other hammers as sources."""
    folder = tmp_path_factory.mktemp("affordance")
    (folder / "sources").mkdir()
    for seed in (1, 2):
        scene = make_object("hammer", seed, count=3000, view_count=1)
        rasterizer, camera = make_rasterizer(scene.gaussians), scene.cameras[0]
        parts = scene_masks(scene, rasterizer, camera).parts.numpy().astype(np.uint8)
        picture = Image.fromarray(rendered_image(rasterizer, camera).image)
        picture.save(folder / "sources" / f"{seed}.png")
        Image.fromarray(parts).save(folder / "sources" / f"{seed}.labels.png")
    (folder / "sources" / "classes.txt").write_text("\n".join(scene.part_names))
    target = make_object("hammer", 3, count=3000, view_count=1)
    save_map(folder / "map.ply", target.gaussians)
    np.savez(folder / "bare.npz", labels=target.object_labels.numpy())
    sha = map_sha256(folder / "map.ply")
    named = Labels(labels=target.object_labels, names=["hammer"], map_sha256=sha)
    save_labels(folder / "L.npz", named)
    np.save(folder / "truth.npy", target.part_labels.numpy())
    return folder


def affordance(folder: Path, labels: str = "L.npz", *words: str) -> list[str]:
    """Return the command's words."""
    return [
        "affordance", str(folder / "map.ply"), "--labels", str(folder / labels),
        "--object", "1", "--sources", str(folder / "sources"), "--views", "6",
        "--out", str(folder / "A.npz"), "--json", *words,
    ]  # fmt: skip


def test_parts_of_other_hammers_reach_the_map(folder: Path, capsys) -> None:
    kept = ["--keep-sources", str(folder / "S.npz")]
    assert main(affordance(folder, "L.npz", *kept)) == DONE
    assert json.loads(capsys.readouterr().out)["descriptor"].startswith("dense")
    truth, arrays = np.load(folder / "truth.npy"), np.load(folder / "A.npz")
    assert arrays["scores"].shape == (len(truth), 3)
    for part in (1, 2):
        found = arrays["labels"] == part
        assert (found & (truth == part)).sum() / (found | (truth == part)).sum() > 0.75
    again = affordance(folder, "L.npz", "--sources", str(folder / "S.npz"))
    assert main(again) == DONE
    assert np.mean(np.load(folder / "A.npz")["labels"] == arrays["labels"]) > 0.99


def test_labels_without_a_maps_hash_are_taken_with_a_warning(folder: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        assert main(affordance(folder, "bare.npz")) == DONE
    assert "not checked which map these labels belong to" in caplog.text


def told(words: list[str], capsys) -> str:
    """Run what must fail, and return the one line that says why."""
    assert main(words) == BAD_INPUT
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    return said


def test_labels_of_another_map_are_refused(folder: Path, capsys) -> None:
    labels = torch.ones(3000, dtype=torch.int32)
    save_labels(folder / "other.npz", Labels(labels=labels, map_sha256="0" * 64))
    assert "0" * 64 in told(affordance(folder, "other.npz"), capsys)
    np.savez(folder / "few.npz", labels=np.ones(5, np.int32))
    assert "(3000,)" in told(affordance(folder, "few.npz"), capsys).splitlines()[-1]


def test_unknown_objects_and_empty_folders_are_told(folder: Path, capsys, tmp_path) -> None:
    assert "9" in told(affordance(folder, "L.npz", "--object", "9"), capsys)
    said = told(affordance(folder, "L.npz", "--sources", str(tmp_path)), capsys)
    assert "holds no annotated images" in said
