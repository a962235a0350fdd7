# SPDX-License-Identifier: Apache-2.0
"""Light baked into colours: a soft sky, a lamp with soft shadows, darker hollows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32
from numpy.random import Generator

from ros2_clickgs.scenes.sampling import GOLDEN, Samples

FLOOR_BOUNCE = 0.5
"""Light that comes from below, or off whatever blocks the sky, as a share of the sky's."""


@dataclass(frozen=True, slots=True)
class Light:
    """Where the light of a scene comes from."""

    toward_lamp: Float[np.ndarray, "3"]
    """Unit vector from the scene to the lamp."""
    lamp: Float[np.ndarray, "3"]
    """RGB strength of the lamp on a surface that faces it."""
    sky: Float[np.ndarray, "3"]
    """RGB strength of the light from all around."""


def random_light(rng: Generator) -> Light:
    """Return the light of a room with a lamp above the open side (+x, -y)."""
    toward = np.array([rng.uniform(0.1, 0.6), rng.uniform(-0.6, -0.1), rng.uniform(0.8, 1.1)])
    warmth = rng.uniform(-0.04, 0.04) * np.array([1, 0, -1])
    strength = rng.uniform(0.42, 0.56)
    return Light(toward / np.linalg.norm(toward), strength + warmth, 1.12 - strength - warmth)


def shade(
    samples: Samples, light: Light, voxel_m: float, blockers: Float[np.ndarray, "M 3"]
) -> Float[np.ndarray, "N 3"]:
    """Return the colours of samples under a light.

    Args:
        samples: what is lit.
        light: the sky and the lamp.
        voxel_m: resolution of the shadows, in m.
        blockers: points (m) on what casts shadows, denser than `voxel_m`.
    """
    blocked = _Occupancy(blockers, voxel_m)
    above = (samples.points + 1.3 * voxel_m * samples.normals).astype(np.float32)
    normals = samples.normals.astype(np.float32)
    sky = _sky_share(blocked, above, normals)
    lamp = _lamp_share(blocked, above, normals, light.toward_lamp)
    return samples.colors * (sky[:, None] * light.sky + lamp[:, None] * light.lamp)


class _Occupancy:
    """Voxels that hold a point."""

    def __init__(self, points: Float[np.ndarray, "N 3"], voxel_m: float) -> None:
        self.voxel_m = np.float32(voxel_m)
        self.low = (points.min(0) - 2 * voxel_m).astype(np.float32)
        self.last = np.ceil((points.max(0) - self.low) / voxel_m).astype(np.int32) + 2
        self.voxels = np.zeros(np.prod(self.last + 1), bool)
        self.voxels[self._index(self._scaled(points), np.zeros(3))] = True

    def between(
        self, points: Float32[np.ndarray, "N 3"], direction: np.ndarray, voxels: np.ndarray
    ) -> Bool[np.ndarray, " N"]:
        """Return whether anything lies along the direction, at one of the distances in voxels."""
        hit = np.zeros(len(points), bool)
        clear, scaled = np.arange(len(points)), self._scaled(points)
        for step in np.outer(voxels, direction):
            now = self.voxels[self._index(scaled, step)]
            hit[clear[now]] = True
            clear, scaled = clear[~now], scaled[:, ~now]
        return hit

    def _scaled(self, points):
        return ((points - self.low) / self.voxel_m).astype(np.float32).T

    def _index(self, scaled, step):
        """Return flat indices; what lies outside falls into the empty border."""
        axes = (
            np.minimum(np.maximum(a + np.float32(s), 0), last).astype(np.int32)
            for a, s, last in zip(scaled, step, self.last, strict=True)
        )
        x, y, z = axes
        return (x * (self.last[1] + 1) + y) * (self.last[2] + 1) + z


def _sky_share(blocked: _Occupancy, points, normals) -> Float[np.ndarray, " N"]:
    """Return the cosine-weighted share of light from all around that arrives."""
    distances = np.array([1.5, 2.5, 4, 6, 9, 13, 18, 25])
    arrived, total = np.zeros(len(points), np.float32), np.full(len(points), 1e-6, np.float32)
    for direction in _sphere(28):
        cosine = normals @ direction
        facing = np.flatnonzero(cosine > 0.1)
        shadow = blocked.between(points[facing], direction, distances)
        bright = np.float32(FLOOR_BOUNCE if direction[2] < 0 else 1)
        arrived[facing] += cosine[facing] * np.where(shadow, np.float32(FLOOR_BOUNCE), bright)
        total[facing] += cosine[facing]
    return arrived / total


def _lamp_share(blocked: _Occupancy, points, normals, toward) -> Float[np.ndarray, " N"]:
    """Return the cosine to the lamp times the visible share of the lamp's disc."""
    cosine = np.maximum(normals @ toward.astype(np.float32), 0)
    lit = np.flatnonzero(cosine > 0)
    visible = np.zeros(len(points), np.float32)
    offsets = 0.09 * _sphere(6)
    for offset in offsets:
        distances = 1.25 * np.arange(1, 33) ** 1.1
        visible[lit] += ~blocked.between(points[lit], toward + offset, distances) / len(offsets)
    return cosine * visible


def _sphere(count: int) -> Float32[np.ndarray, "count 3"]:
    """Return evenly spread unit vectors (Fibonacci sphere)."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = 2 * np.pi * GOLDEN * np.arange(count)
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], -1).astype(np.float32)
