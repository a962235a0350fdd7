# SPDX-License-Identifier: Apache-2.0
"""Normals look outward, wherever the cameras stood."""

import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.normals import outward_normals
from ros2_clickgs.scenes.tabletop import make_object
from tests.core.shapes import cylinder, sphere, surfels

ABOVE = torch.tensor([[0.0, 0, 0.5]])
AROUND = torch.tensor([[0.4, 0, 0.3], [0, 0.4, 0.3], [-0.4, 0, 0.3], [0, -0.4, 0.3]])


@pytest.mark.parametrize("shape", [sphere, cylinder])
@pytest.mark.parametrize("views", [ABOVE, AROUND], ids=["above", "around"])
def test_normals_of_closed_things_look_outward(shape, views):
    points, truth = shape()
    normals = outward_normals(make_rasterizer(surfels(points, truth)), views)
    cosines = (normals * truth).sum(-1)
    assert (cosines > 0.8).float().mean() > 0.85
    assert torch.allclose(normals.norm(dim=-1), torch.ones(len(points)), atol=1e-3)


def test_a_bowls_walls_look_away_from_each_other():
    scene = make_object("bowl", 3, count=6000)
    views = torch.stack([camera.center for camera in scene.cameras])
    normals = outward_normals(make_rasterizer(scene.gaussians), views)
    slanted = normals[:, 2].abs() < 0.8
    radial = torch.nn.functional.normalize(scene.gaussians.means[:, :2], dim=-1)
    outward = (normals[:, :2] * radial).sum(-1)
    body, inside = (scene.part_labels == scene.part_id("bowl", n) for n in ("body", "inside"))
    assert (outward[body & slanted] > 0).float().mean() > 0.9
    assert (outward[inside & slanted] < 0).float().mean() > 0.9


def test_too_few_points_have_no_normals():
    points, truth = sphere(2)
    normals = outward_normals(make_rasterizer(surfels(points, truth)), ABOVE)
    assert normals.tolist() == [[0, 0, 0], [0, 0, 0]]
