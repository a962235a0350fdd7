# SPDX-License-Identifier: Apache-2.0
"""What the affordance node's worker owns: what is known of which object, and how it came to be."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from ros2_clickgs.config import AffordanceConfig
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import NotFoundError
from ros2_clickgs.msg import SegmentedObject, SegmentedObjectArray
from ros2_clickgs.nodes.splat_source import points_are_same
from ros2_clickgs.nodes.transfers import Known, Request, Transfers

Fetch = Callable[[list[SegmentedObject], Callable[[], None]], dict[int, Gaussians]]
"""Objects, and what to call while waiting -> their Gaussians."""


class Progress(Protocol):
    """Is told how far a transfer is; what it raises ends it."""

    def check(self) -> None:
        """Nothing new, but a chance to leave."""

    def begin(self, stage: str, objects_total: int = 0) -> None:
        """Another stage begins."""

    def begin_object(self, object_id: int, objects_done: int) -> None:
        """Another object begins."""

    def on_view(self, done: int, total: int) -> None:
        """Another view is done."""


class Survey:
    """Objects and what they afford; one thread at a time."""

    def __init__(self, config: AffordanceConfig, fetch: Fetch) -> None:
        """Load the descriptor.

        Raises:
            ClickGSError: it cannot be had here.
        """
        self.transfers = Transfers(config)
        self.objects = SegmentedObjectArray()
        self.known: dict[int, Known] = {}
        self._fetch = fetch

    def take(self, objects: SegmentedObjectArray) -> bool:
        """Take the objects as they are now; return whether what is known is another.

        What is known of objects that are gone, or of another map's, is forgotten. Of one that
        has another name only, it stays true.
        """
        before = self.known
        known = before if objects.map_sha256 == self.objects.map_sha256 else {}
        there = {found.id: found for found in objects.objects}
        self.objects = objects
        self.known = {
            object_id: renewed(one, there[object_id])
            for object_id, one in known.items()
            if object_id in there
        }
        return [*before.values()] != [*self.known.values()]

    def outdated(self) -> list[SegmentedObject]:
        """Return the objects that have changed since, and are settled again."""
        return [
            found
            for found in self.objects.objects
            if found.id in self.known
            and found.revision != self.known[found.id].found.revision
            and found.settled
        ]

    def wanted(self, ids: list[int]) -> list[SegmentedObject]:
        """Return the objects with these ids; no ids mean all.

        Raises:
            NotFoundError: there is none, or an id does not exist.
        """
        there = {found.id: found for found in self.objects.objects}
        for object_id in ids:
            if object_id not in there:
                raise NotFoundError("object", object_id, sorted(there) or "none yet")
        if not there:
            raise NotFoundError("object", "any", "none yet; click on things first")
        return [there[i] for i in dict.fromkeys(ids)] if ids else list(there.values())

    def transfer(self, wanted: dict[int, Request], progress: Progress) -> dict[int, Known]:
        """Find out what some objects afford, each as its request says.

        Raises:
            ClickGSError: sources cannot be used, or the Gaussians cannot be had.
        """
        progress.begin("sources", len(wanted))
        for request in wanted.values():
            self.transfers.prepare(request)
        found = self.wanted(list(wanted))
        gaussians = self._fetch(found, progress.check)
        out = {}
        for done, one in enumerate(found):
            progress.begin_object(one.id, done)
            out[one.id] = self.transfers.transfer(
                one, gaussians[one.id], wanted[one.id], progress.on_view
            )
        self.known |= out
        return out


def renewed(known: Known, found: SegmentedObject) -> Known:
    """Return what is known of an object that has changed; its regions stay true or grow stale."""
    if found.revision == known.found.revision or not points_are_same(found, known.found):
        return known
    for region in known.regions:
        region.object_name, region.object_revision = found.name, found.revision
    return replace(known, found=found)
