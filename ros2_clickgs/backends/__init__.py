# SPDX-License-Identifier: Apache-2.0
"""Where the blending weights come from: one file per device, all under the same laws."""

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch

from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import BackendUnavailableError, ConfigError

if TYPE_CHECKING:
    from ros2_clickgs.core.features.kernels import Kernels

BACKENDS = ("auto", "gsplat", "numba", "reference")

log = logging.getLogger(__name__)


def make_rasterizer(gaussians: Gaussians, backend: str = "auto") -> Rasterizer:
    """Bind a map to a backend.

    Args:
        gaussians: the map.
        backend: `gsplat` (CUDA), `numba` (CPU), `reference` (slow, obviously right), or `auto`:
            gsplat where it works, else numba; the choice is logged.

    Raises:
        ConfigError: no such backend.
        BackendUnavailableError: the backend was asked for by name and cannot work here.
    """
    if backend == "auto":
        backend = choose_backend()
        log.info("backend auto: %s", backend)
    if backend == "gsplat":
        from ros2_clickgs.backends.gsplat_cuda import GsplatRasterizer

        return GsplatRasterizer(gaussians)
    if backend == "numba":
        from ros2_clickgs.backends.numba_cpu import NumbaRasterizer

        return NumbaRasterizer(gaussians)
    if backend == "reference":
        from ros2_clickgs.backends.reference import ReferenceRasterizer

        return ReferenceRasterizer(gaussians)
    raise ConfigError("backend", backend, " | ".join(BACKENDS))


def choose_backend() -> str:
    """Return `gsplat` when CUDA and gsplat work here, else `numba`."""
    if not torch.cuda.is_available():
        return "numba"
    from ros2_clickgs.backends.gsplat_cuda import require_gsplat

    try:
        require_gsplat()
    except BackendUnavailableError as error:
        log.warning("%s", error)
        return "numba"
    return "gsplat"


def make_kernels(device: torch.device) -> "Kernels":
    """Return what computes a training's iterations on a device: Triton on CUDA, else torch."""
    if device.type == "cuda" and find_spec("triton"):
        from ros2_clickgs.backends.triton_training import TritonKernels

        return TritonKernels()
    from ros2_clickgs.core.features.kernels import TorchKernels

    return TorchKernels()
