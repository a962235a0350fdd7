# SPDX-License-Identifier: Apache-2.0
"""Fusion recovers a scene of known shape: a plane and a sphere, seen by an RGB-D camera."""

import math

import numpy as np
import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.coloring import refine_colors
from ros2_clickgs.core.fusion import clean, fuse, has_step
from ros2_clickgs.core.geometry import look_at, rotmat_from_quat_wxyz
from ros2_clickgs.core.harmonics import rgb_from_sh
from ros2_clickgs.core.rendering import render
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ClickGSError, ShapeError

VOXEL_M = 0.01
RADIUS_M = 0.15
TILE_M = 0.16
CENTER = np.array([0.0, 0.0, RADIUS_M])
RED, GREEN, BLUE = np.array([[200, 30, 30], [40, 160, 60], [60, 90, 150]])


def camera_at(angle: float) -> Camera:
    eye = torch.tensor([0.8 * math.cos(angle), 0.8 * math.sin(angle), 0.7])
    pose = look_at(eye, torch.tensor([0.0, 0.0, 0.1]), torch.tensor([0.0, 0.0, 1.0]))
    K = torch.tensor([[150.0, 0, 80], [0, 150, 60], [0, 0, 1]])
    return Camera(K=K, T_world_camera=pose, width=160, height=120)


def tile_colors(points: np.ndarray) -> np.ndarray:
    """Return the RGB of the floor at world points."""
    odd = np.floor(points[..., :2] / TILE_M).sum(-1) % 2 == 1
    return np.where(odd[..., None], GREEN, BLUE)


