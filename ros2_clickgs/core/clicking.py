# SPDX-License-Identifier: Apache-2.0
"""The conductor: clicks become 2D masks in several views, masks become votes, votes an object."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from ros2_clickgs.core.gates import agreeing
from ros2_clickgs.core.geometry import project, unproject
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.objects import SegmentedObject
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import render
from ros2_clickgs.core.segmenter import Mask, Prompt, Segmenter
from ros2_clickgs.core.state import Click
from ros2_clickgs.core.types import Camera
from ros2_clickgs.core.votes import Votes, cast_votes, decide_labels
from ros2_clickgs.errors import ClickGSError, NotFoundError

VISIBLE_TOLERANCE = 0.07
"""How far a clicked point may lie off the map's surface, as a share of its depth."""


@dataclass(slots=True, eq=False)
class PosedImage:
    """An image whose camera is known, and what the map says of its depth."""

    camera: Camera
    image: UInt8[np.ndarray, "H W 3"]
    """RGB."""
    depth: Float32[np.ndarray, "H W"] | None = field(default=None, repr=False)
    """The map's depth in this view, in m, 0 where there is none; rendered when first needed."""


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


def rendered_image(rasterizer: Rasterizer, camera: Camera) -> PosedImage:
    """Return what the map itself shows from a camera."""
    rendering = render(rasterizer, camera)
    color = (rendering.color * 255).round().to(torch.uint8)
    return PosedImage(camera, color.cpu().numpy(), rendering.depth.cpu().numpy())


def segment_clicks(
    object_map: ObjectMap,
    segmenter: Segmenter,
    images: list[PosedImage],
    clicks: list[Click],
    object_id: int = 0,
    name: str = "",
) -> SegmentedObject:
    """Find the thing under the clicks.

    Every image that shows a positive click is asked for a mask; the masks vote; those that
    contradict the others are dropped; then the object found so far prompts every image once more.

    Args:
        object_map: the map; the object is added to it, or replaced in it.
        segmenter: answers prompts with masks.
        images: views to look in, the most telling first.
        clicks: what is and what is not the thing.
        object_id: object to find anew, 0 for a new one.
        name: what to call a new object.

    Raises:
        ClickGSError: there is no positive click, or no image shows one on a surface of the map.
        NotFoundError: object_id is neither 0 nor an object; or nothing was found under the clicks.
    """
    if not any(click.positive for click in clicks):
        raise ClickGSError("no positive click given; click on the thing first")
    if object_id:
        object_map.get(object_id)
    views = [
        (image, prompt) for image in images if (prompt := prompt_of(object_map, image, clicks))
    ]
    if not views:
        raise ClickGSError(
            f"none of {len(images)} images shows a surface at the clicked point; "
            "click on a surface of the map, or move a camera to see it"
        )
    votes, voters = vote_in_agreement(object_map.rasterizer, segmenter, views)
    membership = decide_labels(votes, object_map.background_weight) > 0
    guided = [
        (image, guide(object_map.rasterizer, image, prompt, membership)) for image, prompt in views
    ]
    votes, voters = vote_in_agreement(object_map.rasterizer, segmenter, guided)
    if not (decide_labels(votes, object_map.background_weight) > 0).any():
        raise NotFoundError(
            "Gaussians under the clicks", len(clicks), "none that the masks agree on"
        )
    object_id = object_id or object_map.create(name)
    object_map.replace_votes(object_id, votes, [image.camera.center for image in voters])
    return object_map.get(object_id)


def prompt_of(object_map: ObjectMap, image: PosedImage, clicks: list[Click]) -> Prompt | None:
    """Return the clicks that an image shows, or None if it shows no positive one."""
    if image.depth is None:
        image.depth = render(object_map.rasterizer, image.camera).depth.cpu().numpy()
    uvz = project(image.camera, torch.stack([click.point.double() for click in clicks])).numpy()
    shown = [is_visible(image.depth, point) for point in uvz]
    labels = np.array([click.positive for click in clicks])
    if not labels[shown].any():
        return None
    return Prompt(point_coords=uvz[shown, :2], point_labels=labels[shown])


def is_visible(depth: Float32[np.ndarray, "H W"], uvz: Float[np.ndarray, "3"]) -> bool:
    """Tell whether a projected point (px, px, m) lies in the image and on the surface it shows."""
    height, width = depth.shape
    if not (0 <= uvz[0] < width and 0 <= uvz[1] < height and uvz[2] > 0):
        return False
    off_surface = abs(float(depth[int(uvz[1]), int(uvz[0])]) - uvz[2])
    return bool(off_surface <= VISIBLE_TOLERANCE * uvz[2])


def guide(
    rasterizer: Rasterizer, image: PosedImage, prompt: Prompt, membership: Bool[Tensor, " N"]
) -> Prompt:
    """Return the prompt with the object found so far splatted into the view as its soft mask."""
    soft = rasterizer.splat(image.camera, membership[:, None].float())[..., 0].cpu().numpy()
    return Prompt(
        point_coords=prompt.point_coords, point_labels=prompt.point_labels, soft_mask=soft
    )


def vote_in_agreement(
    rasterizer: Rasterizer, segmenter: Segmenter, views: list[tuple[PosedImage, Prompt]]
) -> tuple[Votes, list[PosedImage]]:
    """Return the votes of the views' masks (L = 1) and which images voted (gates.agreeing)."""
    ballots = []
    for image, prompt in views:
        pixels = torch.from_numpy(ask(segmenter, image, prompt).pixels.astype(np.int32))
        ballots.append((image, cast_votes(rasterizer, image.camera, pixels, 1)))
    kept = [ballots[i] for i in agreeing([votes for _, votes in ballots])]
    together = sum((votes for _, votes in kept[1:]), kept[0][1])
    return together, [image for image, _ in kept]


def ask(segmenter: Segmenter, image: PosedImage, prompt: Prompt) -> Mask:
    """Return the segmenter's mask for one prompt in one image."""
    segmenter.set_image(image.image, image.depth)
    return segmenter.predict([prompt])[0]
