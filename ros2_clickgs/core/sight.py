# SPDX-License-Identifier: Apache-2.0
"""Which cameras see a point, in which order they tell most, and what stands in between."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.geometry import project, rotmat_from_quat_wxyz
from ros2_clickgs.core.types import Camera, Gaussians

REACH = 3.33
"""Standard deviations beyond which a Gaussian hides nothing."""
MAX_ALPHA = 0.999
"""No Gaussian is fully opaque."""
CHUNK = 1 << 18
"""Gaussians looked at at once, which bounds the memory."""


def order_by_sight(cameras: Sequence[Camera], point: Float[Tensor, "3"]) -> list[int]:
    """Return the cameras with a point (m) inside their image, the most telling first.

    The first shows it most central and nearest; each further one looks along the line of sight
    that is farthest from all before it. What stands in between is not looked at.
    """
    scores = torch.tensor([centrality(camera, point) for camera in cameras])
    inside = torch.nonzero(scores > 0)[:, 0].tolist()
    if not inside:
        return []
    sights = torch.stack([line_of_sight(cameras[i], point) for i in inside])
    order = [int(scores[inside].argmax())]
    closeness = sights @ sights[order[0]]
    while len(order) < len(inside):
        closeness[order] = torch.inf
        order.append(int(closeness.argmin()))
        closeness = torch.maximum(closeness, sights @ sights[order[-1]])
    return [inside[i] for i in order]


def centrality(camera: Camera, point: Float[Tensor, "3"]) -> float:
    """Return how well a camera shows a point (m): 0 = outside, more = more central and nearer."""
    u, v, depth = project(camera, point[None].double())[0].tolist()
    if depth <= 0 or not (0 <= u < camera.width and 0 <= v < camera.height):
        return 0.0
    off_center = math.hypot(2 * u / camera.width - 1, 2 * v / camera.height - 1)
    return (1.5 - off_center) / depth


def transmittances(
    gaussians: Gaussians, point: Float[Tensor, "3"], ends: Float[Tensor, "E 3"], near: float
) -> Float[Tensor, " E"]:
    r"""Return how much light passes from a point to each end, past the Gaussians in between.

    Along the ray :math:`p + t d` a Gaussian is thickest at
    :math:`t^* = (d^T \Sigma^{-1} \delta) / (d^T \Sigma^{-1} d)`, :math:`\delta = \mu - p`, where
    it leaves :math:`1 - o\,e^{-m^2/2}` at Mahalanobis distance m.

    Args:
        gaussians: the map.
        point: where the rays start, in m.
        ends: where they end, in m.
        near: Gaussians thickest within this of the point are its own surface, in m.

    Returns:
        Values in [0, 1].
    """
    lengths = (ends - point).norm(dim=-1).to(gaussians.means)
    directions = torch.nn.functional.normalize(ends - point, dim=-1).to(gaussians.means)
    logs = torch.zeros_like(lengths)
    for start in range(0, len(gaussians), CHUNK):
        chunk = gaussians.select(torch.arange(start, min(start + CHUNK, len(gaussians))))
        offsets = chunk.means - point.to(chunk.means)
        along, reach = offsets @ directions.T, REACH * chunk.scales.amax(-1, keepdim=True)
        off_ray = offsets.square().sum(-1, keepdim=True) - along.square()
        hit = (off_ray <= reach.square()) & (along > -reach) & (along < lengths + reach)
        rows, rays = torch.nonzero(hit, as_tuple=True)
        axes = rotmat_from_quat_wxyz(chunk.quats[rows]) / chunk.scales[rows, None, :]
        a = torch.einsum("nij,ni->nj", axes, directions[rays])
        b = torch.einsum("nij,ni->nj", axes, offsets[rows])
        thickest = (a * b).sum(-1) / (a * a).sum(-1)
        m_squared = (b * b).sum(-1) - thickest * (a * b).sum(-1)
        alpha = (chunk.opacities[rows] * torch.exp(-m_squared / 2)).clamp(max=MAX_ALPHA)
        between = (thickest > near) & (thickest < lengths[rays])
        logs.index_add_(0, rays, torch.where(between, torch.log1p(-alpha), 0.0))
    return logs.exp()


def line_of_sight(camera: Camera, point: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    """Return the unit vector from the camera to a point (m)."""
    return torch.nn.functional.normalize(point.double() - camera.center, dim=0)
