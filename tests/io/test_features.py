# SPDX-License-Identifier: Apache-2.0
"""Features, checkpoints and spilled pixels come back as they were, or are refused in one line."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ros2_clickgs.core.features.feature_map import FeatureMap
from ros2_clickgs.core.features.training import Trainer
from ros2_clickgs.errors import ClickGSError, FileFormatError, MapMismatchError, ShapeError
from ros2_clickgs.io.features import (
    SpillingShelf,
    load_checkpoint,
    load_feature_views,
    load_features,
    save_checkpoint,
    save_features,
)
from ros2_clickgs.io.views import View
from tests.conftest import random_camera
from tests.core.features.training_scene import OPTIONS, blob_rasterizer, blob_views


def some_features() -> FeatureMap:
    return FeatureMap(
        features=torch.randn(9, 24).half().float(),
        coarse_clusters=torch.randn(2, 12),
        fine_clusters=torch.randn(3, 24),
        coarse_background=torch.randn(1, 12),
    )


def test_features_come_back(tmp_path) -> None:
    kept = some_features()
    save_features(tmp_path / "F.npz", kept, "abc")
    found = load_features(tmp_path / "F.npz", "abc")
    for name in ("features", "coarse_clusters", "fine_clusters", "coarse_background"):
        assert torch.equal(getattr(found, name), getattr(kept, name))


def test_the_file_is_what_the_design_says(tmp_path) -> None:
    save_features(tmp_path / "F.npz", some_features(), "abc")
    with np.load(tmp_path / "F.npz", allow_pickle=False) as arrays:
        assert arrays["features"].dtype == np.float16
        assert arrays["features"].shape == (9, 24)
        assert arrays["coarse_clusters"].shape == (2, 12)
        assert arrays["fine_clusters"].shape == (3, 24)
        assert str(arrays["map_sha256"]) == "abc"


def test_cameras_come_back(tmp_path) -> None:
    views = [View(name=f"v{i}", camera=random_camera(i)) for i in range(3)]
    save_features(tmp_path / "F.npz", some_features(), "abc", views)
    found = load_feature_views(tmp_path / "F.npz")
    assert [view.name for view in found] == ["v0", "v1", "v2"]
    assert torch.equal(found[1].camera.T_world_camera, views[1].camera.T_world_camera)
    assert found[1].camera.width == 70


def test_features_of_another_map_are_refused(tmp_path) -> None:
    save_features(tmp_path / "F.npz", some_features(), "abc")
    with pytest.raises(MapMismatchError, match=r"abc.*xyz"):
        load_features(tmp_path / "F.npz", "xyz")


@pytest.mark.parametrize("size", [0, 10, 300, 900])
def test_torn_features_are_refused(tmp_path, size: int) -> None:
    path = tmp_path / "F.npz"
    save_features(path, some_features(), "abc")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(FileFormatError, match=r"F\.npz"):
        load_features(path, "abc")


def test_features_of_another_width_are_refused(tmp_path) -> None:
    np.savez(tmp_path / "F.npz", features=np.zeros((4, 7)), map_sha256="abc")
    with pytest.raises(ShapeError, match="features"):
        load_features(tmp_path / "F.npz", "abc")


@pytest.fixture(scope="module")
def scene():
    rasterizer = blob_rasterizer()
    return rasterizer, blob_views(rasterizer)


def steps(trainer: Trainer, count: int) -> Trainer:
    for _ in range(count):
        trainer.step()
    return trainer


def test_a_training_goes_on_from_its_checkpoint_bit_for_bit(tmp_path, scene) -> None:
    first = steps(Trainer(*scene, OPTIONS), 65)
    save_checkpoint(tmp_path / "c.pt", first, "abc")
    second = Trainer(*scene, OPTIONS)
    load_checkpoint(tmp_path / "c.pt", second, "abc")
    assert torch.equal(steps(second, 20).features, steps(first, 20).features)


def test_checkpoints_of_others_are_refused(tmp_path, scene) -> None:
    trainer = steps(Trainer(*scene, OPTIONS), 1)
    save_checkpoint(tmp_path / "c.pt", trainer, "abc")
    with pytest.raises(MapMismatchError):
        load_checkpoint(tmp_path / "c.pt", trainer, "xyz")
    with pytest.raises(ClickGSError, match="seed 0"):
        load_checkpoint(tmp_path / "c.pt", Trainer(*scene, replace(OPTIONS, seed=1)), "abc")
    longer = Trainer(*scene, replace(OPTIONS, iterations=999))
    load_checkpoint(tmp_path / "c.pt", longer, "abc")
    assert longer.iteration == 1


@pytest.mark.parametrize("content", [b"", b"no torch file", b"PK\x03\x04"])
def test_broken_checkpoints_are_refused(tmp_path, scene, content: bytes) -> None:
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(FileFormatError, match="no checkpoint"):
        load_checkpoint(tmp_path / "c.pt", Trainer(*scene, OPTIONS), "abc")


def test_a_checkpoint_cannot_run_code(tmp_path, scene) -> None:
    torch.save({"map_sha256": "abc", "options": {}, "state": print}, tmp_path / "c.pt")
    with pytest.raises(FileFormatError):
        load_checkpoint(tmp_path / "c.pt", Trainer(*scene, OPTIONS), "abc")


def test_what_exceeds_the_budget_is_spilled_and_read_back(tmp_path) -> None:
    shelf = SpillingShelf(budget_bytes=900, folder=tmp_path)
    kept = {f"{i}-0": {"x": torch.randn(100)} for i in range(4)}
    for key, tensors in kept.items():
        shelf.put(key, tensors)
    assert shelf.bytes_in_memory == 800
    assert len(list(tmp_path.glob("*/*.pt"))) == 2
    for key, tensors in kept.items():
        assert torch.equal(shelf.get(key)["x"], tensors["x"])
    assert shelf.get("9-0") is None


def test_what_is_put_again_replaces(tmp_path) -> None:
    for budget in (0, 1000):
        shelf = SpillingShelf(budget, tmp_path)
        shelf.put("0-0", {"x": torch.zeros(10)})
        shelf.put("0-0", {"x": torch.ones(10)})
        assert shelf.get("0-0")["x"].sum() == 10
        assert shelf.bytes_in_memory == (40 if budget else 0)


def test_spilling_changes_nothing(tmp_path, scene) -> None:
    in_memory = steps(Trainer(*scene, OPTIONS), 70)
    spilled = steps(Trainer(*scene, OPTIONS, SpillingShelf(20_000, tmp_path)), 70)
    assert torch.equal(in_memory.features, spilled.features)
