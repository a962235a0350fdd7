# SPDX-License-Identifier: Apache-2.0
import torch

from ros2_clickgs.core.cleaning import completed, without_outliers


def ball(count, radius=0.1, center=0.0):
    g = torch.Generator().manual_seed(count)
    points = torch.nn.functional.normalize(torch.randn(count, 3, generator=g), dim=-1)
    return points * radius * torch.rand(count, 1, generator=g) ** (1 / 3) + center


def test_points_far_from_all_others_are_left_out():
    points = torch.cat([ball(500), torch.tensor([[0.4, 0.0, 0.0], [0.0, -0.5, 0.0]])])
    keep = without_outliers(points)
    assert keep[:500].float().mean() > 0.95
    assert not keep[500:].any()


def test_few_points_are_all_kept():
    assert without_outliers(ball(10)).all()
    assert len(without_outliers(torch.zeros(0, 3))) == 0


def test_what_was_never_seen_inside_an_object_is_the_object_s():
    means = torch.cat(
        [ball(800), ball(50, radius=0.03), ball(100, center=2.0), ball(5, 0.02, 2.0)]
    )
    labels = torch.zeros(len(means), dtype=torch.int32)
    labels[:800], labels[800:850], labels[-5:] = 3, -1, -1
    full = completed(means, labels)
    assert (full[800:850] == 3).all()
    assert (full[-5:] == -1).all()
    assert torch.equal(full[:800], labels[:800])


def test_without_objects_nothing_is_completed():
    labels = torch.full((100,), -1, dtype=torch.int32)
    assert torch.equal(completed(ball(100), labels), labels)
