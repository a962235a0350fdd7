# SPDX-License-Identifier: Apache-2.0
"""Cameras that walk around the table, as a hand or a robot's arm would carry them."""

import numpy as np
import torch
from numpy.random import Generator

from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.types import Camera

STEP_DEG = 13.75
"""Turn from one view to the next: ten steps are the golden angle, so that every k-th view (k
from 2 to 30) still sees all sides."""


def pinhole(
    eye: tuple[float, float, float],
    target: tuple[float, float, float],
    width: int = 640,
    height: int = 480,
    focal_px: float = 525.0,
) -> Camera:
    """Return the camera at `eye` (m, map frame) that looks at `target`, upright."""
    K = torch.tensor([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1.0]])
    up = torch.tensor([0.0, 0.0, 1.0])
    T = look_at(torch.tensor(eye), torch.tensor(target), up)
    return Camera(K=K, T_world_camera=T, width=width, height=height)


def around_table(rng: Generator, center: tuple[float, float, float], count: int = 60) -> list[Camera]:
    """Return a smooth walk of `count` views around `center`, 0.75 to 1.5 m away from it.

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
        away = np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth)
        eye = center + distance * np.array([*away, np.sin(elevation)])
        target = center + rng.normal(0, 1, 3) * (0.05, 0.04, 0.015)
        cameras.append(pinhole(tuple(eye), tuple(target)))
    return cameras


def around_object(
    rng: Generator, center: tuple[float, float, float], radius_m: float, count: int
) -> list[Camera]:
    """Return random views from above of an object of the given radius that fills the image well."""
    cameras = []
    for i in range(count):
        azimuth = 2 * np.pi * (i + rng.random()) / count
        elevation = np.deg2rad(rng.uniform(20, 65))
        away = np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth)
        distance = radius_m * rng.uniform(3.0, 4.0)
        eye = center + distance * np.array([*away, np.sin(elevation)])
        cameras.append(pinhole(tuple(eye), tuple(center)))
    return cameras
