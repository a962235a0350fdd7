# SPDX-License-Identifier: Apache-2.0
"""nerfstudio's transforms.json: OpenGL camera axes (x right, y up, z back), turned once, here."""

import json
import math
from collections.abc import Sequence
from os.path import relpath
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.errors import CameraFormatError
from ros2_clickgs.io.atomic import atomic_path
from ros2_clickgs.io.images import image_size
from ros2_clickgs.io.views import View, pinhole, resolve_file, view_names

PINHOLE_MODELS = ("PINHOLE", "SIMPLE_PINHOLE", "OPENCV", "SIMPLE_RADIAL", "RADIAL")
"""Models that are a pinhole when all their distortion coefficients are zero."""
DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
UNDISTORT = "undistort the images first (COLMAP image_undistorter, ns-process-data)"
OPENGL_AXES = torch.tensor([1.0, -1.0, -1.0, 1.0]).double()
DEFAULT_DEPTH_UNIT_M = 0.001


def load_transforms(path: Path) -> list[View]:
    """Return the views of a transforms.json, in file order.

    Raises:
        CameraFormatError: the file is broken, or a camera is no rectified pinhole with a pose.
    """
    try:
        shared = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        problem = f"is no JSON ({str(error)[:80]})"
        raise CameraFormatError(path, problem, "copy or export it again") from None
    frames = shared.get("frames") if isinstance(shared, dict) else None
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise CameraFormatError(path, "has no list 'frames'", "give a nerfstudio transforms.json")
    if not frames:
        raise CameraFormatError(path, "lists no frames", "give at least one posed image")
    file_names = [str(frame.get("file_path", f"frame_{i:05d}")) for i, frame in enumerate(frames)]
    splits = {
        name: split
        for split in ("train", "test")
        for name in shared.get(f"{split}_filenames") or []
        if isinstance(name, str)
    }
    return [
        _view(path, name, {**shared, **frame}, splits.get(str(frame.get("file_path")), ""))
        for name, frame in zip(view_names(file_names), frames, strict=True)
    ]


def _view(path: Path, name: str, frame: dict, split: str) -> View:
    _check_pinhole(path, name, frame)
    image_path = resolve_file(path.parent, _text(frame, "file_path"))
    width, height = _size(path, name, frame, image_path)
    fl_x = _focal_x(path, name, frame, width)
    camera = pinhole(
        path,
        name,
        focal=(fl_x, _number(path, name, frame, "fl_y", fl_x)),
        center=(
            _number(path, name, frame, "cx", width / 2),
            _number(path, name, frame, "cy", height / 2),
        ),
        size=(width, height),
        T_world_camera=_pose(path, name, frame.get("transform_matrix")) * OPENGL_AXES,
    )
    return View(
        name=name,
        camera=camera,
        image_path=image_path,
        depth_path=resolve_file(path.parent, _text(frame, "depth_file_path")),
        depth_unit_m=_depth_unit(path, name, frame),
        split=split,
    )


def _text(frame: dict, key: str) -> str | None:
    value = frame.get(key)
    return value if isinstance(value, str) else None


def _number(path: Path, name: str, frame: dict, key: str, default: float) -> float:
    value = frame.get(key, default)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not -1e12 < value < 1e12:
        problem = f"image '{name}': '{key}' is {str(value)[:40]!r}, not a number"
        raise CameraFormatError(path, problem, "correct it")
    return float(value)


def _check_pinhole(path: Path, name: str, frame: dict) -> None:
    model = frame.get("camera_model", "PINHOLE")
    if model not in PINHOLE_MODELS or frame.get("is_fisheye"):
        problem = f"image '{name}' has the camera model {str(model)[:40]!r}"
        raise CameraFormatError(path, f"{problem}, not a pinhole", UNDISTORT)
    distorted = [key for key in DISTORTION if _number(path, name, frame, key, 0.0) != 0]
    if distorted:
        problem = f"image '{name}' is distorted: {distorted[0]} = {frame[distorted[0]]}"
        raise CameraFormatError(path, problem, UNDISTORT)


def _size(path: Path, name: str, frame: dict, image_path: Path | None) -> tuple[int, int]:
    if ("w" not in frame or "h" not in frame) and image_path is not None:
        return image_size(image_path)
    width, height = (_number(path, name, frame, key, 0) for key in ("w", "h"))
    if not (width.is_integer() and height.is_integer() and width >= 1 and height >= 1):
        problem = f"image '{name}' has the size {width:g}x{height:g} px"
        raise CameraFormatError(path, problem, "give 'w' and 'h' in whole pixels, or the image")
    return int(width), int(height)


def _focal_x(path: Path, name: str, frame: dict, width: int) -> float:
    if "fl_x" in frame:
        return _number(path, name, frame, "fl_x", 0)
    angle = _number(path, name, frame, "camera_angle_x", 0)
    if not 0 < angle < math.pi:
        problem = f"image '{name}' has neither 'fl_x' nor a 'camera_angle_x'"
        raise CameraFormatError(path, problem, "give the focal length in px as 'fl_x'")
    return width / 2 / math.tan(angle / 2)


def _depth_unit(path: Path, name: str, frame: dict) -> float:
    unit = _number(path, name, frame, "depth_unit_scale_factor", DEFAULT_DEPTH_UNIT_M)
    if unit <= 0:
        problem = f"'depth_unit_scale_factor' is {unit:g}"
        raise CameraFormatError(path, problem, "give the metres of one depth step, such as 0.001")
    return unit


def _pose(path: Path, name: str, matrix: object) -> Float[Tensor, "4 4"]:
    try:
        T = torch.tensor(matrix, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        T = torch.zeros(0)
    if T.shape != (4, 4) or T[3].tolist() != [0, 0, 0, 1]:
        problem = f"image '{name}' has no 4x4 'transform_matrix' that ends in 0 0 0 1"
        raise CameraFormatError(path, problem, "give camera-to-world with OpenGL axes")
    return T


def save_transforms(path: str | Path, views: Sequence[View]) -> None:
    """Write views as a transforms.json; files are named relative to it."""
    path = Path(path)
    transforms = {
        "camera_model": "PINHOLE",
        "depth_unit_scale_factor": views[0].depth_unit_m if views else DEFAULT_DEPTH_UNIT_M,
        "frames": [_frame(path.parent, view) for view in views],
    }
    for split in ("train", "test"):
        if names := [_file_name(path.parent, view) for view in views if view.split == split]:
            transforms[f"{split}_filenames"] = names
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(transforms, indent=2), encoding="utf-8")


def _file_name(folder: Path, view: View) -> str:
    if view.image_path is None:
        return f"images/{view.name}.png"
    return Path(relpath(view.image_path, folder)).as_posix()


def _frame(folder: Path, view: View) -> dict:
    K, camera = view.camera.K, view.camera
    frame = {
        "fl_x": K[0, 0].item(),
        "fl_y": K[1, 1].item(),
        "cx": K[0, 2].item(),
        "cy": K[1, 2].item(),
        "w": camera.width,
        "h": camera.height,
        "file_path": _file_name(folder, view),
        "transform_matrix": (camera.T_world_camera * OPENGL_AXES).tolist(),
        "depth_unit_scale_factor": view.depth_unit_m,
    }
    if view.depth_path is not None:
        frame["depth_file_path"] = Path(relpath(view.depth_path, folder)).as_posix()
    return frame
