# SPDX-License-Identifier: Apache-2.0
"""The map prompts: what is known of an object, splatted into a view, says where to look for it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.segmenter import Prompt
from ros2_clickgs.core.types import Camera
from ros2_clickgs.core.views import unseen_shares
from ros2_clickgs.core.votes import Votes

SURE = 0.9
"""Share of a pixel from which it certainly shows the object, or another one."""
HALF = 0.5
"""Share of a pixel from which it rather shows the object than not."""
UNSEEN_SHARE = 0.15
"""Never-seen surface near the object, as a share of it, up to which it is kept in a box."""
WINDOW = 0.5
"""What lies within so much of an object's size around it is near."""
BESIDE = 0.12
"""Negative points keep this distance from an object, as a share of its size."""
LEAST_BESIDE_PX = 6
"""Or this one, if that is more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the map says of one object in one view, before anybody looks at the image."""

    soft: Float32[np.ndarray, "H W"]
    """The object's share of each pixel."""
    unseen: Float32[np.ndarray, "H W"]
    """The share of what no view has shown: it may be the object's, too."""
    others: Float32[np.ndarray, "H W"]
    """The share of other objects."""


def predict(
    rasterizer: Rasterizer,
    camera: Camera,
    members: Bool[Tensor, " N"],
    votes: Votes,
    others: Bool[Tensor, " N"],
) -> Prediction:
    """Splat what is known of an object into a view.

    Args:
        rasterizer: the map.
        camera: the view.
        members: which Gaussians are the object's, as far as is known.
        votes: what has been said about it (L = 1); their sum is how well a Gaussian was seen.
        others: which Gaussians are other objects'.
    """
    values = torch.stack([members.float(), unseen_shares(votes), others.float()], -1)
    image = rasterizer.splat(camera, values).cpu().numpy()
    soft, unseen, other = np.ascontiguousarray(image.transpose(2, 0, 1))
    return Prediction(soft=soft, unseen=np.minimum(unseen, 1 - soft), others=other)


def guided_prompt(prediction: Prediction, clicked: Prompt | None = None) -> Prompt:
    """Return what the map asks for in a view; clicks that it shows stand in for its own guesses.

    Never-seen surface near the object may be its own: the soft mask is undecided there, and where
    there is much of it, no box is given.
    """
    window = near(prediction.soft)
    soft = prediction.soft.copy()
    soft[window] += HALF * prediction.unseen[window]
    if clicked is not None:
        points, labels = clicked.point_coords, clicked.point_labels
        return Prompt(point_coords=points, point_labels=labels, soft_mask=soft)
    points, labels = guiding_points(prediction)
    unseen = prediction.unseen[window].sum() / max(prediction.soft[window].sum(), 1.0)
    box = box_of(prediction.soft > HALF) if unseen < UNSEEN_SHARE else None
    return Prompt(point_coords=points, point_labels=labels, box=box, soft_mask=soft)


def contradicts(soft: Float32[np.ndarray, "H W"], clicked: Prompt) -> bool:
    """Tell whether a click says otherwise than the object splatted into its view."""
    u, v = clicked.point_coords.astype(int).T
    return bool(((soft[v, u] > HALF) != clicked.point_labels).any())


def guiding_points(
    prediction: Prediction,
) -> tuple[Float[np.ndarray, "P 2"], Bool[np.ndarray, " P"]]:
    """Return pixels (u, v) on the object where that is sure, and beside it where it is confusable.

    One is on it, farthest from its outline. Others are on what surrounds it, left and right of it,
    above and below, where that has been seen, and on each other object nearby.
    """
    window = near(prediction.soft)
    corner = np.array([window[1].start, window[0].start])
    soft, unseen, others = (
        image[window] for image in (prediction.soft, prediction.unseen, prediction.others)
    )
    inside = innermost(soft > SURE)
    outside = [*points_beside(soft, unseen + others), *innermost(others > SURE)]
    points = np.array([*inside, *outside], float).reshape(-1, 2) + corner + 0.5
    return points, np.arange(len(points)) < len(inside)


def innermost(mask: Bool[np.ndarray, "H W"]) -> list[tuple[int, int]]:
    """Return the pixel (column, row) of a mask that is farthest from its border; none of none."""
    if not mask.any():
        return []
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), mask.shape)
    return [(int(column), int(row))]


def points_beside(
    soft: Float32[np.ndarray, "H W"], taken: Float32[np.ndarray, "H W"]
) -> list[tuple[int, int]]:
    """Return up to four pixels (column, row) around an object, one on each side of it.

    Args:
        soft: the object's share of each pixel.
        taken: pixels that show what is not meant by that.
    """
    is_object = soft > 1 - SURE
    if not is_object.any():
        return []
    size = np.sqrt(is_object.sum())
    distance = distance_transform_edt(~is_object)
    width = max(BESIDE * size, LEAST_BESIDE_PX)
    rows, columns = np.nonzero((distance >= width) & (distance < 2 * width) & (taken < 1 - SURE))
    if not len(rows):
        return []
    ends = {int(f(x)) for x in (rows, columns) for f in (np.argmin, np.argmax)}
    return [(int(columns[i]), int(rows[i])) for i in sorted(ends)]


def near(soft: Float32[np.ndarray, "H W"]) -> tuple[slice, slice]:
    """Return rows and columns of the window around an object; all if it is not there."""
    is_object = soft > HALF
    if not is_object.any():
        return slice(0, soft.shape[0]), slice(0, soft.shape[1])
    spans = []
    for axis in (1, 0):
        there = np.nonzero(is_object.any(axis))[0]
        margin = int(WINDOW * (there[-1] - there[0] + 1)) + 2 * LEAST_BESIDE_PX
        spans.append(slice(max(there[0] - margin, 0), there[-1] + margin + 1))
    return spans[0], spans[1]


def box_of(mask: Bool[np.ndarray, "H W"]) -> Float[np.ndarray, " 4"] | None:
    """Return (u_min, v_min, u_max, v_max) around a mask with a margin; None of an empty one."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return None
    margin = max(BESIDE * np.sqrt(len(rows)), LEAST_BESIDE_PX)
    low = np.maximum((columns.min() - margin, rows.min() - margin), 0)
    high = np.minimum((columns.max() + 1 + margin, rows.max() + 1 + margin), mask.shape[::-1])
    return np.concatenate([low, high]).astype(float)
