# SPDX-License-Identifier: Apache-2.0
"""Stamps, points, poses and CameraInfo to tensors, and back. ROS quaternions are xyzw."""

import math
from typing import NamedTuple

import torch
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Vector3
from jaxtyping import Float
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from torch import Tensor

from ros2_clickgs.core.geometry import pose_from, quat_wxyz_from_rotmat, rotmat_from_quat_wxyz
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ClickGSError, TransformError

QUATERNION_TOLERANCE = 1e-2
"""How far a quaternion's length may be from 1 (what RViz accepts)."""
FARTHEST_M = 1e6
"""Coordinates beyond this are no places of a map."""
FOCAL_LENGTHS_PX = (1.0, 1e6)
NANOSECONDS = 1_000_000_000


def nanoseconds_from_msg(stamp: Time) -> int:
    """Return a stamp in ns."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


def msg_from_nanoseconds(stamp_ns: int) -> Time:
    """Return a stamp of ns."""
    sec, nanosec = divmod(stamp_ns, NANOSECONDS)
    return Time(sec=sec, nanosec=nanosec)


def point_from_msg(point: Point | Vector3) -> Float[Tensor, "3"]:
    """Return a finite position, float64.

    Raises:
        ClickGSError: a coordinate is NaN, infinite or beyond FARTHEST_M.
    """
    xyz = (point.x, point.y, point.z)
    if not all(abs(c) <= FARTHEST_M for c in xyz):
        raise ClickGSError(f"point {xyz} is not finite or farther than {FARTHEST_M:g} m; check it")
    return torch.tensor(xyz, dtype=torch.float64)


def rotation_from_xyzw(xyzw: tuple[float, float, float, float]) -> Float[Tensor, "3 3"]:
    """Return the rotation matrix, float64, of a unit quaternion.

    Raises:
        TransformError: its length is not 1; nothing is guessed from a zero quaternion.
    """
    x, y, z, w = xyzw
    length = math.hypot(x, y, z, w)
    if not abs(length - 1.0) <= QUATERNION_TOLERANCE:
        raise TransformError(
            f"quaternion (x, y, z, w) = {tuple(xyzw)} has length {length:.4g}; "
            "send a unit quaternion"
        )
    return rotmat_from_quat_wxyz(torch.tensor([w, x, y, z], dtype=torch.float64))


def pose_from_msg(pose: Pose) -> Float[Tensor, "4 4"]:
    """Return T_parent_child, float64, in m.

    Raises:
        ClickGSError: the position is not finite, or the quaternion is not one.
    """
    q = pose.orientation
    return pose_from(rotation_from_xyzw((q.x, q.y, q.z, q.w)), point_from_msg(pose.position))


def pose_from_stamped_msg(msg: PoseStamped, map_frame: str) -> Float[Tensor, "4 4"]:
    """Return T_map_camera of a pose that is given in the map's frame.

    Raises:
        TransformError: it is given in another frame.
    """
    if msg.header.frame_id != map_frame:
        raise TransformError(
            f"pose is given in frame {msg.header.frame_id!r}, not in map_frame {map_frame!r}; "
            "publish it there, set map_frame, or use pose_source: tf"
        )
    return pose_from_msg(msg.pose)


def msg_from_point(point: Float[Tensor, "3"]) -> Point:
    """Return a position."""
    x, y, z = point.tolist()
    return Point(x=x, y=y, z=z)


def msg_from_pose(T: Float[Tensor, "4 4"]) -> Pose:
    """Return the pose of a rigid transform."""
    w, x, y, z = quat_wxyz_from_rotmat(T[:3, :3].double()).tolist()
    orientation = Quaternion(x=x, y=y, z=z, w=w)
    return Pose(position=msg_from_point(T[:3, 3].double()), orientation=orientation)


class Intrinsics(NamedTuple):
    """A CameraInfo that was found good: a rectified pinhole."""

    K: Float[Tensor, "3 3"]
    """In px, float64."""
    width: int
    height: int

    def camera(self, T_world_camera: Float[Tensor, "4 4"]) -> Camera:
        """Return the view with these intrinsics at a pose."""
        return Camera(
            K=self.K, T_world_camera=T_world_camera, width=self.width, height=self.height
        )


def intrinsics_from_msg(msg: CameraInfo, *, rectified: bool) -> Intrinsics:
    """Return K from `p`, or from `k` where `p` is not filled.

    Args:
        msg: the camera's calibration.
        rectified: the images are known to be rectified, whatever `d` says of the raw ones.

    Raises:
        ClickGSError: the images are distorted, or the intrinsics are not a pinhole's.
    """
    if not rectified and any(msg.d):
        raise ClickGSError(
            f"camera_info has distortion d = {list(msg.d)} and the images are not known to be "
            "rectified; remap `image` to a rectified topic such as image_rect (image_proc makes "
            "one), or set rectified: 'yes' if they are"
        )
    P = torch.tensor(list(msg.p), dtype=torch.float64).reshape(3, 4)[:, :3]
    K = P if P.any() else torch.tensor(list(msg.k), dtype=torch.float64).reshape(3, 3)
    low, high = FOCAL_LENGTHS_PX
    if not all(low <= float(f) <= high for f in K.diagonal()[:2]) or K.abs().max() > high:
        raise ClickGSError(
            f"camera_info's K = {K.tolist()} has no focal lengths of {low:g} to {high:g} px; "
            "fill p (or k) with a calibration"
        )
    intrinsics = Intrinsics(K, msg.width, msg.height)
    intrinsics.camera(torch.eye(4, dtype=torch.float64))
    return intrinsics


def msg_from_camera(camera: Camera, header: Header) -> CameraInfo:
    """Return the calibration of a rectified pinhole."""
    K = camera.K
    P = torch.cat([K, torch.zeros(3, 1, dtype=K.dtype)], dim=1)
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=K.flatten().tolist(),
        r=torch.eye(3).flatten().tolist(),
        p=P.flatten().tolist(),
    )
