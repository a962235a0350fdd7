# SPDX-License-Identifier: Apache-2.0
"""Objects of a scene at other places: rigid moves that keep the ground truth true."""

from dataclasses import replace

import torch
from jaxtyping import Float
from numpy.random import default_rng
from torch import Tensor

from ros2_clickgs.core.geometry import (
    quat_multiply_wxyz,
    quat_wxyz_from_rotmat,
)
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.scenes.placement import footprint, free_spot
from ros2_clickgs.scenes.scene import Scene


def place_object(scene: Scene, object_id: int, T_map_object: Float[Tensor, "4 4"]) -> Scene:
    """Return the scene with one object at another pose; the colours keep the light they had.

    Args:
        scene: where the object is.
        object_id: its label, 1 or more.
        T_map_object: its new pose; in its own frame it stands on z = 0, z up. In m.
    """
    T = T_map_object.double() @ torch.linalg.inv(scene.object_poses[object_id])
    chosen, old = scene.object_labels == object_id, scene.gaussians
    R, t = T[:3, :3].float(), T[:3, 3].float()
    means, quats, sh = old.means.clone(), old.quats.clone(), old.sh.clone()
    means[chosen] = means[chosen] @ R.T + t
    turn = quat_wxyz_from_rotmat(R)
    quats[chosen] = quat_multiply_wxyz(turn.expand(int(chosen.sum()), 4), quats[chosen])
    sh[chosen, 1:] = _turned(sh[chosen, 1:], R)
    poses = scene.object_poses.clone()
    poses[object_id] = T_map_object
    return replace(
        scene, gaussians=replace(old, means=means, quats=quats, sh=sh), object_poses=poses
    )


def random_pose(scene: Scene, object_id: int, seed: int) -> Float[Tensor, "4 4"]:
    """Return T_map_object of a free place on the table where the object would stand upright.

    Raises:
        ClickGSError: no place is free.
    """
    means, labels = scene.gaussians.means.double(), scene.object_labels
    pose = torch.linalg.inv(scene.object_poses[object_id])
    own = footprint((means[labels == object_id] @ pose[:3, :3].T + pose[:3, 3]).numpy())
    others = [
        footprint(means[labels == other].numpy())
        for other in range(1, len(scene.object_names))
        if other != object_id
    ]
    spot = free_spot(own, others, default_rng(seed))
    if spot is None:
        name = scene.object_names[object_id]
        raise ClickGSError(f"no free place for '{name}' on the table; use another seed")
    return torch.from_numpy(spot.pose())


def _turned(linear: Float[Tensor, "N 3 3"], R: Float[Tensor, "3 3"]) -> Float[Tensor, "N 3 3"]:
    """Rotate degree 1 harmonics: their coefficients (-k_3, -k_1, k_2) are vectors in space."""
    vectors = torch.stack([-linear[:, 2], -linear[:, 0], linear[:, 1]], 1)
    x, y, z = torch.einsum("ij,njc->nic", R, vectors).unbind(1)
    return torch.stack([-y, z, -x], 1)
