# SPDX-License-Identifier: Apache-2.0
"""From pixels to Gaussians: what views say is backprojected and divided by visibility."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize, pad

from ros2_clickgs.core.affordances.rules import Rule
from ros2_clickgs.core.clicking import PosedImage
from ros2_clickgs.core.descriptor import Descriptor, FeatureGrid
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import HALF_COVERED
from ros2_clickgs.core.types import BACKGROUND, Camera

FEWEST_PIXELS = 64
"""A view that shows less of the object says nothing about its shape."""
SURE_ENOUGH = 0.1
"""Views that are less sure on average leave the rest to the background."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What views say about an object's Gaussians, in pixel-equivalents. It adds up over views."""

    votes: Float[Tensor, "M C"]
    """Class probabilities times weight; less than the visibility where rules are unsure."""
    visibility: Float[Tensor, " M"]
    """How much the views show of each."""

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(
            votes=self.votes + other.votes, visibility=self.visibility + other.visibility
        )

    @property
    def sureness(self) -> Float[Tensor, " M"]:
        """How much was said of each."""
        return self.votes.sum(-1)

    @property
    def scores(self) -> Float[Tensor, "M C"]:
        """Class probabilities; 0 where nothing was seen, background where nobody was sure."""
        said = self.votes / self.sureness[:, None].clamp(min=1e-9)
        sure = self.sureness / self.visibility.clamp(min=1e-9)
        known = (sure / SURE_ENOUGH).clamp(max=1)[:, None]
        background = torch.zeros_like(said)
        background[:, BACKGROUND] = 1
        return (known * said + (1 - known) * background) * (self.visibility > 0)[:, None]


def lift_votes(
    rasterizer: Rasterizer,
    gaussian_ids: Int[Tensor, " M"],
    images: Iterable[PosedImage],
    descriptor: Descriptor,
    rule: Rule,
) -> Evidence:
    """Classify the cells of each view, then add up what the views say of each Gaussian."""
    votes = torch.zeros(len(gaussian_ids), rule.class_count)
    visibility = torch.zeros(len(gaussian_ids))
    for camera, mask, grid in described(rasterizer, gaussian_ids, images, descriptor):
        classes = classified(grid, rule, *mask.shape)
        said, seen = backprojected(rasterizer, gaussian_ids, camera, mask, classes)
        votes, visibility = votes + said, visibility + seen
    return Evidence(votes=votes, visibility=visibility)


def lift_features(
    rasterizer: Rasterizer,
    gaussian_ids: Int[Tensor, " M"],
    images: Iterable[PosedImage],
    descriptor: Descriptor,
    rule: Rule,
) -> Evidence:
    """Average the features that the views show of each Gaussian, then classify Gaussians once."""
    total, visibility = torch.zeros(len(gaussian_ids), 1), torch.zeros(len(gaussian_ids))
    for camera, mask, grid in described(rasterizer, gaussian_ids, images, descriptor):
        features = grid.paint(grid.features, *mask.shape)
        lifted, seen = backprojected(rasterizer, gaussian_ids, camera, mask, features)
        total, visibility = total + lifted, visibility + seen
    votes = torch.zeros(len(gaussian_ids), rule.class_count)
    shown = visibility > 0
    if shown.any():
        votes[shown] = rule(normalize(total[shown], dim=-1)) * visibility[shown, None]
    return Evidence(votes=votes, visibility=visibility)


LIFTS = {"votes": lift_votes, "features": lift_features}


def described(
    rasterizer: Rasterizer,
    gaussian_ids: Int[Tensor, " M"],
    images: Iterable[PosedImage],
    descriptor: Descriptor,
) -> Iterator[tuple[Camera, Bool[np.ndarray, "H W"], FeatureGrid]]:
    """Yield each view that shows the object, its pixels, and their features."""
    member = torch.zeros(len(rasterizer.gaussians), 1, device=rasterizer.gaussians.device)
    member[gaussian_ids] = 1.0
    for image in images:
        cover = rasterizer.splat(image.camera, member)[..., 0]
        mask = (cover >= HALF_COVERED).cpu().numpy()
        if mask.sum() >= FEWEST_PIXELS:
            yield image.camera, mask, descriptor.describe(image.image, mask)


def classified(grid: FeatureGrid, rule: Rule, height: int, width: int) -> Float[Tensor, "H W C"]:
    """Return class probabilities per pixel; they sum to less than 1 where the rule is unsure."""
    values = torch.zeros(*grid.features.shape[:2], rule.class_count + 1)
    cells = grid.described
    values[cells] = pad(rule(grid.features[cells]), (0, 1), value=1.0)
    painted = grid.paint(values, height, width, smooth=rule.is_soft)
    return painted[..., :-1] / painted[..., -1:].clamp(min=1e-6)


def backprojected(
    rasterizer: Rasterizer,
    gaussian_ids: Int[Tensor, " M"],
    camera: Camera,
    mask: Bool[np.ndarray, "H W"],
    values: Float[Tensor, "H W C"],
) -> tuple[Float[Tensor, "M C"], Float[Tensor, " M"]]:
    """Credit the object's Gaussians with the values of its pixels; and return their visibility."""
    shown = torch.from_numpy(mask)[..., None]
    pixels = torch.cat([values * shown, shown.float()], -1)
    lifted = rasterizer.backproject(camera, pixels.to(rasterizer.gaussians.device))
    lifted = lifted[gaussian_ids].cpu()
    return lifted[:, :-1], lifted[:, -1]
