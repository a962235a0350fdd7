# SPDX-License-Identifier: Apache-2.0
"""DINOv2's adapter: the real architecture with random weights, and the real weights if given."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from ros2_clickgs.core.descriptor import Descriptor
from ros2_clickgs.errors import BackendUnavailableError, FileFormatError
from ros2_clickgs.models.descriptors import make_descriptor
from ros2_clickgs.models.dinov2 import DINOv2Descriptor, around

timm = pytest.importorskip("timm")
CHECKPOINT = os.environ.get("CLICKGS_DINOV2_CHECKPOINT", "")


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model("vit_small_patch14_reg4_dinov2", dynamic_img_size=True)


@pytest.fixture(scope="module")
def descriptor(model: torch.nn.Module) -> DINOv2Descriptor:
    return DINOv2Descriptor(model, "random", side_px=112)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("size", "cells"), [((112, 112), (8, 8)), ((50, 100), (4, 8)), ((300, 9), (8, 1))]
)
def test_images_of_any_size(descriptor, size: tuple[int, int], cells: tuple[int, int]) -> None:
    grid = descriptor.describe(noise(*size))
    assert isinstance(descriptor, Descriptor)
    assert grid.features.shape == (*cells, 384)
    torch.testing.assert_close(grid.features.norm(dim=-1), torch.ones(cells))
    assert (grid.cell[1] * cells[0], grid.cell[0] * cells[1]) == pytest.approx(size)


def test_a_mask_makes_its_object_fill_the_input(descriptor) -> None:
    mask = np.zeros((200, 300), bool)
    mask[50:130, 100:180] = True
    mask[90:130, 140:180] = False
    grid = descriptor.describe(noise(200, 300), mask)
    assert grid.origin == (88.0, 38.0)
    assert grid.described.any()
    assert not grid.described.all()
    shown = grid.paint(grid.described[..., None].float(), 200, 300, smooth=False)[..., 0] > 0
    assert shown[torch.from_numpy(mask)].all()


def test_the_window_stays_inside_the_image() -> None:
    mask = np.zeros((20, 30), bool)
    mask[0, 0], mask[19, 29] = True, True
    assert around(mask) == (0, 0, 30, 20)


def test_describing_is_repeatable_and_sees_differences(descriptor) -> None:
    image = noise(56, 56)
    one, two = descriptor.describe(image), descriptor.describe(image)
    torch.testing.assert_close(one.features, two.features)
    assert not torch.allclose(descriptor.describe(255 - image).features, one.features)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_local_checkpoint_gives_the_same_features(model, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vits{suffix}"
    if suffix == ".pth":
        torch.save(model.state_dict(), path)
    else:
        from safetensors.torch import save_file

        save_file(model.state_dict(), path)
    loaded = DINOv2Descriptor.load(str(path), side_px=56)
    image = noise(56, 56)
    expected = DINOv2Descriptor(model, "random", side_px=56).describe(image)
    torch.testing.assert_close(loaded.describe(image).features, expected.features)
    assert loaded.name == "vits-56"


def test_files_that_hold_no_such_weights(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(b"nothing")
    for name in ("a.pth", "b.pth"):
        with pytest.raises(FileFormatError, match="holds no weights of a DINOv2"):
            make_descriptor("dinov2", str(tmp_path / name))


def test_a_hub_id_that_cannot_be_had_is_told_in_one_line() -> None:
    with pytest.raises(BackendUnavailableError, match="pass a local checkpoint") as caught:
        make_descriptor("dinov2", "no_such_model")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not CHECKPOINT, reason="CLICKGS_DINOV2_CHECKPOINT names no file")
def test_trained_features_find_the_same_place_in_a_shifted_image() -> None:
    descriptor = make_descriptor("dinov2", CHECKPOINT)
    image = noise(280, 280) // 4
    image[60:120, 60:120] = (200, 60, 60)
    shifted = np.roll(image, 98, axis=1)
    one, two = descriptor.describe(image), descriptor.describe(shifted)
    there = one.take(torch.from_numpy(image[..., 0] == 200))
    moved = two.take(torch.from_numpy(shifted[..., 0] == 200))
    mean = one.features[there].mean(0)
    assert (two.features[moved] @ mean).mean() > (two.features[~moved] @ mean).mean() + 0.2
