# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.geometry import project
from ros2_clickgs.core.views import Z_UP, covering_cameras, farthest_from, news, sphere
from ros2_clickgs.core.votes import cast_votes
from tests.core.blobs import BLOB_COUNT, blob_camera, blob_labels, solid_blob_map

IS_RED = torch.arange(2 * BLOB_COUNT) < BLOB_COUNT


@pytest.fixture(scope="module")
def rasterizer():
    return make_rasterizer(solid_blob_map(), "numba")


@pytest.fixture(scope="module")
def chosen(rasterizer):
    """Where to look at the red blob next, once it was seen from the front."""
    camera = blob_camera()
    red = (blob_labels(rasterizer, camera) == 1).int()
    votes = cast_votes(rasterizer, camera, red, 1)
    front = votes.votes_for[0] > votes.votes_against[0]
    centers = camera.center[None]
    return front, covering_cameras(rasterizer, front, votes, centers, up=Z_UP, count=3)


def test_unseen_sides_come_first(chosen):
    center = torch.tensor([-0.3, 0.0, 0.0]).double()
    before = torch.nn.functional.normalize(blob_camera().center - center, dim=0)
    for camera in chosen[1]:
        sight = torch.nn.functional.normalize(camera.center - center, dim=0)
        assert sight @ before < 0.8


def test_what_is_known_fills_half_of_the_frame(rasterizer, chosen):
    front, cameras = chosen
    assert len(cameras) == 3
    for camera in cameras:
        uv = project(camera, rasterizer.gaussians.means[front])[:, :2]
        extent = (uv.amax(0) - uv.amin(0)) / torch.tensor([camera.width, camera.height])
        assert 0.3 < extent.max() < 0.7


def test_no_camera_looks_through_the_neighbour(rasterizer, chosen):
    for camera in chosen[1]:
        labels = blob_labels(rasterizer, camera)
        assert (labels == 1).sum() > 2 * (labels == 2).sum()


def test_a_view_without_anything_known_tells_nothing():
    assert news(0.0, 500.0) == 0
    assert news(100.0, 500.0) < news(200.0, 400.0)
    assert news(500.0, 0.0) < news(400.0, 100.0)


def test_farthest_directions_keep_away_from_those_taken():
    directions = sphere(60)
    taken = torch.tensor([[0.0, 0.0, 1.0]]).double()
    picked = farthest_from(directions, taken, 3)
    assert picked[0][2] < -0.9
    assert (picked[1:] @ picked[0]).max() < 0.5
    assert len(farthest_from(directions, taken, 100)) == 60