def look(camera: Camera, noise: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return RGB and depth (m) of a tiled floor with a red ball; noise is that of 1/z, in 1/m."""
    v, u = np.mgrid[: camera.height, : camera.width] + 0.5
    K, T = camera.K.numpy(), camera.T_world_camera.numpy()
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1)
    rays, eye = rays @ T[:3, :3].T, T[:3, 3]
    floor = -eye[2] / rays[..., 2]
    a, b = (rays**2).sum(-1), rays @ (eye - CENTER)
    root = b**2 - a * (((eye - CENTER) ** 2).sum() - RADIUS_M**2)
    ball = np.where(root > 0, (-b - np.sqrt(root.clip(0))) / a, np.inf)
    depth = np.minimum(floor, ball)
    color = np.where((ball < floor)[..., None], RED, tile_colors(eye + depth[..., None] * rays))
    noisy = 1 / (1 / depth + noise * np.random.default_rng(seed).standard_normal(depth.shape))
    return color.astype(np.uint8), noisy.astype(np.float32)


def frames(count: int = 12, noise: float = 0.0):
    for i in range(count):
        camera = camera_at(2 * math.pi * i / count)
        yield camera, *look(camera, noise, seed=i)


@pytest.fixture(scope="module")
def surfels():
    return fuse(frames(noise=0.001), VOXEL_M)


def on_floor_and_ball(gaussians):
    """Return which surfels are clearly floor and clearly ball, near the cameras' aim."""
    means = gaussians.means.double().numpy()
    from_axis = np.linalg.norm(means[:, :2], axis=1)
    ball = (means[:, 2] > 0.5 * RADIUS_M) & (from_axis < 2 * RADIUS_M)
    return (from_axis > 1.3 * RADIUS_M) & (from_axis < 0.5), ball


def test_positions_lie_on_the_surfaces(surfels):
    floor, ball = on_floor_and_ball(surfels)
    means = surfels.means.double().numpy()
    above = np.abs(means[floor, 2])
    outside = np.abs(np.linalg.norm(means[ball] - CENTER, axis=1) - RADIUS_M)
    assert np.quantile(above, 0.98) < 0.2 * VOXEL_M
    assert np.quantile(outside, 0.98) < 0.35 * VOXEL_M


def test_normals_are_the_thin_axis_and_look_at_the_cameras(surfels):
    floor, ball = on_floor_and_ball(surfels)
    normals = rotmat_from_quat_wxyz(surfels.quats)[..., 2].double().numpy()
    radial = (surfels.means.double().numpy() - CENTER) / RADIUS_M
    off_floor_deg = np.degrees(np.arccos(normals[floor, 2].clip(-1, 1)))
    off_ball_deg = np.degrees(np.arccos((normals * radial).sum(-1)[ball].clip(-1, 1)))
    assert np.quantile(off_floor_deg, 0.95) < 7
    assert np.quantile(off_ball_deg, 0.95) < 12
    assert (surfels.scales.argmin(-1) == 2).all()


def test_colors_are_those_of_the_things(surfels):
    floor, ball = on_floor_and_ball(surfels)
    rgb = rgb_from_sh(surfels.sh).numpy() * 255
    assert np.abs(rgb[ball] - RED).max() < 4
    inner = floor & (np.abs(surfels.means[:, :2].numpy() / TILE_M % 1 - 0.5).max(1) < 0.3)
    truth = tile_colors(surfels.means.numpy())
    assert np.quantile(np.abs(rgb - truth)[inner], 0.95) < 25


def test_rendered_surfaces_are_closed(surfels):
    camera = camera_at(0.26)
    rendering = render(make_rasterizer(surfels, "numba"), camera)
    _, depth = look(camera)
    inner = np.s_[20:-20, 20:-20]
    assert np.quantile(rendering.alpha.numpy()[inner], 0.01) > 0.9
    assert np.median(np.abs(rendering.depth.numpy() - depth)[inner]) < 1.5 * VOXEL_M


def test_later_views_carve_what_floats_in_free_space():
    def with_ghost():
        for i, (camera, rgb, depth) in enumerate(frames()):
            if i < 3:
                depth = depth.copy()
                depth[10:40, 10:40] *= 0.6
            yield camera, rgb, depth

    means = fuse(with_ghost(), VOXEL_M).means.double().numpy()
    to_ball = np.abs(np.linalg.norm(means - CENTER, axis=1) - RADIUS_M)
    floating = np.minimum(np.abs(means[:, 2]), to_ball) > 2 * VOXEL_M
    assert floating.mean() < 0.002


def test_planes_have_no_steps_and_edges_do():
    camera = camera_at(0.0)
    rgb, depth = look(camera)
    step = has_step(torch.from_numpy(depth)).numpy()
    ball = rgb[..., 0] == RED[0]
    assert not step[1:20, 1:-1].any()
    rim = ball & ~np.roll(ball, 1, axis=0)
    assert step[rim].mean() > 0.9


def test_refined_colors_are_closer_to_the_images(surfels):
    def error(gaussians):
        rasterizer = make_rasterizer(gaussians, "numba")
        views = [(camera_at(a), look(camera_at(a))[0]) for a in (0.3, 2.0, 4.0)]
        return np.mean([
            ((render(rasterizer, c).color.numpy() - rgb / 255)[20:-20, 20:-20] ** 2).mean()
            for c, rgb in views
        ])  # fmt: skip

    images = [(camera, rgb) for camera, rgb, _ in frames()]
    refined = refine_colors(make_rasterizer(surfels, "numba"), images)
    assert error(refined) < 0.95 * error(surfels)


def test_missing_depth_is_dropped_and_nothing_is_invented():
    camera = camera_at(0.0)
    rgb, depth = look(camera)
    depth[:, :80], depth[40:50, 100:110] = 0, np.nan
    view = clean(camera, rgb, depth)
    assert (view.depth[:, :80] == 0).all()
    assert (view.depth[40:50, 100:110] == 0).all()
    assert torch.isfinite(view.depth).all()


def test_frames_of_another_size_are_refused():
    camera = camera_at(0.0)
    rgb, depth = look(camera)
    with pytest.raises(ShapeError, match=r"'depth' should be \(120, 160\)"):
        fuse([(camera, rgb, depth[:60])], VOXEL_M)
    with pytest.raises(ShapeError, match=r"'image' should be \(120, 160\)"):
        fuse([(camera, rgb[:60], depth)], VOXEL_M)


def test_no_frames_or_no_depth_says_so():
    camera = camera_at(0.0)
    rgb, depth = look(camera)
    with pytest.raises(ClickGSError, match="0 RGB-D frames hold no surface"):
        fuse([], VOXEL_M)
    with pytest.raises(ClickGSError, match="1 RGB-D frames hold no surface"):
        fuse([(camera, rgb, np.zeros_like(depth))], VOXEL_M)
