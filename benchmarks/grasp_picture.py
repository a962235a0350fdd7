# SPDX-License-Identifier: Apache-2.0
"""A picture of the example planner's best grasp: the handle's region and the open gripper.

python -m benchmarks.grasp_picture OUT.jpg
"""

import sys
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.grasp_trials import lying_pose
from benchmarks.grasping import mug_cloud
from examples.antipodal import Gripper, Target, plan
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.geometry import look_at, quat_wxyz_from_rotmat
from ros2_clickgs.core.harmonics import sh_from_rgb
from ros2_clickgs.core.regions import find_regions
from ros2_clickgs.core.rendering import render
from ros2_clickgs.core.similarity import Similarity
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.core.views import pinhole
from ros2_clickgs.io.images import write_image
from ros2_clickgs.scenes.posing import place_object, random_pose
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.tabletop import make_tabletop

SPACING_M = 0.001
METAL, PAD, HANDLE = (0.72, 0.74, 0.78), (0.15, 0.15, 0.17), (1.0, 0.15, 0.05)
SIZE = (640, 480)


def main(path: str) -> None:
    """Render a standing and a lying mug, each with its best grasp, from two sides."""
    scene, rows = make_tabletop(0), []
    mug = scene.object_id("mug")
    for find, seed in ((random_pose, 4), (lying_pose, 4)):
        placed = place_object(scene, mug, find(scene, mug, seed))
        rows.append(np.hstack(views(placed)))
    write_image(path, np.vstack(rows))


def views(scene: Scene) -> list[np.ndarray]:
    """Return two pictures of the best grasp of the mug's handle."""
    mug = scene.object_labels == scene.object_id("mug")
    handle = (scene.part_labels == scene.part_id("mug", "handle"))[mug].int()
    cloud = mug_cloud(scene)
    probabilities = torch.nn.functional.one_hot(handle.long(), 2).float()
    region = find_regions(cloud, probabilities, handle)[0]
    target = Target(
        points=cloud.points.numpy().astype(float),
        normals=cloud.normals.numpy().astype(float),
        scores=handle.numpy().astype(float),
        outward=region.pose[:3, 2].numpy(),
        obstacles=scene.gaussians.means[~mug].numpy().astype(float),
    )
    best = plan(target, Gripper())[0]
    sh = scene.gaussians.sh.clone()
    held = torch.nonzero(mug)[:, 0][region.rows]
    sh[held] = 0.0
    sh[held, 0] = sh_from_rgb(torch.tensor([HANDLE]))[:, 0]
    shown = joined(replace(scene.gaussians, sh=sh), gripper_surfels(best.pose, best.opening))
    rasterizer = make_rasterizer(shown)
    return [
        (render(rasterizer, camera).color * 255).round().byte().numpy()
        for camera in cameras(best.pose, region.pose[:3, 2].numpy())
    ]


def cameras(pose: np.ndarray, outward: np.ndarray) -> list[Camera]:
    """Return views along the closing direction and across it, both from above."""
    side = np.cross(outward, (0, 0, 1.0))
    eyes = [
        pose[:3, 3] + 0.3 * direction / np.linalg.norm(direction)
        for direction in (
            side + 0.3 * outward + (0, 0, 0.6),
            0.8 * (0.5 * outward - side) + (0, 0, 1.0),
        )
    ]
    up, at = torch.tensor([0.0, 0.0, 1.0]), torch.from_numpy(pose[:3, 3])
    return [pinhole(look_at(torch.from_numpy(eye), at, up), *SIZE, fov_deg=50.0) for eye in eyes]


def gripper_surfels(pose: np.ndarray, opening: float) -> Gaussians:
    """Return the open gripper's boxes as flat Gaussians: dark fingers, a bright palm."""
    faces = [
        face(torch.from_numpy(box).float(), axis, end, PAD if i < 2 else METAL)
        for i, box in enumerate(Gripper().boxes(opening))
        for axis in range(3)
        for end in range(2)
    ]
    T = torch.from_numpy(pose)
    return Similarity(R=T[:3, :3], translation=T[:3, 3], scale=1.0)(joined(*faces))


def face(box: Float[Tensor, "2 3"], axis: int, end: int, rgb: tuple) -> Gaussians:
    """Return one side of a box: that where `axis` is lowest (end 0) or highest (1)."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    lines = [torch.arange(float(box[0, k]), float(box[1, k]), SPACING_M) for k in (first, second)]
    means = torch.empty(len(lines[0]) * len(lines[1]), 3)
    means[:, [first, second]] = torch.cartesian_prod(*lines)
    means[:, axis] = box[end, axis]
    frame = torch.eye(3)[:, [first, second, axis]]
    shade = 1.0 if end else 0.8
    return Gaussians(
        means=means,
        quats=quat_wxyz_from_rotmat(frame).repeat(len(means), 1),
        scales=SPACING_M * torch.tensor([0.8, 0.8, 0.1]).repeat(len(means), 1),
        opacities=torch.full((len(means),), 0.98),
        sh=sh_from_rgb(shade * torch.tensor([rgb]).repeat(len(means), 1)),
    )


def joined(*parts: Gaussians) -> Gaussians:
    """Return one map of several, with as many harmonics as the first."""
    degree = parts[0].sh.shape[1]
    pad = [torch.nn.functional.pad(p.sh, (0, 0, 0, degree - p.sh.shape[1])) for p in parts]
    names = ("means", "quats", "scales", "opacities")
    columns = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
    return Gaussians(sh=torch.cat(pad), **columns)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main(sys.argv[1])
