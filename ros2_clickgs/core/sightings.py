# SPDX-License-Identifier: Apache-2.0
"""What single images say of an object, kept apart so that each can be asked again."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from ros2_clickgs.core.gates import Objection, agreeing
from ros2_clickgs.core.operations import dense
from ros2_clickgs.core.posed_image import PosedImage
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.recipe import sparse
from ros2_clickgs.core.votes import Votes, cast_votes


@dataclass(slots=True, eq=False)
class Sighting:
    """An image, and what its mask says of an object."""

    image: PosedImage
    ballot: dict[str, Tensor] = field(default_factory=dict, repr=False)
    """The mask's votes: the rows that have any. Empty as long as there is no mask."""
    objection: Objection | None = None
    """Why it does not vote."""

    @property
    def counts(self) -> bool:
        """Whether it votes."""
        return bool(self.ballot) and self.objection is None

    def take(self, rasterizer: Rasterizer, mask: Bool[np.ndarray, "H W"]) -> Votes:
        """Put a mask in place of the one it had; return its votes (L = 1)."""
        pixels = torch.from_numpy(mask.astype(np.int32))
        votes = cast_votes(rasterizer, self.image.camera, pixels, 1)
        self.ballot, self.objection = sparse(votes), None
        return self.votes(len(rasterizer.gaussians))

    def defer_to(self, votes: Votes) -> None:
        """Say nothing more of Gaussians that others (L = 1) have spoken of."""
        if self.ballot:
            rows = self.ballot["rows"].long()
            silent = (votes.votes_for + votes.votes_against)[0, rows] == 0
            self.ballot = {name: values[silent] for name, values in self.ballot.items()}

    def votes(self, gaussian_count: int) -> Votes:
        """Return what it says (L = 1), of its objection regardless; without a mask nothing."""
        if not self.ballot:
            return Votes.none(1, gaussian_count)
        return dense(gaussian_count, **self.ballot)


def tally(sightings: Iterable[Sighting], gaussian_count: int) -> Votes:
    """Return the votes (L = 1) of all sightings that count."""
    total = Votes.none(1, gaussian_count)
    for sighting in sightings:
        if sighting.counts:
            rows = sighting.ballot["rows"].long()
            total.votes_for[0].index_add_(0, rows, sighting.ballot["votes_for"])
            total.votes_against[0].index_add_(0, rows, sighting.ballot["votes_against"])
    return total


def drop_contradicting(sightings: list[Sighting], gaussian_count: int) -> None:
    """Object to those of the sightings that contradict the others (gates.agreeing)."""
    asked = [sighting for sighting in sightings if sighting.counts]
    kept = agreeing([sighting.votes(gaussian_count) for sighting in asked])
    for i in set(range(len(asked))) - set(kept):
        asked[i].objection = Objection.DISAGREES


def objections(sightings: Iterable[Sighting]) -> Counter[Objection]:
    """Count what was objected to."""
    return Counter(sighting.objection for sighting in sightings if sighting.objection)
