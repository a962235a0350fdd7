# SPDX-License-Identifier: Apache-2.0
"""Global features: what masks of all views agree on, although each view numbers its own."""

from dataclasses import dataclass

import numpy as np
import torch
from hdbscan import HDBSCAN
from jaxtyping import Float, Int
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn.functional import normalize

from ros2_clickgs.core.types import BACKGROUND

FEWEST = 2
"""Members that a cluster needs, however few views there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """The global features of one level, each of length 1."""

    things: Float[Tensor, "C D"]
    """Found by HDBSCAN among the masks of all views; may be none."""
    background: Float[Tensor, "G D"]
    """What is no thing: one row, or none if the masks did not tell."""

    @property
    def directions(self) -> Float[Tensor, "A D"]:
        """Things first, then the background."""
        return torch.cat([self.things, self.background])


def pooled_features(
    features: Float[Tensor, "P D"], masks: Int[Tensor, " P"], importance: Float[Tensor, " P"]
) -> tuple[Float[Tensor, "S D"], Float[Tensor, "B D"]]:
    r"""Return the mean feature of each mask of one view (eq. 6).

    .. math:: \bar F_s = \sum_{p \in s} \omega_p F_p \Big/ \sum_{p \in s} \omega_p

    Args:
        features: rendered features of sampled pixels at one level.
        masks: each pixel's mask; IGNORE (-1) is left out.
        importance: 1 / (probability of being drawn), so that the mean is one over the mask.

    Returns:
        One row per mask >= 1, and one for the background if the view shows it, else none.
    """
    ids, place = torch.unique(masks, return_inverse=True)
    members = torch.nn.functional.one_hot(place, len(ids)).to(features) * importance[:, None]
    means = members.T @ features / members.sum(0)[:, None]
    return means[ids > BACKGROUND], means[ids == BACKGROUND]


def find_clusters(
    pooled: Float[Tensor, "M D"], epsilon: float, min_size: int, merge_above: float
) -> Float[Tensor, "C D"]:
    """Cluster the masks' features of all views with HDBSCAN and return each cluster's direction.

    Noise belongs to no cluster. Clusters whose directions are more alike than `merge_above` would
    claim the same Gaussians and push them apart; they are made one (ours; the paper is silent).

    Args:
        pooled: mean features of the masks of all views at one level.
        epsilon: cluster_selection_epsilon: clusters nearer than this stay one.
        min_size: masks that make a cluster.
        merge_above: cosine.

    Returns:
        One feature of length 1 per cluster; none where there is none.
    """
    min_size = max(FEWEST, min_size)
    unit = normalize(pooled, dim=1)
    if len(unit) < min_size:
        return unit[:0]
    points = unit.cpu().double().numpy()
    found = _hdbscan(points, epsilon, min_size, alone=False)
    if found.max() < 0:
        found = _hdbscan(points, 0.0, min_size, alone=True)
    sums = unit.new_zeros(int(found.max()) + 1, unit.shape[1])
    for cluster in range(len(sums)):
        sums[cluster] = unit[torch.from_numpy(found == cluster)].sum(0)
    return merged(sums, merge_above)


def _hdbscan(points: np.ndarray, epsilon: float, min_size: int, alone: bool) -> np.ndarray:
    """Return each point's cluster, -1 for noise; `alone` allows that there is only one."""
    search = HDBSCAN(
        min_cluster_size=min_size,
        cluster_selection_epsilon=epsilon,
        allow_single_cluster=alone,
        core_dist_n_jobs=1,
    )
    return search.fit_predict(points)


def merged(sums: Float[Tensor, "C D"], above: float) -> Float[Tensor, "B D"]:
    """Return the directions of clusters, those more alike than a cosine `above` as one.

    Args:
        sums: sum of each cluster's members, so that large clusters count more.
        above: cosine.
    """
    unit = normalize(sums, dim=1)
    count, group = connected_components((unit @ unit.T > above).cpu().numpy(), directed=False)
    total = sums.new_zeros(count, sums.shape[1])
    for row, target in enumerate(group.tolist()):
        total[target] += sums[row]
    return normalize(total, dim=1)
