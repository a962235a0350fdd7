# SPDX-License-Identifier: Apache-2.0
"""Message -> type -> message is the identity; what cannot be converted is refused."""

import math
from array import array

import cv2
import numpy as np
import pytest
import torch
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from ros2_clickgs.core.clouds import PointCloud
from ros2_clickgs.core.geometry import pose_from, rotmat_from_quat_wxyz
from ros2_clickgs.core.objects import SegmentedObject
from ros2_clickgs.core.state import Ballot
from ros2_clickgs.core.types import IGNORE, Camera
from ros2_clickgs.core.votes import Votes
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.msg import ObjectMask, ObjectMaskArray
from ros2_clickgs.nodes.conversions import clouds, geometry, images, masks, objects
from tests.conftest import random_gaussians

HEADER = Header(frame_id="map")
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 5, 3), (48, 64, 3)])
def test_image_survives_the_round_trip(shape):
    rgb = RNG.integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(images.image_from_msg(images.msg_from_image(rgb, HEADER)), rgb)


@pytest.mark.parametrize(
    ("encoding", "channels"),
    [("rgb8", [0, 1, 2]), ("bgr8", [2, 1, 0]), ("rgba8", [0, 1, 2, 2]), ("bgra8", [2, 1, 0, 0])],
)
def test_encodings_show_the_same_picture_padding_left_out(encoding, channels):
    rgb = RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    rows = np.pad(rgb[:, :, channels].reshape(4, -1), ((0, 0), (0, 5)))
    msg = Image(
        height=4, width=6, encoding=encoding, step=rows.shape[1], data=array("B", rows.tobytes())
    )
    assert np.array_equal(images.image_from_msg(msg), rgb)


def test_mono_is_gray():
    msg = images.msg_from_mono(np.array([[7, 9]], np.uint8), HEADER)
    assert images.image_from_msg(msg).tolist() == [[[7, 7, 7], [9, 9, 9]]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"encoding": "bayer_rggb8"}, "bayer_rggb8.*publish one of rgb8"),
        ({"encoding": ""}, "publish one of"),
        ({"height": 0}, "not empty"),
        ({"width": 0}, "not empty"),
        ({"step": 3}, "at least 12"),
        ({"height": 1 << 31}, "rows of 12 bytes"),
        ({"data": []}, "0 bytes"),
    ],
)
def test_broken_image_is_refused(change, told):
    msg = images.msg_from_image(np.zeros((2, 4, 3), np.uint8), HEADER)
    for name, value in change.items():
        setattr(msg, name, value)
    with pytest.raises(ClickGSError, match=told):
        images.image_from_msg(msg)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_compressed_image_is_decoded(suffix):
    rgb = np.full((20, 30, 3), (200, 50, 20), np.uint8)
    _, encoded = cv2.imencode(suffix, rgb[:, :, ::-1])
    msg = CompressedImage(format=suffix[1:], data=encoded.tobytes())
    assert np.abs(images.image_from_compressed_msg(msg).astype(int) - rgb).max() < 4


@pytest.mark.parametrize("cut", [0, 1, 20, 60])
def test_cut_compressed_image_is_refused(cut):
    _, encoded = cv2.imencode(".png", RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8))
    with pytest.raises(ClickGSError, match="no whole JPEG or PNG"):
        images.image_from_compressed_msg(CompressedImage(data=encoded.tobytes()[:cut]))


def test_picture_that_claims_a_gigapixel_is_refused_before_it_is_decoded():
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (30000).to_bytes(4, "big") * 2 + b"\x08\2\0\0\0"
    with pytest.raises(ClickGSError):
        images.image_from_compressed_msg(CompressedImage(data=header + b"\0" * 40))


@given(st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: math.hypot(*q) > 0.1))
def test_pose_survives_the_round_trip(xyzw):
    x, y, z, w = (c / math.hypot(*xyzw) for c in xyzw)
    pose = Pose(position=Point(x=1.0, y=-2.0, z=3.0), orientation=Quaternion(x=x, y=y, z=z, w=w))
    T = geometry.pose_from_msg(pose)
    again = geometry.pose_from_msg(geometry.msg_from_pose(T))
    assert torch.allclose(T, again, atol=1e-9)
    R = rotmat_from_quat_wxyz(torch.tensor([w, x, y, z], dtype=torch.float64))
    assert torch.allclose(T[:3, :3], R, atol=1e-9)


