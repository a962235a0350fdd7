# SPDX-License-Identifier: Apache-2.0
"""A click becomes an object: the images that show it, and, where they are few, rendered ones."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.geometry import project, unproject
from ros2_clickgs.core.looking import Look
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.objects import SegmentedObject
from ros2_clickgs.core.posed_image import PosedImage, prompt_of, rendered_image
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.segmenter import Segmenter
from ros2_clickgs.core.state import Click
from ros2_clickgs.core.types import Camera
from ros2_clickgs.core.views import Z_UP, orbit_cameras
from ros2_clickgs.errors import NotFoundError

RENDERED_DISTANCES_M = (1.0, 0.5, 0.25)
"""How far views stand from a point no image shows: the first that sees it without obstacle."""


def lift_pixel(rasterizer: Rasterizer, camera: Camera, u: float, v: float) -> Float[Tensor, "3"]:
    """Return the surface point (m) that a pixel shows: where half of its weight is passed.

    Raises:
        NotFoundError: the pixel lies outside the image, or the map has no surface there.
    """
    if not (0 <= u < camera.width and 0 <= v < camera.height):
        raise NotFoundError("pixel", (u, v), f"an image of {camera.width}x{camera.height} px")
    row = rasterizer.weights(camera, torch.tensor([[int(u), int(v)]]))
    passed = row.weights.cumsum(0)
    if len(passed) == 0 or passed[-1] < 0.5:
        raise NotFoundError(
            "surface at pixel", (u, v), "surfaces only where the map covers the image"
        )
    nearest = int(row.gaussian_ids[int((passed >= passed[-1] / 2).nonzero()[0, 0])])
    depth = project(camera, rasterizer.gaussians.means[nearest : nearest + 1].cpu())[:, 2]
    return unproject(camera, torch.tensor([[u, v]], dtype=depth.dtype), depth)[0]


def segment_clicks(
    object_map: ObjectMap,
    segmenter: Segmenter,
    images: Iterable[PosedImage],
    clicks: list[Click],
    object_id: int = 0,
    name: str = "",
    rendered_views: int = 0,
) -> SegmentedObject:
    """Find the thing under the clicks: all of `Look.find` at once.

    Args:
        object_map: the map; the object is added to it, or replaced in it.
        segmenter: answers prompts with masks.
        images: views to look in, the most telling first.
        clicks: what is and what is not the thing.
        object_id: object to find anew, 0 for a new one.
        name: what to call a new object.
        rendered_views: how many views around the object may be rendered.

    Raises:
        ClickGSError: there is no positive click, or no image shows one on a surface of the map.
        NotFoundError: object_id is neither 0 nor an object; or nothing was found under the clicks.
    """
    look = Look(object_map, segmenter, object_id=object_id, name=name)
    for _ in look.find(images, clicks, rendered_views):
        pass
    return object_map.get(look.object_id)


def images_of_clicks(
    rasterizer: Rasterizer,
    images: Iterable[PosedImage],
    clicks: list[Click],
    *,
    most: int,
    least: int,
    up: Float[Tensor, "3"] = Z_UP,
    distances: Sequence[float] = RENDERED_DISTANCES_M,
) -> Iterator[PosedImage]:
    """Yield the images that show a positive click; render views of it where these are too few.

    Args:
        rasterizer: the map.
        images: what there is, the most telling first.
        clicks: what is and what is not the thing.
        most: of the images, no more are taken.
        least: with fewer, views are rendered around the first positive click.
        up: direction that is up in them.
        distances: how far they stand from it if no image shows it, in m; the first is taken from
            which it is seen without obstacle. Otherwise they stand as far as the first image.
    """
    count = 0
    for image in images:
        if count == most:
            return
        if prompt_of(rasterizer, image, clicks):
            count += 1
            distances = distances if count > 1 else [distance_of(image, clicks)]
            yield image
    if count < least:
        yield from images_around(rasterizer, clicks, least - count, up, distances)


def images_around(
    rasterizer: Rasterizer,
    clicks: list[Click],
    count: int,
    up: Float[Tensor, "3"],
    distances: Sequence[float],
) -> Iterator[PosedImage]:
    """Yield views rendered around the first positive click; none where the map hides it."""
    point = next(click.point for click in clicks if click.positive)
    for distance in distances:
        cameras = orbit_cameras(rasterizer, point, distance=distance, up=up, count=count)
        yield from (rendered_image(rasterizer, camera) for camera in cameras)
        if cameras:
            return


def distance_of(image: PosedImage, clicks: list[Click]) -> float:
    """Return how far the first positive click is from an image's camera, in m."""
    point = next(click.point for click in clicks if click.positive)
    return float((image.camera.center - point).norm())
