# SPDX-License-Identifier: Apache-2.0
"""What a thing is made of: named parts, each some surfaces with a texture."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from ros2_clickgs.scenes.shapes import Surface
from ros2_clickgs.scenes.textures import Texture


@dataclass(frozen=True, slots=True)
class Part:
    """A region that a hand or a planner cares about, such as a handle."""

    name: str
    """One of the affordance-relevant words: body, handle, inside, blade, head, neck, cap ..."""
    surfaces: list[Surface]
    """Its sheets, in the thing's frame."""
    texture: Texture
    """Its colours."""
    gloss: float = 0.06
    """Strength of the view-dependent sheen, in units of colour."""


@dataclass(frozen=True, slots=True)
class Thing:
    """An object in its own frame: it stands on z = 0, z up, in m."""

    kind: str
    """What it is, such as mug."""
    parts: list[Part]
    """Its parts; at least one."""

    def points(self) -> Float[np.ndarray, "P 3"]:
        """Return the grid points of all surfaces."""
        surfaces = (surface for part in self.parts for surface in part.surfaces)
        return np.vstack([surface.grid.reshape(-1, 3) for surface in surfaces])

    def resting(self) -> "Thing":
        """Return the thing lifted or lowered until its lowest point is at z = 0."""
        T = np.eye(4)
        T[2, 3] = -self.points()[:, 2].min()
        parts = [replace(p, surfaces=[s.moved(T) for s in p.surfaces]) for p in self.parts]
        return replace(self, parts=parts)
