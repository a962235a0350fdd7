# SPDX-License-Identifier: Apache-2.0
"""What the worker owns: the map, the objects and votes, the 2D segmenter, the views kept."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.config import MapToSplatConfig, SegmenterConfig
from ros2_clickgs.core.clicking import lift_pixel
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.objects import SegmentedObject
from ros2_clickgs.core.posed_image import PosedImage, rendered_image
from ros2_clickgs.core.pruning import View
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.similarity import Similarity
from ros2_clickgs.core.state import Click
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ClickGSError, ConfigError, NotFoundError
from ros2_clickgs.io.maps import load_map, map_sha256
from ros2_clickgs.models.choose import make_segmenter
from ros2_clickgs.nodes.conversions.geometry import rotation_from_xyzw
from ros2_clickgs.nodes.files import features_file
from ros2_clickgs.nodes.keyframes import Frame, Keyframes
from ros2_clickgs.nodes.looks import Looks
from ros2_clickgs.nodes.mask_votes import MaskVotes
from ros2_clickgs.nodes.sessions import open_session
from ros2_clickgs.nodes.trained_features import Pixel, TrainedFeatures, segment_by_features


class Workbench:
    """Everything in the map frame, in m; one thread at a time."""

    def __init__(self, config: SegmenterConfig) -> None:
        """Load map and segmenter.

        Raises:
            ClickGSError: the map cannot be read, or backend or segmenter cannot be had here.
        """
        if not config.map_path:
            raise ConfigError(
                "map_path", "", "the path of a .ply, .compressed.ply, .splat or .spz"
            )
        path = Path(config.map_path).expanduser()
        self.config = config
        self.map_from_file = similarity_from(config.map_to_splat)
        self.map_sha256 = map_sha256(path)
        rasterizer = make_rasterizer(self.map_from_file(load_map(path)), config.backend)
        bind = functools.partial(make_rasterizer, backend=config.backend)
        self.objects = ObjectMap(rasterizer, config.background_weight, bind, config.allow_overlap)
        self.segmenter = make_segmenter(config.segmenter, config.segmenter_checkpoint)
        self.keyframes = Keyframes(config.keyframes)
        self.looks = Looks(self)
        self.mask_votes = MaskVotes(self.objects)
        self.session = open_session(self.objects, config, self.map_sha256)
        path = features_file(config.session_dir, config.map_path, self.map_sha256)
        self.features = TrainedFeatures(path, self)

    @property
    def rasterizer(self) -> Rasterizer:
        """The map with its edits."""
        return self.objects.rasterizer

    @contextmanager
    def accepting(self) -> Iterator[None]:
        """Let the block change the objects: wholly, and on the disk at its end, or not at all."""
        rasterizer = self.rasterizer
        try:
            with self.session.change():
                yield
        except BaseException:
            self.looks.forget_undone()
            raise
        finally:
            if self.rasterizer is not rasterizer:
                for frame in self.keyframes:
                    frame.posed.depth = None

    def see(self, frame: Frame) -> None:
        """Take a posed image; the map will look for its objects in it."""
        self.keyframes.add(frame)
        self.looks.see(frame)

    def require(self, ids: list[int]) -> None:
        """Raise NotFoundError unless all these objects exist."""
        for object_id in ids:
            self.objects.state.ballot(object_id)

    def set_weight(self, background_weight: float) -> None:
        """Decide anew which Gaussians the objects own."""
        self.objects.background_weight = background_weight

    def newest_view(self, frame_id: str = "") -> PosedImage:
        """Return the posed image that came last.

        Raises:
            NotFoundError: none has come, or only other cameras'.
        """
        newest = self.keyframes.newest(frame_id)
        if newest is None:
            there = sorted({frame.frame_id for frame in self.keyframes})
            raise NotFoundError("image of camera", frame_id, there or "none with a pose yet")
        return newest.posed

    def view_at(self, camera: Camera, stamp_ns: int) -> PosedImage:
        """Return the image this camera took at a stamp, if it is kept; else what it would see."""
        for frame in self.keyframes:
            if frame.stamp_ns == stamp_ns and torch.equal(frame.posed.camera.K, camera.K):
                return frame.posed
        return rendered_image(self.rasterizer, camera)

    def click_in(self, view: PosedImage, u: float, v: float, positive: bool = True) -> Click:
        """Return the click on the map's surface behind a pixel.

        Raises:
            NotFoundError: the pixel lies outside the image, or shows nothing of the map.
        """
        return Click(lift_pixel(self.rasterizer, view.camera, u, v), positive)

    def segment_newest(self, u: float, v: float, frame_id: str = "") -> SegmentedObject:
        """Begin an object at a pixel of the newest image, of one camera or of any."""
        view = self.newest_view(frame_id)
        click, pixel = self.click_in(view, u, v), Pixel(view.camera, u, v)
        return self.click([click], pixels=[pixel], first=view)

    def click(
        self,
        clicks: list[Click],
        *,
        method: str = "auto",
        level: str = "coarse",
        object_id: int = 0,
        name: str = "",
        pixels: list[Pixel] | None = None,
        first: PosedImage | None = None,
    ) -> SegmentedObject:
        """Find the thing under the clicks, by features if they are trained, else by votes.

        Args:
            clicks: what is and what is not the thing.
            method: "auto", "votes" or "features".
            level: for features, "coarse" for the thing, "fine" for the part.
            object_id: add the clicks to this object; 0 makes a new one.
            name: its name; empty keeps the one it has.
            pixels: where the clicks were made in pictures, one per click; None: in space.
            first: the picture that was clicked in.
        """
        query = self.features.query(method)
        if query is None:
            return self.segment(clicks, object_id=object_id, name=name, first=first)
        self.looks.forget(object_id)
        return segment_by_features(
            self, query, clicks, level=level, object_id=object_id, name=name, pixels=pixels
        )

    def segment(
        self,
        clicks: list[Click],
        *,
        object_id: int = 0,
        name: str = "",
        first: PosedImage | None = None,
        rendered_views: int | None = None,
    ) -> SegmentedObject:
        """Find the thing under the clicks, those made on it before included: the first answer.

        `looks` goes on from there.

        Args:
            clicks: what is and what is not the thing.
            object_id: add the clicks to this object; 0 makes a new one.
            name: its name; empty keeps the one it has.
            first: view to ask before all others: the one that was clicked in.
            rendered_views: how many views may be rendered around it; None: as configured.
        """
        if object_id:
            self.objects.remember(object_id)
        if rendered_views is None:
            rendered_views = self.config.keyframes.rendered_views
        found_id = self.looks.begin(
            clicks, object_id=object_id, name=name, first=first, rendered_views=rendered_views
        )
        if name and self.objects.names[found_id] != name:
            self.objects.rename(found_id, name)
        return self.objects.get(found_id)

    def merge(self, ids: list[int], name: str) -> SegmentedObject:
        """Make one object of several; the first keeps its id."""
        if len(set(ids)) < 2:
            raise ClickGSError(f"merging takes two or more different objects, not {ids}")
        self.require(ids)
        kept, *others = dict.fromkeys(ids)
        self.looks.forget(kept)
        for other in others:
            self.looks.forget(other)
            self.objects.merge(kept, other)
        if name:
            self.objects.rename(kept, name)
        return self.objects.get(kept)

    def refine(
        self, object_id: int, clicks: list[Click], background_weight: float, more_views: int
    ) -> SegmentedObject:
        """Improve an object: by clicks, by a weight of its own (below 0: as it is), by views."""
        if clicks or more_views or background_weight < 0:
            self.segment(clicks, object_id=object_id, rendered_views=more_views)
        else:
            self.objects.remember(object_id)
        if background_weight >= 0:
            self.objects.weigh(object_id, background_weight)
        return self.objects.get(object_id)

    def views(self) -> list[View]:
        """Return the cameras that are kept, and their images.

        Raises:
            NotFoundError: none has come.
        """
        if not len(self.keyframes):
            raise NotFoundError("image", "with a pose", "none yet; let a camera look around")
        return [(frame.posed.camera, frame.posed.image) for frame in self.keyframes]


def similarity_from(config: MapToSplatConfig) -> Similarity:
    """Return p_map = R (scale p_file) + translation."""
    return Similarity(
        R=rotation_from_xyzw(config.rotation_xyzw),
        translation=torch.tensor(config.translation_m, dtype=torch.float64),
        scale=config.scale,
    )
