# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.clicking import Click, lift_pixel, rendered_image, segment_clicks
from ros2_clickgs.core.geometry import project
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.segmenter import Mask
from ros2_clickgs.core.sight import transmittances
from ros2_clickgs.core.views import orbit_cameras
from ros2_clickgs.errors import ClickGSError, NotFoundError
from tests.core.blobs import BLOB_COUNT, TrueSegmenter, blob_camera, blob_map

RED_FRONT = torch.tensor([-0.3, -0.15, 0.0])


@pytest.fixture(scope="module")
def rasterizer():
    return make_rasterizer(blob_map(), "numba")


@pytest.fixture(scope="module")
def images(rasterizer):
    return [rendered_image(rasterizer, blob_camera(angle)) for angle in (0.0, 0.4, -0.4, 3.1)]


def test_a_click_finds_the_red_blob_and_only_it(rasterizer, images):
    object_map = ObjectMap(rasterizer)
    found = segment_clicks(object_map, TrueSegmenter(), images, [Click(RED_FRONT)], name="red")
    assert found.id == 1
    assert found.name == "red"
    assert found.view_count == 3
    assert (found.gaussian_ids < BLOB_COUNT).all()
    assert len(found.gaussian_ids) > 0.6 * BLOB_COUNT


def test_clicking_again_replaces_the_object(rasterizer, images):
    object_map = ObjectMap(rasterizer)
    segment_clicks(object_map, TrueSegmenter(), images, [Click(RED_FRONT)])
    green = RED_FRONT * torch.tensor([-1.0, 1, 1])
    again = segment_clicks(object_map, TrueSegmenter(), images, [Click(green)], object_id=1)
    assert object_map.ids == [1]
    assert (again.gaussian_ids >= BLOB_COUNT).all()


def test_a_mask_that_contradicts_the_others_does_not_vote(rasterizer, images):
    class Fooled(TrueSegmenter):
        def set_image(self, image, depth=None):
            super().set_image(image, depth)
            if np.array_equal(image, images[1].image):
                self.labels = np.ones_like(self.labels)

    found = segment_clicks(ObjectMap(rasterizer), Fooled(), images, [Click(RED_FRONT)])
    assert found.view_count == 2
    assert (found.gaussian_ids < BLOB_COUNT).all()


def test_lifting_a_pixel_finds_the_surface_it_shows(rasterizer):
    camera = blob_camera()
    u, v, _ = project(camera, RED_FRONT[None].double())[0].tolist()
    lifted = lift_pixel(rasterizer, camera, u, v)
    assert (lifted - RED_FRONT).norm() < 0.03
    with pytest.raises(NotFoundError, match="no surface at pixel"):
        lift_pixel(rasterizer, camera, 1.0, 1.0)
    with pytest.raises(NotFoundError, match="an image of 160x120 px"):
        lift_pixel(rasterizer, camera, 160.0, 1.0)


def test_orbit_views_see_the_point_and_are_spread(rasterizer):
    up = torch.tensor([0.0, 0, 1])
    cameras = orbit_cameras(rasterizer, RED_FRONT, distance=0.6, up=up, count=5)
    assert len(cameras) == 5
    for camera in cameras:
        assert torch.allclose((camera.center - RED_FRONT).norm(), torch.tensor(0.6).double())
        assert camera.center[1] < 0
        u, v, _ = project(camera, RED_FRONT[None].double())[0]
        assert abs(u - 320) < 1e-3
        assert abs(v - 240) < 1e-3


def test_clicks_that_cannot_be_answered_say_why(rasterizer, images):
    object_map = ObjectMap(rasterizer)
    with pytest.raises(ClickGSError, match="no positive click given"):
        segment_clicks(object_map, TrueSegmenter(), images, [Click(RED_FRONT, positive=False)])
    with pytest.raises(ClickGSError, match="none of 4 images shows a surface at the clicked"):
        segment_clicks(object_map, TrueSegmenter(), images, [Click(torch.tensor([0.0, 0, 0.2]))])
    with pytest.raises(ClickGSError, match="none of 1 images shows"):
        segment_clicks(object_map, TrueSegmenter(), images[3:], [Click(RED_FRONT)])
    with pytest.raises(NotFoundError, match="no object 5"):
        segment_clicks(object_map, TrueSegmenter(), images, [Click(RED_FRONT)], object_id=5)

    class Blind(TrueSegmenter):
        def predict(self, prompts):
            return [Mask(pixels=np.zeros((120, 160), bool), score=0.0) for _ in prompts]

    with pytest.raises(NotFoundError, match="no Gaussians under the clicks"):
        segment_clicks(object_map, Blind(), images, [Click(RED_FRONT)])
    assert object_map.ids == []


def test_light_passes_as_the_renderer_says(rasterizer):
    eyes = [blob_camera(angle).center for angle in (0.0, 0.5, 1.5, 3.0)]
    passed = transmittances(rasterizer.gaussians, RED_FRONT, torch.stack(eyes), near=0.03)
    assert passed[0] > 0.99
    assert passed[1] > 0.99
    assert passed[3] < 0.05
    green_behind = torch.stack([RED_FRONT + torch.tensor([2.0, 0.4, 0])])
    assert transmittances(rasterizer.gaussians, RED_FRONT, green_behind, near=0.03) < 0.05
