# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ros2_clickgs.core.geometry import (
    interpolate_pose,
    look_at,
    pose_from,
    project,
    quat_multiply_wxyz,
    quat_wxyz_from_rotmat,
    rotmat_from_quat_wxyz,
    rotmat_from_rpy,
    unproject,
)
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ClickGSError, ShapeError
from tests.conftest import random_camera

SEEDS = st.integers(0, 10_000)


def random_quats(seed, count=20):
    q = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed)).double()
    return torch.nn.functional.normalize(q, dim=-1)


@given(seed=SEEDS)
def test_quaternion_to_matrix_and_back_is_the_identity_up_to_sign(seed):
    q = random_quats(seed)
    back = quat_wxyz_from_rotmat(rotmat_from_quat_wxyz(q))
    assert torch.allclose((q * back).sum(-1).abs(), torch.ones(20).double())


@pytest.mark.parametrize("axis", range(3))
def test_half_turns_survive(axis):
    R = -torch.eye(3).double()
    R[axis, axis] = 1
    assert torch.allclose(rotmat_from_quat_wxyz(quat_wxyz_from_rotmat(R)), R)


@given(seed=SEEDS)
def test_quaternion_product_is_the_matrix_product(seed):
    a, b = random_quats(seed), random_quats(seed + 1)
    together = rotmat_from_quat_wxyz(quat_multiply_wxyz(a, b))
    assert torch.allclose(together, rotmat_from_quat_wxyz(a) @ rotmat_from_quat_wxyz(b))


@given(seed=SEEDS)
def test_viewmat_undoes_the_pose(seed):
    camera = random_camera(seed)
    assert torch.allclose(camera.viewmat @ camera.T_world_camera, torch.eye(4).double())


@given(seed=SEEDS)
def test_a_point_ahead_projects_to_the_principal_point(seed):
    camera = random_camera(seed)
    ahead = camera.center + 1.5 * camera.T_world_camera[:3, 2]
    expected = torch.cat([camera.K[:2, 2], torch.tensor([1.5])])
    assert torch.allclose(project(camera, ahead[None])[0], expected.double())


@given(seed=SEEDS)
def test_unproject_undoes_project(seed):
    camera = random_camera(seed)
    points = torch.randn(10, 3).double() * 0.3
    uvz = project(camera, points)
    assert torch.allclose(unproject(camera, uvz[:, :2], uvz[:, 2]), points)


def test_looking_straight_down_is_a_pose():
    pose = look_at(torch.tensor([0.0, 0, 2]), torch.zeros(3), torch.tensor([0.0, 0, 1]))
    Camera(K=torch.eye(3), T_world_camera=pose, width=2, height=2)


@given(seed=SEEDS, fraction=st.floats(0, 1))
def test_interpolated_poses_are_rigid_and_meet_the_ends(seed, fraction):
    R_a, R_b = rotmat_from_quat_wxyz(random_quats(seed, 2))
    a, b = pose_from(R_a, torch.zeros(3)), pose_from(R_b, torch.ones(3))
    T = interpolate_pose(a, b, fraction)
    assert torch.allclose(T[:3, :3] @ T[:3, :3].T, torch.eye(3).double(), atol=1e-6)
    assert torch.allclose(T[:3, 3], torch.full((3,), fraction).double())
    assert torch.allclose(interpolate_pose(a, b, 0.0), a, atol=1e-6)
    assert torch.allclose(interpolate_pose(a, b, 1.0), b, atol=1e-6)


def test_a_camera_refuses_what_is_not_a_pose_or_a_pinhole():
    K, T = torch.tensor([[50.0, 0, 32], [0, 50, 24], [0, 0, 1]]), torch.eye(4)
    with pytest.raises(ClickGSError, match="not a rotation and a translation"):
        Camera(K=K, T_world_camera=T * 2, width=64, height=48)
    with pytest.raises(ClickGSError, match="not a rotation"):
        Camera(K=K, T_world_camera=torch.diag(torch.tensor([1.0, 1, -1, 1])), width=64, height=48)
    skewed = K.clone()
    skewed[0, 1] = 3
    with pytest.raises(ShapeError, match="without skew"):
        Camera(K=skewed, T_world_camera=T, width=64, height=48)
    with pytest.raises(ShapeError, match="positive focal lengths"):
        Camera(K=-K, T_world_camera=T, width=64, height=48)
    with pytest.raises(ShapeError, match="at least 1x1 px"):
        Camera(K=K, T_world_camera=T, width=0, height=48)


def test_roll_pitch_and_yaw_turn_about_fixed_axes_one_after_the_other():
    R = rotmat_from_rpy(torch.tensor([torch.pi / 2, 0, torch.pi / 2], dtype=torch.float64))
    x, y, z = torch.eye(3).double()
    assert torch.allclose(R @ y, z)
    assert torch.allclose(R @ x, y)
    assert torch.allclose(R @ z, x)
