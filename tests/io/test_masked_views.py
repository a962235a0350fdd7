# SPDX-License-Identifier: Apache-2.0
"""Masks of two levels come from PNGs, and from the file that a training keeps."""

import pytest
import torch

from ros2_clickgs.core.features.masks import MaskedView
from ros2_clickgs.core.types import IGNORE
from ros2_clickgs.errors import ClickGSError, FileFormatError, MapMismatchError
from ros2_clickgs.io.images import write_label_image
from ros2_clickgs.io.masked_views import (
    TrainingViews,
    keep_views,
    load_kept_views,
    load_masked_views,
)
from ros2_clickgs.io.views import View
from tests.conftest import random_camera


def some_views(count: int = 3) -> TrainingViews:
    masked = []
    for i in range(count):
        camera = random_camera(i)
        labels = torch.randint(IGNORE, 5, (2, camera.height, camera.width), dtype=torch.int32)
        masked.append(MaskedView(camera=camera, coarse=labels[0], fine=labels[1]))
    return TrainingViews([f"v{i}" for i in range(count)], masked)


def same(found: TrainingViews, kept: TrainingViews) -> bool:
    pairs = zip(found.masked, kept.masked, strict=True)
    return found.names == kept.names and all(
        torch.equal(a.coarse, b.coarse)
        and torch.equal(a.fine, b.fine)
        and torch.equal(a.camera.T_world_camera, b.camera.T_world_camera)
        for a, b in pairs
    )


def test_views_that_are_kept_come_back(tmp_path) -> None:
    keep_views(tmp_path / "k.npz", some_views(), "here", "abc")
    torch.manual_seed(0)
    found, source = load_kept_views(tmp_path / "k.npz", "abc")
    assert same(found, some_views())
    assert source == "here"


def test_views_of_another_map_or_none_are_refused(tmp_path) -> None:
    keep_views(tmp_path / "k.npz", some_views(), "here", "abc")
    with pytest.raises(MapMismatchError):
        load_kept_views(tmp_path / "k.npz", "xyz")
    (tmp_path / "k.npz").write_bytes(b"torn")
    with pytest.raises(FileFormatError, match="resume"):
        load_kept_views(tmp_path / "k.npz", "abc")


def test_only_views_with_both_levels_take_part(tmp_path) -> None:
    views = some_views()
    for name, view in zip(views.names[:2], views.masked, strict=False):
        write_label_image(tmp_path / f"{name}.coarse.png", view.coarse.numpy())
    write_label_image(tmp_path / "v1.fine.png", views.masked[1].fine.numpy())
    found = load_masked_views(views.views, tmp_path)
    assert same(found, TrainingViews(["v1"], [views.masked[1]]))


def test_a_folder_without_masks_is_told(tmp_path) -> None:
    views = [View(name="v0", camera=random_camera())]
    with pytest.raises(ClickGSError, match=r"v0\.coarse\.png"):
        load_masked_views(views, tmp_path)
    with pytest.raises(ClickGSError, match="no such folder"):
        load_masked_views(views, tmp_path / "nowhere")
