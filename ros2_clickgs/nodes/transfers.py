# SPDX-License-Identifier: Apache-2.0
"""From annotated images and an object's Gaussians to the messages about what it affords."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from ros2_clickgs.action import TransferAffordances
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.config import AffordanceConfig
from ros2_clickgs.core.affordances.options import AffordanceScores, TransferOptions
from ros2_clickgs.core.affordances.sources import SourceSet
from ros2_clickgs.core.affordances.transfer import transfer
from ros2_clickgs.core.affordances.viewing import cameras_around
from ros2_clickgs.core.regions import find_regions
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import ConfigError, NotFoundError
from ros2_clickgs.io.sources import load_sources
from ros2_clickgs.models.descriptors import make_descriptor
from ros2_clickgs.msg import Affordance, SegmentedObject
from ros2_clickgs.nodes.conversions.affordances import (
    affordance_points,
    cloud_from_msg,
    msg_from_region,
)

UP = torch.tensor([0.0, 0.0, 1.0])
"""Of the map frame (REP-103)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a goal asks for, checked."""

    sources: Path
    classes: tuple[str, ...]
    """Empty: all."""
    options: TransferOptions
    view_count: int
    min_score: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What is known of one object."""

    found: SegmentedObject
    """The object as it was then."""
    request: Request
    points: np.ndarray
    """Rows of AFFORDANCE_POINT."""
    regions: list[Affordance]
    """By falling score."""


def request_from_goal(goal: TransferAffordances.Goal, config: AffordanceConfig) -> Request:
    """Return what is asked for; what the goal leaves open is the parameters'.

    Raises:
        ClickGSError: no sources are named, or a word or number is none that there is.
    """
    sources = goal.sources or config.sources
    if not sources:
        raise ConfigError("sources", "", "a folder with annotated images or a prepared source set")
    if not 0 <= goal.min_score <= 1:
        raise ConfigError("min_score", goal.min_score, "0 to 1")
    defaults = TransferOptions()
    return Request(
        sources=Path(sources).expanduser(),
        classes=tuple(goal.classes),
        options=TransferOptions(
            rule=goal.rule if goal.rule not in ("", "auto") else defaults.rule,
            lifting=goal.lifting if goal.lifting not in ("", "auto") else defaults.lifting,
            neighbours=goal.neighbours or defaults.neighbours,
        ),
        view_count=min(goal.max_views or config.views, config.views),
        min_score=float(goal.min_score),
    )


class Transfers:
    """Carries annotations over to objects; prepared sources are kept."""

    def __init__(self, config: AffordanceConfig) -> None:
        """Load the descriptor.

        Raises:
            ClickGSError: it cannot be had here.
        """
        self._config = config
        self.descriptor = make_descriptor(config.descriptor, config.checkpoint)
        self.names: list[str] = []
        """Every class there has been, by class id; the first is the background."""
        self._sources: dict[Path, SourceSet] = {}

    def prepare(self, request: Request) -> SourceSet:
        """Return the request's sources, described once.

        Raises:
            ClickGSError: they cannot be used, or a class is none of theirs.
        """
        if request.sources not in self._sources:
            self._sources[request.sources] = load_sources(request.sources, self.descriptor)
        sources = self._sources[request.sources]
        for name in request.classes:
            if name not in sources.classes[1:]:
                raise NotFoundError("class", name, ", ".join(sources.classes[1:]))
        self.names = self.names or sources.classes[:1]
        self.names += [name for name in sources.classes[1:] if name not in self.names]
        return sources

    def transfer(
        self,
        found: SegmentedObject,
        gaussians: Gaussians,
        request: Request,
        on_view: Callable[[int, int], None],
    ) -> Known:
        """Score an object's Gaussians, and find the regions."""
        rasterizer = make_rasterizer(gaussians, self._config.backend)
        scores = transfer(
            rasterizer,
            torch.arange(len(gaussians)),
            cameras_around(gaussians, UP, request.view_count),
            self.prepare(request),
            self.descriptor,
            request.options,
            on_view,
        )
        return self.known(found, request, scores)

    def known(self, found: SegmentedObject, request: Request, scores: AffordanceScores) -> Known:
        """Return the messages of an object whose Gaussians are scored."""
        probabilities = self._by_class_id(scores, request.classes)
        labels = torch.where(scores.labels < 0, 0, probabilities.argmax(1)).int()
        regions = find_regions(
            cloud_from_msg(found.cloud), probabilities, labels, request.min_score
        )
        points = affordance_points(found, probabilities.numpy(), regions)
        messages = [msg_from_region(r, self.names[r.class_id], found, points) for r in regions]
        return Known(found=found, request=request, points=points, regions=messages)

    def _by_class_id(
        self, scores: AffordanceScores, classes: tuple[str, ...]
    ) -> Float32[torch.Tensor, "P C"]:
        """Return the scores with our classes as columns; what is not asked for is background."""
        out = torch.zeros(len(scores.scores), len(self.names))
        for column, name in enumerate(scores.classes):
            wanted = column and (not classes or name in classes)
            out[:, self.names.index(name) if wanted else 0] += scores.scores[:, column]
        return out
