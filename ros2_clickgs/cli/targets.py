# SPDX-License-Identifier: Apache-2.0
"""What the demo clicks on: known things of the built-in scene, or what stands out in images."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from ros2_clickgs.cli.clicks import images_of
from ros2_clickgs.core.clicking import (
    images_of_clicks,
    lift_pixel,
    segment_clicks,
)
from ros2_clickgs.core.geometry import project, unproject
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.posed_image import is_visible, rendered_image
from ros2_clickgs.core.rendering import render_labels
from ros2_clickgs.core.sight import order_by_sight
from ros2_clickgs.core.state import Click
from ros2_clickgs.errors import ClickGSError, NotFoundError
from ros2_clickgs.io.images import read_image, read_label_image

if TYPE_CHECKING:
    from ros2_clickgs.core.rasterizer import Rasterizer
    from ros2_clickgs.core.segmenter import Segmenter
    from ros2_clickgs.core.types import Camera
    from ros2_clickgs.io.views import View

SEARCHED_VIEWS, GRID = 8, (6, 8)
"""Views, and rows and columns of pixels in each, that are tried for things that stand out."""
AREA = (0.004, 0.12)
"""Smallest and largest share of the image that a thing may fill."""
RING_PX = 21
"""Window that a mask's surroundings lie in."""
STRIKING = 60.0
"""Contrast beyond which a thing stands out no more."""
MAX_SIZE_M = 0.5
"""Longest diagonal of a thing that hands could take."""
MAX_TRIES, TRIED_IMAGES, AGREEING = 25, 8, 5
"""Things that are tried, images that each is tried in, and how many of those must agree."""
APART_M = 0.25
"""Two things lie at least this far apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing to click on."""

    name: str
    point: Float[Tensor, "3"]
    """On its surface, in m."""
    more: tuple[Float[Tensor, "3"], ...] = ()
    """Further points of it, in m."""
    view: "View"
    """Shows it well."""
    truth: Bool[np.ndarray, "H W"] | None = None
    """Its pixels in that view, where they are known."""


def known_targets(
    rasterizer: "Rasterizer", views: "list[View]", masks: Path, names: dict[str, int]
) -> list[Target]:
    """Return things by their label in the masks, each in the view that shows most of it."""
    label_images = [read_label_image(masks / f"{view.name}.png") for view in views]
    targets = []
    for name, label in names.items():
        best = max(range(len(views)), key=lambda i: int((label_images[i] == label).sum()))
        mask = label_images[best] == label
        point = lift_pixel(rasterizer, views[best].camera, *innermost(mask))
        targets.append(Target(name=name, point=point, view=views[best], truth=mask))
    return targets


def given_targets(
    rasterizer: "Rasterizer", views: "list[View]", clicks: list[tuple[float, ...]]
) -> list[Target]:
    """Return things by one or more given points (m) on each, with the first view that sees it.

    Raises:
        ClickGSError: points have not three numbers, or no view shows a first one.
    """
    targets = []
    for number, numbers in enumerate(clicks, 1):
        if len(numbers) % 3 or not numbers:
            raise ClickGSError(f"--click takes X Y Z, or several points, not {numbers}")
        point, *more = torch.tensor(numbers, dtype=torch.float64).view(-1, 3)
        for i in order_by_sight([view.camera for view in views], point):
            camera = views[i].camera
            uvz = project(camera, point[None])[0].numpy()
            if is_visible(rendered_image(rasterizer, camera).depth, uvz):
                name = f"click_{number}"
                targets.append(Target(name=name, point=point, more=tuple(more), view=views[i]))
                break
        else:
            raise ClickGSError(
                f"none of {len(views)} views shows the point {point.tolist()}; click elsewhere"
            )
    return targets


