# SPDX-License-Identifier: Apache-2.0
"""Annotated images, and what is kept of them: features with classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32, UInt8
from torch import Tensor

from ros2_clickgs.core.descriptor import Descriptor
from ros2_clickgs.errors import ClickGSError, ConfigError

MAX_EXEMPLARS_PER_CLASS = 3000
"""Places of one class that are kept, drawn from all images alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedImage:
    """One image and which of its pixels are of which class."""

    name: str
    """For messages."""
    image: UInt8[np.ndarray, "H W 3"]
    """RGB."""
    labels: Int32[np.ndarray, "H W"]
    """Index of each pixel's class; 0 is the background; -1 says nothing."""
    mask: Bool[np.ndarray, "H W"] | None = None
    """The object's pixels, where they are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSet:
    """Features of annotated places; all that a transfer needs of the annotated images."""

    classes: list[str]
    """The first is the background."""
    descriptor: str
    """Name of the descriptor that made the features."""
    features: Float32[Tensor, "E D"]
    """Of length 1."""
    labels: Int32[Tensor, " E"]
    """Index into `classes`."""
    pictures: Int32[Tensor, " E"]
    """Which image each is from."""

    def check_descriptor(self, descriptor: Descriptor) -> None:
        """Raise ConfigError unless it is the one that made the features."""
        if self.descriptor != descriptor.name:
            raise ConfigError("descriptor", descriptor.name, f"{self.descriptor}, as the sources'")


def prepare(
    pictures: Sequence[AnnotatedImage], classes: list[str], descriptor: Descriptor
) -> SourceSet:
    """Describe annotated images once.

    Args:
        pictures: at least one.
        classes: what the labels are indices of; the first is the background.
        descriptor: the same that will describe the target.

    Raises:
        ClickGSError: all described places are of one class, so there is nothing to tell apart.
    """
    features, labels, origins = [], [], []
    for number, picture in enumerate(pictures):
        grid = descriptor.describe(picture.image, picture.mask, picture.labels > 0)
        cells = grid.take(torch.from_numpy(picture.labels))
        used = grid.described & (cells >= 0)
        features.append(grid.features[used])
        labels.append(cells[used].int())
        origins.append(torch.full_like(labels[-1], number))
    labels = torch.cat(labels)
    kept = thinned(labels)
    found = labels.unique().tolist()
    if len(found) < 2:
        names = " and ".join(repr(classes[i]) for i in found) or "nothing"
        raise ClickGSError(
            f"the sources' {len(pictures)} images hold {names} only; annotate a second class, "
            "or the object's other pixels as background with object masks"
        )
    return SourceSet(
        classes=classes,
        descriptor=descriptor.name,
        features=torch.cat(features)[kept],
        labels=labels[kept],
        pictures=torch.cat(origins)[kept],
    )


def thinned(labels: Int32[Tensor, " E"]) -> Tensor:
    """Return the indices of evenly spaced places, at most MAX_EXEMPLARS_PER_CLASS of a class."""
    kept = []
    for label in labels.unique():
        places = torch.nonzero(labels == label)[:, 0]
        step = max(1, -(-len(places) // MAX_EXEMPLARS_PER_CLASS))
        kept.append(places[::step])
    return torch.cat(kept).sort().values if kept else torch.zeros(0, dtype=torch.long)
