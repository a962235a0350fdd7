# SPDX-License-Identifier: Apache-2.0
"""Views of a whole map see it: a thing from around it, a room from within."""

import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.overview import overview_cameras
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.core.views import Z_UP
from tests.core.blobs import blob_map


def shell(half_m: float, spacing_m: float) -> Gaussians:
    """Return the inner walls of a box, opaque."""
    steps = torch.arange(-half_m, half_m + spacing_m / 2, spacing_m)
    side = torch.cartesian_prod(steps, steps)
    faces = []
    for axis in range(3):
        for sign in (-1, 1):
            points = torch.full((len(side), 3), sign * half_m)
            points[:, [i for i in range(3) if i != axis]] = side
            faces.append(points)
    means = torch.cat(faces)
    return Gaussians(
        means=means,
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(len(means), 1),
        scales=torch.full((len(means), 3), 0.7 * spacing_m),
        opacities=torch.full((len(means),), 0.99),
        sh=torch.zeros(len(means), 1, 3),
    )


@pytest.fixture(scope="module", params=["thing", "room"])
def rasterizer(request: pytest.FixtureRequest):
    return make_rasterizer(blob_map() if request.param == "thing" else shell(2.0, 0.2), "numba")


def test_nearly_every_gaussian_is_seen(rasterizer) -> None:
    cameras = overview_cameras(rasterizer, up=Z_UP, width=160, height=120)
    ones = torch.ones(120, 160, 1)
    seen = sum(rasterizer.backproject(camera, ones)[:, 0] for camera in cameras)
    assert 0 < len(cameras) <= 12
    assert (seen > 0.05).float().mean() > 0.9


def test_there_are_as_many_as_wanted(rasterizer) -> None:
    assert len(overview_cameras(rasterizer, up=Z_UP, count=3)) == 3


def test_up_is_up(rasterizer) -> None:
    for camera in overview_cameras(rasterizer, up=Z_UP, count=4):
        eye = camera.center
        ahead = camera.T_world_camera[:3, 2]
        assert torch.allclose(look_at(eye, eye + ahead, Z_UP), camera.T_world_camera, atol=1e-6)
