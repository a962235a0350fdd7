# SPDX-License-Identifier: Apache-2.0
"""Where to look from: views rendered around a point, or around what is known of an object."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ros2_clickgs.core.geometry import look_at, project
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.sight import transmittances
from ros2_clickgs.core.types import Camera
from ros2_clickgs.core.votes import Votes

Z_UP = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
"""Up, in maps that follow REP-103."""
CANDIDATES = 60
"""Directions tried on the sphere around the point."""
OWN_SURFACE = 0.02
"""What lies this near to the point, as a share of the distance, does not hide it."""
SEEN = 0.5
"""Light that must pass from the point to a camera that sees it."""
FOV_DEG = 60.0
"""Horizontal field of view of the views."""
FILL = 0.5
"""Share of the frame that an object's larger extent takes."""
OUTERMOST = 0.02
"""Share of an object's Gaussians, at either end, that its extent does not count."""
REACH = 1.3
"""What lies within so many radii of an object and was never seen may belong to it."""
GLANCE_PX = (80, 60)
"""Size of the pictures by which candidates are compared."""
TRIED = 4
"""Candidates that are compared for each view that is wanted."""
HALF_SEEN_PX = 0.1
"""Pixels that a Gaussian must have painted to count as half seen."""
HOLD = 0.3
"""Share of what a view shows that is known, below which there is little to hold on to."""


def pinhole(
    T_world_camera: Float[Tensor, "4 4"], width: int, height: int, fov_deg: float = FOV_DEG
) -> Camera:
    """Return a camera with square pixels and the given horizontal field of view."""
    focal = 0.5 * width / math.tan(math.radians(fov_deg) / 2)
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(K=K, T_world_camera=T_world_camera, width=width, height=height)


def orbit_cameras(
    rasterizer: Rasterizer,
    point: Float[Tensor, "3"],
    *,
    distance: float,
    up: Float[Tensor, "3"],
    count: int = 8,
    width: int = 640,
    height: int = 480,
) -> list[Camera]:
    """Choose views of a point from which nothing stands in front of it, spread over directions.

    Args:
        rasterizer: owner of the blending weights.
        point: what to look at, in m.
        distance: how far the cameras stand from it, in m.
        up: direction that is up in the images.
        count: how many views at most.
        width: of the images, in px.
        height: of the images, in px.

    Returns:
        Cameras, the first one seeing the point from farthest above; fewer than count, or none,
        where the map hides the point.
    """
    up = torch.nn.functional.normalize(up.double(), dim=0)
    free = free_directions(rasterizer, point, distance, OWN_SURFACE * distance)
    if len(free) == 0:
        return []
    first = free[[int((free @ up).argmax())]]
    chosen = torch.cat([first, farthest_from(free, first, count - 1)])[:count]
    return [pinhole(look_at(point + distance * d, point, up), width, height) for d in chosen]


def covering_cameras(
    rasterizer: Rasterizer,
    members: Bool[Tensor, " N"],
    votes: Votes,
    view_points: Float[Tensor, "C 3"],
    *,
    up: Float[Tensor, "3"],
    count: int = 2,
    width: int = 640,
    height: int = 480,
) -> list[Camera]:
    """Choose the views of an object that show most of what no view has shown yet.

    Of the directions from which nothing stands in front of the object, those farthest from the
    views so far are compared in small pictures: what was never seen counts, and as long as it is
    much, what is known beside it.

    Args:
        rasterizer: owner of the blending weights.
        members: which Gaussians are the object's as far as is known.
        votes: what has been said about it (L = 1): their sum is how well a Gaussian was seen.
        view_points: where it has been seen from, in m.
        up: direction that is up in the images.
        count: how many views at most.
        width: of the images, in px.
        height: of the images, in px.

    Returns:
        Cameras, the most telling first, in which the object fills about half of the frame.
    """
    means = rasterizer.gaussians.means.cpu()
    center, radius = bounding_ball(means[members])
    distance = radius / (FILL * math.tan(math.radians(FOV_DEG) / 2) * height / width)
    free = free_directions(rasterizer, center, distance, radius)
    taken = torch.nn.functional.normalize(view_points.double() - center, dim=-1)
    tried = farthest_from(free, taken, TRIED * count)
    near = (means - center).norm(dim=-1) < REACH * radius
    values = torch.stack([members, near * unseen_shares(votes)], -1).to(means)
    worth = []
    for direction in tried:
        camera = pinhole(look_at(center + distance * direction, center, up), *GLANCE_PX)
        worth.append(news(*rasterizer.splat(camera, values).sum((0, 1)).tolist()))
    best = sorted(range(len(tried)), key=lambda i: -worth[i])[:count]
    eyes = [center + distance * tried[i] for i in best if worth[i] > 0]
    poses = [look_at(eye, center, up) for eye in eyes]
    return [framed(pinhole(pose, width, height), means[members], center) for pose in poses]