@pytest.mark.parametrize(
    "xyzw", [(0, 0, 0, 0), (0, 0, 0, 1.1), (math.nan, 0, 0, 1), (0, 0, 0, math.inf)]
)
def test_bad_quaternion_is_refused(xyzw):
    x, y, z, w = map(float, xyzw)
    with pytest.raises(ClickGSError, match="send a unit quaternion"):
        geometry.pose_from_msg(Pose(orientation=Quaternion(x=x, y=y, z=z, w=w)))


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300])
def test_bad_position_is_refused(value):
    with pytest.raises(ClickGSError, match="is not finite or farther"):
        geometry.pose_from_msg(Pose(position=Point(x=value)))


def test_pose_in_another_frame_is_refused():
    with pytest.raises(ClickGSError, match="'odom', not in map_frame 'map'"):
        geometry.pose_from_stamped_msg(PoseStamped(header=Header(frame_id="odom")), "map")


def camera():
    K = torch.tensor([[500.0, 0, 320.5], [0, 510.0, 240.5], [0, 0, 1]])
    return Camera(
        K=K, T_world_camera=pose_from(torch.eye(3), torch.zeros(3)), width=640, height=480
    )


def test_camera_survives_the_round_trip():
    info = geometry.msg_from_camera(camera(), HEADER)
    intrinsics = geometry.intrinsics_from_msg(info, rectified=False)
    assert torch.equal(intrinsics.K, camera().K)
    assert (intrinsics.width, intrinsics.height) == (640, 480)


def test_intrinsics_come_from_p_and_from_k_where_p_is_empty():
    info = geometry.msg_from_camera(camera(), HEADER)
    info.k = [float(v) for v in (400, 0, 1, 0, 400, 1, 0, 0, 1)]
    assert geometry.intrinsics_from_msg(info, rectified=False).K[0, 0] == 500
    info.p = [0.0] * 12
    assert geometry.intrinsics_from_msg(info, rectified=False).K[0, 0] == 400


def test_distortion_is_refused_unless_images_are_rectified():
    info = geometry.msg_from_camera(camera(), HEADER)
    info.d = [0.1, 0.0, 0.0, 0.0, 0.0]
    with pytest.raises(ClickGSError, match="remap `image` to a rectified topic"):
        geometry.intrinsics_from_msg(info, rectified=False)
    assert geometry.intrinsics_from_msg(info, rectified=True).width == 640


@pytest.mark.parametrize("info", [CameraInfo(), CameraInfo(width=4, height=4, p=[math.nan] * 12)])
def test_uncalibrated_camera_is_refused(info):
    with pytest.raises(ClickGSError, match="calibration"):
        geometry.intrinsics_from_msg(info, rectified=True)


@pytest.mark.parametrize("count", [0, 1, 100])
def test_cloud_survives_the_round_trip(count):
    points = np.zeros(count, clouds.POINT)
    for name in clouds.POINT.names:
        points[name] = RNG.integers(0, 1000, count)
    msg = clouds.msg_from_points(points, HEADER)
    assert np.array_equal(clouds.points_from_msg(msg), points)
    assert clouds.msg_from_points(clouds.points_from_msg(msg), HEADER) == msg


def test_broken_cloud_is_refused():
    msg = clouds.msg_from_points(np.zeros(3, clouds.POINT), HEADER)
    msg.data = msg.data[:-1]
    with pytest.raises(ClickGSError):
        clouds.points_from_msg(msg)
    assert len(clouds.points_from_msg(PointCloud2())) == 0


@pytest.mark.parametrize("count", [0, 5])
def test_splats_and_map_cloud_carry_the_map(count):
    gaussians, labels = random_gaussians(count), torch.arange(-1, count - 1)
    splats = clouds.points_from_splats(gaussians, labels)
    assert np.array_equal(splats["scale_1"], gaussians.scales[:, 1].numpy())
    assert np.array_equal(splats["rot_w"], gaussians.quats[:, 0].numpy())
    assert np.array_equal(splats["f_dc_2"], gaussians.sh[:, 0, 2].numpy())
    assert np.array_equal(splats["opacity"], gaussians.opacities.numpy())
    rgb = np.tile(np.uint8([[1, 2, 3]]), (count, 1))
    points = clouds.points_from_map(gaussians, rgb, labels, 1000)
    assert points["object_id"].tolist() == splats["object_id"].tolist() == [0, 0, 1, 2, 3][:count]
    assert set(points["rgb"].view(np.uint32)) <= {0x010203}


