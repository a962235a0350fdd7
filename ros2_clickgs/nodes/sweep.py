# SPDX-License-Identifier: Apache-2.0
"""All objects by votes: automatic masks in view after view, then the things they agree on."""

from typing import TYPE_CHECKING

from ros2_clickgs.core.everything import ViewMasks, assemble, masks_of_view
from ros2_clickgs.core.features.coverage import choose_views
from ros2_clickgs.core.overview import overview_cameras
from ros2_clickgs.core.posed_image import PosedImage, rendered_image, with_depth
from ros2_clickgs.core.views import Z_UP
from ros2_clickgs.errors import ClickGSError, NotFoundError
from ros2_clickgs.models.automatic import two_level_masks

if TYPE_CHECKING:
    from ros2_clickgs.nodes.workbench import Workbench

LEVELS = ("coarse", "fine")
"""Things, and their parts."""


class Sweep:
    """One pass over the map. Its steps may be far apart, as long as nobody edits the map."""

    def __init__(self, bench: "Workbench", level: str, max_views: int) -> None:
        """Choose the views: keyframes, and rendered ones where these are few.

        Args:
            bench: the map, the views kept and the 2D segmenter.
            level: "coarse" or "fine"; empty is coarse.
            max_views: views at most, chosen for coverage; 0 means all.

        Raises:
            NotFoundError: there is no such level, or nothing to look at.
        """
        if (level or "coarse") not in LEVELS:
            raise NotFoundError("level", level, ", ".join(LEVELS))
        self._level = LEVELS.index(level or "coarse")
        self._rasterizer = bench.rasterizer
        images = [frame.posed for frame in bench.keyframes]
        if len(images) < bench.config.keyframes.min_views:
            cameras = overview_cameras(bench.rasterizer, up=Z_UP)
            images += [rendered_image(bench.rasterizer, camera) for camera in cameras]
        if not images:
            there = "no keyframes, and no sight of the map's middle; let a camera look around"
            raise NotFoundError("view", "of the map", there)
        cameras = [image.camera for image in images]
        chosen = choose_views(bench.rasterizer, cameras, max_views or len(images))
        self._images: list[PosedImage] = [images[i] for i in chosen]
        self._masks: list[ViewMasks] = []

    @property
    def views_done(self) -> int:
        """How many views have voted."""
        return len(self._masks)

    @property
    def views_total(self) -> int:
        """How many views there are."""
        return len(self._images)

    def look(self, bench: "Workbench") -> None:
        """Let the next view's masks vote.

        Raises:
            ClickGSError: the map was edited since the views were chosen.
        """
        self._check_map(bench)
        image = with_depth(bench.rasterizer, self._images[self.views_done])
        labels = two_level_masks(bench.segmenter, image.image, image.depth)[self._level]
        self._masks.append(masks_of_view(bench.rasterizer, image.camera, labels))

    def finish(
        self, bench: "Workbench", *, min_gaussians: int, min_score: float, replace: bool
    ) -> list[int]:
        """Make objects of the things that the views agree on; return their ids.

        Args:
            bench: whose objects they become.
            min_gaussians: smaller things are dropped.
            min_score: so are those with a lower score, in [0, 1].
            replace: forget all objects first; otherwise they keep their Gaussians.

        Raises:
            ClickGSError: the map was edited since the views were chosen.
        """
        self._check_map(bench)
        objects = bench.objects
        if replace:
            objects.clear()
        free = (objects.labels().cpu() <= 0) & ~objects.state.hidden.cpu()
        made = []
        for thing in assemble(self._masks, free, min_gaussians):
            if thing.score >= min_score:
                made.append(objects.create())
                objects.replace_votes(made[-1], thing.votes, thing.view_points)
        return made

    def _check_map(self, bench: "Workbench") -> None:
        if bench.rasterizer is not self._rasterizer:
            raise ClickGSError("the map was edited meanwhile; ask again")
