# SPDX-License-Identifier: Apache-2.0
"""A tiny world, and the nodes in it over real DDS, out of reach of other test runs."""

import os

os.environ["ROS_DOMAIN_ID"] = str(os.getpid() % 100 + 1)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.clicking import rendered_image
from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.harmonics import sh_from_rgb
from ros2_clickgs.core.segmenter import Mask, Prompt
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.core.views import pinhole
from ros2_clickgs.io.cameras import View, save_transforms
from ros2_clickgs.io.images import write_image
from ros2_clickgs.io.maps import save_map
from ros2_clickgs.nodes import workbench
from tests.nodes.robot import Robot

RED_AT = (0.0, 0.0, 0.06)
BLUE_AT = (0.3, 0.1, 0.06)


def ball(center: tuple, rgb: tuple, count: int, radius_m: float) -> dict:
    """Return the surface of a ball of round Gaussians."""
    directions = torch.nn.functional.normalize(torch.randn(count, 3), dim=-1)
    return {
        "means": torch.tensor(center) + radius_m * directions,
        "scales": torch.full((count, 3), 0.008),
        "rgb": torch.tensor(rgb).expand(count, 3),
    }


def table(side: int) -> dict:
    """Return a gray square metre at height 0."""
    xy = torch.cartesian_prod(*[torch.linspace(-0.5, 0.5, side)] * 2)
    return {
        "means": torch.cat([xy, torch.zeros(len(xy), 1)], dim=1),
        "scales": torch.tensor([0.02, 0.02, 0.002]).expand(len(xy), 3),
        "rgb": torch.full((len(xy), 3), 0.5),
    }


def make_world() -> Gaussians:
    """Return 2,000 Gaussians: a red and a blue ball on a table."""
    torch.manual_seed(0)
    parts = [
        table(36),
        ball(RED_AT, (0.9, 0.1, 0.1), 350, 0.06),
        ball(BLUE_AT, (0.1, 0.1, 0.9), 350, 0.06),
    ]
    means, scales, rgb = (torch.cat([p[k] for p in parts]) for k in ("means", "scales", "rgb"))
    n = len(means)
    quats = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(n, 4)
    return Gaussians(
        means=means,
        quats=quats,
        scales=scales,
        opacities=torch.full((n,), 0.95),
        sh=sh_from_rgb(rgb),
    )


def make_cameras(count: int = 6) -> list[Camera]:
    """Return cameras of 160x120 px around the table."""
    up, target = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.1, 0.0, 0.05])
    angles = torch.arange(count) * (2 * torch.pi / count)
    eyes = torch.stack([0.7 * angles.cos(), 0.7 * angles.sin(), torch.full((count,), 0.6)], -1)
    return [pinhole(look_at(eye, target, up), 160, 120) for eye in eyes]


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """A folder with map.ply, transforms.json and images/."""
    folder = tmp_path_factory.mktemp("world")
    gaussians = make_world()
    save_map(folder / "map.ply", gaussians)
    rasterizer = make_rasterizer(gaussians, "numba")
    (folder / "images").mkdir()
    views = []
    for i, camera in enumerate(make_cameras()):
        path = folder / "images" / f"{i}.png"
        write_image(path, rendered_image(rasterizer, camera).image)
        views.append(View(name=str(i), camera=camera, image_path=path))
    save_transforms(folder / "transforms.json", views)
    return folder


@pytest.fixture(scope="module")
def ros() -> Iterator[None]:
    """ROS is up."""
    rclpy.init()
    yield
    rclpy.try_shutdown()


class SameColor:
    """A 2D segmenter that is right in this world: a thing is what has the clicked hue."""

    name = "same_color"

    def set_image(self, image: np.ndarray, depth: np.ndarray | None = None) -> None:
        self._hues = image / np.maximum(image.max(-1, keepdims=True), 1)

    def predict(self, prompts: list[Prompt]) -> list[Mask]:
        return [Mask(pixels=self._like(prompt.point_coords[0]), score=1.0) for prompt in prompts]

    def _like(self, uv: np.ndarray) -> np.ndarray:
        return np.abs(self._hues - self._hues[int(uv[1]), int(uv[0])]).max(-1) < 0.4


@pytest.fixture
def robot(ros: None, world: Path, tmp_path: Path, monkeypatch) -> Iterator[Robot]:
    """An active segmenter on the world's map, and a node that talks to it."""
    monkeypatch.setattr(workbench, "make_segmenter", lambda *_: SameColor())
    parameters = {
        "map_path": str(world / "map.ply"),
        "session_dir": str(tmp_path / "session"),
        "keyframes.views_per_click": 3,
        "keyframes.min_views": 2,
    }
    with Robot(**parameters) as robot:
        yield robot