def test_map_cloud_is_thinned_evenly():
    gaussians = random_gaussians(100)
    rgb = np.zeros((100, 3), np.uint8)
    points = clouds.points_from_map(gaussians, rgb, torch.zeros(100), 30)
    assert np.array_equal(points["x"], gaussians.means[::4, 0].numpy())


def mask_array(*layers):
    msg = ObjectMaskArray(height=4, width=6)
    for i, pixels in enumerate(layers, 1):
        image = images.msg_from_mono(np.array(pixels, np.uint8), HEADER)
        msg.masks.append(ObjectMask(id=i, x_offset=1, y_offset=1, mask=image, score=0.5))
    return msg


def test_no_masks_make_no_layers():
    assert masks.layers_from_msg(ObjectMaskArray()) == []


def test_masks_that_touch_go_to_different_layers():
    apart = masks.layers_from_msg(mask_array([[1, 128, 0]], [[0, 0, 1]]))
    assert len(apart) == 1
    assert apart[0].label_image[1].tolist() == [0, 1, IGNORE, 2, 0, 0]
    assert [owner.object_id for owner in apart[0].owners] == [1, 2]
    over = masks.layers_from_msg(mask_array([[1, 1, 0]], [[0, 1, 1]]))
    assert [layer.label_image[1].tolist() for layer in over] == [
        [0, 1, 1, 0, 0, 0],
        [0, 0, 1, 1, 0, 0],
    ]


def test_mask_survives_the_round_trip():
    for pixels in (np.zeros((4, 6), bool), np.eye(4, 6, 2, dtype=bool)):
        mask = masks.msg_from_mask(pixels, masks.MaskOwner(1, "mug", 0.5))
        if pixels.any():
            msg = ObjectMaskArray(height=4, width=6, masks=[mask])
            assert np.array_equal(masks.layers_from_msg(msg)[0].label_image, pixels.astype(int))
        else:
            assert (mask.mask.width, mask.mask.height) == (0, 0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: setattr(m, "x_offset", 5), "inside 6x4 px"),
        (lambda m: setattr(m, "y_offset", 1 << 31), "inside 6x4 px"),
        (lambda m: setattr(m, "score", math.nan), "not in"),
        (lambda m: setattr(m.mask, "encoding", "rgb8"), "publish mono8"),
        (lambda m: setattr(m.mask, "data", []), "0 bytes"),
    ],
)
def test_broken_mask_is_refused(change, told):
    msg = mask_array([[1, 1]])
    change(msg.masks[0])
    with pytest.raises(ClickGSError, match=told):
        masks.layers_from_msg(msg)


def test_a_claimed_giant_picture_is_refused():
    msg = mask_array([[1, 1]])
    msg.height = msg.width = (1 << 32) - 1
    with pytest.raises(ClickGSError):
        masks.layers_from_msg(msg)


def test_object_and_its_markers_say_the_same():
    T = pose_from(torch.eye(3), torch.tensor([1.0, 2.0, 3.0]))
    size = torch.tensor([0.3, 0.2, 0.1])
    found = SegmentedObject(
        id=7, name="mug", score=0.5, gaussian_ids=torch.arange(4), view_count=3, pose=T, size=size
    )
    cloud = PointCloud(
        points=torch.rand(4, 3),
        colors=torch.zeros(4, 3, dtype=torch.uint8),
        normals=torch.zeros(4, 3),
        object_ids=torch.full((4,), 7, dtype=torch.int32),
        scores=torch.rand(4),
    )
    rejected = [0, 2, 0, 3, 4]  # by gates.Objection: cut by the border 2, unsure 3, disagrees 4
    ballot = Ballot(
        name="mug", votes=Votes.none(1, 4), revision=9, settled=False, rejected=tuple(rejected)
    )
    msg = objects.msg_from_object(found, ballot, cloud, HEADER)
    assert (msg.id, msg.name, msg.gaussian_count, msg.view_count) == (7, "mug", 4, 3)
    assert (msg.revision, msg.settled, msg.rejected_count) == (9, False, 7)
    points = clouds.points_from_msg(msg.cloud)
    assert np.array_equal(points["x"], cloud.points[:, 0].numpy())
    assert np.array_equal(points["score"], cloud.scores.numpy())
    clear, box, text = objects.markers_from_objects([msg], HEADER).markers
    assert clear.action == clear.DELETEALL
    assert (box.pose, box.scale, text.text) == (msg.pose, msg.size, "mug")
    assert text.pose.position.z == pytest.approx(3.15)
    assert len(objects.markers_from_objects([], HEADER).markers) == 1
