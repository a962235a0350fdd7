# SPDX-License-Identifier: Apache-2.0
"""From pixels to Gaussians: what views say is backprojected and divided by visibility."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from ros2_clickgs.core.affordances.rules import Rule
from ros2_clickgs.core.clicking import PosedImage
from ros2_clickgs.core.descriptor import Descriptor, FeatureGrid
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import HALF_COVERED

FEWEST_PIXELS = 64
"""A view that shows less of the object says nothing about its shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What all views together say about an object's Gaussians."""

    scores: Float[Tensor, "M C"]
    """Class probabilities, weighted by how sure the views are; rows sum to 1, or to 0 where
    nobody said anything."""
    sureness: Float[Tensor, " M"]
    """How sure the views were, in pixel-equivalents."""
    visibility: Float[Tensor, " M"]
    """How much the views show of each, in pixel-equivalents."""
    facing: Float[Tensor, "M 3"]
    """Direction from which each was seen, of length 1 or 0."""


def object_mask(rasterizer: Rasterizer, gaussian_ids: Int[Tensor, " M"], image: PosedImage):
    """Return the pixels [H, W] that the object covers by half or more."""
    member = torch.zeros(len(rasterizer.gaussians), 1, device=rasterizer.gaussians.device)
    member[gaussian_ids] = 1.0
    return rasterizer.splat(image.camera, member)[..., 0] >= HALF_COVERED


class _Views:
    """Walks through the views, describes each one's object pixels, and adds up who was seen."""

    def __init__(self, rasterizer, gaussian_ids, images, descriptor) -> None:
        self.rasterizer, self.gaussian_ids = rasterizer, gaussian_ids
        self.images, self.descriptor = images, descriptor
        self.visibility = torch.zeros(len(gaussian_ids))
        self.facing = torch.zeros(len(gaussian_ids), 3)

    def __iter__(self):
        for image in self.images:
            mask = object_mask(self.rasterizer, self.gaussian_ids, image).cpu()
            if int(mask.sum()) < FEWEST_PIXELS:
                continue
            yield image.camera, mask, self.descriptor.describe(image.image, mask.numpy())

    def lift(self, camera, mask, values):
        """Backproject an image [H, W, C] within the mask onto the object's Gaussians [M, C]."""
        pixels = torch.cat([values * mask[..., None], mask[..., None].float()], -1)
        lifted = self.rasterizer.backproject(camera, pixels.to(self.rasterizer.gaussians.device))
        lifted = lifted[self.gaussian_ids].cpu()
        self.visibility += lifted[:, -1]
        means = self.rasterizer.gaussians.means[self.gaussian_ids].cpu()
        toward = normalize(camera.center.to(means) - means, dim=-1)
        self.facing += lifted[:, -1:] * toward
        return lifted[:, :-1]


def lift_votes(
    rasterizer: Rasterizer,
    gaussian_ids: Int[Tensor, " M"],
    images: Iterable[PosedImage],
    descriptor: Descriptor,
    rule: Rule,
) -> Evidence:
    """Classify the cells of each view, then add up what the views say of each Gaussian."""
    views = _Views(rasterizer, gaussian_ids, images, descriptor)
    votes = torch.zeros(len(gaussian_ids), rule.class_count)
    for camera, mask, grid in views:
        votes += views.lift(camera, mask, classified(grid, rule, camera.height, camera.width))
    return _evidence(votes, views)


def lift_features(
    rasterizer: Rasterizer,
    gaussian_ids: Int[Tensor, " M"],
    images: Iterable[PosedImage],
    descriptor: Descriptor,
    rule: Rule,
) -> Evidence:
    """Average the features that the views show of each Gaussian, then classify Gaussians once."""
    views = _Views(rasterizer, gaussian_ids, images, descriptor)
    total = torch.zeros(len(gaussian_ids), 0)
    for camera, mask, grid in views:
        features = grid.paint(grid.features, camera.height, camera.width)
        lifted = views.lift(camera, mask, features)
        total = total + lifted if total.shape[1] else lifted
    if not total.shape[1]:
        return _evidence(torch.zeros(len(gaussian_ids), rule.class_count), views)
    probabilities = rule(normalize(total, dim=-1))
    return _evidence(probabilities * views.visibility[:, None], views)


def classified(grid: FeatureGrid, rule: Rule, height: int, width: int) -> Float[Tensor, "H W C"]:
    """Return class probabilities per pixel; they sum to less than 1 where the rule is unsure."""
    values = torch.zeros(*grid.features.shape[:2], rule.class_count + 1)
    values[grid.described] = torch.nn.functional.pad(
        rule(grid.features[grid.described]), (0, 1), value=1.0
    )
    painted = grid.paint(values, height, width, smooth=rule.is_soft)
    return painted[..., :-1] / painted[..., -1:].clamp(min=1e-6)


def _evidence(votes: Float[Tensor, "M C"], views: _Views) -> Evidence:
    sureness = votes.sum(-1)
    return Evidence(
        scores=votes / sureness[:, None].clamp(min=1e-9),
        sureness=sureness,
        visibility=views.visibility,
        facing=normalize(views.facing, dim=-1),
    )
