# SPDX-License-Identifier: Apache-2.0
"""`clickgs click`: the thing under one click, as a map of its own."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ros2_clickgs.cli.checks import check_output
from ros2_clickgs.cli.options import Backend, MapPath, OptionalCameras, Pixel, Point
from ros2_clickgs.errors import ClickGSError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from ros2_clickgs.core.objects import SegmentedObject
    from ros2_clickgs.core.posed_image import PosedImage
    from ros2_clickgs.core.rasterizer import Rasterizer
    from ros2_clickgs.io.views import View

MAX_IMAGES = 8
"""Camera images that masks are made in."""
MIN_IMAGES = 4
"""With fewer that show the point, views rendered from the map fill them up."""
RENDERED_VIEWS = 12
"""Views rendered around the thing, at most, until they no longer change it."""
DISTANCES = (1.0, 0.5, 0.25)
"""Rendered views stand this far from the point, in typical distances of the map from it."""


def click(
    map: MapPath,
    *,
    out: Path,
    point: Point = None,
    pixel: Pixel = None,
    cameras: OptionalCameras = None,
    segmenter: Literal["auto", "sam2", "classical"] = "auto",
    segmenter_checkpoint: str = "",
    backend: Backend = "auto",
) -> dict[str, Any]:
    """Find the thing under a click and write its Gaussians.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        out: .ply or .spz to write.
        point: clicked point in the map's frame, in m.
        pixel: or clicked pixel of a camera's view, by the view's name; needs --cameras.
        cameras: transforms.json or a COLMAP sparse folder; its images are looked at, too.
        segmenter: what draws the 2D masks.
        segmenter_checkpoint: SAM 2's weights, a .pt file or a hub id; empty: as the environment's
            CLICKGS_SAM2_CHECKPOINT says, else the hub's smallest.
        backend: rasterizer.
    """
    from ros2_clickgs.backends import make_rasterizer
    from ros2_clickgs.core.clicking import images_of_clicks
    from ros2_clickgs.core.looking import Look
    from ros2_clickgs.core.object_map import ObjectMap
    from ros2_clickgs.core.state import Click
    from ros2_clickgs.io.cameras import load_views
    from ros2_clickgs.io.maps import load_map, save_map
    from ros2_clickgs.models.choose import make_segmenter

    check_click(point, pixel, cameras)
    check_output(out, (".ply", ".spz"))
    views = load_views(cameras) if cameras else []
    answerer = make_segmenter(segmenter, segmenter_checkpoint)
    rasterizer = make_rasterizer(load_map(map), backend)
    start = time.perf_counter()
    objects, up = ObjectMap(rasterizer), up_of(views)
    clicked, views = clicked_point(rasterizer, views, point, pixel)
    images = images_of_clicks(
        rasterizer,
        images_of(rasterizer, views),
        [Click(clicked)],
        most=MAX_IMAGES,
        least=MIN_IMAGES,
        up=up,
        distances=distances_from(rasterizer, clicked),
    )
    look = Look(objects, answerer, up=up)
    for _ in look.find(images, [Click(clicked)], RENDERED_VIEWS):
        pass
    found = objects.get(look.object_id)
    seconds = time.perf_counter() - start
    save_map(out, rasterizer.gaussians.select(found.gaussian_ids).to("cpu"))
    return {"out": str(out), "point": clicked.tolist(), **facts_of(found), "seconds": seconds}


def check_click(point: Any, pixel: Any, cameras: Path | None) -> None:
    """Raise ClickGSError unless there is exactly one click that can be understood."""
    if (point is None) == (pixel is None):
        raise ClickGSError("give either --point X Y Z or --pixel VIEW U V")
    if pixel is not None and cameras is None:
        raise ClickGSError("--pixel names a camera's view; give the cameras with --cameras CAMS")
    if not all(map(math.isfinite, point or pixel[1:])):
        raise ClickGSError(f"the click {point or pixel} is not finite; give numbers")


def clicked_point(
    rasterizer: "Rasterizer", views: "list[View]", point: Any, pixel: Any
) -> "tuple[Tensor, list[View]]":
    """Return the clicked point [3] (m), and the views that show it, the clicked one first."""
    import torch

    from ros2_clickgs.core.clicking import lift_pixel
    from ros2_clickgs.core.sight import order_by_sight
    from ros2_clickgs.io.cameras import find_view

    clicked = find_view(views, pixel[0]) if pixel else None
    place = (
        lift_pixel(rasterizer, clicked.camera, *pixel[1:]).double()
        if clicked
        else torch.tensor(point, dtype=torch.float64)
    )
    ordered = [views[i] for i in order_by_sight([view.camera for view in views], place)]
    return place, sorted(ordered, key=lambda view: view is not clicked)


def images_of(rasterizer: "Rasterizer", views: "list[View]") -> "Iterator[PosedImage]":
    """Yield the views' images, or what the map shows from there."""
    from ros2_clickgs.core.posed_image import PosedImage, rendered_image
    from ros2_clickgs.io.images import read_image

    for view in views:
        if view.image_path:
            yield PosedImage(view.camera, read_image(view.image_path, view.camera))
        else:
            yield rendered_image(rasterizer, view.camera)


def distances_from(rasterizer: "Rasterizer", point: "Tensor") -> list[float]:
    """Return how far (m) rendered views stand from a point that no view shows."""
    means = rasterizer.gaussians.means
    reach = float((means - point.to(means)).norm(dim=-1).median())
    return [share * reach for share in DISTANCES]


def up_of(views: "list[View]") -> "Tensor":
    """Return the direction [3] that is up in the views; z where there are none (REP-103)."""
    import torch

    ups = [-view.camera.T_world_camera[:3, 1] for view in views]
    return torch.stack(ups).mean(0) if ups else torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)


def facts_of(found: "SegmentedObject") -> dict[str, Any]:
    """Return what is told of an object."""
    from ros2_clickgs.core.geometry import quat_wxyz_from_rotmat

    return {
        "gaussians": len(found.gaussian_ids),
        "score": found.score,
        "views": found.view_count,
        "box": {
            "center_m": found.pose[:3, 3].tolist(),
            "size_m": found.size.tolist(),
            "quat_wxyz": quat_wxyz_from_rotmat(found.pose[:3, :3]).tolist(),
        },
    }
