# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ros2_clickgs.core.fitting import fit, fitted, moved
from ros2_clickgs.core.types import IGNORE

HAMMER = np.zeros((120, 160), bool)
HAMMER[40:48, 50:100] = HAMMER[30:60, 92:104] = True
ALL_OF_IT = 4 / 160
"""Share of the width by which masks may be moved."""


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(-4, 4), columns=st.integers(-4, 4))
def test_a_mask_is_found_where_it_was_moved(rows, columns):
    found = fit(HAMMER, moved(HAMMER, rows, columns).astype(np.float32), ALL_OF_IT)
    assert (found.rows, found.columns) == (rows, columns)
    assert found.iou == pytest.approx(1.0, abs=1e-5)


def test_iou_is_that_after_the_move_and_soft():
    half = 0.5 * moved(HAMMER, 2, 0).astype(np.float32)
    found = fit(HAMMER, half, ALL_OF_IT)
    assert found.rows == 2
    assert found.iou == pytest.approx(0.5, abs=1e-5)


def test_a_mask_that_is_too_far_off_stays_a_bad_one():
    assert fit(HAMMER, moved(HAMMER, 40, 0).astype(np.float32), ALL_OF_IT).iou < 0.1
    assert fit(HAMMER, np.zeros(HAMMER.shape, np.float32)).iou == 0.0
    assert fit(np.zeros_like(HAMMER), HAMMER.astype(np.float32)).iou == 0.0


def test_without_reach_nothing_is_moved():
    found = fit(HAMMER, moved(HAMMER, 3, 0).astype(np.float32), reach=0.0)
    assert (found.rows, found.columns) == (0, 0)
    assert 0 < found.iou < 1


def test_what_leaves_the_image_is_lost():
    assert moved(HAMMER, 0, 110).sum() == HAMMER[:, :50].sum()
    assert moved(HAMMER, -35, 0)[:10].any()


def test_masks_go_where_the_map_shows_their_objects():
    labels = torch.from_numpy(np.where(HAMMER, 1, 0).astype(np.int32))
    labels[100:110, 20:30], labels[0, 0] = 2, IGNORE
    soft = torch.zeros(120, 160, 2)
    soft[..., 0] = torch.from_numpy(moved(HAMMER, 3, -2))
    soft[10:20, 20:30, 1] = 1.0
    image, fits = fitted(labels, soft, ALL_OF_IT)
    assert fits.tolist() == [True, False]
    assert torch.equal(image == 1, soft[..., 0] == 1)
    assert torch.equal(image == 2, labels == 2)
    assert image[0, 0] == IGNORE


def test_pixels_that_two_moved_masks_claim_do_not_vote():
    labels = torch.zeros(120, 160, dtype=torch.int32)
    labels[40:60, 40:60], labels[40:60, 60:80] = 1, 2
    soft = torch.zeros(120, 160, 2)
    soft[40:60, 42:62, 0] = soft[40:60, 60:80, 1] = 1.0
    image, fits = fitted(labels, soft, ALL_OF_IT)
    assert fits.all()
    assert (image[40:60, 60:62] == IGNORE).all()
    assert (image == 1).sum() == 20 * 18
