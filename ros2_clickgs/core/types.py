# SPDX-License-Identifier: Apache-2.0
"""The nouns that every folder shares: map and camera. Validated here once, then trusted."""

from dataclasses import dataclass, fields
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ros2_clickgs.errors import ClickGSError, ShapeError

BACKGROUND = 0
"""Label of a pixel or Gaussian that belongs to no object."""
NEVER_SEEN = -1
"""Label of a Gaussian that no view has seen."""
IGNORE = -1
"""Label of a pixel that does not vote (255 or 65535 in a PNG)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussians:
    """A 3D Gaussian Splatting map, activated (no logits, no logarithms), in the map's frame."""

    means: Float[Tensor, "N 3"]
    """Centres, in m."""
    quats: Float[Tensor, "N 4"]
    """Orientations, wxyz, unit length."""
    scales: Float[Tensor, "N 3"]
    """Standard deviations along the three axes, in m, > 0."""
    opacities: Float[Tensor, " N"]
    """Peak opacities, in [0, 1]."""
    sh: Float[Tensor, "N S 3"]
    """Spherical-harmonics colour coefficients; S is 1, 4, 9 or 16; the first is the DC term."""

    def __post_init__(self) -> None:
        n = len(self.means)
        expected = {"means": (n, 3), "quats": (n, 4), "scales": (n, 3), "opacities": (n,)}
        for name, shape in expected.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ShapeError(
                    name, expected=str(shape), actual=tuple(getattr(self, name).shape)
                )
        if self.sh.ndim != 3 or self.sh.shape[0] != n or self.sh.shape[1] not in (1, 4, 9, 16):
            raise ShapeError("sh", expected=f"({n}, 1|4|9|16, 3)", actual=tuple(self.sh.shape))

    def __len__(self) -> int:
        return len(self.means)

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.means.device

    def select(self, keep: Bool[Tensor, " N"] | Int[Tensor, " M"]) -> "Gaussians":
        """Return the Gaussians that a mask or a list of indices names, in that order."""
        return Gaussians(**{f.name: getattr(self, f.name)[keep] for f in fields(self)})

    def to(self, device: torch.device | str) -> "Gaussians":
        """Return the same map on another device."""
        return Gaussians(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A rectified pinhole view: OpenCV axes (x right, y down, z forward), centres at +0.5."""

    K: Float[Tensor, "3 3"]
    """Intrinsics, in px, float64, zero skew."""
    T_world_camera: Float[Tensor, "4 4"]
    """Pose, float64: p_world = T_world_camera @ p_camera, in m."""
    width: int
    """Image width, in px."""
    height: int
    """Image height, in px."""

    def __post_init__(self) -> None:
        for name, size in (("K", 3), ("T_world_camera", 4)):
            if tuple(getattr(self, name).shape) != (size, size):
                actual = tuple(getattr(self, name).shape)
                raise ShapeError(name, expected=f"({size}, {size})", actual=actual)
            object.__setattr__(self, name, getattr(self, name).detach().cpu().double())
        if self.width < 1 or self.height < 1:
            raise ShapeError(
                "camera", expected="at least 1x1 px", actual=(self.width, self.height)
            )
        check_intrinsics(self.K)
        check_rigid(self.T_world_camera)

    @cached_property
    def viewmat(self) -> Float[Tensor, "4 4"]:
        """World-to-camera transform, float64."""
        return torch.linalg.inv(self.T_world_camera)

    @property
    def center(self) -> Float[Tensor, "3"]:
        """Optical centre in the world, in m."""
        return self.T_world_camera[:3, 3]


def check_intrinsics(K: Float[Tensor, "3 3"]) -> None:
    """Raise ShapeError unless K is finite, without skew, and has positive focal lengths."""
    if not torch.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
        raise ShapeError("K", expected="finite with positive focal lengths", actual=K.tolist())
    if K[0, 1] != 0 or K[1, 0] != 0:
        raise ShapeError("K", expected="a rectified pinhole without skew", actual=K.tolist())


def check_rigid(T: Float[Tensor, "4 4"], tolerance: float = 1e-3) -> None:
    """Raise ClickGSError unless T is a rotation and a translation (scale 1, right-handed)."""
    R = T[:3, :3]
    error = (R @ R.T - torch.eye(3, dtype=T.dtype)).abs().max()
    if not torch.isfinite(T).all() or error > tolerance or torch.linalg.det(R) < 0:
        raise ClickGSError(
            f"pose is not a rotation and a translation: {T.tolist()}; "
            "give an orthonormal, right-handed rotation (scale goes into map_to_splat)"
        )
