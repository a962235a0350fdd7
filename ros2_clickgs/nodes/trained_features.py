# SPDX-License-Identifier: Apache-2.0
"""The features of the segmenter's map, once somebody has trained them, and what they answer."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ros2_clickgs.core.editing import moved_points
from ros2_clickgs.core.features.claims import claim_of_clicks, claims_of_all
from ros2_clickgs.core.features.feature_map import Level
from ros2_clickgs.core.features.options import LEVELS
from ros2_clickgs.core.features.query import FeatureQuery, check_fits, feature_image
from ros2_clickgs.core.objects import SegmentedObject
from ros2_clickgs.core.state import Click
from ros2_clickgs.core.types import Camera
from ros2_clickgs.core.votes import margins
from ros2_clickgs.errors import ClickGSError, NotFoundError
from ros2_clickgs.io.features import load_feature_views, load_features

if TYPE_CHECKING:
    from ros2_clickgs.nodes.workbench import Workbench

METHODS = ("auto", "votes", "features")
log = logging.getLogger(__name__)


class Pixel(NamedTuple):
    """Where a picture was clicked in."""

    camera: Camera
    u: float
    v: float


class TrainedFeatures:
    """Reads the map's features file when it is needed, and again when it has changed."""

    def __init__(self, path: Path, bench: "Workbench") -> None:
        self.path = path
        self._bench = bench
        self._version: tuple[int, int] | None = None
        self._query: FeatureQuery | None = None
        self._failure: ClickGSError | None = None
        self.view_points: list[Tensor] = []
        """Optical centres of the training's cameras, map frame, in m."""

    @property
    def are_there(self) -> bool:
        """Whether features have been trained for this map."""
        return self.path.is_file()

    def query(self, method: str) -> FeatureQuery | None:
        """Return what answers for a method; None: votes do.

        Raises:
            NotFoundError: there is no such method, or no features are trained.
            ClickGSError: the method is "features", and their file is broken or of another map.
        """
        method = method or "auto"
        if method not in METHODS:
            raise NotFoundError("method", method, ", ".join(METHODS))
        if method == "votes":
            return None
        self._refresh()
        if method == "features" and self._query is None:
            there = "auto, votes (no features are trained for this map: train_features does)"
            raise self._failure or NotFoundError("method", method, there)
        return self._query

    def _refresh(self) -> None:
        """Read the file if it is another one than last time."""
        if not self.are_there:
            self._query = self._version = self._failure = None
            return
        status = self.path.stat()
        version = (status.st_mtime_ns, status.st_ino)
        if version == self._version:
            return
        try:
            self._query, self._failure = self._read(), None
        except ClickGSError as error:
            self._query, self._failure = None, error
            log.warning("features are not used: %s", error)
        self._version = version

    def _read(self) -> FeatureQuery:
        bench = self._bench
        gaussians = bench.rasterizer.gaussians
        feature_map = load_features(self.path, bench.map_sha256)
        check_fits(gaussians, feature_map)
        centers = [view.camera.center for view in load_feature_views(self.path)]
        points = torch.stack(centers) if centers else torch.zeros(0, 3, dtype=torch.float64)
        self.view_points = list(moved_points(bench.map_from_file, points))
        return FeatureQuery(feature_map.to(gaussians.device))


def segment_by_features(
    bench: "Workbench",
    query: FeatureQuery,
    clicks: list[Click],
    *,
    level: str = "coarse",
    object_id: int = 0,
    name: str = "",
    pixels: list[Pixel] | None = None,
) -> SegmentedObject:
    """Find the thing under the clicks, those made on it before included.

    Args:
        bench: the map and its objects.
        query: its features.
        clicks: what is and what is not the thing.
        level: "coarse" for the thing, "fine" for the part.
        object_id: add the clicks to this object; 0 makes a new one.
        name: its name; empty keeps the one it has.
        pixels: where the clicks were made in pictures, one per click; None: in space.

    Raises:
        NotFoundError: there is no such level or object, or nothing is like the clicks.
    """
    level, objects = level_of(level), bench.objects
    before = objects.clicks(object_id) if object_id else []
    features = [feature_of(bench, query, click, level) for click in before]
    for i, click in enumerate(clicks):
        features.append(feature_of(bench, query, click, level, pixels[i] if pixels else None))
    signs = torch.tensor([click.positive for click in [*before, *clicks]], dtype=torch.bool)
    if not signs.any():
        raise ClickGSError("no positive click given; click on the thing first")
    told = torch.stack(features)
    votes = claim_of_clicks(
        query, level, told[signs], told[~signs], votes_of_others(bench, object_id)
    )
    if object_id:
        objects.remember(object_id)
    object_id = object_id or objects.create(name)
    objects.replace_votes(object_id, votes, bench.features.view_points)
    objects.note(object_id, [*before, *clicks], 0)
    if name and objects.names[object_id] != name:
        objects.rename(object_id, name)
    return objects.get(object_id)


def everything_by_features(
    bench: "Workbench", *, level: str, min_gaussians: int, min_score: float, replace: bool
) -> list[int]:
    """Make an object of every thing that features know; return the ids.

    Args:
        bench: the map and its objects.
        level: "coarse" for things, "fine" for parts.
        min_gaussians: smaller ones are left out.
        min_score: so are those that are less alike themselves, in [0, 1].
        replace: forget all objects first; otherwise they keep their Gaussians.

    Raises:
        ClickGSError: no features are trained for this map, or there is no such level.
    """
    query, level, objects = bench.features.query("features"), level_of(level), bench.objects
    if replace:
        objects.clear()
    free = (objects.labels().cpu() <= 0) & ~objects.state.hidden
    made = []
    for votes in claims_of_all(query, level, free, max(min_gaussians, 1)):
        rows = votes.votes_for[0] > 0
        if float(margins(votes)[0, rows].mean()) < min_score:
            continue
        made.append(objects.create())
        objects.replace_votes(made[-1], votes, bench.features.view_points)
    return made


def feature_of(
    bench: "Workbench", query: FeatureQuery, click: Click, level: Level, pixel: Pixel | None = None
) -> Float[Tensor, "24"]:
    """Return the feature that was clicked on: at the pixel, if it is known, else at the point."""
    if pixel is not None:
        return query.feature_at_pixel(bench.rasterizer, *pixel, level)
    return query.feature_at_point(bench.rasterizer.gaussians, click.point, level)


def feature_picture(bench: "Workbench", camera: Camera) -> UInt8[np.ndarray, "H W 3"]:
    """Return the fine features from a camera, their three main axes as colours.

    Raises:
        ClickGSError: no features are trained for this map.
    """
    feature_map = bench.features.query("features").feature_map
    image = feature_image(bench.rasterizer, feature_map, camera, "fine")
    return (image * 255).round().to(torch.uint8).cpu().numpy()


def votes_of_others(bench: "Workbench", object_id: int) -> Float[Tensor, " N"]:
    """Return the most votes that any other object has for each Gaussian."""
    most = torch.zeros(len(bench.objects.state.hidden))
    for other in bench.objects.ids:
        if other != object_id:
            torch.maximum(most, bench.objects.votes(other).votes_for[0].cpu(), out=most)
    return most


def level_of(name: str) -> Level:
    """Return the level that a request means; empty is coarse.

    Raises:
        NotFoundError: there is no such level.
    """
    if name not in ("", *LEVELS):
        raise NotFoundError("level", name, ", ".join(LEVELS))
    return name or "coarse"
