# SPDX-License-Identifier: Apache-2.0
"""Every number of the method; the defaults are the paper's unless a line says ours."""

import math
from dataclasses import dataclass, fields

from ros2_clickgs.errors import ConfigError

DEPTH = 24
"""Channels of a feature: the fine level uses them all."""
COARSE_DEPTH = 12
"""The first channels of a feature are the coarse level."""
LEVELS = ("coarse", "fine")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How features are trained. A weight of 0 switches its term off, as ablations do."""

    iterations: int = 3_000
    seed: int = 0
    learning_rate: float = 0.01
    pixels_per_iteration: int = 10_000
    tau_coarse: float = 0.5
    """Cosine that two coarse features of different masks or clusters may have."""
    tau_fine: float = 0.75
    """The same for fine features."""
    tau_global: float = 0.9
    """Cosine from which on a Gaussian is drawn to its nearest cluster."""
    negative_weight: float = 0.1
    """lambda_neg: of pairs of pixels from different masks, against pairs of the same mask."""
    global_weight: float = 10.0
    """lambda_1: global feature-guided learning (GFL)."""
    norm3d_weight: float = 0.2
    """lambda_2: Gaussians' features lie on the hypersphere."""
    norm2d_weight: float = 0.2
    """lambda_3: rendered features do, so that what paints a pixel agrees."""
    spatial_weight: float = 0.5
    """lambda_4: neighbours agree."""
    global_from: int = 2_000
    """Iteration from which on GFL takes part."""
    spatial_count: int = 100_000
    """N_s: Gaussians that the terms on Gaussians look at in one iteration."""
    neighbours: int = 5
    """K of the spatial term."""
    shares_coarse: bool = True
    """The granularity prior: fine = coarse + its own half; False: fine is its own half alone."""
    coarse_epsilon: float = 1e-2
    """HDBSCAN's cluster_selection_epsilon of the coarse level."""
    fine_epsilon: float = 1e-3
    """HDBSCAN's cluster_selection_epsilon of the fine level."""
    cluster_share: float = 0.1
    """Ours: views that must show a cluster, as a share of all; the paper says proportional."""
    refresh_every: int = 100
    """Ours: iterations between two searches for clusters; the paper says regularly."""
    negative_columns: int = 512
    """Ours: pixels that each pixel is told apart from; see losses.negative_bound; 0 means all."""
    batches_per_view: int = 3
    """Ours: sets of pixels of one view whose rows of W are kept."""
    batch_uses: int = 10
    """Ours: times that each set serves before new pixels are drawn."""
    merge_above: float = 0.98
    """Ours: cosine from which on two clusters are one."""
    border_px: float = 3.0
    """Ours: pixels this near to their mask's border take no part, see borders.without_borders."""
    background_is_mask: bool = True
    """Ours: pixels labelled 0 are what is left of a view, one more mask; False: unlabelled."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or value < 0:
                raise ConfigError(field.name, value, "a finite number, 0 or more")
        for name in (
            "learning_rate", "pixels_per_iteration", "spatial_count", "neighbours",
            "refresh_every", "batches_per_view", "batch_uses",
        ):  # fmt: skip
            if getattr(self, name) <= 0:
                raise ConfigError(name, getattr(self, name), "more than 0")

    def tau(self, level: str) -> float:
        """Return the cosine that features of different things may have at a level."""
        return self.tau_coarse if level == "coarse" else self.tau_fine

    def epsilon(self, level: str) -> float:
        """Return HDBSCAN's cluster_selection_epsilon of a level."""
        return self.coarse_epsilon if level == "coarse" else self.fine_epsilon

    def channels(self, level: str) -> slice:
        """Return which channels of a feature make up a level."""
        if level == "coarse":
            return slice(0, COARSE_DEPTH)
        return slice(0 if self.shares_coarse else COARSE_DEPTH, DEPTH)

    def radius(self, level: str) -> float:
        """Return r^l, the norm that a rendered feature should have: each half's is 1."""
        channels = self.channels(level)
        return math.sqrt((channels.stop - channels.start) / COARSE_DEPTH)
