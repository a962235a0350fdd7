# SPDX-License-Identifier: Apache-2.0
"""Posed cameras of a dataset, from whichever of the known files it has."""

from pathlib import Path

from ros2_clickgs.errors import CameraFormatError, NotFoundError
from ros2_clickgs.io.colmap import load_colmap
from ros2_clickgs.io.transforms import load_transforms, save_transforms
from ros2_clickgs.io.views import View

__all__ = ["View", "find_view", "load_views", "save_transforms"]

TRANSFORMS = "transforms.json"
SPARSE_FOLDERS = ("", "0", "sparse/0", "sparse", "colmap/sparse/0")


def load_views(path: str | Path) -> list[View]:
    """Return the posed images of a dataset; OpenCV axes, whatever the file's are.

    Args:
        path: a transforms.json, a COLMAP sparse folder, or a folder that holds either.

    Raises:
        CameraFormatError: there is none, it is broken, or a camera is not a rectified pinhole.
    """
    path = Path(path)
    try:
        return _load(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CameraFormatError(path, f"cannot be read ({reason})", "check the path") from error


def _load(path: Path) -> list[View]:
    if path.is_file() and path.suffix.lower() != ".json":
        path = path.parent
    if not path.is_dir():
        return load_transforms(path)
    if (path / TRANSFORMS).is_file():
        return load_transforms(path / TRANSFORMS)
    for name in SPARSE_FOLDERS:
        if any((path / name / f"cameras{suffix}").is_file() for suffix in (".bin", ".txt")):
            return load_colmap(path / name)
    problem = f"holds neither {TRANSFORMS} nor COLMAP's cameras and images (.bin or .txt)"
    raise CameraFormatError(path, problem, "give the file or the sparse folder itself")


def find_view(views: list[View], name: str) -> View:
    """Return the view called `name`.

    Raises:
        NotFoundError: no view is called so; shows some that are.
    """
    for view in views:
        if view.name == name:
            return view
    shown = ", ".join(view.name for view in views[:8]) + (", ..." if len(views) > 8 else "")
    raise NotFoundError("view", name, shown)
