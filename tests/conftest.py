# SPDX-License-Identifier: Apache-2.0
"""What every test may use: random scenes, the backends that work here, the real data sets."""

import os
from pathlib import Path

import pytest
import torch

from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.types import Camera, Gaussians

DATA = Path(os.environ.get("CLICKGS_DATA", Path(__file__).parents[2] / "shared" / "data"))


def random_gaussians(count: int, seed: int = 0, scale_m: float = 0.05) -> Gaussians:
    """Return a cloud of Gaussians of all shapes and opacities around the origin."""
    g = torch.Generator().manual_seed(seed)
    return Gaussians(
        means=torch.randn(count, 3, generator=g) * 0.5,
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=g), dim=-1),
        scales=torch.exp(torch.randn(count, 3, generator=g) * 0.7) * scale_m,
        opacities=torch.rand(count, generator=g),
        sh=torch.rand(count, 4, 3, generator=g) - 0.5,
    )


def random_camera(seed: int = 0, width: int = 70, height: int = 50) -> Camera:
    """Return a camera 2 m off that looks at the origin; its size is no multiple of a tile."""
    g = torch.Generator().manual_seed(seed + 1000)
    eye = torch.nn.functional.normalize(torch.randn(3, generator=g), dim=0) * 2
    K = torch.tensor([[width * 0.9, 0, width * 0.48], [0, width * 0.95, height * 0.53], [0, 0, 1]])
    pose = look_at(eye, torch.zeros(3), torch.tensor([0.1, 0.2, 1.0]))
    return Camera(K=K, T_world_camera=pose, width=width, height=height)


def double(gaussians: Gaussians) -> Gaussians:
    """Return the same map in float64."""
    names = ("means", "quats", "scales", "opacities", "sh")
    return Gaussians(**{name: getattr(gaussians, name).double() for name in names})


@pytest.fixture(
    params=["reference", "numba", pytest.param("gsplat", marks=pytest.mark.gpu)], scope="session"
)
def backend(request: pytest.FixtureRequest) -> str:
    """Return each backend's name; gsplat only where CUDA is."""
    if request.param == "gsplat":
        from ros2_clickgs.backends.gsplat_cuda import require_gsplat
        from ros2_clickgs.errors import BackendUnavailableError

        try:
            require_gsplat()
        except BackendUnavailableError as error:
            pytest.skip(str(error))
    return request.param


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Make every test's random numbers the same each time."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of the real data sets, or skip."""
    if not DATA.is_dir():
        pytest.skip(f"real data not found at {DATA}; set CLICKGS_DATA")
    return DATA
