# SPDX-License-Identifier: Apache-2.0
"""The descriptor without weights: shape says where a place lies, whatever size and colour."""

import cv2
import numpy as np
import pytest
import torch

from ros2_clickgs.core.descriptor import Descriptor
from ros2_clickgs.errors import ConfigError
from ros2_clickgs.models.dense import DenseDescriptor
from ros2_clickgs.models.descriptors import make_descriptor
from ros2_clickgs.models.figure import figure


def pan(size: int = 200, shift: int = 0, handle: int = 1) -> np.ndarray:
    """Return the mask of a disc with a handle to the right (1) or left (-1)."""
    mask = np.zeros((size, size), np.uint8)
    center = (size // 2 + shift, size // 2)
    cv2.circle(mask, center, size // 6, 1, cv2.FILLED)
    end = (center[0] + handle * size // 3, center[1])
    cv2.line(mask, center, end, 1, max(2, size // 25))
    return mask > 0


def painted(mask: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    image = np.full((*mask.shape, 3), 30, np.uint8)
    image[mask] = color
    return image


def feature_at(grid, u: float, v: float) -> torch.Tensor:
    j = int((u - grid.origin[0]) / grid.cell[0])
    i = int((v - grid.origin[1]) / grid.cell[1])
    return grid.features[i, j]


def test_it_is_a_descriptor_of_unit_features_on_the_object_only() -> None:
    mask = pan()
    grid = DenseDescriptor().describe(painted(mask, (200, 40, 40)), mask)
    assert isinstance(DenseDescriptor(), Descriptor)
    lengths = grid.features.norm(dim=-1)
    torch.testing.assert_close(lengths[grid.described], torch.ones(int(grid.described.sum())))
    assert lengths[~grid.described].eq(0).all()
    painted_back = grid.paint(grid.described[..., None].float(), *mask.shape)[..., 0].numpy() > 0.5
    assert (painted_back & mask).sum() / (painted_back | mask).sum() > 0.93


@pytest.mark.parametrize("other", [
    {"size": 80}, {"size": 200, "shift": 20}, {"size": 333}, {"handle": -1},
])  # fmt: skip
def test_handles_are_like_handles_of_other_sizes_places_and_sides(other: dict) -> None:
    describe = DenseDescriptor().describe
    mask, twin = pan(), pan(**other)
    one = describe(painted(mask, (200, 40, 40)), mask)
    two = describe(painted(twin, (40, 90, 160)), twin)
    size, side = other.get("size", 200), other.get("handle", 1)
    center = (size // 2 + other.get("shift", 0), size / 2)
    handle, disc = feature_at(one, 155, 100), feature_at(one, 100, 100)
    twin_handle = feature_at(two, center[0] + side * size * 0.275, center[1])
    twin_disc = feature_at(two, *center)
    assert handle @ twin_handle > 0.9
    assert disc @ twin_disc > 0.9
    assert handle @ disc < 0.5


def test_light_does_not_matter() -> None:
    mask, describe = pan(), DenseDescriptor().describe
    image = painted(mask, (120, 120, 120))
    image[mask] = image[mask] + np.arange(mask.sum())[:, None] % 40
    brighter = (image * 1.6).clip(0, 255).astype(np.uint8)
    one, two = describe(image, mask), describe(brighter, mask)
    alike = (one.features * two.features).sum(-1)[one.described]
    assert alike.median() > 0.97


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 3), (20, 500)])
def test_tiny_masks_are_described(size: tuple[int, int]) -> None:
    mask = np.zeros((60, 520), bool)
    mask[5 : 5 + size[0], 7 : 7 + size[1]] = True
    grid = DenseDescriptor().describe(painted(mask, (200, 40, 40)), mask)
    assert torch.isfinite(grid.features).all()
    assert grid.described.any()


def test_without_a_mask_what_stands_out_is_described() -> None:
    mask = pan()
    image = painted(mask, (200, 40, 40))
    found = figure(image)
    assert (found & mask).sum() / (found | mask).sum() > 0.95
    given, guessed = (DenseDescriptor().describe(image, m) for m in (mask, None))
    assert guessed.features.shape == given.features.shape


def test_known_pixels_choose_the_figure_and_may_be_all_of_it() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    cv2.rectangle(image, (20, 60), (70, 140), (220, 40, 40), cv2.FILLED)
    cv2.rectangle(image, (130, 80), (180, 120), (40, 220, 40), cv2.FILLED)
    right = np.zeros((200, 200), bool)
    right[85:115, 135:150] = True
    found = figure(image, right)
    assert found[100, 175]
    assert not found[100, 45]
    whole = np.zeros((200, 200), bool)
    whole[79:121, 129:181] = True
    assert np.array_equal(figure(image, whole), whole)


def test_names_are_checked() -> None:
    assert make_descriptor("auto").name == make_descriptor("dense").name
    with pytest.raises(ConfigError, match="dinov2"):
        make_descriptor("best")
