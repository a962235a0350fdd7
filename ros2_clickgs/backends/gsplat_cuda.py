# SPDX-License-Identifier: Apache-2.0
"""The CUDA backend: gsplat projects, sorts and paints; forward-only kernels of ours vote."""

from dataclasses import replace
from importlib.util import find_spec

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ros2_clickgs.backends.gsplat_tiles import TILE, TiledSplats, tile_splats
from ros2_clickgs.core.rasterizer import BlendWeights
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.errors import BackendUnavailableError

CHANNELS_AT_ONCE = 32
"""Channels that gsplat's kernel holds in registers."""


def require_gsplat() -> None:
    """Raise BackendUnavailableError unless CUDA, gsplat and Triton work here."""
    if not torch.cuda.is_available():
        raise BackendUnavailableError("gsplat", "torch sees no CUDA device", "use backend: numba")
    if find_spec("triton") is None:
        raise BackendUnavailableError(
            "gsplat", "Triton is not installed", "pip install triton, or use backend: numba"
        )
    try:
        from gsplat.cuda import _backend as compiled  # on first use, by CUDA's compiler
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise BackendUnavailableError(
            "gsplat", reason, "pip install 'ros2_clickgs[gpu]', or use backend: numba"
        ) from error
    if compiled._C is None:
        raise BackendUnavailableError(
            "gsplat", "its CUDA code is not built and no CUDA toolkit was found",
            "let CUDA_HOME name the toolkit that torch was built with, or use backend: numba",
        )  # fmt: skip


class GsplatRasterizer:
    """Blending weights on a GPU; remembers how the last camera's splats fell on its tiles.

    Results live where the values, the image or the labels that were given live; rows of W where
    the map does: give CUDA tensors, and nothing is copied.
    """

    def __init__(self, gaussians: Gaussians, device: str = "cuda") -> None:
        require_gsplat()
        self.gaussians = gaussians
        geometry = {
            name: getattr(gaussians, name).to(device, torch.float32).contiguous()
            for name in ("means", "quats", "scales", "opacities")
        }
        self._geometry = Gaussians(**geometry, sh=geometry["means"][:, None])
        self._last: tuple[Camera, TiledSplats] | None = None

    def splat(self, camera: Camera, values: Float[Tensor, "N D"]) -> Float[Tensor, "H W D"]:
        """See Rasterizer."""
        tiled = self.tiled(camera)
        chunks = self._here(values).float().split(CHANNELS_AT_ONCE, dim=-1)
        return torch.cat([paint(tiled, camera, chunk) for chunk in chunks], dim=-1).to(
            values.device
        )

    def backproject(self, camera: Camera, image: Float[Tensor, "H W D"]) -> Float[Tensor, "N D"]:
        """See Rasterizer; an image in half precision is read as it is, sums are float32."""
        from ros2_clickgs.backends import triton_votes

        credits = triton_votes.backproject(self.tiled(camera), self._here(image))
        return credits.to(image.device)

    def vote(
        self, camera: Camera, label_image: Int[Tensor, "H W"], label_count: int
    ) -> Float[Tensor, "N L"]:
        """See Rasterizer."""
        from ros2_clickgs.backends import triton_votes

        votes = triton_votes.vote(self.tiled(camera), self._here(label_image), label_count)
        return votes.to(label_image.device)

    def weights(self, camera: Camera, pixels: Int[Tensor, "P 2"] | None = None) -> BlendWeights:
        """See Rasterizer."""
        from ros2_clickgs.backends import triton_weights

        wanted = pixel_grid(camera) if pixels is None else pixels
        rows = triton_weights.weigh(self.tiled(camera), self._here(wanted))
        home = self.gaussians.device
        return replace(
            rows,
            row_offsets=rows.row_offsets.to(home),
            gaussian_ids=rows.gaussian_ids.to(home),
            weights=rows.weights.to(home),
        )

    def tiled(self, camera: Camera) -> TiledSplats:
        """Return how the splats fall on a camera's tiles; kept until another camera comes."""
        if self._last is None or self._last[0] is not camera:
            self._last = (camera, tile_splats(self._geometry, camera))
        return self._last[1]

    def _here(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._geometry.device)


def paint(
    tiled: TiledSplats, camera: Camera, values: Float[Tensor, "N D"]
) -> Float[Tensor, "H W D"]:
    """Render what the Gaussians carry with gsplat's kernel, which autograd can go back through."""
    from gsplat import rasterize_to_pixels

    if len(tiled.flatten_ids) == 0:
        return values.new_zeros(camera.height, camera.width, values.shape[-1])
    image, _ = rasterize_to_pixels(
        tiled.means2d, tiled.conics, values[None], tiled.opacities,
        camera.width, camera.height, TILE, tiled.tile_offsets, tiled.flatten_ids,
    )  # fmt: skip
    return image[0]


def gradient(
    tiled: TiledSplats, camera: Camera, image: Float[Tensor, "H W D"]
) -> Float[Tensor, "N D"]:
    """Return the gradient of <splat(values), image>: what backproject must equal (the proof).

    The papers' way (Joseph et al., arXiv:2409.11681): gsplat paints, then goes back through it.
    """
    values = image.new_zeros(tiled.means2d.shape[1], image.shape[-1]).requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(paint(tiled, camera, values), values, image)[0]


def pixel_grid(camera: Camera) -> Int[Tensor, "P 2"]:
    """Return every pixel (u, v), row by row."""
    v, u = torch.meshgrid(torch.arange(camera.height), torch.arange(camera.width), indexing="ij")
    return torch.stack([u.flatten(), v.flatten()], -1)
