# SPDX-License-Identifier: Apache-2.0
"""The slow twin: alpha compositing written as the equations say, one block of pixels at a time."""

from collections.abc import Iterator
from dataclasses import fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ros2_clickgs.backends.constants import (
    ALPHA_THRESHOLD,
    EPS2D,
    FAR_PLANE,
    FRUSTUM_MARGIN,
    MAX_ALPHA,
    MAX_EXTENT,
    NEAR_PLANE,
    TRANSMITTANCE_THRESHOLD,
)
from ros2_clickgs.core.geometry import covariances, project
from ros2_clickgs.core.rasterizer import BlendWeights
from ros2_clickgs.core.types import Camera, Gaussians

BLOCK = 16


class ReferenceRasterizer:
    """Blending weights in float64, on the CPU, whatever the map's precision."""

    def __init__(self, gaussians: Gaussians) -> None:
        self.gaussians = gaussians
        self._exact = Gaussians(
            **{f.name: getattr(gaussians, f.name).cpu().double() for f in fields(gaussians)}
        )

    def splat(self, camera: Camera, values: Float[Tensor, "N D"]) -> Float[Tensor, "H W D"]:
        """See Rasterizer."""
        image = values.new_zeros(camera.height, camera.width, values.shape[1])
        for pixels, ids, w in self._blocks(camera):
            image[pixels[:, 1], pixels[:, 0]] = (w @ values[ids].double()).to(values)
        return image

    def backproject(self, camera: Camera, image: Float[Tensor, "H W D"]) -> Float[Tensor, "N D"]:
        """See Rasterizer."""
        values = torch.zeros(len(self.gaussians), image.shape[-1], dtype=torch.float64)
        for pixels, ids, w in self._blocks(camera):
            values.index_add_(0, ids, w.T @ image[pixels[:, 1], pixels[:, 0]].double())
        return values.to(image.dtype)

    def vote(
        self, camera: Camera, label_image: Int[Tensor, "H W"], label_count: int
    ) -> Float[Tensor, "N L"]:
        """See Rasterizer."""
        labels = torch.arange(label_count, device=label_image.device)
        one_hot = (label_image[..., None] == labels).double()
        return self.backproject(camera, one_hot).float()

    def weights(self, camera: Camera, pixels: Int[Tensor, "P 2"] | None = None) -> BlendWeights:
        """See Rasterizer."""
        wanted = all_pixels(camera) if pixels is None else pixels.long()
        at = wanted[:, 1] * camera.width + wanted[:, 0]
        rows: dict[int, tuple[Tensor, Tensor]] = {}
        for block, ids, w in self._blocks(camera):
            for p in torch.nonzero(torch.isin(block[:, 1] * camera.width + block[:, 0], at))[:, 0]:
                hit = w[p] > 0
                rows[int(block[p, 1] * camera.width + block[p, 0])] = (ids[hit], w[p][hit])
        counts = torch.tensor([0] + [len(rows[int(p)][0]) for p in at], dtype=torch.long)
        empty = torch.zeros(0)
        return BlendWeights(
            row_offsets=counts.cumsum(0),
            gaussian_ids=torch.cat([empty.int()] + [rows[int(p)][0].int() for p in at]),
            weights=torch.cat([empty] + [rows[int(p)][1].float() for p in at]),
            gaussian_count=len(self.gaussians),
        )

    def _blocks(self, camera: Camera) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield (pixels [P, 2], gaussian ids [M] front to back, weights [P, M]) per block."""
        means2d, conics, radii, depths = project_gaussians(self._exact, camera)
        order = torch.argsort(depths.float(), stable=True)  # in float32, as gsplat: ties by row
        order = order[torch.isfinite(depths[order])]
        pixels = all_pixels(camera)
        block = pixels.div(BLOCK, rounding_mode="floor")
        for corner in torch.unique(block, dim=0):
            inside = pixels[(block == corner).all(1)]
            low, high = inside.amin(0), inside.amax(0) + 1
            touches = (means2d[order] + radii[order] >= low) & (
                means2d[order] - radii[order] <= high
            )
            ids = order[touches.all(1)]
            delta = means2d[ids] - (inside[:, None] + 0.5)
            yield inside, ids, blend(delta, conics[ids], self._exact.opacities[ids])


def all_pixels(camera: Camera) -> Int[Tensor, "P 2"]:
    """Return every pixel (u, v), row by row."""
    v, u = torch.meshgrid(torch.arange(camera.height), torch.arange(camera.width), indexing="ij")
    return torch.stack([u.flatten(), v.flatten()], -1)


def project_gaussians(
    gaussians: Gaussians, camera: Camera
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Project with the local affine approximation (Zwicker et al. 2001, EWA splatting).

    Returns:
        means2d [N, 2] px, conics [N, 3] (a, b, c of the inverse covariance), radii [N, 2] px,
        depths [N] m; depth is inf where a Gaussian cannot be seen.
    """
    means2d, z = project(camera, gaussians.means).split([2, 1], dim=-1)
    z = z.squeeze(-1)
    K = camera.K.to(z)
    focal, principal = K.diagonal()[:2], K[:2, 2]
    size = torch.tensor([camera.width, camera.height]).to(z)
    margin = FRUSTUM_MARGIN * 0.5 * size / focal
    xy = (means2d - principal) / focal
    xy = torch.minimum(
        torch.maximum(xy, -principal / focal - margin), (size - principal) / focal + margin
    )
    J = z.new_zeros(len(z), 2, 3)
    J[:, 0, 0], J[:, 1, 1] = focal[0] / z, focal[1] / z
    J[:, :, 2] = -focal * xy / z[:, None]
    M = J @ camera.viewmat[:3, :3].to(z)
    cov = M @ covariances(gaussians) @ M.mT + EPS2D * torch.eye(2).to(z)
    a, b, c = cov[:, 0, 0], cov[:, 0, 1], cov[:, 1, 1]
    det = a * c - b * b
    conics = torch.stack([c, -b, a], -1) / det[:, None]
    extent = torch.sqrt(2 * torch.log(gaussians.opacities / ALPHA_THRESHOLD)).clamp(max=MAX_EXTENT)
    radii = torch.ceil(extent[:, None] * torch.sqrt(torch.stack([a, c], -1)))
    seen = (z >= NEAR_PLANE) & (z <= FAR_PLANE) & (det > 0)
    seen &= gaussians.opacities >= ALPHA_THRESHOLD
    seen &= ((means2d + radii > 0) & (means2d - radii < size)).all(1)
    return means2d, conics, radii, torch.where(seen, z, torch.inf)


def blend(
    delta: Float[Tensor, "P M 2"], conics: Float[Tensor, "M 3"], opacities: Float[Tensor, " M"]
) -> Float[Tensor, "P M"]:
    r"""Return w = alpha T for Gaussians sorted front to back (Kerbl et al. 2023, eq. 3).

    .. math:: \alpha = o\,e^{-\frac12 \delta^T \Sigma^{-1} \delta} \quad
        T_i = \prod_{j<i} (1 - \alpha_j)
    """
    dx, dy = delta.unbind(-1)
    a, b, c = conics.unbind(-1)
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = (opacities * torch.exp(-sigma)).clamp(max=MAX_ALPHA)
    alpha = torch.where((sigma < 0) | (alpha < ALPHA_THRESHOLD), 0.0, alpha)
    after = torch.cumprod(1 - alpha, dim=-1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], dim=-1)
    return torch.where(after > TRANSMITTANCE_THRESHOLD, alpha * before, 0.0)
