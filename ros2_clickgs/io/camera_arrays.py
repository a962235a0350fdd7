# SPDX-License-Identifier: Apache-2.0
"""Named cameras as arrays of an .npz, and back."""

from collections.abc import Sequence

import numpy as np
import torch

from ros2_clickgs.core.types import Camera
from ros2_clickgs.io.npz import NpzReader
from ros2_clickgs.io.views import View


def camera_arrays(views: Sequence[View]) -> dict[str, np.ndarray]:
    """Return names, intrinsics, poses and sizes (width, height) of views."""
    cameras = [view.camera for view in views]
    return {
        "view_names": np.array([view.name for view in views], dtype=np.str_),
        "view_K": np.array([camera.K.numpy() for camera in cameras]).reshape(-1, 3, 3),
        "view_poses": np.array([c.T_world_camera.numpy() for c in cameras]).reshape(-1, 4, 4),
        "view_sizes": np.array([(c.width, c.height) for c in cameras], np.int32).reshape(-1, 2),
    }


def views_from_arrays(arrays: NpzReader) -> list[View]:
    """Return the views that an open file holds, without images.

    Raises:
        FileFormatError: it holds none, or not as many cameras as names.
    """
    names = arrays.texts("view_names")
    numbers = [arrays.numbers(f"view_{what}", float) for what in ("K", "poses", "sizes")]
    if not all(len(rows) == len(names) for rows in numbers):
        raise arrays.error("does not hold as many cameras as names")
    return [
        View(
            name=name,
            camera=Camera(
                K=torch.from_numpy(K),
                T_world_camera=torch.from_numpy(pose),
                width=int(size[0]),
                height=int(size[1]),
            ),
        )
        for name, K, pose, size in zip(names, *numbers, strict=True)
    ]
