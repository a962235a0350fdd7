# SPDX-License-Identifier: Apache-2.0
"""Neighbours agree: scores are smoothed along the object's surface, not through its walls."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import cg
from scipy.spatial import cKDTree
from torch import Tensor

from ros2_clickgs.core.affordances.lifting import Evidence
from ros2_clickgs.core.geometry import rotmat_from_quat_wxyz
from ros2_clickgs.core.harmonics import C0
from ros2_clickgs.core.types import Gaussians

NEIGHBOURS = 16
"""Nearest Gaussians that each listens to."""
OFF_SURFACE = 0.35
"""Neighbours that lie so far off each other's surface, in typical distances, count less."""
COLOR = 0.3
"""Neighbours whose colours differ by so much count less."""
ACCURACY, ROUNDS = 1e-3, 60
"""When the solution is good enough, at the latest."""


def smooth(evidence: Evidence, gaussians: Gaussians, strength: float) -> Float[Tensor, "M C"]:
    r"""Return scores with which neighbours agree, 0 where a Gaussian was never seen.

    Minimises :math:`\sum_i r_i |s_i - e_i|^2 + \lambda \sum_{ij} w_{ij} |s_i - s_j|^2`, a sparse
    linear system (Grady 2006). What views hardly show has little say :math:`r`: light that leaks
    through a wall paints the wrong side.

    Args:
        evidence: scores e of what views say.
        gaussians: the object's.
        strength: 0 for none; lambda = strength / (1 - strength).
    """
    seen = evidence.visibility > 0
    scores = evidence.scores
    if strength == 0 or int(seen.sum()) < 2:
        return scores
    rows = torch.nonzero(seen)[:, 0]
    W = surface_graph(gaussians.select(rows.to(gaussians.device)).to("cpu"))
    say = reliability(evidence, gaussians)[rows].double().numpy()
    listening = strength / (1 - strength)
    degrees = np.asarray(W.sum(1))[:, 0]
    system = (diags(say + listening * degrees) - listening * W).tocsr()
    inverse = diags(1 / system.diagonal())
    wanted = say[:, None] * scores[rows].double().numpy()
    found = [
        cg(system, column, rtol=ACCURACY, maxiter=ROUNDS, M=inverse)[0] for column in wanted.T
    ]
    agreed = torch.from_numpy(np.stack(found, -1)).clamp(min=1e-9).float()
    scores[rows] = torch.nn.functional.normalize(agreed, p=1.0, dim=-1)
    return scores


def reliability(evidence: Evidence, gaussians: Gaussians) -> Float[Tensor, " M"]:
    """Return the say of each Gaussian, 0 to 1: one half where it is seen as much as typical.

    Compared is visibility per area, so that large Gaussians need more of it.
    """
    widest = gaussians.scales.cpu().sort(dim=-1, descending=True).values
    density = evidence.visibility / (widest[:, 0] * widest[:, 1])
    shown = density[density > 0]
    typical = shown.median() if len(shown) else torch.tensor(1.0)
    return density / (density + typical) + 1e-6


def surface_graph(gaussians: Gaussians) -> csr_matrix:
    """Return symmetric weights [M, M] of nearest neighbours: on one surface, of like colour."""
    means = gaussians.means.double().numpy()
    count = min(NEIGHBOURS, len(means) - 1)
    distances, ids = cKDTree(means).query(means, count + 1, workers=-1)
    distances, ids = distances[:, 1:], ids[:, 1:]
    typical = np.median(distances[:, count // 2]) + 1e-12
    normals = thin_axes(gaussians)
    steps = means[ids] - means[:, None]
    off = np.maximum(*(np.abs((steps * n).sum(-1)) for n in (normals[:, None], normals[ids])))
    colors = gaussians.sh[:, 0].double().numpy() * C0
    unlike = ((colors[ids] - colors[:, None]) ** 2).sum(-1)
    weights = np.exp(
        -((off / (OFF_SURFACE * typical)) ** 2) / 2
        - (distances / typical) ** 2 / 4
        - unlike / COLOR**2 / 2
    )
    rows = np.repeat(np.arange(len(means)), count)
    W = csr_matrix((weights.ravel(), (rows, ids.ravel())), shape=(len(means),) * 2)
    return (W + W.T) / 2


def thin_axes(gaussians: Gaussians) -> Float[np.ndarray, "M 3"]:
    """Return the direction in which each Gaussian is thinnest, of either sign."""
    axes = rotmat_from_quat_wxyz(gaussians.quats.double())
    thinnest = gaussians.scales.argmin(-1)
    return axes[torch.arange(len(gaussians)), :, thinnest].numpy()