def unseen_shares(votes: Votes) -> Float[Tensor, " N"]:
    """Return how little the views that voted (L = 1) have seen of every Gaussian: 1 to 0."""
    seen = (votes.votes_for + votes.votes_against)[0].cpu()
    return HALF_SEEN_PX / (HALF_SEEN_PX + seen)


def news(known_px: float, unseen_px: float) -> float:
    """Return how much a view tells that shows so much known and so much never seen."""
    hold = min(1.0, known_px / (HOLD * (known_px + unseen_px))) if known_px else 0.0
    return hold * (unseen_px + 0.1 * known_px)


def framed(camera: Camera, points: Float[Tensor, "M 3"], center: Float[Tensor, "3"]) -> Camera:
    """Return the camera moved towards a center (m) until points (m) take FILL of its frame."""
    u, v, _ = project(camera, points.double()).unbind(-1)
    size = torch.tensor([camera.width, camera.height])
    margins = torch.tensor([OUTERMOST, 1 - OUTERMOST]).double()
    low, high = torch.stack([u, v], -1).quantile(margins, dim=0)
    share = float(((high - low) / size).max().clamp(0.5 * FILL, FILL))
    T = camera.T_world_camera.clone()
    T[:3, 3] = center + (T[:3, 3] - center) * share / FILL
    return Camera(K=camera.K, T_world_camera=T, width=camera.width, height=camera.height)


def bounding_ball(points: Float[Tensor, "M 3"]) -> tuple[Float[Tensor, "3"], float]:
    """Return center and radius (m) of points, the outermost ones left out."""
    margins = torch.tensor([OUTERMOST, 1 - OUTERMOST]).double()
    low, high = points.double().quantile(margins, dim=0)
    return (low + high) / 2, max(float((high - low).norm()) / 2, 1e-6)


def free_directions(
    rasterizer: Rasterizer, point: Float[Tensor, "3"], distance: float, near: float
) -> Float[Tensor, "F 3"]:
    """Return directions in which light passes from a point (m) to an eye at a distance (m).

    Args:
        rasterizer: the map.
        point: what is to be seen.
        distance: how far away the eye is, in m.
        near: what lies this near to the point does not hide it, in m.
    """
    directions = sphere(CANDIDATES)
    eyes = point.double() + distance * directions
    passed = transmittances(rasterizer.gaussians, point.double(), eyes, near).cpu()
    return directions[passed > SEEN]


def sphere(count: int) -> Float[Tensor, "C 3"]:
    """Return evenly spread unit vectors (Fibonacci lattice)."""
    i = torch.arange(count, dtype=torch.float64) + 0.5
    z, angle = 1 - 2 * i / count, math.pi * (1 + 5**0.5) * i
    radius = torch.sqrt(1 - z * z)
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle), z], -1)


def farthest_from(
    directions: Float[Tensor, "C 3"], taken: Float[Tensor, "T 3"], count: int
) -> Float[Tensor, "V 3"]:
    """Pick up to count unit vectors, one by one the farthest from those picked and those taken."""
    closeness = (directions @ taken.T).amax(-1)
    picked: list[int] = []
    while len(picked) < min(count, len(directions)):
        closeness[picked] = torch.inf
        picked.append(int(closeness.argmin()))
        closeness = torch.maximum(closeness, directions @ directions[picked[-1]])
    return directions[picked]
