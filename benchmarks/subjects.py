# SPDX-License-Identifier: Apache-2.0
"""Maps in which it is known what each Gaussian belongs to: built in, or real with hand-set boxes.

The boxes were set by eye in renderings of the maps, above the plane that the things stand on.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.core.views import pinhole, sphere
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.io.maps import load_map
from ros2_clickgs.scenes.tabletop import make_tabletop

DATA = Path(__file__).parents[2] / "shared" / "data"
"""Where the real maps are looked for."""

R_TABLE_MAP = [[0.9997, 0.0209, 0.0098], [0.0, -0.4255, 0.9050], [0.0231, -0.9047, -0.4254]]
"""Axes of the kitchen's table (by RANSAC on the map): z up, x as in the map."""
TABLE_TOP = -0.7778
"""Height of the table's top along that z, in m."""
KITCHEN = {
    "mug": ((0.200, 1.650, TABLE_TOP), (0.305, 1.785, TABLE_TOP + 0.13)),
    "tray": ((0.410, 1.430, TABLE_TOP + 0.01), (0.705, 1.860, TABLE_TOP + 0.19)),
    "white mug": ((-0.790, 1.735, TABLE_TOP + 0.01), (-0.665, 1.910, TABLE_TOP + 0.15)),
}
"""Object -> lowest and highest corner along the table's axes, in m."""
R_UP_MAP = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]
"""Axes of the plant: z up."""
PLANT = {
    "plant": ((-9.0, -9.0, -0.15), (9.0, 9.0, 9.0)),
    "pot": ((-9.0, -9.0, -9.0), (9.0, 9.0, -0.15)),
}
"""The plant is what rises above the pot's rim, in the map's units."""
LEAST_PX = 300
"""Views that show fewer pixels of all objects together are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A map and its ground truth."""

    name: str
    gaussians: Gaussians
    labels: Int32[Tensor, " N"]
    """Object of each Gaussian, 0 background."""
    object_names: list[str]
    """Of labels 1, 2, …"""
    cameras: list[Camera]
    up: Float[Tensor, "3"]
    """Which way is up in the map."""


def tabletop(seed: int) -> Subject:
    """Return a built-in tabletop and every second of its 60 views."""
    scene = make_tabletop(seed)
    return Subject(
        name="tabletop",
        gaussians=scene.gaussians,
        labels=scene.object_labels,
        object_names=scene.object_names[1:],
        cameras=scene.cameras[::2],
        up=torch.tensor([0.0, 0.0, 1.0]),
    )


def kitchen() -> Subject:
    """Return the trained map of a real kitchen and the poses of its video, at 640x480 px."""
    folder = DATA / "kitchen_rgbd"
    gaussians = load_map(folder / "point_cloud.ply")
    views = load_views(folder / "transforms.json")[::2]
    return Subject(
        name="kitchen",
        gaussians=gaussians,
        labels=boxed(gaussians.means, R_TABLE_MAP, KITCHEN),
        object_names=list(KITCHEN),
        cameras=[doubled(view.camera) for view in views],
        up=torch.tensor(R_TABLE_MAP[2]),
    )


def plant() -> Subject:
    """Return the capture of a potted plant, and 24 views all around and from above."""
    gaussians = load_map(DATA / "3dgs_padilla" / "plant.splat")
    center, up = gaussians.means.median(0).values.double(), torch.tensor([0.0, -1.0, 0.0])
    directions = [d for d in sphere(40) @ torch.tensor(R_UP_MAP).double() if -0.8 < d[1] < 0.15]
    return Subject(
        name="plant",
        gaussians=gaussians,
        labels=boxed(gaussians.means, R_UP_MAP, PLANT),
        object_names=list(PLANT),
        cameras=[pinhole(look_at(center + 1.4 * d, center, up), 640, 480) for d in directions],
        up=up,
    )


def boxed(means: Float[Tensor, "N 3"], R: list, boxes: dict) -> Int32[Tensor, " N"]:
    """Return which box each centre lies in, in axes R; 0 is none."""
    points = means.double() @ torch.tensor(R).double().T
    labels = torch.zeros(len(means), dtype=torch.int32)
    for label, (low, high) in enumerate(boxes.values(), 1):
        inside = (points >= torch.tensor(low)) & (points <= torch.tensor(high))
        labels[inside.all(1)] = label
    return labels


def doubled(camera: Camera) -> Camera:
    """Return a camera with twice the resolution."""
    K = camera.K.clone()
    K[:2] *= 2
    size = {"width": 2 * camera.width, "height": 2 * camera.height}
    return Camera(K=K, T_world_camera=camera.T_world_camera, **size)
