# SPDX-License-Identifier: Apache-2.0
"""A grid of features knows which pixels it speaks of."""

import torch

from ros2_clickgs.core.descriptor import FeatureGrid


def grid(rows: int, columns: int, origin=(0.0, 0.0), cell=(1.0, 1.0)) -> FeatureGrid:
    features = torch.nn.functional.normalize(torch.rand(rows, columns, 3) + 0.1, dim=-1)
    return FeatureGrid(features=features, origin=origin, cell=cell)


def test_takes_the_pixel_at_each_cells_centre() -> None:
    image = torch.arange(12 * 20).reshape(12, 20)
    taken = grid(2, 3, origin=(5.0, 2.0), cell=(4.0, 4.0)).take(image)
    assert taken.tolist() == [[4 * 20 + 7, 4 * 20 + 11, 4 * 20 + 15],
                              [8 * 20 + 7, 8 * 20 + 11, 8 * 20 + 15]]  # fmt: skip


def test_painting_gives_each_cell_its_pixels() -> None:
    values = torch.rand(3, 4, 2)
    painted = grid(3, 4, origin=(2.0, 1.0), cell=(2.0, 3.0)).paint(values, 12, 12, smooth=False)
    expected = values.repeat_interleave(3, 0).repeat_interleave(2, 1)
    torch.testing.assert_close(painted[1:10, 2:10], expected)


def test_smooth_painting_is_exact_at_centres_and_halfway_between() -> None:
    values = torch.rand(1, 3, 1)
    painted = grid(1, 3, cell=(3.0, 3.0)).paint(values, 3, 9)[1, :, 0]
    torch.testing.assert_close(painted[[1, 4, 7]], values[0, :, 0])
    torch.testing.assert_close(painted[2] + painted[3], values[0, 0, 0] + values[0, 1, 0])


def test_cells_without_a_feature_are_not_described() -> None:
    cells = grid(2, 2)
    cells.features[0, 1] = 0
    assert cells.described.tolist() == [[True, False], [True, True]]
