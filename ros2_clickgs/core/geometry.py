# SPDX-License-Identifier: Apache-2.0
"""Rotations, poses and projections, each convention named where it is crossed."""

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.types import Camera, Gaussians


def rotmat_from_quat_wxyz(quats: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 3 3"]:
    """Return rotation matrices of unit quaternions (wxyz)."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = (
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def quat_wxyz_from_rotmat(R: Float[Tensor, "*n 3 3"]) -> Float[Tensor, "*n 4"]:
    """Return unit quaternions (wxyz, w >= 0) of rotation matrices.

    The four candidates of Shepperd (1978); the one with the largest pivot is stable.
    """
    r00, r11, r22 = R[..., 0, 0], R[..., 1, 1], R[..., 2, 2]
    a, b, c = R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]
    d, e, f = R[..., 1, 0] + R[..., 0, 1], R[..., 0, 2] + R[..., 2, 0], R[..., 2, 1] + R[..., 1, 2]
    candidates = torch.stack([
        torch.stack([1 + r00 + r11 + r22, a, b, c], -1),
        torch.stack([a, 1 + r00 - r11 - r22, d, e], -1),
        torch.stack([b, d, 1 - r00 + r11 - r22, f], -1),
        torch.stack([c, e, f, 1 - r00 - r11 + r22], -1),
    ], -2)  # fmt: skip
    pivots = torch.diagonal(candidates, dim1=-2, dim2=-1)
    best = pivots.argmax(-1, keepdim=True)[..., None].expand(*pivots.shape[:-1], 1, 4)
    quats = torch.nn.functional.normalize(candidates.gather(-2, best).squeeze(-2), dim=-1)
    return torch.where(quats[..., :1] < 0, -quats, quats)


def rotmat_from_rpy(rpy: Float[Tensor, "3"]) -> Float[Tensor, "3 3"]:
    """Return Rz(yaw) Ry(pitch) Rx(roll): turns about fixed axes, in rad (REP-103)."""
    half, axes = rpy / 2, torch.eye(3).to(rpy)
    quats = torch.cat([half.cos()[:, None], half.sin()[:, None] * axes], dim=1)
    x, y, z = rotmat_from_quat_wxyz(quats)
    return z @ y @ x


def quat_multiply_wxyz(
    a: Float[Tensor, "*n 4"], b: Float[Tensor, "*n 4"]
) -> Float[Tensor, "*n 4"]:
    """Return the Hamilton product a b: first b's rotation, then a's."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack([
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    ], -1)  # fmt: skip


def pose_from(R: Float[Tensor, "3 3"], t: Float[Tensor, "3"]) -> Float[Tensor, "4 4"]:
    """Return the float64 transform with rotation R and translation t (m)."""
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3], T[:3, 3] = R.double(), t.double()
    return T


def look_at(
    eye: Float[Tensor, "3"], target: Float[Tensor, "3"], up: Float[Tensor, "3"]
) -> Float[Tensor, "4 4"]:
    """Return T_world_camera of a camera at `eye` that looks at `target` (m), `up` upward in it."""
    forward = torch.nn.functional.normalize((target - eye).double(), dim=0)
    right = torch.linalg.cross(forward, up.double())
    if right.norm() < 1e-6:
        right = torch.linalg.cross(forward, up.double().roll(1) + 1e-3)
    right = torch.nn.functional.normalize(right, dim=0)
    down = torch.linalg.cross(forward, right)
    return pose_from(torch.stack([right, down, forward], -1), eye)


def interpolate_pose(
    T_a: Float[Tensor, "4 4"], T_b: Float[Tensor, "4 4"], fraction: float
) -> Float[Tensor, "4 4"]:
    """Return the pose at `fraction` in [0, 1] from a to b: slerp and lerp."""
    q_a, q_b = quat_wxyz_from_rotmat(torch.stack([T_a[:3, :3], T_b[:3, :3]])).unbind(0)
    q_b = torch.where(q_a @ q_b < 0, -q_b, q_b)
    angle = torch.arccos((q_a @ q_b).clamp(-1, 1))
    if angle < 1e-6:
        q = q_a + fraction * (q_b - q_a)
    else:
        q = (
            torch.sin((1 - fraction) * angle) * q_a + torch.sin(fraction * angle) * q_b
        ) / angle.sin()
    return pose_from(rotmat_from_quat_wxyz(q), torch.lerp(T_a[:3, 3], T_b[:3, 3], fraction))


def project(camera: Camera, points: Float[Tensor, "P 3"]) -> Float[Tensor, "P 3"]:
    """Return (u, v, depth) of world points (m): px, px, m along the optical axis."""
    viewmat, K = camera.viewmat.to(points), camera.K.to(points)
    p = points @ viewmat[:3, :3].T + viewmat[:3, 3]
    uv = p[:, :2] / p[:, 2:] * K.diagonal()[:2] + K[:2, 2]
    return torch.cat([uv, p[:, 2:]], dim=-1)


def unproject(
    camera: Camera, uv: Float[Tensor, "P 2"], depths: Float[Tensor, " P"]
) -> Float[Tensor, "P 3"]:
    """Return the world points (m) at pixels uv (px, centres at +0.5) and depths (m)."""
    T, K = camera.T_world_camera.to(uv), camera.K.to(uv)
    xy = (uv - K[:2, 2]) / K.diagonal()[:2]
    p = torch.cat([xy, torch.ones_like(xy[:, :1])], dim=-1) * depths[:, None]
    return p @ T[:3, :3].T + T[:3, 3]


def covariances(gaussians: Gaussians) -> Float[Tensor, "N 3 3"]:
    """Return R S S^T R^T of every Gaussian, in m^2 (Kerbl et al. 2023, eq. 6)."""
    M = rotmat_from_quat_wxyz(gaussians.quats) * gaussians.scales[:, None, :]
    return M @ M.mT
