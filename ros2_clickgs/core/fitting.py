# SPDX-License-Identifier: Apache-2.0
"""Masks moved to where the map shows their objects: what a pose that is off does to a view.

A pose that is off by 1 cm and 0.5 degrees moves a view's masks by several pixels, more than a
spoon is wide. Each mask is moved by itself, since near things move more than far ones.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int32
from scipy.fft import irfft2, next_fast_len, rfft2
from torch import Tensor

from ros2_clickgs.core.gates import AGREEMENT
from ros2_clickgs.core.types import BACKGROUND, IGNORE

REACH = 0.025
"""How far a mask may be moved, as a share of the image's width."""
GAIN = 0.02
"""IoU that a mask must gain by a move; so masks that are right are left as they are."""
FEW = 3
"""Views that must have voted on an object before masks are held against it."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a mask can be put on what the map shows of its object."""

    rows: int
    """How far down the mask has to be moved, in px."""
    columns: int
    """How far to the right, in px."""
    iou: float
    """Soft intersection over union after that, in [0, 1]."""


def fit(
    mask: Bool[np.ndarray, "H W"], soft: Float32[np.ndarray, "H W"], reach: float = REACH
) -> Fit:
    r"""Find the shift under which a mask M covers an object's soft mask S best.

    .. math:: s^* = \arg\max_{|s_u|, |s_v| \le r} \sum_p M_{p-s} S_p

    All shifts at once: they are the cross-correlation of the two, by FFT.

    Args:
        mask: as it was drawn.
        soft: the object splatted into the view, in [0, 1].
        reach: r, as a share of the image's width.
    """
    reach_px = round(reach * mask.shape[1])
    window = bounding_window(mask | (soft > 0), reach_px)
    m, s = mask[window].astype(np.float32), soft[window]
    if not m.any() or not s.any():
        return Fit(0, 0, 0.0)
    size = [next_fast_len(n + reach_px, real=True) for n in m.shape]
    overlaps = irfft2(rfft2(s, size) * rfft2(m, size).conj(), size)
    steps = np.arange(-reach_px, reach_px + 1)
    near = overlaps[np.ix_(steps, steps)]
    ious = near / (m.sum() + s.sum() - near)
    v, u = np.unravel_index(ious.argmax(), ious.shape)
    if ious[v, u] < ious[reach_px, reach_px] + GAIN:
        v = u = reach_px
    return Fit(int(steps[v]), int(steps[u]), float(ious[v, u]))


def bounding_window(mask: Bool[np.ndarray, "H W"], margin: int) -> tuple[slice, slice]:
    """Return the rows and columns that hold a mask, and a margin (px) around them."""
    spans = []
    for hit, length in zip((mask.any(1), mask.any(0)), mask.shape, strict=True):
        where = np.flatnonzero(hit) if hit.any() else np.zeros(1, int)
        spans.append(slice(max(where[0] - margin, 0), min(where[-1] + 1 + margin, length)))
    return spans[0], spans[1]


def moved(mask: Bool[np.ndarray, "H W"], rows: int, columns: int) -> Bool[np.ndarray, "H W"]:
    """Return a mask that many pixels further down and to the right; what leaves is lost."""
    height, width = mask.shape
    there = np.zeros_like(mask)
    there[max(rows, 0) : height + rows, max(columns, 0) : width + columns] = mask[
        max(-rows, 0) : height - rows, max(-columns, 0) : width - columns
    ]
    return there


def fitted(
    label_image: Int[Tensor, "H W"], soft: Float[Tensor, "H W L"], reach: float = REACH
) -> tuple[Int32[Tensor, "H W"], Bool[Tensor, " L"]]:
    """Move a view's masks to where the map shows their objects.

    Args:
        label_image: 0 background, l for the l-th object, IGNORE (-1) does not vote.
        soft: the objects splatted into the view, in [0, 1].
        reach: how far a mask may be moved, as a share of the image's width.

    Returns:
        The label image with masks that fit where they belong, those that do not fit as they were,
        and pixels that two masks then claim ignored; and which objects have a mask that fits: an
        IoU of gates.AGREEMENT or more.
    """
    labels, pictures = label_image.cpu().numpy(), soft.float().cpu().numpy()
    painted = np.where(labels == IGNORE, IGNORE, BACKGROUND).astype(np.int32)
    fits = np.zeros(pictures.shape[2], bool)
    for label in np.unique(labels[labels > BACKGROUND]):
        mask = labels == label
        found = fit(mask, pictures[..., label - 1], reach)
        fits[label - 1] = found.iou >= AGREEMENT
        there = moved(mask, found.rows, found.columns) if fits[label - 1] else mask
        painted[there] = np.where(painted[there] == BACKGROUND, label, IGNORE)
    return torch.from_numpy(painted), torch.from_numpy(fits)
