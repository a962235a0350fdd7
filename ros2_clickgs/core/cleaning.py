# SPDX-License-Identifier: Apache-2.0
"""Whole objects: nothing that lies apart from them, nothing missing inside."""

import open3d as o3d
import torch
from jaxtyping import Bool, Float, Int32
from scipy.spatial import cKDTree
from torch import Tensor

from ros2_clickgs.core.types import BACKGROUND, NEVER_SEEN

NEIGHBOURS = 16
"""Neighbours of a Gaussian that tell what it belongs to, or that it is alone."""
FAR_OFF = 3.0
"""Standard deviations by which an outlier is farther from its neighbours than others are."""
SURROUNDED = 0.9
"""Share of its neighbours that must be an object's for an unseen Gaussian to be so, too."""


def without_outliers(points: Float[Tensor, "P 3"]) -> Bool[Tensor, " P"]:
    """Return which points (m) are about as near to their neighbours as all others are (Open3D)."""
    keep = torch.zeros(len(points), dtype=torch.bool)
    if len(points) <= NEIGHBOURS:
        return ~keep
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points.double().cpu().numpy()))
    keep[torch.tensor(cloud.remove_statistical_outlier(NEIGHBOURS, FAR_OFF)[1]).long()] = True
    return keep


def completed(means: Float[Tensor, "N 3"], labels: Int32[Tensor, " N"]) -> Int32[Tensor, " N"]:
    """Return labels in which what was never seen, but lies amid an object, is the object's.

    Such Gaussians have no votes: that, and the score 0, is how they are told from others.

    Args:
        means: the map's centres, in m.
        labels: -1 never seen, 0 background, above: objects.
    """
    seen, unseen = (torch.nonzero(which)[:, 0] for which in (labels >= 0, labels == NEVER_SEEN))
    full = labels.clone()
    if len(seen) < NEIGHBOURS or len(unseen) == 0 or not (labels > BACKGROUND).any():
        return full
    xyz = means.cpu().numpy()
    nearest = cKDTree(xyz[seen]).query(xyz[unseen], k=NEIGHBOURS, workers=-1)[1]
    around = labels[seen][torch.from_numpy(nearest)]
    majority = around.mode(dim=1).values
    share = (around == majority[:, None]).float().mean(1)
    surrounded = (share >= SURROUNDED) & (majority > BACKGROUND)
    full[unseen[surrounded]] = majority[surrounded]
    return full
