# SPDX-License-Identifier: Apache-2.0
"""Ground truth in pixels: which object and which part every camera sees where."""

from dataclasses import dataclass

import torch
from jaxtyping import Int32
from torch import Tensor

from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import HALF_COVERED
from ros2_clickgs.core.types import BACKGROUND, Camera
from ros2_clickgs.scenes.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneMasks:
    """Two label images of one view; a pixel's part always belongs to its object."""

    objects: Int32[Tensor, "H W"]
    """Object labels; 0 is the background."""
    parts: Int32[Tensor, "H W"]
    """Part labels; 0 is the background."""


def scene_masks(scene: Scene, rasterizer: Rasterizer, camera: Camera) -> SceneMasks:
    """Return the object, and its part, with the largest splatted weight at each pixel.

    Args:
        scene: the ground truth.
        rasterizer: owner of the blending weights of `scene.gaussians`.
        camera: the view.
    """
    owner = torch.tensor(scene.part_object)
    one_hot = (scene.part_labels[:, None] == torch.arange(len(owner))).float()
    part_cover = rasterizer.splat(camera, one_hot)
    object_cover = part_cover.new_zeros(camera.height, camera.width, len(scene.object_names))
    object_cover.index_add_(2, owner, part_cover)
    things = object_cover[..., 1:]
    objects = torch.where(things.sum(-1) >= HALF_COVERED, things.argmax(-1) + 1, BACKGROUND)
    own_parts = part_cover.masked_fill(owner != objects[..., None], -1.0)
    return SceneMasks(objects=objects.int(), parts=own_parts.argmax(-1).int())
