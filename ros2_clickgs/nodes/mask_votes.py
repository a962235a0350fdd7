# SPDX-License-Identifier: Apache-2.0
"""Masks drawn elsewhere vote as those of our own segmenter do, each of them once."""

import hashlib

import numpy as np
import torch
from jaxtyping import Bool, Int32

from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.types import BACKGROUND, Camera
from ros2_clickgs.nodes.conversions.masks import LabelLayer, MaskOwner

REMEMBERED = 10_000
"""Masks, of which it is known that they have voted."""
View = tuple[str, int]
"""Camera (its frame) and stamp (ns)."""


class MaskVotes:
    """Lets masks vote, and knows which have: a message may come twice."""

    def __init__(self, objects: ObjectMap) -> None:
        self._objects = objects
        self._voted: dict[tuple[View, int | bytes], int] = {}
        """(view, object or what a nameless mask looks like) -> object."""

    def cast(self, camera: Camera, layers: list[LabelLayer], view: View) -> int:
        """Let masks vote; return how many were left out, as they had voted before.

        Raises:
            NotFoundError: a mask is for an object that does not exist.
        """
        voted: dict[tuple[View, int | bytes], int] = {}
        repeated = 0
        for layer in layers:
            ids: dict[int, int] = {}
            for label, owner in enumerate(layer.owners, start=1):
                voter = self._voter(owner, layer.label_image == label)
                object_id = self._object_of(owner, (view, voter))
                if (view, object_id) in self._voted | voted:
                    repeated += 1
                else:
                    ids[label] = object_id
                    voted |= {(view, voter): object_id, (view, object_id): object_id}
            self._integrate(camera, layer, ids, view[1])
        self._voted |= voted
        for key in list(self._voted)[:-REMEMBERED]:
            del self._voted[key]
        return repeated

    def _integrate(
        self, camera: Camera, layer: LabelLayer, ids: dict[int, int], stamp_ns: int
    ) -> None:
        if not ids:
            return
        label_image = only(layer.label_image, list(ids), len(layer.owners))
        self._objects.integrate(camera, torch.from_numpy(label_image), list(ids.values()))
        for object_id in ids.values():
            newest_ns = max(stamp_ns, self._objects.state.ballot(object_id).voted_at_ns)
            self._objects.note(object_id, self._objects.clicks(object_id), newest_ns)

    def _voter(self, owner: MaskOwner, mask: Bool[np.ndarray, "H W"]) -> int | bytes:
        """Return the object's id, 0 for a new one that has a name, else what the mask is like."""
        if owner.object_id:
            self._objects.state.ballot(owner.object_id)
            return owner.object_id
        if owner.name:
            names = self._objects.names
            return next((i for i, name in names.items() if name == owner.name), 0)
        return hashlib.sha256(np.packbits(mask).tobytes()).digest()

    def _object_of(self, owner: MaskOwner, key: tuple[View, int | bytes]) -> int:
        if isinstance(key[1], int):
            return key[1] or self._objects.create(owner.name)
        known = self._voted.get(key, 0)
        return known if known in self._objects.ids else self._objects.create()


def only(
    label_image: Int32[np.ndarray, "H W"], labels: list[int], count: int
) -> Int32[np.ndarray, "H W"]:
    """Return a label image with those of its labels (of 1 .. count), numbered from 1."""
    numbers = np.full(count + 1, BACKGROUND, np.int32)
    numbers[labels] = np.arange(1, len(labels) + 1)
    return np.where(label_image < 0, label_image, numbers[label_image])
