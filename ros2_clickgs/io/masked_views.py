# SPDX-License-Identifier: Apache-2.0
"""Masks of two levels: read from PNGs, and kept in one file while a training lasts."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ros2_clickgs.core.features.masks import MaskedView
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.io.atomic import atomic_path
from ros2_clickgs.io.camera_arrays import camera_arrays, views_from_arrays
from ros2_clickgs.io.images import find_label_image, read_label_image
from ros2_clickgs.io.npz import NpzReader
from ros2_clickgs.io.views import View

START_AGAIN = "start the training anew, without resume"
LEVELS = ("coarse", "fine")


class TrainingViews(NamedTuple):
    """What features are trained on."""

    names: list[str]
    masked: list[MaskedView]

    @property
    def views(self) -> list[View]:
        """The cameras by name."""
        pairs = zip(self.names, self.masked, strict=True)
        return [View(name=name, camera=view.camera) for name, view in pairs]


def load_masked_views(views: Sequence[View], masks: Path) -> TrainingViews:
    """Return those views that have NAME.coarse.png and NAME.fine.png in a folder.

    Raises:
        ClickGSError: the folder is missing, or no view has them.
    """
    found = views_with_masks(views, masks)
    return TrainingViews([v.name for v in found], [load_masked_view(v, masks) for v in found])


def views_with_masks(views: Sequence[View], masks: Path) -> list[View]:
    """Return those views that have masks of both levels in a folder.

    Raises:
        ClickGSError: the folder is missing, or no view has them.
    """
    if not masks.is_dir():
        raise ClickGSError(f"{masks}: no such folder; give the folder with the views' mask PNGs")
    found = [v for v in views if all(find_label_image(masks, v, level) for level in LEVELS)]
    if not found:
        names = f"{views[0].name}.coarse.png and {views[0].name}.fine.png"
        raise ClickGSError(f"{masks}: none of {len(views)} views has both {names}")
    return found


def load_masked_view(view: View, masks: Path) -> MaskedView:
    """Return a view's masks; it has both."""
    paths = (find_label_image(masks, view, level) for level in LEVELS)
    coarse, fine = (torch.from_numpy(read_label_image(path, view.camera)) for path in paths)
    return MaskedView(camera=view.camera, coarse=coarse, fine=fine)


def keep_views(path: Path, kept: TrainingViews, source: str, map_sha256: str) -> None:
    """Write the views of a training atomically, so that it can go on when they are gone.

    Args:
        path: the .npz.
        kept: cameras and masks.
        source: where they came from, in a word or two.
        map_sha256: hash of the map's file.
    """
    levels = {
        f"{level}_{i}": getattr(view, level).numpy().astype(np.int32)
        for i, view in enumerate(kept.masked)
        for level in LEVELS
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            source=np.array(source),
            map_sha256=np.array(map_sha256),
            **camera_arrays(kept.views),
            **levels,
        )


def load_kept_views(path: Path, map_sha256: str) -> tuple[TrainingViews, str]:
    """Return the views of a training and where they came from.

    Raises:
        FileFormatError: the file is missing or broken.
        MapMismatchError: it is of another map.
    """
    with NpzReader(path, START_AGAIN) as arrays:
        arrays.check_map("views", map_sha256)
        views = views_from_arrays(arrays)
        images = [
            [torch.from_numpy(arrays.numbers(f"{level}_{i}", np.int32)) for level in LEVELS]
            for i in range(len(views))
        ]
        source = "".join(arrays.texts("source"))
    masked = [
        MaskedView(camera=view.camera, coarse=coarse, fine=fine)
        for view, (coarse, fine) in zip(views, images, strict=True)
    ]
    return TrainingViews([view.name for view in views], masked), source
