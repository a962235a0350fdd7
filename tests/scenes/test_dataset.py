# SPDX-License-Identifier: Apache-2.0
"""A scene's folder reads back as what was written."""

from dataclasses import replace

import numpy as np
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.io.images import find_label_image, read_depth, read_image, read_label_image
from ros2_clickgs.io.labels import load_labels
from ros2_clickgs.io.maps import load_map, map_sha256
from ros2_clickgs.scenes.dataset import write_scene
from ros2_clickgs.scenes.masks import scene_masks
from ros2_clickgs.scenes.tabletop import make_object
from tests.scenes.conftest import small


def test_folder(tmp_path):
    scene = make_object("bottle", 1, 2000, view_count=4)
    scene = replace(scene, cameras=[small(camera) for camera in scene.cameras])
    rasterizer = make_rasterizer(scene.gaussians, "numba")
    told = []
    write_scene(scene, tmp_path, rasterizer, every=2, on_view=lambda *n: told.append(n))

    views = load_views(tmp_path / "transforms.json")
    assert [view.name for view in views] == ["0000", "0002"]
    assert told == [(1, 2), (2, 2)]
    means = load_map(tmp_path / "point_cloud.ply").means
    torch.testing.assert_close(means, scene.gaussians.means)
    truth = load_labels(tmp_path / "parts.npz", map_sha256(tmp_path / "point_cloud.ply"))
    assert truth.names == ["bottle/body", "bottle/neck", "bottle/cap"]
    assert torch.equal(truth.labels, scene.part_labels)

    view, camera = views[1], scene.cameras[2]
    torch.testing.assert_close(view.camera.T_world_camera, camera.T_world_camera)
    masks = scene_masks(scene, rasterizer, camera)
    for kind, expected in (("", masks.objects), ("coarse", masks.objects), ("fine", masks.parts)):
        path = find_label_image(tmp_path / "masks", view, kind)
        assert np.array_equal(read_label_image(path, camera), expected.numpy())
    assert read_image(view.image_path, camera)[masks.objects == 1].mean() > 20
    assert (read_depth(view.depth_path, view.depth_unit_m)[masks.objects == 1] > 0.1).all()
