# SPDX-License-Identifier: Apache-2.0
"""Labels of a map's Gaussians in an .npz that remembers which map it was made for."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ros2_clickgs.errors import ShapeError
from ros2_clickgs.io.atomic import atomic_path
from ros2_clickgs.io.npz import NpzReader

MAKE_AGAIN = "make the labels again with `clickgs segment`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Which object each Gaussian belongs to, and the votes that said so."""

    labels: Int[Tensor, " N"]
    """-1 never seen, 0 background, above 0 the object's id; int32."""
    votes_for: Float[Tensor, "L N"] = field(default_factory=lambda: torch.zeros(0, 0))
    """Row l - 1: votes that label l got, in pixel-equivalents; no rows where unknown."""
    votes_against: Float[Tensor, "L N"] = field(default_factory=lambda: torch.zeros(0, 0))
    """Row l - 1: votes that label l did not get."""
    names: list[str] = field(default_factory=list)
    """Name of label l at l - 1; may be shorter than there are labels."""
    map_sha256: str = ""
    """Hash of the map file; empty where unknown."""

    def __post_init__(self) -> None:
        if self.labels.ndim != 1:
            raise ShapeError("labels", expected="(N,)", actual=tuple(self.labels.shape))
        shape = tuple(self.votes_for.shape)
        if tuple(self.votes_against.shape) != shape:
            actual = tuple(self.votes_against.shape)
            raise ShapeError("votes_against", expected=f"{shape} like votes_for", actual=actual)
        if self.votes_for.ndim != 2 or (shape[0] and shape[1] != len(self.labels)):
            raise ShapeError("votes_for", expected=f"(L, {len(self.labels)})", actual=shape)


def save_labels(path: str | Path, labels: Labels) -> None:
    """Write labels atomically."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            labels=labels.labels.cpu().numpy().astype(np.int32),
            votes_for=labels.votes_for.cpu().numpy().astype(np.float32),
            votes_against=labels.votes_against.cpu().numpy().astype(np.float32),
            names=np.array(labels.names, dtype=np.str_),
            map_sha256=np.array(labels.map_sha256),
        )


def load_labels(
    path: str | Path, map_sha256: str | None, *, may_be_unnamed: bool = False
) -> Labels:
    """Return labels from an .npz; nothing is unpickled. Only `labels` must be there.

    Args:
        path: the file.
        map_sha256: hash of the map that the labels are for. None takes labels of any map, with a
            warning in the log: then their number is all that can be checked.
        may_be_unnamed: the same for labels that do not say which map they are for.

    Raises:
        FileFormatError: the file is broken, or does not say which map it is for.
        MapMismatchError: it is for another map.
        ShapeError: its arrays do not fit each other.
    """
    with NpzReader(path, MAKE_AGAIN) as arrays:
        is_taken = may_be_unnamed and not arrays.texts("map_sha256")
        made_for = arrays.check_map("labels", None if is_taken else map_sha256)
        labels = arrays.numbers("labels", np.int32)
        no_votes = np.zeros((0, labels.size), np.float32)
        votes = {
            name: torch.from_numpy(arrays.numbers(name, np.float32, no_votes))
            for name in ("votes_for", "votes_against")
        }
        names = arrays.texts("names")
    return Labels(labels=torch.from_numpy(labels), **votes, names=names, map_sha256=made_for)
