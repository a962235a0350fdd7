# SPDX-License-Identifier: Apache-2.0
"""Structured numpy arrays to PointCloud2 and back; the columns of the clouds we publish."""

import numpy as np
from jaxtyping import Int, UInt8
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from torch import Tensor

from ros2_clickgs.core.clouds import PointCloud
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import ShapeError
from ros2_clickgs.nodes.conversions.images import bytes_array

FIELD_TYPES = {
    "i1": PointField.INT8, "u1": PointField.UINT8, "i2": PointField.INT16,
    "u2": PointField.UINT16, "i4": PointField.INT32, "u4": PointField.UINT32,
    "f4": PointField.FLOAT32, "f8": PointField.FLOAT64,
}  # fmt: skip
"""numpy's kind and size -> PointField's number."""
NUMPY_TYPES = {number: "<" + name for name, number in FIELD_TYPES.items()}

POINT = np.dtype([
    ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<f4"),
    ("normal_x", "<f4"), ("normal_y", "<f4"), ("normal_z", "<f4"),
    ("object_id", "<u4"), ("score", "<f4"),
])  # fmt: skip
"""`~/object_cloud` and SegmentedObject.cloud: one row per Gaussian, map frame, m."""
MAP_POINT = np.dtype([
    ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<f4"), ("object_id", "<u4"),
])  # fmt: skip
"""`~/map_cloud`: what RViz clicks on."""
SPLAT = np.dtype([
    (name, "<f4")
    for name in ("x", "y", "z", "scale_0", "scale_1", "scale_2", "rot_w", "rot_x", "rot_y",
                 "rot_z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity")
] + [("object_id", "<u4")])  # fmt: skip
"""`~/splats`: scale_* in m and opacity in [0, 1] (activated), f_dc_* the SH's DC term."""


def msg_from_points(points: np.ndarray, header: Header) -> PointCloud2:
    """Return the cloud of a structured array [P]; its columns become the fields."""
    fields = [
        PointField(name=name, offset=offset, datatype=FIELD_TYPES[dtype.str[1:]], count=1)
        for name, (dtype, offset) in points.dtype.fields.items()
    ]
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=points.dtype.itemsize,
        row_step=points.nbytes,
        data=bytes_array(points),
        is_dense=True,
    )


def points_from_msg(msg: PointCloud2) -> np.ndarray:
    """Return a cloud's structured array [P], row padding left out.

    Raises:
        ShapeError: the fields, steps and sizes do not describe the bytes that came.
    """
    row = msg.width * msg.point_step
    if msg.is_bigendian or msg.row_step < row or len(msg.data) != msg.row_step * msg.height:
        expected = f"little-endian, {msg.height} rows of {msg.row_step} bytes, each at least {row}"
        raise ShapeError("cloud", expected=expected, actual=f"{len(msg.data)} bytes")
    rows = np.frombuffer(msg.data, np.uint8).reshape(msg.height, msg.row_step)[:, :row]
    return np.ndarray(msg.height * msg.width, _dtype_of(msg), rows.tobytes())


def _dtype_of(msg: PointCloud2) -> np.dtype:
    ends = [f.offset + np.dtype(NUMPY_TYPES.get(f.datatype, "V")).itemsize for f in msg.fields]
    is_scalar = all(f.datatype in NUMPY_TYPES and f.count == 1 for f in msg.fields)
    is_unique = len({f.name for f in msg.fields}) == len(msg.fields)
    if not is_scalar or not is_unique or max(ends, default=0) > msg.point_step:
        expected = f"different scalars within {msg.point_step} bytes"
        raise ShapeError("cloud.fields", expected=expected, actual=msg.fields)
    return np.dtype(
        {
            "names": [f.name for f in msg.fields],
            "formats": [NUMPY_TYPES[f.datatype] for f in msg.fields],
            "offsets": [f.offset for f in msg.fields],
            "itemsize": msg.point_step,
        }
    )


def points_from_cloud(cloud: PointCloud) -> np.ndarray:
    """Return the rows of an object's cloud."""
    points = np.zeros(len(cloud.points), POINT)
    points["x"], points["y"], points["z"] = cloud.points.numpy().T
    points["normal_x"], points["normal_y"], points["normal_z"] = cloud.normals.numpy().T
    points["rgb"] = packed_rgb(cloud.colors.numpy())
    points["object_id"] = cloud.object_ids.numpy()
    points["score"] = cloud.scores.numpy()
    return points


def points_from_map(
    gaussians: Gaussians, colors: UInt8[np.ndarray, "N 3"], labels: Int[Tensor, " N"], at_most: int
) -> np.ndarray:
    """Return the map's centres with their objects (0 = none), thinned evenly to `at_most`."""
    keep = slice(None, None, max(1, -(-len(gaussians) // at_most)))
    means = gaussians.means[keep].cpu().numpy()
    points = np.zeros(len(means), MAP_POINT)
    points["x"], points["y"], points["z"] = means.T
    points["rgb"] = packed_rgb(colors[keep])
    points["object_id"] = labels[keep].clamp(min=0).cpu().numpy()
    return points


def points_from_splats(gaussians: Gaussians, labels: Int[Tensor, " N"]) -> np.ndarray:
    """Return the 3DGS columns of the map with their objects (0 = none)."""
    g = gaussians.to("cpu")
    splats = np.zeros(len(g), SPLAT)
    columns = [*g.means.T, *g.scales.T, *g.quats.T, *g.sh[:, 0].T, g.opacities]
    for name, column in zip(SPLAT.names, columns, strict=False):
        splats[name] = column.numpy()
    splats["object_id"] = labels.clamp(min=0).cpu().numpy()
    return splats


def packed_rgb(colors: UInt8[np.ndarray, "P 3"]) -> np.ndarray:
    """Return 0x00RRGGBB in the bits of a float32, as PCL and RViz read `rgb`."""
    r, g, b = colors.astype(np.uint32).T
    return ((r << 16) | (g << 8) | b).view(np.float32)
