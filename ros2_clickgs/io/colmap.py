# SPDX-License-Identifier: Apache-2.0
"""COLMAP's sparse reconstruction, text or binary: cameras and images; points are not needed.

Format: https://colmap.github.io/format.html. Poses are world-to-camera with OpenCV axes.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ros2_clickgs.core.geometry import pose_from, rotmat_from_quat_wxyz
from ros2_clickgs.errors import CameraFormatError
from ros2_clickgs.io.views import View, pinhole, resolve_file, view_names

MODEL_NAMES = (
    "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE",
    "FULL_OPENCV", "FOV", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "THIN_PRISM_FISHEYE",
)  # fmt: skip
"""COLMAP's models by number."""
PARAMETER_COUNT = {"SIMPLE_PINHOLE": 3, "PINHOLE": 4}
UNDISTORT = "run `colmap image_undistorter` and give its sparse folder"
EXPORT_AGAIN = "copy or export the reconstruction again"
POINT_BYTES = 24
"""x, y and point id of one observation; skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intrinsics:
    """A COLMAP camera."""

    model: str
    """Its model's name."""
    size: tuple[int, int]
    """Width and height, in px."""
    parameters: tuple[float, ...]
    """f, cx, cy or fx, fy, cx, cy, in px."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PosedName:
    """A COLMAP image."""

    name: str
    """Path below the image folder."""
    camera_id: int
    """Which intrinsics."""
    quat_wxyz: tuple[float, ...]
    """World-to-camera rotation."""
    translation: tuple[float, ...]
    """World-to-camera translation, in m."""


def load_colmap(folder: Path) -> list[View]:
    """Return the views of a folder with cameras.bin and images.bin, or .txt, sorted by name.

    Raises:
        CameraFormatError: a file is broken, or a camera is no SIMPLE_PINHOLE or PINHOLE.
    """
    suffix = ".bin" if (folder / "cameras.bin").exists() else ".txt"
    cameras_path, images_path = folder / f"cameras{suffix}", folder / f"images{suffix}"
    binary = suffix == ".bin"
    cameras = dict((_binary_cameras if binary else _text_cameras)(cameras_path))
    images = list((_binary_images if binary else _text_images)(images_path))
    images.sort(key=lambda image: image.name)
    if not images:
        raise CameraFormatError(images_path, "lists no images", EXPORT_AGAIN)
    names = view_names([image.name for image in images])
    return [_view(images_path, n, i, cameras) for n, i in zip(names, images, strict=True)]


def _view(path: Path, name: str, image: PosedName, cameras: dict[int, Intrinsics]) -> View:
    if image.camera_id not in cameras:
        problem = f"image '{image.name}' names camera {image.camera_id}, which is not listed"
        raise CameraFormatError(path, problem, EXPORT_AGAIN)
    intrinsics = cameras[image.camera_id]
    focal_x, *focal_y, cx, cy = intrinsics.parameters
    camera = pinhole(
        path,
        image.name,
        focal=(focal_x, focal_y[0] if focal_y else focal_x),
        center=(cx, cy),
        size=intrinsics.size,
        T_world_camera=_inverse_pose(path, image),
    )
    return View(name=name, camera=camera, image_path=_image_path(path.parent, image.name))


def _inverse_pose(path: Path, image: PosedName) -> torch.Tensor:
    quat = torch.tensor(image.quat_wxyz, dtype=torch.float64)
    if not 0.5 < quat.norm() < 2:
        problem = f"image '{image.name}' has the quaternion {list(image.quat_wxyz)}"
        raise CameraFormatError(path, f"{problem}, not of length 1", EXPORT_AGAIN)
    R_world_camera = rotmat_from_quat_wxyz(quat).T
    translation = torch.tensor(image.translation, dtype=torch.float64)
    return pose_from(R_world_camera, -R_world_camera @ translation)


def _image_path(sparse_folder: Path, name: str) -> Path | None:
    for folder in (sparse_folder, *sparse_folder.parents[:2]):
        if found := resolve_file(folder, name):
            return found
    return None


def _intrinsics(path: Path, model: str, size: tuple[int, int], parameters) -> Intrinsics:
    if model not in PARAMETER_COUNT:
        raise CameraFormatError(path, f"has the camera model {model[:40]}, no pinhole", UNDISTORT)
    if len(parameters) != PARAMETER_COUNT[model]:
        problem = f"gives {len(parameters)} parameters for a {model}"
        raise CameraFormatError(path, problem, EXPORT_AGAIN)
    return Intrinsics(model=model, size=size, parameters=tuple(parameters))


def _text_lines(path: Path) -> Iterator[list[str]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.startswith("#"):
            yield line.split()


def _text_cameras(path: Path) -> Iterator[tuple[int, Intrinsics]]:
    for words in _text_lines(path):
        if not words:
            continue
        try:
            camera_id, model, width, height, *parameters = words
            size, numbers = (int(width), int(height)), [float(word) for word in parameters]
            yield int(camera_id), _intrinsics(path, model, size, numbers)
        except ValueError as error:
            if isinstance(error, CameraFormatError):
                raise
            raise _broken_line(path, words) from None


def _text_images(path: Path) -> Iterator[PosedName]:
    lines = list(_text_lines(path))
    for words in lines[::2]:
        if not words:
            continue
        try:
            _, *pose, camera_id, name = [*words[:9], " ".join(words[9:])]
            numbers = [float(word) for word in pose]
            if len(numbers) != 7:
                raise ValueError
            yield PosedName(
                name=name, camera_id=int(camera_id),
                quat_wxyz=tuple(numbers[:4]), translation=tuple(numbers[4:]),
            )  # fmt: skip
        except ValueError:
            raise _broken_line(path, words) from None


def _broken_line(path: Path, words: list[str]) -> CameraFormatError:
    return CameraFormatError(path, f"has a broken line: {' '.join(words)[:60]!r}", EXPORT_AGAIN)


class _Reader:
    """Bytes with a position that never passes their end."""

    def __init__(self, path: Path) -> None:
        self.path, self.bytes, self.position = path, path.read_bytes(), 0

    def take(self, layout: str) -> tuple:
        """Return the next values of a struct layout."""
        fields = struct.Struct("<" + layout)
        self._advance(fields.size)
        return fields.unpack_from(self.bytes, self.position - fields.size)

    def text(self) -> str:
        """Return the next zero-terminated string."""
        end = self.bytes.find(b"\0", self.position)
        if end < 0:
            self._advance(len(self.bytes) + 1)
        text = self.bytes[self.position : end].decode("utf-8", errors="replace")
        self.position = end + 1
        return text

    def skip(self, count: int) -> None:
        """Pass over bytes."""
        self._advance(count)

    def _advance(self, count: int) -> None:
        if self.position + count > len(self.bytes):
            problem = f"is truncated: it ends at byte {len(self.bytes)} amid a record"
            raise CameraFormatError(self.path, problem, EXPORT_AGAIN)
        self.position += count


def _binary_cameras(path: Path) -> Iterator[tuple[int, Intrinsics]]:
    reader = _Reader(path)
    (count,) = reader.take("Q")
    for _ in range(count):
        camera_id, model_id, width, height = reader.take("IiQQ")
        model = MODEL_NAMES[model_id] if 0 <= model_id < len(MODEL_NAMES) else f"number {model_id}"
        parameters = reader.take(f"{PARAMETER_COUNT.get(model, 0)}d")
        yield camera_id, _intrinsics(path, model, (width, height), parameters)


def _binary_images(path: Path) -> Iterator[PosedName]:
    reader = _Reader(path)
    (count,) = reader.take("Q")
    for _ in range(count):
        _, *pose, camera_id = reader.take("I7dI")
        name = reader.text()
        (point_count,) = reader.take("Q")
        reader.skip(point_count * POINT_BYTES)
        yield PosedName(
            name=name, camera_id=camera_id,
            quat_wxyz=tuple(pose[:4]), translation=tuple(pose[4:]),
        )  # fmt: skip
