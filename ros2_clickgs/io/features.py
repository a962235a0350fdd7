# SPDX-License-Identifier: Apache-2.0
"""Trained features, checkpoints of a training, and pixels that memory cannot hold, in files."""

import pickle
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ros2_clickgs.core.features.feature_map import FeatureMap
from ros2_clickgs.core.features.options import COARSE_DEPTH, DEPTH
from ros2_clickgs.errors import ClickGSError, FileFormatError, MapMismatchError
from ros2_clickgs.io.atomic import atomic_path
from ros2_clickgs.io.camera_arrays import camera_arrays, views_from_arrays
from ros2_clickgs.io.npz import NpzReader
from ros2_clickgs.io.views import View

if TYPE_CHECKING:
    from ros2_clickgs.core.features.training import Trainer  # slow to import

MAKE_AGAIN = "make the features again with `clickgs train`"
START_AGAIN = "delete it to start from the beginning"
ARRAYS = ("features", "coarse_clusters", "fine_clusters", "coarse_background", "fine_background")


def save_features(
    path: str | Path, feature_map: FeatureMap, map_sha256: str, views: Sequence[View] = ()
) -> None:
    """Write features (float16) and clusters (float32) of the map with that hash atomically.

    Args:
        path: the .npz.
        feature_map: what a training left.
        map_sha256: hash of the map's file.
        views: the cameras that it was trained with, so that clicks can name their pixels.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            features=feature_map.features.cpu().half().numpy(),
            coarse_clusters=feature_map.coarse_clusters.cpu().float().numpy(),
            fine_clusters=feature_map.fine_clusters.cpu().float().numpy(),
            coarse_background=feature_map.coarse_background.cpu().float().numpy(),
            fine_background=feature_map.fine_background.cpu().float().numpy(),
            map_sha256=np.array(map_sha256),
            **camera_arrays(views),
        )


def load_features(path: str | Path, map_sha256: str | None) -> FeatureMap:
    """Return features from an .npz; nothing is unpickled.

    Args:
        path: the file.
        map_sha256: hash of the map that they are for; None takes features of any map, with a
            warning in the log.

    Raises:
        FileFormatError: the file is broken, or does not say which map it is for.
        MapMismatchError: it is for another map.
        ShapeError: its arrays do not have the channels of features.
    """
    absent = {
        "coarse_clusters": np.zeros((0, COARSE_DEPTH), np.float32),
        "fine_clusters": np.zeros((0, DEPTH), np.float32),
        "coarse_background": np.zeros((0, COARSE_DEPTH), np.float32),
        "fine_background": np.zeros((0, DEPTH), np.float32),
    }
    with NpzReader(path, MAKE_AGAIN) as arrays:
        arrays.check_map("features", map_sha256)
        found = {name: arrays.numbers(name, np.float32, absent.get(name)) for name in ARRAYS}
    return FeatureMap(**{name: torch.from_numpy(values) for name, values in found.items()})


def load_feature_views(path: str | Path) -> list[View]:
    """Return the cameras that features were trained with, without images.

    Raises:
        FileFormatError: the file is broken or does not hold them.
    """
    with NpzReader(path, MAKE_AGAIN) as arrays:
        return views_from_arrays(arrays)


def save_checkpoint(path: str | Path, trainer: "Trainer", map_sha256: str) -> None:
    """Write all that `load_checkpoint` needs to go on, atomically."""
    with atomic_path(path) as temporary:
        options = asdict(trainer.options)
        torch.save(
            {"map_sha256": map_sha256, "options": options, "state": trainer.state()}, temporary
        )


def load_checkpoint(path: str | Path, trainer: "Trainer", map_sha256: str) -> None:
    """Let a trainer go on where a checkpoint was written; only the iterations may differ.

    Raises:
        FileFormatError: the file is broken.
        MapMismatchError: it is of another map.
        ClickGSError: it was made with other options.
    """
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        made_for, options, state = kept["map_sha256"], kept["options"], kept["state"]
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        problem = f"is no checkpoint of a training ({str(error)[:80]})"
        raise FileFormatError(path, problem, START_AGAIN) from None
    if made_for != map_sha256:
        raise MapMismatchError(path, made_for=made_for, given=map_sha256)
    wanted = asdict(replace(trainer.options, iterations=0))
    differing = [name for name, value in wanted.items()
                 if name != "iterations" and options.get(name) != value]  # fmt: skip
    if differing:
        names = ", ".join(f"{name} {options.get(name)}" for name in differing)
        raise ClickGSError(f"{path} was made with {names}; pass the same, or {START_AGAIN}")
    trainer.restore(state)


class SpillingShelf:
    """Keeps tensors in memory up to a budget, and what comes after that in mapped files.

    The files lie in a temporary folder that goes when the shelf does.
    """

    def __init__(self, budget_bytes: int, folder: str | Path | None = None) -> None:
        self._budget_bytes = budget_bytes
        self._folder = Path(tempfile.mkdtemp(prefix="clickgs-", dir=folder))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._kept: dict[str, dict[str, Tensor]] = {}
        self.bytes_in_memory = 0

    def get(self, key: str) -> dict[str, Tensor] | None:
        """See core.features.sampling.Shelf."""
        path = self._path(key)
        if key in self._kept or not path.exists():
            return self._kept.get(key)
        return torch.load(path, weights_only=True, mmap=True)

    def put(self, key: str, tensors: dict[str, Tensor]) -> None:
        """See core.features.sampling.Shelf."""
        self.bytes_in_memory -= _size(self._kept.pop(key, {}))
        self._path(key).unlink(missing_ok=True)
        if self.bytes_in_memory + _size(tensors) <= self._budget_bytes:
            self._kept[key] = tensors
            self.bytes_in_memory += _size(tensors)
        else:
            torch.save(
                {name: tensor.cpu().clone() for name, tensor in tensors.items()}, self._path(key)
            )

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.pt"


def _size(tensors: dict[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
