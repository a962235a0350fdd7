# SPDX-License-Identifier: Apache-2.0
"""The conductor: one step compares pixels of one view and looks at a share of the Gaussians.

W never changes, so a step is two sparse products and a few dense ones; no image is rendered and no
graph is kept. Everything random follows from seed and iteration, so that a training which was
stopped anywhere goes on bit for bit.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from ros2_clickgs.core.features.clusters import Clusters, find_clusters, pooled_features
from ros2_clickgs.core.features.feature_map import FeatureMap
from ros2_clickgs.core.features.kernels import Kernels, TorchKernels
from ros2_clickgs.core.features.masks import MaskedView
from ros2_clickgs.core.features.neighbours import dealt_order, neighbour_groups
from ros2_clickgs.core.features.options import COARSE_DEPTH, LEVELS, TrainingOptions
from ros2_clickgs.core.features.sampling import PixelPool, Shelf, Tensors, generator
from ros2_clickgs.core.features.terms import TERMS, Terms
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.errors import ClickGSError, ShapeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one iteration did."""

    iteration: int
    """Iterations done so far."""
    terms: Terms
    """Value of each term, weighted as it enters the sum."""
    coarse_clusters: int
    fine_clusters: int

    @property
    def loss(self) -> float:
        """The weighted sum."""
        return sum(self.terms.values())


