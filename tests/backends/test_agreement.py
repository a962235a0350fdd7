# SPDX-License-Identifier: Apache-2.0
"""Fast backends against the slow one on real maps, and all against an independent dense sum."""

import numpy as np
import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.core.views import pinhole
from tests.conftest import double, random_camera, random_gaussians

REAL_MAPS = [
    "3dgs_mujoco_tabletop/scene.spz",
    "3dgs_padilla/plant.splat",
    "3dgs_playcanvas/guitar.compressed.ply",
    "3dgs_inria_small/point_cloud.ply",
    "kitchen_rgbd/point_cloud.ply",
]


def dense_votes(gaussians: Gaussians, camera: Camera, image: np.ndarray) -> np.ndarray:
    """Sum alpha T over all pixels with plain float64 loops, independently of the package."""
    V, K = camera.viewmat.numpy(), camera.K.numpy()
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    limit_x = (
        -cx / fx - 0.15 * camera.width / fx,
        (camera.width - cx) / fx + 0.15 * camera.width / fx,
    )
    limit_y = (
        -cy / fy - 0.15 * camera.height / fy,
        (camera.height - cy) / fy + 0.15 * camera.height / fy,
    )
    splats = []
    for i in range(len(gaussians)):
        quat = gaussians.quats[i].double()
        w, x, y, z = (quat / quat.norm()).numpy()
        R = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ])  # fmt: skip
        p = V[:3, :3] @ gaussians.means[i].double().numpy() + V[:3, 3]
        if p[2] < 0.01:
            continue
        sx, sy = np.clip(p[0] / p[2], *limit_x), np.clip(p[1] / p[2], *limit_y)
        J = np.array([[fx / p[2], 0, -fx * sx / p[2]], [0, fy / p[2], -fy * sy / p[2]]])
        M = J @ V[:3, :3] @ R @ np.diag(gaussians.scales[i].double().numpy())
        inverse = np.linalg.inv(M @ M.T + 0.3 * np.eye(2))
        center = np.array([fx * p[0] / p[2] + cx, fy * p[1] / p[2] + cy])
        splats.append((p[2], i, center, inverse, float(gaussians.opacities[i])))
    splats.sort(key=lambda s: (s[0], s[1]))
    votes = np.zeros((len(gaussians), image.shape[-1]))
    for v in range(camera.height):
        for u in range(camera.width):
            transmittance = 1.0
            for _, i, center, inverse, opacity in splats:
                d = center - (u + 0.5, v + 0.5)
                alpha = min(0.999, opacity * np.exp(-0.5 * d @ inverse @ d))
                if alpha < 1 / 255:
                    continue
                if transmittance * (1 - alpha) <= 1e-4:
                    break
                votes[i] += alpha * transmittance * image[v, u]
                transmittance *= 1 - alpha
    return votes


def agree(fast: torch.Tensor, slow: torch.Tensor) -> None:
    """Check 1e-4 relative, as a whole and for each row.

    Rounding may push one pixel of a Gaussian over the threshold alpha = 1/255, on either side:
    each row is allowed that one pixel.
    """
    fast, slow = fast.cpu().double(), slow.cpu().double()
    assert (fast - slow).norm() <= 1e-4 * slow.norm()
    off = (fast - slow).abs() > 1e-4 * slow.abs() + 1.01 / 255
    assert off.float().mean() < 1e-4


def test_votes_equal_an_independent_dense_sum(backend):
    gaussians, camera = random_gaussians(60, 3, 0.1), random_camera(3, 24, 18)
    image = torch.rand(18, 24, 2)
    expected = torch.from_numpy(dense_votes(gaussians, camera, image.numpy()))
    agree(make_rasterizer(gaussians, backend).backproject(camera, image), expected)


def test_reference_in_float64_is_the_dense_sum():
    gaussians, camera = random_gaussians(60, 4, 0.1), random_camera(4, 24, 18)
    image = torch.rand(18, 24, 2).double()
    expected = torch.from_numpy(dense_votes(gaussians, camera, image.numpy()))
    votes = make_rasterizer(double(gaussians), "reference").backproject(camera, image)
    assert torch.allclose(votes, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.data
@pytest.mark.parametrize("name", REAL_MAPS)
def test_votes_agree_on_real_maps(data, backend, name):
    from ros2_clickgs.io.maps import load_map

    if backend == "reference":
        pytest.skip("the reference is what the others are compared to")
    gaussians = load_map(data / name)
    camera = facing(gaussians)
    labels = torch.randint(0, 4, (camera.height, camera.width))
    fast = make_rasterizer(gaussians, backend).vote(camera, labels, 4)
    agree(fast, make_rasterizer(gaussians, "reference").vote(camera, labels, 4))


@pytest.mark.slow
def test_votes_agree_on_the_built_in_scene(backend):
    from ros2_clickgs.scenes.tabletop import make_tabletop

    if backend == "reference":
        pytest.skip("the reference is what the others are compared to")
    scene = make_tabletop()
    labels = torch.randint(0, 13, (480, 640))
    fast = make_rasterizer(scene.gaussians, backend).vote(scene.cameras[0], labels, 13)
    agree(fast, make_rasterizer(scene.gaussians, "reference").vote(scene.cameras[0], labels, 13))


def facing(gaussians: Gaussians) -> Camera:
    """Return a small camera that sees the middle of a map from outside its densest part."""
    middle = gaussians.means.median(0).values
    reach = (gaussians.means - middle).norm(dim=-1).median()
    pose = look_at(
        middle + reach * torch.tensor([1.5, 0.4, 0.8]), middle, torch.tensor([0.0, 0, 1])
    )
    return pinhole(pose, 160, 120)
