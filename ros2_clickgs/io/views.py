# SPDX-License-Identifier: Apache-2.0
"""One posed image of a dataset: a camera, and where its pictures lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path, PurePosixPath

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import CameraFormatError, ClickGSError

IMAGE_SUFFIXES = ("", ".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG")
MAX_IMAGE_SIDE_PX = 1 << 16


@dataclass(frozen=True, kw_only=True)
class View:
    """A camera of a dataset and the files that belong to it."""

    name: str
    """The image's stem; with the folder in front where two images share one."""
    camera: Camera
    """Intrinsics and pose."""
    image_path: Path | None = None
    """RGB image, None where no such file is."""
    depth_path: Path | None = None
    """Depth image registered to the RGB image, None where no such file is."""
    depth_unit_m: float = 0.001
    """Length of one step of the depth image, in m."""
    split: str = ""
    """`train`, `test` or nothing, as the dataset lists it."""


def pinhole(
    path: Path,
    name: str,
    *,
    focal: tuple[float, float],
    center: tuple[float, float],
    size: tuple[int, int],
    T_world_camera: Float[Tensor, "4 4"],
) -> Camera:
    """Return the camera of one image; focal, center and size are (x, y) in px.

    Raises:
        CameraFormatError: the numbers are no pinhole camera or no pose; says which image.
    """
    K = torch.tensor([[focal[0], 0, center[0]], [0, focal[1], center[1]], [0, 0, 1]]).double()
    if max(size) > MAX_IMAGE_SIDE_PX:
        problem = f"image '{name}' claims {size[0]}x{size[1]} px"
        raise CameraFormatError(path, problem, "correct it")
    try:
        return Camera(K=K, T_world_camera=T_world_camera, width=size[0], height=size[1])
    except ClickGSError as error:
        raise CameraFormatError(path, f"image '{name}': {error}") from None


def resolve_file(folder: Path, name: str | None) -> Path | None:
    """Return the existing file that `name` means, beside the camera file or in `images/`.

    The suffix may be missing. None if there is no such file.
    """
    if not name or "\0" in name:
        return None
    images = folder / "images"
    for place in (folder / name, images / name, images / PurePosixPath(name).name):
        for suffix in IMAGE_SUFFIXES:
            candidate = place.with_name(place.name + suffix) if place.name else place
            if candidate.is_file():
                return candidate
    return None


def view_names(paths: Sequence[str]) -> list[str]:
    """Return a short name per image path: its stem, or the path below the common folder."""
    pure = [PurePosixPath(path.replace("\\", "/")) for path in paths]
    known = {suffix for suffix in IMAGE_SUFFIXES if suffix}
    stems = [p.stem if p.suffix in known else p.name for p in pure]
    if len(set(stems)) == len(stems):
        return stems
    folder = commonpath([p.parent for p in pure])
    return [str(p.parent.relative_to(folder) / stem) for p, stem in zip(pure, stems, strict=True)]
