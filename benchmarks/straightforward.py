# SPDX-License-Identifier: Apache-2.0
"""Click-Gaussian as one writes it first: whole feature images under autograd, every iteration.

The equations, sampling, clusters, schedule and optimiser are those of `core/features`; what is
missing are its ideas: kept rows of W, sums per mask instead of matrices of all pairs, sampled
negatives, written-out gradients. `benchmarks/training.py` compares the two on a GPU.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from ros2_clickgs.core.features.clusters import Clusters, find_clusters, pooled_features
from ros2_clickgs.core.features.feature_map import FeatureMap
from ros2_clickgs.core.features.masks import MaskedView
from ros2_clickgs.core.features.options import COARSE_DEPTH, LEVELS, TrainingOptions
from ros2_clickgs.core.features.sampling import generator, labels_of, pixel_weights
from ros2_clickgs.core.types import IGNORE, Camera

Render = Callable[[Camera, Float[Tensor, "N D"]], Float[Tensor, "H W D"]]


@dataclass
class Straightforward:
    """Features of one map on their way; `step` until `is_done`."""

    render: Render
    """Differentiable in what the Gaussians carry."""
    means: Float[Tensor, "N 3"]
    views: list[MaskedView]
    options: TrainingOptions
    iteration: int = 0
    clusters: dict[str, Clusters] = field(default_factory=dict)

    def __post_init__(self) -> None:
        points, k = self.means.cpu().numpy(), self.options.neighbours
        found = cKDTree(points).query(points, k=range(2, k + 2), workers=-1)[1]
        self._nearest = torch.from_numpy(found).to(self.means.device)
        g = generator(self.options.seed, 0)
        start = torch.randn(len(points), 2, COARSE_DEPTH, generator=g)
        self.features = normalize(start, dim=2).flatten(1).to(self.means.device).requires_grad_()
        self._adam = torch.optim.Adam([self.features], lr=self.options.learning_rate)
        self._labels = [labels_of(view, self.options) for view in self.views]
        self._weights = [pixel_weights(labels) for labels in self._labels]

    @property
    def is_done(self) -> bool:
        """Whether all iterations have been made."""
        return self.iteration >= self.options.iterations

    def step(self) -> float:
        """Make one iteration; return its loss."""
        options, since = self.options, self.iteration - self.options.global_from
        if since >= 0 and since % options.refresh_every == 0:
            found = self._find_clusters().items()
            self.clusters |= {level: new for level, new in found if len(new.things)}
        turn, place = divmod(self.iteration, len(self.views))
        order = torch.randperm(len(self.views), generator=generator(options.seed, 1, turn))
        rendered, masks, _ = self._sampled(int(order[place]))
        loss = self.pixel_loss(rendered, masks) + self.gaussian_loss()
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        self.iteration += 1
        return float(loss.detach())

    def pixel_loss(self, F: Float[Tensor, "P D"], masks: Int[Tensor, "2 P"]) -> Tensor:
        """Equations 2 to 5 and 2D-norm, over all pairs."""
        options, loss = self.options, F.new_zeros(())
        for level, ids in zip(LEVELS, masks, strict=True):
            own = F[:, options.channels(level)]
            stopped = own
            if level == "fine" and options.shares_coarse:
                stopped = torch.cat([own[:, :COARSE_DEPTH].detach(), own[:, COARSE_DEPTH:]], dim=1)
            used = ids != IGNORE
            same = (ids[:, None] == ids) & used[:, None]
            differ = (ids[:, None] != ids) & used[:, None] & used
            similar, unit = (
                normalize(own, dim=1) @ normalize(own, dim=1).T,
                normalize(stopped, dim=1),
            )
            apart = unit @ unit.T
            pushes = differ & (apart > options.tau(level))
            loss = loss - (similar * same).mean()
            loss = loss + options.negative_weight * (apart * pushes).mean()
            off = (own.norm(dim=1) - options.radius(level)) * used
            loss = loss + options.norm2d_weight * (off * off).mean()
        return loss

    def gaussian_loss(self) -> Tensor:
        """Spatial term, 3D-norm and GFL on a random sample of N_s Gaussians."""
        options, count = self.options, len(self.features)
        g = generator(options.seed, 4, self.iteration)
        chosen = torch.randperm(count, generator=g)[: options.spatial_count].to(self.means.device)
        f = self.features[chosen]
        unit, around = normalize(f, dim=1), normalize(self.features, dim=1)[self._nearest[chosen]]
        loss = -options.spatial_weight * torch.einsum("rd,rkd->rk", unit, around).mean()
        for half in f.split(COARSE_DEPTH, dim=1):
            loss = loss + options.norm3d_weight * ((half.norm(dim=1) - 1) ** 2).mean()
        for level, found in self.clusters.items():
            similar = normalize(f[:, options.channels(level)], dim=1) @ found.directions.T
            best, own = similar.max(1)
            others = (similar > options.tau(level)) & ~one_hot(own, similar.shape[1]).bool()
            pull = (best * (best > options.tau_global)).mean()
            push = (similar * others).sum() / similar.numel()
            loss = loss + options.global_weight * (push - pull)
        return loss

    def _sampled(self, view: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return features, masks and importance of newly drawn pixels of a view."""
        g = generator(self.options.seed, 2, view, self.iteration)
        drawn = torch.multinomial(
            self._weights[view], self.options.pixels_per_iteration, replacement=True, generator=g
        )
        image = self.render(self.views[view].camera, self.features)
        device = self.means.device
        importance = (1 / self._weights[view][drawn]).float().to(device)
        labels = self._labels[view][:, drawn].to(device)
        return image.flatten(0, 1)[drawn.to(device)], labels, importance

    @torch.no_grad()
    def result(self) -> FeatureMap:
        """Return the features as they are now, with clusters found anew."""
        found = self._find_clusters()
        return FeatureMap(
            features=self.features.detach().clone(),
            coarse_clusters=found["coarse"].things,
            fine_clusters=found["fine"].things,
            coarse_background=found["coarse"].background,
            fine_background=found["fine"].background,
        )

    @torch.no_grad()
    def _find_clusters(self) -> dict[str, Clusters]:
        """Pool the features of every mask of every view, and cluster them per level."""
        options, found = self.options, {}
        samples = [self._sampled(view) for view in range(len(self.views))]
        for i, level in enumerate(LEVELS):
            own = options.channels(level)
            pooled = [pooled_features(F[:, own], masks[i], w) for F, masks, w in samples]
            things, rest = (
                normalize(torch.cat(means), dim=1) for means in zip(*pooled, strict=True)
            )
            size = round(options.cluster_share * len(self.views))
            found[level] = Clusters(
                things=find_clusters(things, options.epsilon(level), size, options.merge_above),
                background=normalize(rest.mean(0, keepdim=True), dim=1) if len(rest) else rest,
            )
        return found
