# SPDX-License-Identifier: Apache-2.0
"""A scene as a folder that nodes, command line and other programs read: map, views, truth."""

from collections.abc import Callable
from pathlib import Path

import torch

from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import render
from ros2_clickgs.io.images import write_depth, write_image, write_label_image
from ros2_clickgs.io.labels import Labels, save_labels
from ros2_clickgs.io.maps import map_sha256, save_map
from ros2_clickgs.io.transforms import save_transforms
from ros2_clickgs.io.views import View
from ros2_clickgs.scenes.masks import scene_masks
from ros2_clickgs.scenes.scene import Scene


def write_scene(
    scene: Scene,
    folder: str | Path,
    rasterizer: Rasterizer,
    every: int = 1,
    on_view: Callable[[int, int], None] = lambda done, total: None,
) -> list[View]:
    """Write a scene with rendered pictures and its ground truth.

    The folder holds point_cloud.ply, transforms.json, images/NAME.png, depth/NAME.png (16-bit
    mm), masks/NAME.png and NAME.coarse.png (objects), masks/NAME.fine.png (parts); objects.npz
    and parts.npz hold the labels per Gaussian with their names, such as mug and mug/handle.

    Args:
        scene: what to write.
        folder: where; it is made if it is missing.
        rasterizer: owner of the blending weights of `scene.gaussians`.
        every: write every k-th camera only.
        on_view: told after each view how many are done and how many there are.

    Returns:
        The views that transforms.json lists.
    """
    folder = Path(folder)
    for name in ("images", "depth", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    save_map(folder / "point_cloud.ply", scene.gaussians)
    _write_truth(scene, folder)
    numbers = range(0, len(scene.cameras), every)
    views = []
    for number in numbers:
        views.append(_write_view(scene, folder, rasterizer, number))
        on_view(len(views), len(numbers))
    save_transforms(folder / "transforms.json", views)
    return views


def _write_truth(scene: Scene, folder: Path) -> None:
    owners = [scene.object_names[i] for i in scene.part_object]
    parts = [f"{owner}/{part}" for owner, part in zip(owners, scene.part_names, strict=True)]
    map_hash = map_sha256(folder / "point_cloud.ply")
    levels = (
        ("objects", scene.object_labels, scene.object_names),
        ("parts", scene.part_labels, parts),
    )
    for name, labels, names in levels:
        truth = Labels(labels=labels, names=names[1:], map_sha256=map_hash)
        save_labels(folder / f"{name}.npz", truth)


def _write_view(scene: Scene, folder: Path, rasterizer: Rasterizer, number: int) -> View:
    name, camera = f"{number:04d}", scene.cameras[number]
    picture, masks = render(rasterizer, camera), scene_masks(scene, rasterizer, camera)
    image_path, depth_path = folder / "images" / f"{name}.png", folder / "depth" / f"{name}.png"
    write_image(image_path, (picture.color * 255).round().to(torch.uint8).numpy())
    write_depth(depth_path, picture.depth.numpy())
    levels = (("", masks.objects), (".coarse", masks.objects), (".fine", masks.parts))
    for kind, labels in levels:
        write_label_image(folder / "masks" / f"{name}{kind}.png", labels.numpy())
    return View(name=name, camera=camera, image_path=image_path, depth_path=depth_path)
