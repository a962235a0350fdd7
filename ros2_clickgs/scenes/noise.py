# SPDX-License-Identifier: Apache-2.0
"""Ground-truth masks made as bad as those of a 2D segmenter, and poses as bad as a robot's.

What is wrong, in each view on its own: borders, masks that are missing, on the wrong thing, in
pieces or joined; of automatic masks also the ids, which mean nothing in any other view. The
background keeps its label 0.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int32
from numpy.random import Generator
from scipy.ndimage import find_objects, gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation

from ros2_clickgs.core.types import BACKGROUND, IGNORE, Camera


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskNoise:
    """How bad the masks are; the defaults are what SAM's automatic masks look like."""

    border_px: float = 3.0
    """Borders are off by up to this much."""
    missing_share: float = 0.2
    """Masks that are not there."""
    wrong_share: float = 0.05
    """Masks that carry the id of another thing in the view."""
    split_view_share: float = 0.15
    """Views in which things fall into pieces or are joined with a neighbour."""
    split_mask_share: float = 0.3
    """Things in such a view that this happens to."""
    missing_label: int = IGNORE
    """What the pixels of a missing mask say."""


def noisy_masks(
    labels: Int32[np.ndarray, "H W"], rng: Generator, noise: MaskNoise | None = None
) -> Int32[np.ndarray, "H W"]:
    """Return one view's label image as an automatic segmenter would have drawn it: ids dealt anew.

    Args:
        labels: ground truth, 0 background.
        rng: decides everything; give each view and level its own.
        noise: how bad.
    """
    return renumbered(worsened(labels, rng, noise or MaskNoise()), rng).astype(np.int32)


def noisy_object_masks(
    labels: Int32[np.ndarray, "H W"], rng: Generator, noise: MaskNoise | None = None
) -> Int32[np.ndarray, "H W"]:
    """Return one view's label image as a segmenter that is asked for each object would draw it.

    Ids are kept. What is missing, and pieces that were cut off, are background: they speak against
    the object whose they are.
    """
    noise = replace(noise or MaskNoise(), missing_label=BACKGROUND)
    worse = worsened(labels, rng, noise)
    return np.where(np.isin(worse, _ids(labels)), worse, BACKGROUND).astype(np.int32)


def noisy_pose(
    camera: Camera, rng: Generator, distance_m: float = 0.01, angle_deg: float = 0.5
) -> Camera:
    """Return a camera off by that distance and turned by that angle, in random directions."""
    step, axis = (direction / np.linalg.norm(direction) for direction in rng.normal(size=(2, 3)))
    turn = Rotation.from_rotvec(np.deg2rad(angle_deg) * axis).as_matrix()
    T = camera.T_world_camera.clone()
    T[:3, :3] = T[:3, :3] @ torch.from_numpy(turn)
    T[:3, 3] += distance_m * torch.from_numpy(step)
    return replace(camera, T_world_camera=T)


def worsened(
    labels: Int32[np.ndarray, "H W"], rng: Generator, noise: MaskNoise
) -> Int32[np.ndarray, "H W"]:
    """Return labels with all that is wrong but their ids; pieces that are cut off get new ones."""
    labels = moved_borders(labels, noise.border_px, rng)
    if rng.random() < noise.split_view_share:
        change = cut_in_two if rng.random() < 0.5 else joined_with_neighbour
        labels = _some(labels, noise.split_mask_share, rng, change)
    labels = _some(labels, noise.wrong_share, rng, mistaken)
    missing = [i for i in _ids(labels) if rng.random() < noise.missing_share]
    return np.where(np.isin(labels, missing), noise.missing_label, labels)


def moved_borders(labels: np.ndarray, reach_px: float, rng: Generator) -> np.ndarray:
    """Return labels [H, W] with borders that wander by up to `reach_px` (px) over 20 px or so."""
    waves = np.stack([gaussian_filter(rng.normal(size=labels.shape), 8.0) for _ in "vu"])
    length = np.linalg.norm(waves, axis=0).max()
    moved = np.indices(labels.shape) + waves * (reach_px / max(length, 1e-12))
    return map_coordinates(labels, moved, order=0, mode="nearest")


def cut_in_two(labels: np.ndarray, chosen: int, rng: Generator) -> np.ndarray:
    """Return labels in which a random line through the middle of one mask parts it."""
    v, u = np.nonzero(labels == chosen)
    angle = rng.uniform(0, np.pi)
    side = (u - u.mean()) * np.cos(angle) + (v - v.mean()) * np.sin(angle) > 0
    cut = labels.copy()
    cut[v[side], u[side]] = labels.max() + 1
    return cut


def joined_with_neighbour(labels: np.ndarray, chosen: int, rng: Generator) -> np.ndarray:
    """Return labels in which one mask has become part of one that touches its bounding box."""
    box = find_objects((labels == chosen).astype(np.int8))[0]
    wider = tuple(slice(max(s.start - 2, 0), s.stop + 2) for s in box)
    near = [i for i in _ids(labels[wider]) if i != chosen]
    return np.where(labels == chosen, rng.choice(near), labels) if near else labels


def mistaken(labels: np.ndarray, chosen: int, rng: Generator) -> np.ndarray:
    """Return labels in which one mask carries the id of any other one."""
    others = [i for i in _ids(labels) if i != chosen]
    return np.where(labels == chosen, rng.choice(others), labels) if others else labels


def renumbered(labels: np.ndarray, rng: Generator) -> np.ndarray:
    """Return labels whose ids 1, 2, … are dealt anew; background and IGNORE stay."""
    ids = np.array(_ids(labels), dtype=int)
    deal = np.arange(labels.max(initial=0) + 2)
    deal[ids] = rng.permutation(len(ids)) + 1
    return np.where(labels > BACKGROUND, deal[labels], labels)


def _ids(labels: np.ndarray) -> list[int]:
    return [int(i) for i in np.unique(labels) if i > BACKGROUND]


def _some(labels: np.ndarray, share: float, rng: Generator, change) -> np.ndarray:
    """Return labels after `change` has happened to a random share of the masks."""
    for chosen in _ids(labels):
        if rng.random() < share and (labels == chosen).any():
            labels = change(labels, chosen, rng)
    return labels