def found_targets(
    rasterizer: "Rasterizer", views: "list[View]", segmenter: "Segmenter", count: int
) -> list[Target]:
    """Return things that a 2D segmenter is sure of and on which several views agree.

    Raises:
        NotFoundError: there are fewer than `count`.
    """
    step = max(len(views) // SEARCHED_VIEWS, 1)
    candidates = [c for view in views[::step] for c in candidates_in(rasterizer, view, segmenter)]
    ordered = [target for _, target in sorted(candidates, key=lambda c: -c[0])]
    chosen: list[Target] = []
    for target in ordered[:MAX_TRIES]:
        is_apart = all((target.point - other.point).norm() > APART_M for other in chosen)
        if is_apart and is_agreed_on(rasterizer, views, segmenter, target):
            chosen.append(target)
        if len(chosen) == count:
            return chosen
    raise NotFoundError("things", count, f"{len(chosen)} that stand out; name points with --click")


def is_agreed_on(
    rasterizer: "Rasterizer", views: "list[View]", segmenter: "Segmenter", target: Target
) -> bool:
    """Return whether the masks of several views make one small object of a target."""
    click, objects = Click(target.point), ObjectMap(rasterizer)
    order = order_by_sight([view.camera for view in views], target.point)
    shown = images_of(rasterizer, [target.view, *(views[i] for i in order)])
    images = images_of_clicks(rasterizer, shown, [click], most=TRIED_IMAGES, least=0)
    try:
        found = segment_clicks(objects, segmenter, images, [click])
    except ClickGSError:
        return False
    labels = torch.zeros(len(rasterizer.gaussians), dtype=torch.int32)
    labels[found.gaussian_ids] = 1
    u, v, _ = project(target.view.camera, target.point[None])[0].tolist()
    is_under_click = bool(render_labels(rasterizer, target.view.camera, labels)[int(v), int(u)])
    is_small = float(found.size[0]) < MAX_SIZE_M
    return is_under_click and is_small and found.view_count >= AGREEING


def candidates_in(
    rasterizer: "Rasterizer", view: "View", segmenter: "Segmenter"
) -> list[tuple[float, Target]]:
    """Return things of one view; surer, nearer, more striking ones have a higher number."""
    from ros2_clickgs.core.segmenter import Prompt

    camera, depth = view.camera, rendered_image(rasterizer, view.camera).depth
    image = read_image(view.image_path, camera)
    segmenter.set_image(image, depth)
    rows, columns = ((np.arange(n) + 0.5) / n for n in GRID)
    clicks = [(u * camera.width, v * camera.height) for v in rows for u in columns]
    clicks = [(u, v) for u, v in clicks if depth[int(v), int(u)] > 0]
    prompts = [Prompt(point_coords=np.array([uv]), point_labels=np.array([True])) for uv in clicks]
    found = []
    for mask in segmenter.predict(prompts):
        if not is_whole(mask.pixels) or depth[mask.pixels].min() <= 0:
            continue
        if diagonal(camera, depth, mask.pixels) < MAX_SIZE_M:
            point = lift_pixel(rasterizer, camera, *innermost(mask.pixels))
            nearness = 1 / float(np.median(depth[mask.pixels]))
            rank = mask.score * nearness * min(contrast(image, mask.pixels), STRIKING)
            found.append((rank, Target(name="", point=point, view=view)))
    return found


def diagonal(
    camera: "Camera", depth: Float32[np.ndarray, "H W"], mask: Bool[np.ndarray, "H W"]
) -> float:
    """Return the extent of a mask's surface (m), its outermost tenths left out."""
    v, u = np.nonzero(mask)
    uv = torch.from_numpy(np.stack([u, v], -1) + 0.5).float()
    points = unproject(camera, uv, torch.from_numpy(depth[mask]))
    low, high = points.quantile(torch.tensor([0.1, 0.9]), dim=0)
    return float((high - low).norm())


def contrast(image: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"]) -> float:
    """Return how far a mask's mean colour is from that of its surroundings, 0 to about 400."""
    near = cv2.dilate(mask.astype(np.uint8), np.ones((RING_PX, RING_PX), np.uint8)) > 0
    return float(np.linalg.norm(image[mask].mean(0) - image[near & ~mask].mean(0)))


def is_whole(mask: Bool[np.ndarray, "H W"]) -> bool:
    """Return whether a mask is of fair size and away from the image's border."""
    inner = np.zeros_like(mask)
    inner[2:-2, 2:-2] = True
    return AREA[0] < mask.mean() < AREA[1] and not (mask & ~inner).any()


def innermost(mask: Bool[np.ndarray, "H W"]) -> tuple[float, float]:
    """Return the pixel (u, v) of a mask that is farthest from its border."""
    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    v, u = np.unravel_index(int(distance.argmax()), mask.shape)
    return float(u) + 0.5, float(v) + 0.5
