# SPDX-License-Identifier: Apache-2.0
"""How masks are made worse: as announced, and no worse."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from ros2_clickgs.core.types import IGNORE
from ros2_clickgs.scenes.noise import (
    MaskNoise,
    moved_borders,
    noisy_masks,
    noisy_object_masks,
    noisy_pose,
)
from tests.conftest import random_camera

CLEAN = {
    "border_px": 0.0, "missing_share": 0.0, "wrong_share": 0.0, "split_view_share": 0.0,
}  # fmt: skip


def labels() -> np.ndarray:
    image = np.zeros((120, 160), np.int32)
    for k in range(12):
        v, u = 5 + 38 * (k // 4), 5 + 39 * (k % 4)
        image[v : v + 26, u : u + 28] = k + 1
    return image


def views(count: int, **noise: float) -> list[np.ndarray]:
    settings = MaskNoise(**(CLEAN | noise))
    return [noisy_masks(labels(), np.random.default_rng(i), settings) for i in range(count)]


def test_without_noise_only_the_ids_change() -> None:
    first, second = views(2)
    assert ((first > 0) == (labels() > 0)).all()
    pairs = {(a, b) for a, b in zip(labels().ravel(), first.ravel(), strict=True)}
    assert len(pairs) == 13
    assert (first != second).any()


def test_the_same_numbers_give_the_same_masks() -> None:
    again = [noisy_masks(labels(), np.random.default_rng(5)) for _ in range(2)]
    assert (again[0] == again[1]).all()


def test_borders_move_by_no_more_than_announced() -> None:
    moved = moved_borders(labels(), 3.0, np.random.default_rng(0))
    changed = moved != labels()
    assert changed.any()
    to_border = np.minimum(
        distance_transform_edt(labels() > 0), distance_transform_edt(labels() == 0) + 1e9
    )
    assert to_border[changed & (labels() > 0)].max() <= 4.5


@pytest.mark.parametrize(("share", "name"), [(0.2, "missing_share"), (0.05, "wrong_share")])
def test_shares_are_kept(share: float, name: str) -> None:
    left = [len(set(np.unique(view)) - {0, IGNORE}) for view in views(300, **{name: share})]
    assert 1 - np.mean(left) / 12 == pytest.approx(share, abs=0.025)


def test_missing_masks_are_unlabelled_or_background() -> None:
    (unlabelled,) = views(1, missing_share=1.0)
    assert set(np.unique(unlabelled)) == {0, IGNORE}
    (background,) = views(1, missing_share=1.0, missing_label=0)
    assert set(np.unique(background)) == {0}


def test_some_views_fall_into_pieces_or_are_joined() -> None:
    counts = [len(np.unique(view)) - 1 for view in views(300, split_view_share=0.15)]
    changed = np.mean([count != 12 for count in counts])
    assert 0.03 < changed < 0.2
    assert max(counts) > 12


def test_asked_for_objects_keep_their_ids_and_what_is_missing_is_background() -> None:
    for i in range(30):
        noisy = noisy_object_masks(labels(), np.random.default_rng(i))
        assert set(np.unique(noisy)) <= set(range(13))
        same = (noisy == labels())[labels() > 0].mean()
        assert 0.4 < same < 1.0


def test_poses_are_off_by_what_was_said() -> None:
    camera = random_camera()
    off = noisy_pose(camera, np.random.default_rng(0), distance_m=0.02, angle_deg=1.5)
    assert float((off.center - camera.center).norm()) == pytest.approx(0.02)
    turn = off.T_world_camera[:3, :3].T @ camera.T_world_camera[:3, :3]
    assert float(torch.arccos((turn.trace() - 1) / 2)) == pytest.approx(np.deg2rad(1.5), abs=1e-6)
