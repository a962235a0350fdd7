# SPDX-License-Identifier: Apache-2.0
"""The stored rows of W obey the laws of W."""

import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.features.products import by_column, pixel_rows
from tests.conftest import random_camera, random_gaussians


def some_rows():
    rasterizer = make_rasterizer(random_gaussians(300), "numba")
    g = torch.Generator().manual_seed(0)
    pixels = torch.stack(
        [torch.randint(70, (80,), generator=g), torch.randint(50, (80,), generator=g)], dim=1
    )
    return rasterizer, pixels, rasterizer.weights(random_camera(), pixels)


def test_splat_is_a_rendered_image_at_the_pixels() -> None:
    rasterizer, pixels, blend = some_rows()
    features = torch.randn(300, 24)
    image = rasterizer.splat(random_camera(), features)
    for first, last in ((0, 80), (0, 30), (30, 80)):
        rows = pixel_rows(blend, torch.arange(300), first, last)
        u, v = pixels[first:last].T
        torch.testing.assert_close(rows.splat(features), image[v, u], rtol=1e-4, atol=1e-5)


def test_backprojection_is_the_adjoint() -> None:
    _, _, blend = some_rows()
    rows = pixel_rows(blend, torch.arange(300), 10, 60)
    features, image = torch.randn(300, 24), torch.randn(50, 24)
    gradient = torch.zeros(300, 24)
    rows.backproject_into(gradient, image)
    left, right = (rows.splat(features) * image).sum(), (features * gradient).sum()
    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-4)


def test_backprojection_adds() -> None:
    _, _, blend = some_rows()
    rows, image = pixel_rows(blend, torch.arange(300), 0, 80), torch.randn(80, 24)
    once, twice = torch.zeros(300, 24), torch.zeros(300, 24)
    rows.backproject_into(once, image)
    rows.backproject_into(twice, image)
    rows.backproject_into(twice, image)
    torch.testing.assert_close(twice, 2 * once)


def test_by_column_sorts_with_ties_by_place() -> None:
    order, touched, offsets = by_column(torch.tensor([5, 2, 5, 0, 2]))
    assert order.tolist() == [3, 1, 4, 0, 2]
    assert touched.tolist() == [0, 2, 5]
    assert offsets.tolist() == [0, 1, 3]


def test_no_entries_have_no_columns() -> None:
    assert [len(x) for x in by_column(torch.zeros(0, dtype=torch.int32))] == [0, 0, 0]
