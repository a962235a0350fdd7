# SPDX-License-Identifier: Apache-2.0
"""All objects of one map and the votes they rest on: the state that a session is made of."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int, Int32, Int64
from torch import Tensor

from ros2_clickgs.core.clouds import PointCloud, cloud_from_gaussians
from ros2_clickgs.core.objects import SegmentedObject, largest_component, oriented_box
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import BACKGROUND, Camera
from ros2_clickgs.core.votes import Votes, cast_votes, decide_labels, margins
from ros2_clickgs.errors import NotFoundError


@dataclass(slots=True)
class Ballot:
    """One object's name and what the views have said about it."""

    name: str
    votes: Votes
    """Of this object alone: L = 1."""
    view_points: list[Tensor] = field(default_factory=list)
    """Optical centres of the cameras that voted, in m."""


class ObjectMap:
    """A map, and the things found in it. A Gaussian belongs to one object at most."""

    def __init__(self, rasterizer: Rasterizer, background_weight: float = 1.0) -> None:
        self.rasterizer = rasterizer
        self._background_weight = background_weight
        self._ballots: dict[int, Ballot] = {}
        self._next_id = 1
        self._labels: Tensor | None = None

    @property
    def background_weight(self) -> float:
        """Votes that an object must beat, times those against it."""
        return self._background_weight

    @background_weight.setter
    def background_weight(self, value: float) -> None:
        self._background_weight, self._labels = value, None

    @property
    def ids(self) -> list[int]:
        """The objects there are, oldest first."""
        return list(self._ballots)

    def create(self, name: str = "") -> int:
        """Make an object without votes and return its id."""
        object_id, self._next_id = self._next_id, self._next_id + 1
        self._ballots[object_id] = Ballot(
            name or f"object_{object_id}", Votes.none(1, len(self.rasterizer.gaussians))
        )
        return object_id

    def integrate(self, camera: Camera, label_image: Int[Tensor, "H W"], ids: list[int]) -> None:
        """Let one view's masks vote: label k of the image is the object ids[k - 1].

        Raises:
            NotFoundError: an id does not exist.
            ShapeError: label image and camera disagree.
        """
        ballots = [self._ballot(object_id) for object_id in ids]
        votes = cast_votes(self.rasterizer, camera, label_image, len(ids))
        for row, ballot in enumerate(ballots):
            ballot.votes = ballot.votes + votes[[row]]
            ballot.view_points.append(camera.center.clone())
        self._labels = None

    def replace_votes(self, object_id: int, votes: Votes, view_points: list[Tensor]) -> None:
        """Put an object on new votes (L = 1) in place of those it had."""
        ballot = self._ballot(object_id)
        ballot.votes, ballot.view_points, self._labels = votes, view_points, None

    def labels(self) -> Int32[Tensor, " N"]:
        """Return every Gaussian's owner: an id, 0 for background, -1 where no view looked."""
        if self._labels is None:
            self._labels = self._decide()
        return self._labels

    def get(self, object_id: int) -> SegmentedObject:
        """Return an object as it stands now."""
        ballot = self._ballot(object_id)
        ids = self._members(object_id)
        pose, size = oriented_box(self.rasterizer.gaussians.means[ids].cpu())
        return SegmentedObject(
            id=object_id,
            name=ballot.name,
            score=float(self._scores(object_id).mean()) if len(ids) else 0.0,
            gaussian_ids=ids,
            view_count=len(ballot.view_points),
            pose=pose,
            size=size,
        )

    def cloud(self, object_id: int) -> PointCloud:
        """Return an object's points, their normals towards the cameras that saw it."""
        ids = self._members(object_id)
        return cloud_from_gaussians(
            self.rasterizer.gaussians.select(ids),
            torch.full((len(ids),), object_id, dtype=torch.int32),
            self._scores(object_id),
            self.view_points(object_id),
        )

    def view_points(self, object_id: int) -> Float[Tensor, "C 3"]:
        """Return the optical centres of the cameras that voted on an object, in m."""
        points = self._ballot(object_id).view_points
        return torch.stack(points) if points else torch.zeros(0, 3, dtype=torch.float64)

    def remove(self, object_id: int) -> None:
        """Forget an object; its Gaussians go back to the background."""
        self._ballot(object_id)
        del self._ballots[object_id]
        self._labels = None

    def rename(self, object_id: int, name: str) -> None:
        """Give an object another name."""
        self._ballot(object_id).name = name

    def merge(self, kept_id: int, merged_id: int) -> None:
        """Make two objects one: what was for either is for both, and no longer against the other."""
        kept, merged = self._ballot(kept_id), self._ballot(merged_id)
        votes_for = kept.votes.votes_for + merged.votes.votes_for
        votes_against = torch.minimum(kept.votes.votes_against, merged.votes.votes_against)
        kept.votes = Votes(votes_for=votes_for, votes_against=votes_against)
        kept.view_points += merged.view_points
        self.remove(merged_id)

    def clear(self) -> None:
        """Forget all objects; ids are not used again."""
        self._ballots, self._labels = {}, None

    def _ballot(self, object_id: int) -> Ballot:
        if object_id not in self._ballots:
            raise NotFoundError("object", object_id, self.ids or "none yet")
        return self._ballots[object_id]

    def _decide(self) -> Int32[Tensor, " N"]:
        votes = Votes.none(0, len(self.rasterizer.gaussians))
        if self._ballots:
            ballots = [ballot.votes for ballot in self._ballots.values()]
            votes = Votes(
                votes_for=torch.cat([v.votes_for for v in ballots]),
                votes_against=torch.cat([v.votes_against for v in ballots]),
            )
        rows = decide_labels(votes, self._background_weight)
        labels = rows.clone()
        for row, object_id in enumerate(self._ballots):
            members = torch.nonzero(rows == row + 1)[:, 0]
            one_piece = largest_component(
                self.rasterizer.gaussians.means[members].cpu(), votes.votes_for[row, members].cpu()
            )
            labels[members] = torch.where(one_piece, object_id, BACKGROUND).int()
        return labels

    def _members(self, object_id: int) -> Int64[Tensor, " M"]:
        self._ballot(object_id)
        return torch.nonzero(self.labels() == object_id)[:, 0]

    def _scores(self, object_id: int) -> Float[Tensor, " M"]:
        return margins(self._ballot(object_id).votes)[0, self._members(object_id)].clamp(0, 1)
