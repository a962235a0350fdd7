# SPDX-License-Identifier: Apache-2.0
"""What an iteration of Click-Gaussian costs on a GPU, part by part: torch's beside Triton's."""

from collections.abc import Callable
from functools import partial

import torch
from torch.nn.functional import normalize

from benchmarks.gpu_timing import Clock
from benchmarks.report import Row
from ros2_clickgs.backends import make_kernels
from ros2_clickgs.core.features.clusters import Clusters
from ros2_clickgs.core.features.kernels import Kernels, TorchKernels
from ros2_clickgs.core.features.neighbours import NeighbourGroup, dealt_order, neighbour_groups
from ros2_clickgs.core.features.options import COARSE_DEPTH, DEPTH, TrainingOptions
from ros2_clickgs.core.features.products import PixelRows, pixel_rows
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import Camera

MASKS = {"coarse": 20, "fine": 50}
"""Masks of the view at each level; as many clusters are made up."""


def training_rows(rasterizer: Rasterizer, camera: Camera, pixels: int, clock: Clock) -> list[Row]:
    """Return the milliseconds of each part and of whole iterations, and how far both ways differ.

    Args:
        rasterizer: the map.
        camera: a view.
        pixels: how many of its pixels an iteration compares.
        clock: measures.
    """
    work = Work(rasterizer, camera, TrainingOptions(pixels_per_iteration=pixels))
    ours, theirs = make_kernels(rasterizer.gaussians.device), TorchKernels()
    rows: list[Row] = []
    for name, part in work.parts().items():
        times = [clock.milliseconds(partial(part, kernels)) for kernels in (theirs, ours)]
        off = difference(part(ours), part(theirs))
        rows.append(row(name, times, off))
    times = [clock.milliseconds(partial(work.iterate, kernels)) for kernels in (theirs, ours)]
    return [*rows, row("iteration with Adam", times, 0.0)]


class Work:
    """One view's pixels, one group of Gaussians, clusters: what an iteration looks at."""

    def __init__(self, rasterizer: Rasterizer, camera: Camera, options: TrainingOptions) -> None:
        self.options = options
        gaussians, device = rasterizer.gaussians, rasterizer.gaussians.device
        g = torch.Generator().manual_seed(0)
        count = options.pixels_per_iteration
        u = torch.randint(0, camera.width, (count,), generator=g)
        v = torch.randint(0, camera.height, (count,), generator=g)
        order = dealt_order(gaussians.means, options.spatial_count)
        blend = rasterizer.weights(camera, torch.stack([u, v], -1).to(device))
        self.rows: PixelRows = pixel_rows(blend, order.argsort(), 0, count)
        groups = neighbour_groups(
            gaussians.means[order], options.spatial_count, options.neighbours
        )
        self.group: NeighbourGroup = groups[0]
        self.masks = torch.stack([in_cells(u, v, camera, n) for n in MASKS.values()]).to(device)
        self.columns = torch.randperm(count, generator=g)[: options.negative_columns].to(device)
        directions = normalize(torch.randn(MASKS["fine"], DEPTH, generator=g), dim=1).to(device)
        chosen = torch.randint(0, len(directions), (len(gaussians),), generator=g).to(device)
        noise = 0.1 * torch.randn(len(gaussians), DEPTH, generator=g).to(device)
        self.features = directions[chosen] + noise
        self.clusters = {
            "coarse": some_clusters(directions[: MASKS["coarse"], :COARSE_DEPTH]),
            "fine": some_clusters(directions),
        }
        self.pulled = 1e-6 * torch.randn(count, DEPTH, generator=g).to(device)
        self.adam = torch.optim.Adam([self.features.clone()], lr=1e-6, fused=True)

    def parts(self) -> dict[str, Callable[[Kernels], torch.Tensor]]:
        """Return the parts of an iteration by name; each returns what it has computed."""
        return {
            "W features": lambda k: k.splat(self.rows, self.features),
            "terms on pixels": lambda k: self._pixels(k)[0],
            "terms on Gaussians": lambda k: self._gaussians(k)[0],
            "W^T gradient, added": self._added,
        }

    def iterate(self, kernels: Kernels) -> None:
        """Do all that a step does once its batch is at hand."""
        gradient, _ = self._gaussians(kernels)
        pulled, _ = self._pixels(kernels)
        kernels.backproject_into(gradient, self.rows, pulled)
        parameter = self.adam.param_groups[0]["params"][0]
        parameter.grad = gradient
        self.adam.step()

    def _pixels(self, kernels: Kernels) -> tuple[torch.Tensor, dict[str, float]]:
        rendered = kernels.splat(self.rows, self.features)
        return kernels.pixel_terms(rendered, self.masks, self.columns, self.options)

    def _gaussians(self, kernels: Kernels) -> tuple[torch.Tensor, dict[str, float]]:
        return kernels.gaussian_terms(self.features, self.group, self.clusters, self.options)

    def _added(self, kernels: Kernels) -> torch.Tensor:
        gradient = torch.zeros_like(self.features)
        kernels.backproject_into(gradient, self.rows, self.pulled)
        return gradient


def row(name: str, times: list[float], off: float) -> Row:
    """Return one line of the table."""
    return {
        "what": name,
        "torch_ms": times[0],
        "ours_ms": times[1],
        "torch/ours": times[0] / times[1],
        "relative": off,
    }


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return how far two results lie apart, relative."""
    return float((found - expected).norm() / expected.norm())


def in_cells(u: torch.Tensor, v: torch.Tensor, camera: Camera, count: int) -> torch.Tensor:
    """Return masks 0 .. count - 1 of pixels: stripes across the image."""
    return ((u / camera.width + v / camera.height) / 2 * count).long()


def some_clusters(things: torch.Tensor) -> Clusters:
    """Return clusters along some directions, without a background."""
    return Clusters(things=normalize(things, dim=1), background=things[:0])
