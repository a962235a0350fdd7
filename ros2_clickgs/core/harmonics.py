# SPDX-License-Identifier: Apache-2.0
"""View-dependent colour: real spherical harmonics up to degree 3, in 3DGS's order and signs."""

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.types import Camera, Gaussians

C0 = 0.28209479177387814
C1 = 0.4886025119029199
C2 = (
    1.0925484305920792,
    -1.0925484305920792,
    0.31539156525252005,
    -1.0925484305920792,
    0.5462742152960396,
)
C3 = (
    -0.5900435899266435, 2.890611442640554, -0.4570457994644658, 0.3731763325901154,
    -0.4570457994644658, 1.445305721320277, -0.5900435899266435,
)  # fmt: skip


def colors(gaussians: Gaussians, camera: Camera) -> Float[Tensor, "N 3"]:
    """Return every Gaussian's RGB (0 black, 1 white, not clamped above) as this camera sees it.

    Kerbl et al. 2023: c = max(0, 0.5 + sum_s Y_s(d) k_s), d from the camera to the Gaussian.
    """
    directions = torch.nn.functional.normalize(
        gaussians.means - camera.center.to(gaussians.means), dim=-1
    )
    basis = harmonic_basis(directions, gaussians.sh.shape[1])
    return (0.5 + torch.einsum("ns,nsc->nc", basis, gaussians.sh)).clamp(min=0)


def sh_from_rgb(rgb: Float[Tensor, "N 3"]) -> Float[Tensor, "N 1 3"]:
    """Return the DC coefficients that look like rgb (in [0, 1]) from everywhere."""
    return ((rgb - 0.5) / C0)[:, None]


def rgb_from_sh(sh: Float[Tensor, "N S 3"]) -> Float[Tensor, "N 3"]:
    """Return the colour without its view-dependent part, clamped to [0, 1]."""
    return (0.5 + C0 * sh[:, 0]).clamp(0, 1)


def harmonic_basis(directions: Float[Tensor, "N 3"], count: int) -> Float[Tensor, "N S"]:
    """Return the first `count` (1, 4, 9 or 16) basis functions of unit directions."""
    x, y, z = directions.unbind(-1)
    basis = [torch.full_like(x, C0)]
    if count > 1:
        basis += [-C1 * y, C1 * z, -C1 * x]
    if count > 4:
        xx, yy, zz = x * x, y * y, z * z
        basis += [
            C2[0] * x * y,
            C2[1] * y * z,
            C2[2] * (2 * zz - xx - yy),
            C2[3] * x * z,
            C2[4] * (xx - yy),
        ]
    if count > 9:
        basis += [
            C3[0] * y * (3 * xx - yy),
            C3[1] * x * y * z,
            C3[2] * y * (4 * zz - xx - yy),
            C3[3] * z * (2 * zz - 3 * xx - 3 * yy),
            C3[4] * x * (4 * zz - xx - yy),
            C3[5] * z * (xx - yy),
            C3[6] * x * (xx - 3 * yy),
        ]
    return torch.stack(basis, -1)
