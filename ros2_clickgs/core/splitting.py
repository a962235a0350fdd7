# SPDX-License-Identifier: Apache-2.0
"""Gaussians that lie across an object's border, cut in two, so that the object has clean edges.

For objects on their own, in files and clouds: in the map, rows are never renumbered.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Bool, Int
from scipy.spatial import cKDTree
from torch import Tensor

from ros2_clickgs.core.editing import columns_of
from ros2_clickgs.core.geometry import rotmat_from_quat_wxyz
from ros2_clickgs.core.types import Gaussians

HALF_MEAN = math.sqrt(2 / math.pi)
"""How far from the middle the mean of half a normal distribution lies, in standard deviations."""
HALF_SPREAD = math.sqrt(1 - 2 / math.pi)
"""Standard deviation of half a normal distribution, in standard deviations of the whole."""


def halves(gaussians: Gaussians) -> tuple[Gaussians, Gaussians]:
    r"""Cut Gaussians in the middle, across their longest axis.

    Each half is the normal distribution with the mean and the spread of half the old one,

    .. math:: \mu' = \mu \pm \sigma \sqrt{2/\pi}\, e, \qquad \sigma' = \sigma \sqrt{1 - 2/\pi}

    and half of its weight, so that its opacity is that times :math:`\sigma / 2 \sigma'`.
    """
    longest = gaussians.scales.argmax(-1, keepdim=True)
    axes = rotmat_from_quat_wxyz(gaussians.quats)
    axis = axes.gather(-1, longest[..., None].expand(-1, 3, 1))[..., 0]
    step = HALF_MEAN * gaussians.scales.gather(-1, longest) * axis
    scales = gaussians.scales.scatter(
        -1, longest, HALF_SPREAD * gaussians.scales.gather(-1, longest)
    )
    half = replace(gaussians, scales=scales, opacities=gaussians.opacities / (2 * HALF_SPREAD))
    return replace(half, means=half.means - step), replace(half, means=half.means + step)


def clean_cut(
    gaussians: Gaussians, rows: Int[Tensor, " M"], straddles: Bool[Tensor, " M"]
) -> Gaussians:
    """Return an object on its own, of Gaussians across its border only the inner half.

    Args:
        gaussians: the map.
        rows: the object's.
        straddles: which of these lie across its border.
    """
    whole, (low, high) = (
        gaussians.select(rows[~straddles]),
        halves(gaussians.select(rows[straddles])),
    )
    if len(whole) == 0:
        return gaussians.select(rows)
    tree = cKDTree(whole.means.cpu().numpy())
    off = [torch.from_numpy(tree.query(half.means.cpu().numpy())[0]) for half in (low, high)]
    inner = torch.arange(len(low)) + len(low) * (off[0] > off[1])
    columns = [columns_of(part) for part in (low, high, whole)]
    joined = Gaussians(**{name: torch.cat([c[name] for c in columns]) for name in columns[0]})
    rest = torch.arange(2 * len(low), len(joined))
    return joined.select(torch.cat([rest, inner]).to(gaussians.device))
