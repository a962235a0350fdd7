# SPDX-License-Identifier: Apache-2.0
"""Folders of annotated images: every kind that people have, and what is wrong with the others."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from ros2_clickgs.core.affordances.sources import SourceSet
from ros2_clickgs.core.descriptor import FeatureGrid
from ros2_clickgs.errors import ClickGSError, ConfigError, FileFormatError, ShapeError
from ros2_clickgs.io import sources
from ros2_clickgs.io.sources import load_pictures, load_source_set, load_sources, save_source_set


class Colors:
    """A descriptor for tests: each pixel's colour."""

    name = "colors"

    def describe(self, image, mask=None, inside=None) -> FeatureGrid:
        features = torch.nn.functional.normalize(torch.from_numpy(image / 255.0).float(), dim=-1)
        return FeatureGrid(features=features, origin=(0.0, 0.0), cell=(1.0, 1.0))


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def picture(width: int = 30, height: int = 20) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 255, (height, width, 3), np.uint8)


def halves(width: int = 30, height: int = 20) -> np.ndarray:
    labels = np.ones((height, width), np.uint8)
    labels[:, width // 2 :] = 2
    return labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one image, its labels and the classes."""
    save(tmp_path / "a.png", picture())
    save(tmp_path / "a.labels.png", halves())
    (tmp_path / "classes.txt").write_text("background\ngrasp\ncut\n")
    return tmp_path


def test_label_images(folder: Path) -> None:
    save(folder / "b.jpg", picture())
    save(folder / "b.labels.png", np.full((20, 30), 255, np.uint8))
    save(folder / "b.mask.png", 255 * (halves() == 1).astype(np.uint8))
    (a, b), classes = load_pictures(folder)
    assert classes == ["background", "grasp", "cut"]
    assert np.array_equal(a.labels, halves())
    assert a.mask is None
    assert (b.labels == -1).all()
    assert np.array_equal(b.mask, halves() == 1)


def labelme(folder: Path, shapes: list[dict], name: str = "c") -> Path:
    save(folder / f"{name}.png", picture())
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"shapes": shapes, "imagePath": f"{name}.png"}))
    return path


def test_labelme_polygons_and_masks(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.ones((5, 4), bool)).save(buffer, format="PNG")
    stencil = base64.b64encode(buffer.getvalue()).decode()
    labelme(tmp_path, [
        {"label": "pour", "points": [[0, 0], [9, 0], [9, 9], [0, 9]], "shape_type": "polygon"},
        {"label": "grasp", "points": [[10, 10], [13, 14]], "shape_type": "mask", "mask": stencil},
        {"label": "grasp", "points": [[20, 2], [24, 6]], "shape_type": "rectangle"},
        {"label": "grasp", "points": [[25, 15], [27, 15]], "shape_type": "circle"},
    ])  # fmt: skip
    (found,), classes = load_pictures(tmp_path)
    assert classes == ["background", "grasp", "pour"]
    assert (found.labels[:10, :10] == 2).all()
    assert (found.labels[10:15, 10:14] == 1).all()
    assert (found.labels[2:7, 20:25] == 1).all()
    assert found.labels[15, 25] == 1
    assert found.labels[19, 0] == 0


@pytest.mark.parametrize("kind", ["npy", "mat"])
def test_umd_ranks(tmp_path: Path, kind: str) -> None:
    ranks = np.zeros((20, 30, 7), np.uint8)
    ranks[:10, :, 0], ranks[:10, :, 3], ranks[10:, :, 3], ranks[10:, :, 6] = 1, 2, 1, 9
    save(tmp_path / "mug_01" / "mug_01_0001_rgb.jpg", picture())
    save(tmp_path / "mug_01" / "mug_01_0001_mask.jpg", np.full((20, 30), 255, np.uint8))
    stem = tmp_path / "mug_01" / "mug_01_0001_label_rank"
    if kind == "npy":
        np.save(stem.with_suffix(".npy"), ranks)
    else:
        savemat(stem.with_suffix(".mat"), {"gt_label": ranks})
    (found,), classes = load_pictures(tmp_path)
    assert {classes[i] for i in np.unique(found.labels)} == {"grasp", "contain"}
    assert (found.labels[:10] == classes.index("grasp")).all()
    assert found.mask.all()


def test_prepared_sources_come_back(folder: Path, tmp_path: Path) -> None:
    made = load_sources(folder, Colors())
    save_source_set(tmp_path / "s.npz", made)
    back = load_sources(tmp_path / "s.npz", Colors())
    assert (back.classes, back.descriptor) == (made.classes, "colors")
    assert torch.equal(back.labels, made.labels)
    torch.testing.assert_close(back.features, made.features, atol=1e-3, rtol=0)


def test_prepared_sources_of_another_descriptor_are_refused(tmp_path: Path) -> None:
    made = SourceSet(
        classes=["background", "grasp"], descriptor="other", features=torch.eye(2),
        labels=torch.tensor([0, 1]).int(), pictures=torch.tensor([0, 0]).int(),
    )  # fmt: skip
    save_source_set(tmp_path / "s.npz", made)
    with pytest.raises(ConfigError, match="'colors'; allowed: other"):
        load_sources(tmp_path / "s.npz", Colors())


def test_broken_prepared_sources_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", classes=np.array(["a"]), descriptor=np.array("colors"),
             features=np.eye(2), labels=np.array([0, 5]), pictures=np.zeros(2, int))  # fmt: skip
    with pytest.raises(FileFormatError, match="prepare the sources again"):
        load_source_set(tmp_path / "s.npz")


def only(folder: Path, error: type, words: str) -> None:
    """Loading fails with one line that says these words."""
    with pytest.raises(error, match=words) as caught:
        load_sources(folder, Colors())
    assert "\n" not in str(caught.value)


def test_an_empty_or_missing_folder(tmp_path: Path) -> None:
    only(tmp_path, FileFormatError, "holds no annotated images")
    only(tmp_path / "nowhere", FileFormatError, "is no folder")


def test_labels_of_another_size(folder: Path) -> None:
    save(folder / "a.labels.png", halves(31, 20))
    only(folder, ShapeError, "31x20 px")


def test_an_object_mask_of_another_size_or_empty(folder: Path) -> None:
    save(folder / "a.mask.png", np.zeros((20, 31), np.uint8))
    only(folder, ShapeError, "30x20 px, the size of its image")
    save(folder / "a.mask.png", np.zeros((20, 30), np.uint8))
    only(folder, FileFormatError, "marks no pixel")


def test_an_unknown_class(folder: Path) -> None:
    save(folder / "a.labels.png", 3 * halves())
    only(folder, FileFormatError, "holds class 6, but there are 3")


def test_an_unknown_class_of_labelme(folder: Path) -> None:
    labelme(folder, [{"label": "purr", "points": [[0, 0], [9, 0], [9, 9]]}])
    only(folder, FileFormatError, "speaks of class 'purr'")


def test_one_class_only(folder: Path) -> None:
    save(folder / "a.labels.png", np.ones((20, 30), np.uint8))
    only(folder, ClickGSError, "hold 'grasp' only")


def test_a_huge_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_PIXELS", 599)
    only(folder, FileFormatError, "30x20 px, more than")


def test_labels_without_classes_or_image(folder: Path) -> None:
    (folder / "classes.txt").rename(folder / "list.txt")
    only(folder, FileFormatError, "does not exist, but label images refer to it")
    (folder / "classes.txt").write_text("background\n")
    only(folder, FileFormatError, "two different classes")
    (folder / "list.txt").replace(folder / "classes.txt")
    (folder / "a.png").unlink()
    only(folder, FileFormatError, "has no image beside it")


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"shapes": 3}', '{"shapes": [3]}', '{"imagePath": "a.png"}']
)
def test_json_that_is_not_labelmes(tmp_path: Path, content: str) -> None:
    labelme(tmp_path, []).write_text(content)
    only(tmp_path, FileFormatError, "is no labelme file")


@pytest.mark.parametrize(
    "shape",
    [
        {"label": "grasp"},
        {"label": "grasp", "points": [[0, "x"]]},
        {"label": "grasp", "points": [[0, 0], [1, 1]], "shape_type": "spline"},
        {"label": "grasp", "points": [[0, 0], [1, 1]], "shape_type": "mask", "mask": "!"},
        {"label": "grasp", "points": [[0, 0]], "shape_type": "circle"},
    ],
)
def test_shapes_that_cannot_be_drawn(tmp_path: Path, shape: dict) -> None:
    labelme(tmp_path, [shape])
    only(tmp_path, FileFormatError, "has a shape that cannot be drawn")


def test_ranks_that_are_none(tmp_path: Path) -> None:
    save(tmp_path / "a_rgb.jpg", picture())
    np.save(tmp_path / "a_label_rank.npy", np.zeros((20, 30)))
    only(tmp_path, FileFormatError, "is of shape")
    np.save(tmp_path / "a_label_rank.npy", np.array([{}]), allow_pickle=True)
    only(tmp_path, FileFormatError, "is no label_rank of UMD")


@pytest.mark.data
def test_real_umd_images(data: Path) -> None:
    pictures, classes = load_pictures(data / "affordance_umd_i" / "dataset")
    assert len(pictures) == 47
    assert classes[0] == "background"
    mug = next(p for p in pictures if p.name.startswith("mug_03"))
    named = {classes[i] for i in np.unique(mug.labels)}
    assert named == {"background", "grasp", "contain", "wrap-grasp"}
