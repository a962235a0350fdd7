# SPDX-License-Identifier: Apache-2.0
"""The CUDA backend: gsplat projects, sorts and rasterises; its gradients are the votes."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ros2_clickgs.backends.constants import EPS2D, FAR_PLANE, MAX_ALPHA, NEAR_PLANE
from ros2_clickgs.core.rasterizer import BlendWeights
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.errors import BackendUnavailableError

TILE = 16
CHANNELS_AT_ONCE = 32
"""Channels that gsplat's kernel holds in registers."""
ALL_BATCHES = 1 << 30
"""More batches of splats than any tile has."""


class TiledSplats(NamedTuple):
    """What one view sees, as gsplat lays it out for one camera (leading axis 1)."""

    means2d: Tensor
    conics: Tensor
    opacities: Tensor
    tile_offsets: Tensor
    flatten_ids: Tensor


def require_gsplat() -> None:
    """Raise BackendUnavailableError unless CUDA and gsplat work here."""
    if not torch.cuda.is_available():
        raise BackendUnavailableError("gsplat", "torch sees no CUDA device", "use backend: numba")
    try:
        from gsplat.cuda._backend import _C as kernels  # compiled on first use
    except ImportError as error:
        raise BackendUnavailableError(
            "gsplat", str(error), "pip install 'ros2_clickgs[gpu]', or use backend: numba"
        ) from error
    if kernels is None:
        raise BackendUnavailableError(
            "gsplat", "its CUDA code is not built and no CUDA toolkit was found",
            "let CUDA_HOME name the toolkit that torch was built with, or use backend: numba",
        )  # fmt: skip


class GsplatRasterizer:
    """Blending weights on a GPU; remembers how the last camera's splats fell on its tiles."""

    def __init__(self, gaussians: Gaussians) -> None:
        require_gsplat()
        self.gaussians = gaussians.to("cuda")
        self._last: tuple[Camera, TiledSplats] | None = None

    def splat(self, camera: Camera, values: Float[Tensor, "N D"]) -> Float[Tensor, "H W D"]:
        """See Rasterizer."""
        chunks = values.to(self.gaussians.device, torch.float32).split(CHANNELS_AT_ONCE, dim=-1)
        return torch.cat([self._paint(camera, chunk) for chunk in chunks], dim=-1)

    def backproject(self, camera: Camera, image: Float[Tensor, "H W D"]) -> Float[Tensor, "N D"]:
        """See Rasterizer: the gradient of <splat(values), image> with respect to values."""
        chunks = image.to(self.gaussians.device, torch.float32).split(CHANNELS_AT_ONCE, dim=-1)
        return torch.cat([self._gradient(camera, chunk) for chunk in chunks], dim=-1)

    def vote(
        self, camera: Camera, label_image: Int[Tensor, "H W"], label_count: int
    ) -> Float[Tensor, "N L"]:
        """See Rasterizer."""
        labels = torch.arange(label_count, device=self.gaussians.device)
        one_hot = label_image.to(self.gaussians.device)[..., None] == labels
        return self.backproject(camera, one_hot.float())

    def weights(self, camera: Camera, pixels: Int[Tensor, "P 2"] | None = None) -> BlendWeights:
        """See Rasterizer."""
        from gsplat import rasterize_to_indices_in_range

        tiled = self._tiled(camera)
        transparent = torch.ones(1, camera.height, camera.width, device=self.gaussians.device)
        ids, at, _ = rasterize_to_indices_in_range(
            0, ALL_BATCHES, transparent, tiled.means2d, tiled.conics, tiled.opacities,
            camera.width, camera.height, TILE, tiled.tile_offsets, tiled.flatten_ids,
        )  # fmt: skip
        counts = torch.bincount(at, minlength=camera.width * camera.height)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        entries = BlendWeights(
            row_offsets=offsets,
            gaussian_ids=ids.int(),
            weights=blend_entries(tiled, ids, at, offsets, camera.width),
            gaussian_count=len(self.gaussians),
        )
        return (
            entries
            if pixels is None
            else pick_rows(entries, pixels.to(at) @ at.new_tensor([1, camera.width]))
        )

    def _paint(self, camera: Camera, values: Float[Tensor, "N D"]) -> Float[Tensor, "H W D"]:
        from gsplat import rasterize_to_pixels

        tiled = self._tiled(camera)
        image, _ = rasterize_to_pixels(
            tiled.means2d, tiled.conics, values[None], tiled.opacities,
            camera.width, camera.height, TILE, tiled.tile_offsets, tiled.flatten_ids,
        )  # fmt: skip
        return image[0]

    def _gradient(self, camera: Camera, image: Float[Tensor, "H W D"]) -> Float[Tensor, "N D"]:
        values = torch.zeros(
            len(self.gaussians), image.shape[-1], device=image.device, requires_grad=True
        )
        with torch.enable_grad():
            return torch.autograd.grad(self._paint(camera, values), values, image)[0]

    def _tiled(self, camera: Camera) -> TiledSplats:
        if self._last is None or self._last[0] is not camera:
            self._last = (camera, tile_splats(self.gaussians, camera))
        return self._last[1]


