# SPDX-License-Identifier: Apache-2.0
"""`clickgs build-map`: a first splat map from posed RGB-D frames."""

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from ros2_clickgs.cli.checks import check_number, check_output
from ros2_clickgs.cli.console import progress
from ros2_clickgs.errors import ClickGSError

if TYPE_CHECKING:
    from ros2_clickgs.core.fusion import Frame
    from ros2_clickgs.core.types import Gaussians
    from ros2_clickgs.io.views import View

COLOR_VIEWS = 60
"""Views that colours are refined with; further ones change them less than exposures differ."""


def build_map(
    cameras: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CAMS")],
    *,
    out: Path,
    voxel: float = 0.01,
    min_views: int = 3,
    refine: bool = True,
) -> dict[str, Any]:
    """Fuse posed RGB-D images into a first map, so that a robot can start at once.

    Args:
        cameras: transforms.json with `file_path` and `depth_file_path`.
        out: .ply or .spz to write.
        voxel: spacing of the Gaussians, in m.
        min_views: surfaces that fewer images have seen are dropped.
        refine: sharpen the colours by what the images show, after averaging them.
    """
    from ros2_clickgs.core.fusion import fuse
    from ros2_clickgs.io.cameras import load_views
    from ros2_clickgs.io.maps import save_map

    check_number("--voxel", voxel, 0.002, 1.0)
    check_number("--min-views", min_views, 1, float("inf"))
    check_output(out, (".ply", ".spz"))
    views = load_views(cameras)
    usable = [view for view in views if view.depth_path and view.image_path]
    if not usable:
        raise ClickGSError(
            f"{cameras}: none of {len(views)} views has both an image and a depth image; "
            "name them in file_path and depth_file_path"
        )
    start = time.perf_counter()
    gaussians = fuse(frames_of(usable, "fusing"), voxel, min_views=min_views)
    if refine:
        gaussians = sharpened(gaussians, usable)
    save_map(out, gaussians)
    return {
        "out": str(out),
        "gaussians": len(gaussians),
        "frames": len(usable),
        "frames_without_depth": len(views) - len(usable),
        "seconds": time.perf_counter() - start,
    }


def frames_of(views: "Sequence[View]", doing: str) -> "Iterator[Frame]":
    """Yield cameras with image and depth (m), read one by one."""
    from ros2_clickgs.io.images import read_depth, read_image

    for view in progress(views, doing, len(views)):
        depth = read_depth(view.depth_path, view.depth_unit_m, view.camera)
        yield view.camera, read_image(view.image_path, view.camera), depth


def sharpened(gaussians: "Gaussians", views: "Sequence[View]") -> "Gaussians":
    """Return the map with colours refined by some of its images, in mixed order."""
    from ros2_clickgs.backends import make_rasterizer
    from ros2_clickgs.core.coloring import refine_colors
    from ros2_clickgs.io.images import read_image

    chosen = random.Random(0).sample(list(views), min(COLOR_VIEWS, len(views)))
    images = (
        (view.camera, read_image(view.image_path, view.camera))
        for view in progress(chosen, "colouring", len(chosen))
    )
    return refine_colors(make_rasterizer(gaussians), images)
