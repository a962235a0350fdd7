# SPDX-License-Identifier: Apache-2.0
"""Moving, turning and scaling Gaussians as a whole, their view-dependent colours included."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.geometry import quat_multiply_wxyz, quat_wxyz_from_rotmat
from ros2_clickgs.core.harmonics import harmonic_basis
from ros2_clickgs.core.types import Gaussians

PROBES = 64
"""Directions that a harmonic is fitted on; any number above 16 gives the exact rotation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """p_new = R (scale p) + translation."""

    R: Float[Tensor, "3 3"]
    """Rotation, float64."""
    translation: Float[Tensor, "3"]
    """In m of the new frame, float64."""
    scale: float
    """Length in the new frame of what is 1 in the old; > 0."""

    @property
    def is_identity(self) -> bool:
        """Whether nothing moves, to the last bit."""
        is_rotation_none = torch.equal(self.R, torch.eye(3, dtype=self.R.dtype))
        return is_rotation_none and not self.translation.any() and self.scale == 1.0

    def inverse(self) -> "Similarity":
        """Return the way back."""
        back = -(self.R.T @ self.translation) / self.scale
        return Similarity(R=self.R.T, translation=back, scale=1.0 / self.scale)

    def __call__(self, gaussians: Gaussians) -> Gaussians:
        """Return the Gaussians in the new frame; the same object if nothing moves."""
        if self.is_identity:
            return gaussians
        R = self.R.to(gaussians.means)
        quats = quat_multiply_wxyz(
            quat_wxyz_from_rotmat(R).expand_as(gaussians.quats), gaussians.quats
        )
        turn = rotated_harmonics(self.R, gaussians.sh.shape[1]).to(gaussians.sh)
        return Gaussians(
            means=self.scale * gaussians.means @ R.T + self.translation.to(R),
            quats=quats,
            scales=self.scale * gaussians.scales,
            opacities=gaussians.opacities,
            sh=torch.einsum("st,ntc->nsc", turn, gaussians.sh),
        )


def rotated_harmonics(R: Float[Tensor, "3 3"], count: int) -> Float[Tensor, "S S"]:
    r"""Return the matrix that turns SH coefficients along with what they colour.

    The colour seen along d after the turn is the one seen along R^T d before,
    :math:`Y(d) k' = Y(R^T d) k` for all d, hence :math:`k' = Y(D)^+ Y(D R) k` over probes D.
    """
    D = torch.nn.functional.normalize(
        torch.randn(PROBES, 3, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    D = D.double()
    return torch.linalg.lstsq(
        harmonic_basis(D, count), harmonic_basis(D @ R.double(), count)
    ).solution
