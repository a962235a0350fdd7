# SPDX-License-Identifier: Apache-2.0
"""Samples to Gaussians that look trained: flat, aligned with the surface, a little uneven."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.random import Generator

from ros2_clickgs.core.geometry import quat_wxyz_from_rotmat
from ros2_clickgs.core.harmonics import C0, C1
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.scenes.sampling import Samples

WIDTH = 0.78
"""Deviation along the surface, as a share of the spacing: neighbours overlap, no holes."""
FLATNESS = 0.12
"""Deviation along the normal, as a share of the spacing."""
JITTER = (0.15, 0.15, 0.05)
"""Deviation of positions along and off the surface, as a share of the spacing."""
FAINT_SHARE = 0.05
"""Share of Gaussians that are nearly transparent, as in trained maps."""


def surfels(
    samples: Samples,
    colors: Float[np.ndarray, "N 3"],
    toward_lamp: Float[np.ndarray, "3"],
    rng: Generator,
) -> Gaussians:
    """Turn samples into one Gaussian each.

    Args:
        samples: the surfaces.
        colors: their shaded RGB.
        toward_lamp: unit vector; the sheen is strongest where it is mirrored.
        rng: for jitter.
    """
    n, spacing = len(samples.points), samples.spacing_m[:, None]
    frames = _frames(samples, rng)
    jitter = rng.normal(size=(n, 3)) * spacing * JITTER
    scales = spacing * (WIDTH, WIDTH, FLATNESS) * np.exp(rng.normal(0, 0.16, (n, 3)))
    scales[:, :2] = np.minimum(scales[:, :2], np.maximum(samples.edge_m / 1.2, 0.2 * spacing))
    faint = rng.random(n) < FAINT_SHARE
    opacities = np.where(faint, rng.uniform(0.15, 0.5, n), rng.uniform(0.7, 0.99, n))
    grainy = colors * (1 + rng.normal(0, 0.025, (n, 1)))
    sh = _sheen(grainy, samples.normals, samples.gloss, toward_lamp)
    return Gaussians(
        means=_tensor(samples.points + np.einsum("nij,nj->ni", frames, jitter)),
        quats=quat_wxyz_from_rotmat(_tensor(frames)),
        scales=_tensor(scales),
        opacities=_tensor(opacities),
        sh=_tensor(sh),
    )


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))


def _frames(samples: Samples, rng: Generator) -> Float[np.ndarray, "N 3 3"]:
    """Return rotations whose third axis is the normal, turned at random where there is no edge."""
    first, second = samples.tangents, np.cross(samples.normals, samples.tangents)
    angle = rng.uniform(0, 2 * np.pi, len(first)) * np.isinf(samples.edge_m).all(1)
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.stack([c * first + s * second, c * second - s * first, samples.normals], -1)


def _sheen(colors, normals, gloss, toward_lamp) -> Float[np.ndarray, "N 4 3"]:
    """Return SH coefficients: the colour, brighter when seen along the mirrored lamp.

    Degree 1 is linear in the viewing direction d (camera to Gaussian), as 3DGS evaluates it:
    C1 (-d_y k_1 + d_z k_2 - d_x k_3) = -gloss <d, mirrored>.
    """
    mirrored = 2 * (normals @ toward_lamp)[:, None] * normals - toward_lamp
    x, y, z = (gloss[:, None] * mirrored).T / C1
    linear = np.stack([y, -z, x], -1)
    dc = (np.clip(colors, 0.02, 0.97) - 0.5) / C0
    return np.concatenate([dc[:, None], np.repeat(linear[..., None], 3, -1)], 1)
