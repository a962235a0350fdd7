# SPDX-License-Identifier: Apache-2.0
"""All objects of one map and the votes they rest on: what a session is about, as it stands now."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float, Int, Int32, Int64
from torch import Tensor

from ros2_clickgs.core import operations
from ros2_clickgs.core.clouds import PointCloud, cloud_from_gaussians
from ros2_clickgs.core.consensus import soft_masks
from ros2_clickgs.core.fitting import FEW, fitted
from ros2_clickgs.core.gates import AGREEMENT, Objection
from ros2_clickgs.core.objects import SegmentedObject, carries_most, oriented_box
from ros2_clickgs.core.operations import Operation
from ros2_clickgs.core.owners import Piece, decides_alike, owners
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.recipe import signed_points, sparse, sparse_view, stacked
from ros2_clickgs.core.similarity import Similarity
from ros2_clickgs.core.state import Click, State
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.core.votes import Votes, agreement, check_size, margins, weights_inside


class ObjectMap:
    """A map, and the things found in it. A Gaussian has one owner unless objects may overlap.

    It holds a `state` that is never written to; each method that changes something makes an
    operation of it (operations.py), so that it can be recorded, replayed and taken back.
    """

    def __init__(
        self,
        rasterizer: Rasterizer,
        background_weight: float = 1.0,
        bind: Callable[[Gaussians], Rasterizer] | None = None,
        allow_overlap: bool = False,
    ) -> None:
        """Begin without objects.

        Args:
            rasterizer: the map.
            background_weight: votes that an object must beat, times those against it.
            bind: makes a rasterizer of an edited map; None takes the class of `rasterizer`.
            allow_overlap: whether a Gaussian may belong to several objects.
        """
        self.rasterizer = rasterizer
        self.record: Callable[[Operation], None] = lambda _: None
        """Is told of every operation before it counts; what it raises prevents that."""
        self._bind = bind or type(rasterizer)
        self._background_weight = background_weight
        self._allow_overlap = allow_overlap
        self._state = State.of(rasterizer.gaussians)
        self._labels: Tensor | None = None
        self._pieces: dict[int, Piece] = {}

    @property
    def state(self) -> State:
        """All there is to keep; setting it takes everything back to what it was then."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        if state.gaussians is not self._state.gaussians:
            self.rasterizer = self._bind(state.gaussians)
        if not decides_alike(self._state, state):
            self._labels = None
        self._state = state

    def replay(self, recorded: Iterable[Operation]) -> None:
        """Let recorded operations happen again; they are not recorded anew.

        Raises:
            NotFoundError: one is about an object that does not exist then.
        """
        state = self._state
        for operation in recorded:
            state = operation(state)
        self.state = state

    @property
    def background_weight(self) -> float:
        """Votes that an object must beat, times those against it, unless it has its own weight."""
        return self._background_weight

    @background_weight.setter
    def background_weight(self, value: float) -> None:
        self._background_weight, self._labels = value, None

    @property
    def ids(self) -> list[int]:
        """The objects there are, oldest first."""
        return list(self._state.ballots)

    @property
    def names(self) -> dict[int, str]:
        """Object id -> name."""
        return {object_id: ballot.name for object_id, ballot in self._state.ballots.items()}

    def create(self, name: str = "") -> int:
        """Make an object without votes and return its id."""
        object_id = self._state.next_id
        name = name or f"object_{object_id}"
        self._do(operations.create, object_id=object_id, name=name, revision=0)
        return object_id

    def integrate(
        self, camera: Camera, label_image: Int[Tensor, "H W"], ids: list[int]
    ) -> list[int]:
        """Let one view's masks vote: label k of the image is the object ids[k - 1].

        Of objects that FEW views have voted on, masks are moved to where the map shows them if
        they fit (fitting.py), else they vote only if they agree with what is known.

        Returns:
            The objects whose masks did not vote.

        Raises:
            NotFoundError: an id does not exist.
            ShapeError: label image and camera disagree.
        """
        check_size(label_image, camera)
        counts = torch.tensor([len(self.view_points(i)) < FEW for i in ids])
        if not counts.all():
            members = (self.labels()[:, None].cpu() == torch.tensor(ids)) & ~counts
            label_image, fits = fitted(label_image, soft_masks(self.rasterizer, camera, members))
            counts = counts | fits
        votes_for, seen = weights_inside(self.rasterizer, camera, label_image, len(ids))
        for row in torch.nonzero(~counts)[:, 0].tolist():
            mine = Votes(votes_for=votes_for[[row]], votes_against=seen - votes_for[[row]])
            counts[row] = agreement(mine, self.votes(ids[row])) >= AGREEMENT
        view = sparse_view(votes_for[counts.to(votes_for.device)], seen)
        view |= {"ids": (voters := torch.tensor(ids)[counts]), "view_point": camera.center.clone()}
        if len(voters):
            self._do(operations.add_view, **view)
        return [i for i in ids if i not in voters]

    def replace_votes(self, object_id: int, votes: Votes, view_points: list[Tensor]) -> None:
        """Put an object on new votes (L = 1) in place of those it had."""
        points, rows = stacked(view_points), sparse(votes)
        self._do(operations.replace_votes, object_id=object_id, view_points=points, **rows)

    def votes(self, object_id: int) -> Votes:
        """Return what the views have said about an object (L = 1)."""
        return self._state.ballot(object_id).votes

    def clicks(self, object_id: int) -> list[Click]:
        """Return where an object was clicked, and where it is not."""
        return list(self._state.ballot(object_id).clicks)

    def note(self, object_id: int, clicks: list[Click], voted_at_ns: int) -> None:
        """Write down an object's clicks and the stamp of the last image that voted for it."""
        points = signed_points(tuple(clicks))
        self._do(operations.note, object_id=object_id, voted_at_ns=voted_at_ns, **points)

    def judge(self, object_id: int, settled: bool, rejected: Mapping[Objection, int]) -> None:
        """Write down whether further views still change an object, and why masks did not vote."""
        counts = [rejected.get(objection, 0) for objection in Objection]
        self._do(
            operations.judge,
            object_id=object_id,
            settled=settled,
            rejected=torch.tensor(counts, dtype=torch.int64),
        )

    def labels(self) -> Int32[Tensor, " N"]:
        """Return every Gaussian's owner: an id, 0 for background, -1 where unseen or deleted."""
        if self._labels is None:
            self._labels = owners(
                self._state, self._background_weight, self._pieces, self._allow_overlap
            )
        return self._labels

    def get(self, object_id: int) -> SegmentedObject:
        """Return an object as it stands now."""
        ballot = self._state.ballot(object_id)
        ids = self._members(object_id)
        votes_for = ballot.votes.votes_for[0, ids].cpu()
        bulk = ids.cpu()[carries_most(votes_for)].to(ids)
        pose, size = oriented_box(self.rasterizer.gaussians.means[bulk].cpu())
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
        """Return an object's points with outward normals."""
        ids = self._members(object_id)
        return cloud_from_gaussians(
            self._bind(self.rasterizer.gaussians.select(ids)),
            torch.full((len(ids),), object_id, dtype=torch.int32),
            self._scores(object_id),
            self.view_points(object_id),
        )

    def view_points(self, object_id: int) -> Float[Tensor, "C 3"]:
        """Return the optical centres of the cameras that voted on an object, in m."""
        return self._state.ballot(object_id).view_points

    def remove(self, object_id: int) -> None:
        """Forget an object; its Gaussians go back to the background."""
        self._do(operations.remove, object_id=object_id)

    def rename(self, object_id: int, name: str) -> None:
        """Give an object another name."""
        self._do(operations.rename, object_id=object_id, name=name)

    def merge(self, kept_id: int, merged_id: int) -> None:
        """Make two objects one: votes for either are for both, and not against the other."""
        self._do(operations.merge, kept_id=kept_id, merged_id=merged_id)

    def clear(self) -> None:
        """Forget all objects; ids are not used again."""
        self._do(operations.clear)

    def weigh(self, object_id: int, background_weight: float) -> None:
        """Give an object a background weight of its own; below 0: the map's."""
        self._do(operations.weigh, object_id=object_id, background_weight=background_weight)

    def remember(self, object_id: int) -> None:
        """Begin a refinement: what the object is now can be had back by `take_back`."""
        self._do(operations.remember, object_id=object_id)

    def take_back(self, object_id: int) -> None:
        """Take back an object's last refinement.

        Raises:
            ClickGSError: it has none.
        """
        self._do(operations.take_back, object_id=object_id)

    def touch(self, ids: list[int]) -> None:
        """Count a change of some objects."""
        self._do(operations.touch, ids=torch.tensor(ids, dtype=torch.int64))

    def delete(self, object_id: int) -> int:
        """Take an object's Gaussians out of the map and forget it; return how many."""
        rows = self._members(object_id)
        self._do(operations.hide, object_id=object_id, rows=rows)
        return len(rows)

    def hide(self, rows: Int64[Tensor, " M"]) -> None:
        """Take Gaussians out of the map, whose ever they are."""
        self._do(operations.hide, object_id=0, rows=rows)

    def move(self, object_id: int, similarity: Similarity) -> int:
        """Move, turn and scale an object, its clicks and what saw it; return its Gaussians."""
        rows = self._members(object_id)
        self._do(
            operations.move,
            object_id=object_id,
            rows=rows,
            R=similarity.R.double(),
            translation=similarity.translation.double(),
            scale=float(similarity.scale),
        )
        return len(rows)

    def recolor(self, object_id: int, rgb: Float[Tensor, "3"], mix: float) -> int:
        """Tint an object: share `mix` of rgb, each in [0, 1]; return how many Gaussians."""
        rows = self._members(object_id)
        self._do(operations.recolor, object_id=object_id, rows=rows, rgb=rgb.double(), mix=mix)
        return len(rows)

    def undo(self) -> None:
        """Take back the last edit: the map is again what it was, bit for bit.

        Raises:
            NotFoundError: there is none.
        """
        self._do(operations.undo)

    def redo(self) -> None:
        """Make the edit again that was taken back last.

        Raises:
            NotFoundError: there is none.
        """
        self._do(operations.redo)

    def _do(self, function: Callable[..., State], **arguments: Any) -> None:
        state = function(self._state, **arguments)
        self.record(Operation(function.__name__, arguments))
        self.state = state

    def _members(self, object_id: int) -> Int64[Tensor, " M"]:
        self._state.ballot(object_id)
        self.labels()
        return self._pieces[object_id].rows

    def _scores(self, object_id: int) -> Float[Tensor, " M"]:
        ballot = self._state.ballot(object_id)
        return margins(ballot.votes)[0, self._members(object_id)].clamp(0, 1)
