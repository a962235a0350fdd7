# SPDX-License-Identifier: Apache-2.0
"""Tabletops of several seeds, made once, and small versions of their cameras."""

from dataclasses import replace

import pytest
import torch

from ros2_clickgs.core.types import Camera
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.tabletop import make_tabletop

COUNT = 50_000
"""Gaussians of the test scenes: enough for opaque surfaces in small pictures."""


@pytest.fixture(scope="session", params=[0, 1, 2])
def seed(request: pytest.FixtureRequest) -> int:
    """Return each of three seeds."""
    return request.param


@pytest.fixture(scope="session")
def scene(seed: int) -> Scene:
    """Return the tabletop of each seed."""
    return make_tabletop(seed, COUNT)


@pytest.fixture(scope="session")
def one_scene() -> Scene:
    """Return one small tabletop."""
    return make_tabletop(4, 30_000)


def small(camera: Camera, factor: int = 4) -> Camera:
    """Return the same view with fewer pixels."""
    K = torch.diag(torch.tensor([1 / factor, 1 / factor, 1.0]).double()) @ camera.K
    return replace(camera, K=K, width=camera.width // factor, height=camera.height // factor)
