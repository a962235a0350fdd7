# SPDX-License-Identifier: Apache-2.0
"""Masked-gradient votes: 2D masks credit the Gaussians that painted them (arXiv:2409.11681).

For and against are kept apart: from them come the paper's rule, the background weight, and a
margin. Votes add up over views, so they can be streamed, saved and merged.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Int32
from torch import Tensor

from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import BACKGROUND, NEVER_SEEN, Camera
from ros2_clickgs.errors import ShapeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """What the views seen so far say about L objects, in pixel-equivalents, >= 0."""

    votes_for: Float[Tensor, "L N"]
    """Weight inside each object's masks."""
    votes_against: Float[Tensor, "L N"]
    """Weight outside them, where the views vote at all."""

    def __add__(self, other: "Votes") -> "Votes":
        return Votes(
            votes_for=self.votes_for + other.votes_for,
            votes_against=self.votes_against + other.votes_against,
        )

    def __sub__(self, other: "Votes") -> "Votes":
        return Votes(
            votes_for=(self.votes_for - other.votes_for).clamp(min=0),
            votes_against=(self.votes_against - other.votes_against).clamp(min=0),
        )

    def __getitem__(self, rows: Int[Tensor, " M"] | list[int]) -> "Votes":
        return Votes(votes_for=self.votes_for[rows], votes_against=self.votes_against[rows])

    @classmethod
    def none(cls, object_count: int, gaussian_count: int) -> "Votes":
        """Return the votes of no view at all."""
        shape = (object_count, gaussian_count)
        return cls(votes_for=torch.zeros(shape), votes_against=torch.zeros(shape))


def cast_votes(
    rasterizer: Rasterizer, camera: Camera, label_image: Int[Tensor, "H W"], object_count: int
) -> Votes:
    r"""Credit every Gaussian with the mask pixels it helped to paint, all objects in one pass.

    A rendered value is :math:`C_p = \sum_i c_i\,\alpha_{pi} T_{pi}`, hence the gradient of
    :math:`\sum_p M_{lp} C_p` with respect to :math:`c_i` is Gaussian i's weight inside mask l:

    .. math:: A_{li} = \sum_p M_{lp}\,\alpha_{pi} T_{pi} \qquad
        \text{for}_{li} = A_{li} \qquad \text{against}_{li} = \sum_{k \neq l} A_{ki}

    Source: Joseph et al., arXiv:2409.11681 (summed, not averaged, so that views of different size
    stay comparable).

    Args:
        rasterizer: owner of the blending weights.
        camera: the view that the masks were drawn in.
        label_image: 0 background, 1 .. object_count objects, IGNORE (-1) does not vote.
        object_count: L; row l - 1 of the result is label l.

    Raises:
        ShapeError: label image and camera disagree on height x width.
    """
    votes_for, seen = weights_inside(rasterizer, camera, label_image, object_count)
    return Votes(votes_for=votes_for, votes_against=seen - votes_for)


def weights_inside(
    rasterizer: Rasterizer, camera: Camera, label_image: Int[Tensor, "H W"], object_count: int
) -> tuple[Float[Tensor, "L N"], Float[Tensor, " N"]]:
    """Return every Gaussian's weight inside each object's mask, and where the view votes at all.

    Raises:
        ShapeError: label image and camera disagree on height x width.
    """
    check_size(label_image, camera)
    inside = rasterizer.vote(camera, label_image, object_count + 1)
    return inside[:, 1:].T.contiguous(), inside.sum(1)


def check_size(label_image: Int[Tensor, "H W"], camera: Camera) -> None:
    """Raise ShapeError unless a label image is as large as its camera's images."""
    if tuple(label_image.shape) != (camera.height, camera.width):
        expected = f"{camera.height}x{camera.width} px like the camera"
        raise ShapeError("label_image", expected=expected, actual=tuple(label_image.shape))


def decide_labels(
    votes: Votes, background_weight: float | Float[Tensor, "L 1"] = 1.0
) -> Int32[Tensor, " N"]:
    """Decide which object owns each Gaussian.

    An object may own a Gaussian when for > background_weight * against (with 1: the paper's rule);
    of several, the one with the most votes for owns it.

    Returns:
        int32 labels: -1 never seen, 0 background, l for row l - 1 of the votes.
    """
    n = votes.votes_for.shape[1]
    labels = torch.full((n,), NEVER_SEEN, dtype=torch.int32, device=votes.votes_for.device)
    if len(votes.votes_for) == 0:
        return labels
    labels[(votes.votes_for + votes.votes_against).amax(0) > 0] = BACKGROUND
    won = wins(votes, background_weight)
    most, owner = torch.where(won, votes.votes_for, 0.0).max(0)
    return torch.where(most > 0, owner.int() + 1, labels)


def wins(
    votes: Votes, background_weight: float | Float[Tensor, "*L 1"] = 1.0
) -> Bool[Tensor, "L N"]:
    """Return which Gaussians each object may own: for > background_weight * against."""
    return votes.votes_for > background_weight * votes.votes_against


def margins(votes: Votes) -> Float[Tensor, "L N"]:
    """Return (for - against) / (for + against) in [-1, 1], 0 where never seen: the confidence."""
    total = votes.votes_for + votes.votes_against
    return torch.where(total > 0, (votes.votes_for - votes.votes_against) / total, 0.0)


def agreement(votes: Votes, others: Votes) -> float:
    r"""Return the IoU of one view's mask with the object that other views found, both for L = 1.

    No picture is needed: by the adjoint law the mask's overlap with the splatted object o is
    :math:`\langle M, W o \rangle = \langle W^T M, o \rangle`. Gaussians that the others have not
    seen are left out.

    Returns:
        A value in [0, 1]; 0 where the others have seen nothing of the object.
    """
    known = others.votes_for + others.votes_against > 0
    is_object = others.votes_for > others.votes_against
    both = votes.votes_for[is_object].sum()
    either = votes.votes_for[known].sum() + votes.votes_against[is_object].sum()
    return float(both / either) if either > 0 else 0.0
