# SPDX-License-Identifier: Apache-2.0
"""The views of a training with their masks: from a folder, or of the live camera's keyframes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from ros2_clickgs.core.features.coverage import choose_views
from ros2_clickgs.core.features.masks import MaskedView
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import render
from ros2_clickgs.core.similarity import Similarity
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ClickGSError, NotFoundError
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.io.images import read_image
from ros2_clickgs.io.masked_views import TrainingViews, load_masked_view, views_with_masks
from ros2_clickgs.io.views import View
from ros2_clickgs.models.automatic import two_level_masks
from ros2_clickgs.models.choose import make_segmenter
from ros2_clickgs.nodes.training_job import TrainingJob

Image = UInt8[np.ndarray, "H W 3"]


class ViewCollector:
    """Finds the views of a job, chooses among them, and gets their masks one by one."""

    def __init__(self, job: TrainingJob, rasterizer: Rasterizer) -> None:
        """Choose the views.

        Args:
            job: says where they come from.
            rasterizer: the map as its file has it.

        Raises:
            ClickGSError: there are none, or they cannot be read.
        """
        self._job, self._rasterizer = job, rasterizer
        self._images: dict[str, Image] = {}
        views = self._views_of_folder() if job.frames is None else self._views_of_camera()
        cameras = [view.camera for view in views]
        chosen = choose_views(rasterizer, cameras, job.config.max_views)
        self._views = [views[i] for i in chosen]

    def __len__(self) -> int:
        return len(self._views)

    def masked(self, on_view: Callable[[int], None]) -> TrainingViews:
        """Return the views with their masks; `on_view` is told how many are done."""
        found = TrainingViews([], [])
        for done, (view, masked) in enumerate(self._masked_views(), 1):
            found.names.append(view.name)
            found.masked.append(masked)
            on_view(done)
        return found

    def _views_of_folder(self) -> list[View]:
        views = load_views(Path(self._job.cameras).expanduser())
        if self._job.masks:
            return views_with_masks(views, Path(self._job.masks).expanduser())
        return views

    def _views_of_camera(self) -> list[View]:
        if self._job.masks:
            raise ClickGSError(
                f"masks {self._job.masks!r} are of a folder's views; name its cameras, too"
            )
        if not self._job.frames:
            there = "none yet; let a camera look around, or name a folder in `cameras`"
            raise NotFoundError("keyframe", "of the live camera", there)
        self._images = {frame.name: frame.image for frame in self._job.frames}
        to_file = self._job.map_from_file.inverse()
        return [
            View(name=frame.name, camera=moved_camera(to_file, frame.camera))
            for frame in self._job.frames
        ]

    def _masked_views(self) -> Iterator[tuple[View, MaskedView]]:
        if self._job.masks:
            folder = Path(self._job.masks).expanduser()
            yield from ((view, load_masked_view(view, folder)) for view in self._views)
            return
        config = self._job.config
        segmenter = make_segmenter(config.segmenter, config.segmenter_checkpoint)
        for view in self._views:
            seen = render(self._rasterizer, view.camera)
            depth = (seen.depth * self._job.map_from_file.scale).float().cpu().numpy()
            coarse, fine = two_level_masks(segmenter, self._image(view, seen.color), depth)
            yield view, MaskedView(camera=view.camera, coarse=coarse, fine=fine)

    def _image(self, view: View, rendered: torch.Tensor) -> Image:
        """Return the view's photograph; without one, what the map shows there."""
        if view.name in self._images:
            return self._images[view.name]
        if view.image_path is not None:
            return read_image(view.image_path, view.camera)
        return (rendered * 255).round().to(torch.uint8).cpu().numpy()


def moved_camera(similarity: Similarity, camera: Camera) -> Camera:
    """Return the camera that sees in the new frame what it saw in the old."""
    T = camera.T_world_camera.clone()
    T[:3, 3] = similarity.scale * similarity.R @ T[:3, 3] + similarity.translation
    T[:3, :3] = similarity.R @ T[:3, :3]
    return replace(camera, T_world_camera=T)
