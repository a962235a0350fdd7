# SPDX-License-Identifier: Apache-2.0
"""What the trainer and the process that trains tell each other: plain values."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from ros2_clickgs.config import TrainerConfig
from ros2_clickgs.core.similarity import Similarity
from ros2_clickgs.core.types import Camera

UNKNOWN_S = -1.0
CANCEL, WATCH, IGNORE = "cancel", "watch", "ignore"
"""What may be said to a training: to end with what it has; that somebody looks; or nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """A keyframe of the live camera."""

    name: str
    camera: Camera
    """In the map frame."""
    image: UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """A goal of the action, and what has to be known to reach it."""

    config: TrainerConfig
    map_from_file: Similarity
    frames: list[LiveView] | None
    """The keyframes of the live camera; None: `cameras` names the views."""
    cameras: str
    masks: str
    iterations: int
    seed: int
    resume: bool
    path: str
    """Where the features go besides the map's own file; empty: nowhere."""

    @property
    def source(self) -> str:
        """What the views and masks are made of: a training goes on only with the same."""
        return f"cameras {self.cameras or 'live'!r}, masks {self.masks or 'automatic'!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a training is."""

    stage: str
    iteration: int = 0
    iterations: int = 0
    terms: dict[str, float] = field(default_factory=dict)
    coarse_clusters: int = 0
    fine_clusters: int = 0
    eta_s: float = UNKNOWN_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What the features look like from a view."""

    image: UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a training ended."""

    success: bool
    message: str
    path: str = ""
    progress: Progress = Progress(stage="")
    seconds: float = 0.0
