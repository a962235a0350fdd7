# SPDX-License-Identifier: Apache-2.0
"""Of too many views those are taken that see the map from all sides."""

import math

import pytest

from ros2_clickgs.core.features.coverage import choose_views, smaller
from tests.core.blobs import blob_camera
from tests.core.features.training_scene import blob_rasterizer


def test_few_views_are_all_taken():
    assert choose_views(blob_rasterizer(), [blob_camera(), blob_camera()], 2) == [0, 1]


def test_the_other_side_is_taken_before_the_same_again():
    same = [blob_camera(0.01 * i) for i in range(5)]
    chosen = choose_views(blob_rasterizer(), [*same, blob_camera(math.pi)], 2)
    assert 5 in chosen
    assert chosen == sorted(chosen)


def test_a_smaller_view_shows_the_same():
    camera = blob_camera()
    small = smaller(camera, 40)
    assert (small.width, small.height) == (40, 30)
    assert small.K[0, 0] / 40 == pytest.approx(float(camera.K[0, 0] / camera.width))
    assert smaller(camera, 1000).width == camera.width