@torch.no_grad()
def tile_splats(gaussians: Gaussians, camera: Camera) -> TiledSplats:
    """Project, sort and bin a map for one camera."""
    from gsplat import fully_fused_projection, isect_offset_encode, isect_tiles

    viewmat, K = camera.viewmat.to(gaussians.means)[None], camera.K.to(gaussians.means)[None]
    radii, means2d, depths, conics, _ = fully_fused_projection(
        gaussians.means, None, gaussians.quats, gaussians.scales, viewmat, K, camera.width, camera.height,
        eps2d=EPS2D, near_plane=NEAR_PLANE, far_plane=FAR_PLANE, opacities=gaussians.opacities,
    )  # fmt: skip
    tiles_x, tiles_y = -(-camera.width // TILE), -(-camera.height // TILE)
    _, isect_ids, flatten_ids = isect_tiles(means2d, radii, depths, TILE, tiles_x, tiles_y)
    tile_offsets = isect_offset_encode(isect_ids, 1, tiles_x, tiles_y)
    return TiledSplats(means2d, conics, gaussians.opacities[None], tile_offsets, flatten_ids)


def blend_entries(
    tiled: TiledSplats,
    ids: Int[Tensor, " M"],
    at: Int[Tensor, " M"],
    offsets: Int[Tensor, " P1"],
    width: int,
) -> Float[Tensor, " M"]:
    """Return alpha T of every (pixel, Gaussian) entry; T from sums of logarithms within each row."""
    dx = tiled.means2d[0, ids, 0] - (at % width + 0.5)
    dy = tiled.means2d[0, ids, 1] - (at // width + 0.5)
    a, b, c = tiled.conics[0, ids].unbind(-1)
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = (tiled.opacities[0, ids] * torch.exp(-sigma)).clamp(max=MAX_ALPHA).double()
    passed = torch.log1p(-alpha).cumsum(0)
    before = torch.cat([passed.new_zeros(1), passed])
    transmittance = torch.exp(before[:-1] - before[offsets[at]])
    return (alpha * transmittance).float()


def pick_rows(entries: BlendWeights, rows: Int[Tensor, " P"]) -> BlendWeights:
    """Return some rows of W, in the order asked for."""
    counts = entries.row_offsets.diff()[rows]
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    first = torch.repeat_interleave(entries.row_offsets[rows] - offsets[:-1], counts)
    at = first + torch.arange(int(offsets[-1]), device=counts.device)
    return BlendWeights(
        row_offsets=offsets,
        gaussian_ids=entries.gaussian_ids[at],
        weights=entries.weights[at],
        gaussian_count=entries.gaussian_count,
    )
