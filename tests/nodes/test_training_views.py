# SPDX-License-Identifier: Apache-2.0
"""A camera moved with the map sees in the new frame what it saw in the old."""

import math

import torch

from ros2_clickgs.core.geometry import project
from ros2_clickgs.core.similarity import Similarity
from ros2_clickgs.nodes.training_views import moved_camera
from tests.conftest import random_camera


def test_a_moved_camera_sees_the_same():
    c, s = math.cos(0.7), math.sin(0.7)
    R = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]]).double()
    similarity = Similarity(R=R, translation=torch.tensor([1.0, -2, 3]).double(), scale=0.4)
    camera, points = random_camera(), torch.randn(20, 3).double()
    moved = moved_camera(similarity, camera)
    before, after = (
        project(camera, points),
        project(moved, 0.4 * points @ R.T + similarity.translation),
    )
    assert torch.allclose(before[:, :2], after[:, :2])
    assert torch.allclose(0.4 * before[:, 2], after[:, 2])
    back = moved_camera(similarity.inverse(), moved)
    assert torch.allclose(back.T_world_camera, camera.T_world_camera)
