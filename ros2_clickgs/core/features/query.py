# SPDX-License-Identifier: Apache-2.0
"""Questions that trained features answer without any 2D network: clicks and everything at once."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int32, Int64, Shaped
from torch import Tensor
from torch.nn.functional import normalize

from ros2_clickgs.core.features.feature_map import FeatureMap, Level
from ros2_clickgs.core.features.options import LEVELS
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import HALF_COVERED
from ros2_clickgs.core.types import BACKGROUND, Camera, Gaussians
from ros2_clickgs.errors import NotFoundError, ShapeError

FAR_FROM_ALL = {"coarse": 0.7, "fine": 0.85}
"""Cosine that a click on no cluster asks for."""
BELONGS = 0.8
"""Share of the angle to the nearest other cluster within which a Gaussian is part of a thing."""
ROUNDING = 1e-5
"""Cosines that differ by less are the same."""
NEAREST = 16
"""Gaussians whose features a clicked point is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directions:
    """One level, prepared for questions."""

    units: Float[Tensor, "N D"]
    """Features of length 1, those of one cluster together."""
    rows: Int64[Tensor, " N"]
    """The Gaussian that each of them belongs to."""
    starts: list[int]
    """Where each cluster begins in `units`, and where the last one ends."""
    clusters: Float[Tensor, "A D"]
    """Directions of the things, then of the background."""
    nearest: Int64[Tensor, " N"]
    """The most similar cluster; 0 where there are no clusters."""
    likeness: Float[Tensor, " N"]
    """Cosine to it; -1 where there are none."""

    def members(self, cluster: int | None) -> slice:
        """Return where the Gaussians of a cluster are in `units`; None means all of them."""
        if cluster is None:
            return slice(0, len(self.units))
        return slice(self.starts[cluster], self.starts[cluster + 1])

    def in_map_order(self, values: Shaped[Tensor, " N"]) -> Shaped[Tensor, " N"]:
        """Return what belongs to `units` in the order of the map's Gaussians."""
        return torch.empty_like(values).index_copy_(0, self.rows, values)


