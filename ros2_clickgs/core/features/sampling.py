# SPDX-License-Identifier: Apache-2.0
"""Which pixels of a view are compared, and the rows of W that are kept for them."""

from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ros2_clickgs.core.features.borders import without_borders
from ros2_clickgs.core.features.masks import MaskedView
from ros2_clickgs.core.features.options import TrainingOptions
from ros2_clickgs.core.features.products import PixelRows, pixel_rows
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import BACKGROUND, IGNORE

AREA_POWER = 0.5
"""How much pixels of small masks are preferred: 0 not at all, 1 until all masks come up alike."""
Tensors = dict[str, Tensor]


@runtime_checkable
class Shelf(Protocol):
    """Where the pixels of all views are kept between iterations."""

    def get(self, key: str) -> Tensors | None:
        """Return what was put there last, or None."""
        ...

    def put(self, key: str, tensors: Tensors) -> None:
        """Keep tensors in place of what was there."""
        ...


class MemoryShelf:
    """Keeps everything in memory: 16 bytes per entry of W."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensors] = {}

    def get(self, key: str) -> Tensors | None:
        """See Shelf."""
        return self._kept.get(key)

    def put(self, key: str, tensors: Tensors) -> None:
        """See Shelf."""
        self._kept[key] = tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelBatch:
    """The P pixels of one view that one iteration compares."""

    rows: PixelRows
    masks: Int[Tensor, "2 P"]
    """Mask of each pixel at the coarse and at the fine level."""
    importance: Float[Tensor, " P"]
    """1 / (probability of being drawn), up to a factor: makes weighted means fair again."""

    def tensors(self) -> Tensors:
        """Return everything by name."""
        rows = {field.name: getattr(self.rows, field.name) for field in fields(PixelRows)}
        return {**rows, "masks": self.masks, "importance": self.importance}

    @classmethod
    def from_tensors(cls, tensors: Tensors) -> "PixelBatch":
        """Return the batch that `tensors` describes."""
        rows = {field.name: tensors[field.name] for field in fields(PixelRows)}
        own = {name: tensors[name] for name in ("masks", "importance")}
        return cls(rows=PixelRows(**rows), **own)


def generator(*purpose: int) -> torch.Generator:
    """Return random numbers that follow from these numbers: there is no state to save."""
    seed = int(np.random.SeedSequence(purpose).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator().manual_seed(seed)


def labels_of(view: MaskedView, options: TrainingOptions) -> Int[Tensor, "2 X"]:
    """Return the masks of all pixels, row by row, coarse and fine; IGNORE is unlabelled."""
    levels = [without_borders(level, options.border_px) for level in (view.coarse, view.fine)]
    labels = torch.stack(levels).flatten(1).long()
    if options.background_is_mask:
        return labels
    return labels.masked_fill(labels == BACKGROUND, IGNORE)


def pixel_weights(labels: Int[Tensor, "2 X"]) -> Float[Tensor, " X"]:
    r"""Return how often each pixel should be drawn.

    .. math:: \omega_p = \sum_l 1[M^l_p \neq \text{IGNORE}] \,/\, |\{q : M^l_q = M^l_p\}|^{1/2}

    The paper samples "based on the number of mask pixels" and gives no formula. With power 1 small
    masks spread over the thinly sampled ground around them, with 0 they are rarely seen at all;
    AREA_POWER = 1/2 lies between inverse area and all pixels alike. Pixels unlabelled at both
    levels have weight 0.
    """
    weights = torch.zeros(labels.shape[1], dtype=torch.float64)
    for level in labels:
        each = torch.bincount(level - IGNORE).double() ** -AREA_POWER
        each[0] = 0
        weights += each[level - IGNORE]
    return weights


class PixelPool:
    """Batches of pixels of every view, drawn anew now and then; the rows of W of each are kept."""

    def __init__(
        self,
        rasterizer: Rasterizer,
        views: list[MaskedView],
        options: TrainingOptions,
        places: Int[Tensor, " N"],
        shelf: Shelf | None = None,
    ) -> None:
        self._rasterizer, self._views, self._options = rasterizer, views, options
        self._places = places
        self._shelf = MemoryShelf() if shelf is None else shelf
        self._drawn: dict[int, int] = {}

    def at(self, iteration: int) -> PixelBatch:
        """Return the batch of an iteration: the views take turns, in a new order each round."""
        turn, place = divmod(iteration, len(self._views))
        order = torch.randperm(len(self._views), generator=generator(self._options.seed, 1, turn))
        return self.of_view(int(order[place]), iteration)

    def of_view(self, view: int, iteration: int) -> PixelBatch:
        """Return the batch that a view would contribute at an iteration."""
        options, turn = self._options, iteration // len(self._views)
        draw = turn // (options.batches_per_view * options.batch_uses)
        key = f"{view}-{turn % options.batches_per_view}"
        kept = self._shelf.get(key) if self._drawn.get(view) == draw else None
        if kept is None:
            self._fill(view, draw)
            kept = self._shelf.get(key)
        device = self._rasterizer.gaussians.device
        return PixelBatch.from_tensors({name: kept[name].to(device) for name in kept})

    def _fill(self, view: int, draw: int) -> None:
        """Draw a view's batches and put them on the shelf: one look at the map serves them all."""
        options, camera = self._options, self._views[view].camera
        labels = labels_of(self._views[view], options)
        weights = pixel_weights(labels)
        size = options.pixels_per_iteration
        chosen = torch.multinomial(
            weights,
            size * options.batches_per_view,
            replacement=True,
            generator=generator(options.seed, 2, view, draw),
        )
        pixels = torch.stack([chosen % camera.width, chosen // camera.width], dim=1)
        blend = self._rasterizer.weights(camera, pixels)
        for batch in range(options.batches_per_view):
            part = chosen[batch * size : (batch + 1) * size]
            rows = pixel_rows(blend, self._places, batch * size, (batch + 1) * size)
            device = rows.weights.device
            kept = PixelBatch(
                rows=rows,
                masks=labels[:, part].to(device),
                importance=(1 / weights[part]).float().to(device),
            )
            self._shelf.put(f"{view}-{batch}", kept.tensors())
        self._drawn[view] = draw
