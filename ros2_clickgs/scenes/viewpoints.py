# SPDX-License-Identifier: Apache-2.0
"""Cameras that walk around the table, as a hand or a robot's arm would carry them."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.random import Generator

from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.types import Camera
from ros2_clickgs.core.views import pinhole

IMAGE_SIZE = (640, 480)
"""Width and height of every view, in px."""
STEP_DEG = 13.75
"""Turn from one view to the next: ten steps are the golden angle, so that every k-th view (k
from 2 to 30) still sees all sides."""


def around_table(
    rng: Generator, center: tuple[float, float, float], count: int = 60
) -> list[Camera]:
    """Return a smooth walk of `count` views around `center`, 0.8 to 1.45 m away from it.

    The walk rises and falls between low and steep views; it stays steep on the side of the walls.
    """
    phase = rng.uniform(0, 2 * np.pi, 3)
    cameras = []
    for i in range(count):
        azimuth = np.deg2rad(STEP_DEG * i) + phase[0]
        turn = 2 * np.pi * i / count
        openness = (np.cos(azimuth) - np.sin(azimuth)) / np.sqrt(8) + 0.5
        elevation = np.deg2rad(52 - 22 * openness + 9 * np.sin(5 * turn + phase[1]))
        distance = 1.12 + 0.27 * np.sin(7 * turn + phase[2]) + rng.normal(0, 0.02)
        target = center + rng.normal(0, 1, 3) * (0.05, 0.04, 0.015)
        cameras.append(_camera(center + distance * _direction(azimuth, elevation), target))
    return cameras


def around_object(
    rng: Generator, center: Float[np.ndarray, "3"], radius_m: float, count: int
) -> list[Camera]:
    """Return random views from above of an object of the given radius, which fills the image."""
    cameras = []
    for i in range(count):
        azimuth = 2 * np.pi * (i + rng.random()) / count
        direction = _direction(azimuth, np.deg2rad(rng.uniform(20, 65)))
        cameras.append(_camera(center + radius_m * rng.uniform(2.4, 3.2) * direction, center))
    return cameras


def _direction(azimuth: float, elevation: float) -> Float[np.ndarray, "3"]:
    level = np.cos(elevation)
    return np.array([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)])


def _camera(eye: Float[np.ndarray, "3"], target: Float[np.ndarray, "3"]) -> Camera:
    up = torch.tensor([0.0, 0.0, 1.0])
    pose = look_at(torch.from_numpy(eye), torch.from_numpy(np.asarray(target, float)), up)
    return pinhole(pose, *IMAGE_SIZE, fov_deg=62.0)