class FeatureQuery:
    """Trained features of one map, ready to answer: prepare once, ask in milliseconds."""

    def __init__(self, feature_map: FeatureMap) -> None:
        self.feature_map = feature_map
        self._levels = {level: _prepared(feature_map, level) for level in LEVELS}

    def select(
        self,
        positive: Float[Tensor, "A 24"],
        level: Level,
        negative: Float[Tensor, "B 24"] | None = None,
    ) -> Bool[Tensor, " N"]:
        r"""Return the Gaussians of what was clicked on.

        Gaussian i belongs to a click F when :math:`\langle \hat f_i, \hat F \rangle > \tau(F)` and
        its nearest cluster is the click's. Of several clicks the answers are joined; what is more
        like a negative click than like any positive one is left out.

        Args:
            positive: features of clicks on the thing, see `feature_at_pixel`.
            level: coarse for objects, fine for parts.
            negative: features of clicks on what is not the thing.
        """
        known, channels = self._levels[level], self.feature_map.channels(level)
        clicked = normalize(positive[:, channels], dim=1)
        chosen = torch.zeros(len(known.units), dtype=torch.bool, device=clicked.device)
        for feature in clicked:
            cluster, threshold = self.threshold(feature, level)
            members = known.members(cluster)
            chosen[members] |= known.units[members] @ feature > threshold
        if negative is not None and len(negative):
            units = known.units[chosen]
            against = units @ normalize(negative[:, channels], dim=1).T
            chosen[chosen.clone()] = (units @ clicked.T).amax(1) > against.amax(1) + ROUNDING
        return known.in_map_order(chosen)

    def likeness(self, clicked: Float[Tensor, "A 24"], level: Level) -> Float[Tensor, " N"]:
        """Return every Gaussian's largest cosine to one of the clicked features."""
        known = self._levels[level]
        units = normalize(clicked[:, self.feature_map.channels(level)], dim=1)
        return known.in_map_order((known.units @ units.T).amax(1))

    def likeness_to_clusters(self, level: Level) -> Float[Tensor, " N"]:
        """Return every Gaussian's cosine to its nearest cluster; -1 where there are none."""
        return self._levels[level].likeness

    def threshold(self, unit: Float[Tensor, " D"], level: Level) -> tuple[int | None, float]:
        r"""Return the cluster that a clicked feature lies in and the cosine that it asks for.

        The nearer other clusters are, the more similar a Gaussian has to be:

        .. math:: \tau(F) = \cos\big(\beta \min_{c \neq c^*} \arccos \langle F, C_c \rangle\big)

        with :math:`\beta` = BELONGS and at least FAR_FROM_ALL; ours, the paper gives no rule.
        """
        clusters = self._levels[level].clusters
        if len(clusters) == 0:
            return None, FAR_FROM_ALL[level]
        likeness = clusters @ unit
        cluster = int(likeness.argmax())
        others = likeness[torch.arange(len(clusters), device=unit.device) != cluster]
        nearest = float(others.max().clamp(-1, 1).arccos()) if len(others) else torch.pi
        return cluster, max(FAR_FROM_ALL[level], float(torch.tensor(BELONGS * nearest).cos()))

    def feature_at_pixel(
        self, rasterizer: Rasterizer, camera: Camera, u: float, v: float, level: Level
    ) -> Float[Tensor, "24"]:
        """Return the feature that a pixel shows (eq. 1), of the thing that paints most of it.

        Raises:
            NotFoundError: the pixel lies outside the image, or the map has no surface there.
        """
        if not (0 <= u < camera.width and 0 <= v < camera.height):
            raise NotFoundError("pixel", (u, v), f"an image of {camera.width}x{camera.height} px")
        row = rasterizer.weights(camera, torch.tensor([[int(u), int(v)]]))
        if float(row.weights.sum()) < HALF_COVERED:
            raise NotFoundError("surface at pixel", (u, v), "surfaces only where the map is")
        return self._mean_of_main(row.gaussian_ids.long(), row.weights, level)

    def feature_at_point(
        self, gaussians: Gaussians, point: Float[Tensor, "3"], level: Level
    ) -> Float[Tensor, "24"]:
        """Return the feature next to a point (m): nearer and more opaque Gaussians count more."""
        offsets = zip(gaussians.means.T, point.to(gaussians.means), strict=True)
        away = sum((theirs - ours).square_() for theirs, ours in offsets)
        squared, ids = torch.topk(away, min(NEAREST, len(gaussians)), largest=False)
        reach = squared[len(squared) // 2].clamp(min=1e-12)
        return self._mean_of_main(
            ids, gaussians.opacities[ids] * torch.exp(-squared / reach), level
        )

    def _mean_of_main(
        self, ids: Int64[Tensor, " M"], weights: Float[Tensor, " M"], level: Level
    ) -> Float[Tensor, "24"]:
        """Return the mean feature of those Gaussians whose cluster weighs most.

        At the border of two things their mixture may be most like a third.
        """
        nearest = self._levels[level].nearest[ids]
        main = torch.bincount(nearest, weights).argmax()
        return (weights * (nearest == main)) @ self.feature_map.features[ids].float()

    def everything(self, level: Level) -> Int32[Tensor, " N"]:
        """Return every Gaussian's cluster, from 1, or 0 where none is like it."""
        known = self._levels[level]
        belongs = known.likeness > FAR_FROM_ALL[level]
        belongs &= known.nearest < len(self.feature_map.clusters(level))
        return torch.where(belongs, known.nearest + 1, BACKGROUND).int()


def _prepared(feature_map: FeatureMap, level: Level) -> Directions:
    units = normalize(feature_map.features[:, feature_map.channels(level)].float(), dim=1)
    clusters = torch.cat([feature_map.clusters(level), feature_map.background(level)])
    nearest = torch.zeros(len(units), dtype=torch.int64, device=units.device)
    likeness = units.new_full((len(units),), -1)
    if len(clusters):
        parts = [(part @ clusters.T).max(1) for part in units.split(1 << 16)]
        likeness, nearest = (torch.cat(column) for column in zip(*parts, strict=True))
    rows = nearest.argsort(stable=True)
    counts = torch.bincount(nearest, minlength=max(len(clusters), 1))
    return Directions(
        units=units[rows],
        rows=rows,
        starts=[0, *counts.cumsum(0).tolist()],
        clusters=clusters,
        nearest=nearest,
        likeness=likeness,
    )


def feature_colors(feature_map: FeatureMap, level: Level) -> Float32[Tensor, "N 3"]:
    """Return features as colours in [0, 1]: their three main axes (PCA) as red, green and blue."""
    units = normalize(feature_map.features[:, feature_map.channels(level)].float(), dim=1)
    centred = units - units.mean(0)
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -3:].flip(1)
    seen = centred @ axes
    low, high = seen.aminmax(dim=0)
    return ((seen - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)


def feature_image(
    rasterizer: Rasterizer, feature_map: FeatureMap, camera: Camera, level: Level
) -> Float32[Tensor, "H W 3"]:
    """Return a picture of the features from a camera, RGB in [0, 1] on black."""
    return rasterizer.splat(camera, feature_colors(feature_map, level)).clamp(0, 1)


def check_fits(gaussians: Gaussians, feature_map: FeatureMap) -> None:
    """Raise ShapeError unless there is a feature for every Gaussian."""
    if len(gaussians) != len(feature_map):
        expected = f"{len(gaussians)} rows like the map"
        raise ShapeError("features", expected=expected, actual=len(feature_map))