class Trainer:
    """Features of one map on their way; `step` until `is_done`, or stop at any time."""

    def __init__(
        self,
        rasterizer: Rasterizer,
        views: list[MaskedView],
        options: TrainingOptions | None = None,
        shelf: Shelf | None = None,
        kernels: Kernels | None = None,
    ) -> None:
        """Begin with random features.

        Args:
            rasterizer: the frozen map.
            views: cameras with masks of two levels.
            options: the method's numbers; None means the paper's.
            shelf: keeps rows of W between iterations; None means memory.
            kernels: computes an iteration; None means torch.

        Raises:
            ClickGSError: no view has a mask.
        """
        self._kernels = kernels or TorchKernels()
        self.options = options = options or TrainingOptions()
        usable = [v for v in views if ((v.coarse >= 1) | (v.fine >= 1)).any()]
        if not usable:
            raise ClickGSError(f"none of {len(views)} views has a mask; pixels need labels >= 1")
        means = rasterizer.gaussians.means
        order = dealt_order(means, options.spatial_count)
        self._places = order.argsort()
        self._pool = PixelPool(rasterizer, usable, options, self._places, shelf)
        self._view_count = len(usable)
        self._groups = neighbour_groups(means[order], options.spatial_count, options.neighbours)
        start = torch.randn(len(means), 2, COARSE_DEPTH, generator=generator(options.seed, 0))
        self._dealt = normalize(start, dim=2).flatten(1).to(means.device)
        self._adam = torch.optim.Adam([self._dealt], lr=options.learning_rate, fused=True)
        self.clusters = {level: no_clusters(self._dealt, options, level) for level in LEVELS}
        self.iteration = 0

    @property
    def features(self) -> Float[Tensor, "N D"]:
        """The features as they are now, in the map's order."""
        return self._dealt[self._places]

    @property
    def is_done(self) -> bool:
        """Whether all iterations have been made."""
        return self.iteration >= self.options.iterations

    @torch.no_grad()
    def step(self) -> Step:
        """Make one iteration."""
        options, kernels, iteration = self.options, self._kernels, self.iteration
        is_guided = options.global_weight > 0 and iteration >= options.global_from
        if is_guided and (iteration - options.global_from) % options.refresh_every == 0:
            self.clusters |= {k: v for k, v in self._find_clusters().items() if len(v.things)}
        group = self._groups[iteration % len(self._groups)]
        gradient, terms = kernels.gaussian_terms(
            self._dealt, group, self.clusters if is_guided else {}, options
        )
        batch = self._pool.at(iteration)
        columns = self._columns(len(batch.importance)).to(gradient.device)
        rendered = kernels.splat(batch.rows, self._dealt)
        pixel_gradient, more = kernels.pixel_terms(rendered, batch.masks, columns, options)
        kernels.backproject_into(gradient, batch.rows, pixel_gradient)
        self._dealt.grad = gradient
        self._adam.step()
        self.iteration += 1
        return Step(
            iteration=self.iteration,
            terms={name: (terms | more).get(name, 0.0) for name in TERMS},
            coarse_clusters=len(self.clusters["coarse"].things),
            fine_clusters=len(self.clusters["fine"].things),
        )

    @torch.no_grad()
    def result(self) -> FeatureMap:
        """Return the features as they are now, with clusters found anew; changes nothing."""
        found = self._find_clusters()
        return FeatureMap(
            features=self.features,
            coarse_clusters=found["coarse"].things,
            fine_clusters=found["fine"].things,
            coarse_background=found["coarse"].background,
            fine_background=found["fine"].background,
        )

    def state(self) -> Tensors:
        """Return all that a later trainer of the same map, views and options needs to go on."""
        adam = self._adam.state.get(self._dealt, {})
        state = {name: adam[name] for name in ("step", "exp_avg", "exp_avg_sq") if adam}
        for level, found in self.clusters.items():
            state |= {f"{level}_things": found.things, f"{level}_background": found.background}
        return {**state, "features": self._dealt, "iteration": torch.tensor(self.iteration)}

    def restore(self, state: Tensors) -> None:
        """Go on where `state` was taken.

        Raises:
            ShapeError: it was taken from another map.
        """
        if state["features"].shape != self._dealt.shape:
            actual = tuple(state["features"].shape)
            raise ShapeError("features", expected=f"{tuple(self._dealt.shape)}", actual=actual)
        device = self._dealt.device
        self._dealt.copy_(state["features"])
        self.clusters = {
            level: Clusters(
                things=state[f"{level}_things"].to(device),
                background=state[f"{level}_background"].to(device),
            )
            for level in LEVELS
        }
        self.iteration = int(state["iteration"])
        if "step" in state:
            adam = {name: state[name].to(device).clone() for name in ("exp_avg", "exp_avg_sq")}
            self._adam.state[self._dealt] = {"step": state["step"].clone(), **adam}

    def _columns(self, pixel_count: int) -> Int[Tensor, " Q"]:
        """Return the pixels that play q in the negative term of this iteration."""
        order = torch.randperm(
            pixel_count, generator=generator(self.options.seed, 3, self.iteration)
        )
        return order[: self.options.negative_columns or None]

    def _find_clusters(self) -> dict[str, Clusters]:
        """Pool the features of every mask of every view, and cluster them per level."""
        options = self.options
        pooled = {level: ([], []) for level in LEVELS}
        for view in range(self._view_count):
            batch = self._pool.of_view(view, self.iteration)
            rendered = self._kernels.splat(batch.rows, self._dealt)
            for level, masks in zip(LEVELS, batch.masks, strict=True):
                own = rendered[:, options.channels(level)]
                means = pooled_features(own, masks, batch.importance)
                for kind, rows in zip(pooled[level], means, strict=True):
                    kind.append(normalize(rows, dim=1))
        min_size = round(options.cluster_share * self._view_count)
        return {
            level: Clusters(
                things=find_clusters(
                    torch.cat(things), options.epsilon(level), min_size, options.merge_above
                ),
                background=normalize(torch.cat(rest).mean(0, keepdim=True), dim=1)
                if sum(map(len, rest))
                else torch.cat(rest),
            )
            for level, (things, rest) in pooled.items()
        }


def no_clusters(features: Float[Tensor, "N D"], options: TrainingOptions, level: str) -> Clusters:
    """Return the clusters of a level before any have been found."""
    nothing = features[:0, options.channels(level)]
    return Clusters(things=nothing, background=nothing)
