# SPDX-License-Identifier: Apache-2.0
"""A map whose every Gaussian knows its object and its part."""

from dataclasses import dataclass

from jaxtyping import Float64, Int32
from torch import Tensor

from ros2_clickgs.core.types import Camera, Gaussians


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A procedural map with its ground truth. Map frame: metric, z up."""

    gaussians: Gaussians
    """The map."""
    object_labels: Int32[Tensor, " N"]
    """Object of each Gaussian: 0 background, 1 .. objects."""
    part_labels: Int32[Tensor, " N"]
    """Part of each Gaussian: 0 background, 1 .. parts; a part belongs to one object only."""
    object_names: list[str]
    """Name of each object label, such as mug or mug_2; the first is background."""
    part_names: list[str]
    """Name of each part label, such as handle; the first is background; names repeat."""
    part_object: list[int]
    """Object label of each part label; the first is 0."""
    object_poses: Float64[Tensor, "O 4 4"]
    """T_map_object of each object label; identity for the background.

    In its own frame a thing stands on z = 0, z up.
    """
    cameras: list[Camera]
    """Views of it, along a walk."""

    def object_id(self, name: str) -> int:
        """Return the label of the object of that name."""
        return self.object_names.index(name)

    def part_id(self, object_name: str, part_name: str) -> int:
        """Return the label of a part, such as ("mug", "handle")."""
        parts = zip(self.part_names, self.part_object, strict=True)
        return list(parts).index((part_name, self.object_id(object_name)))
