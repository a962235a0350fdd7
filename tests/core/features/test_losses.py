# SPDX-License-Identifier: Apache-2.0
"""Every term and its gradient against a literal transcription of its equation under autograd."""

from dataclasses import replace

import pytest
import torch

from ros2_clickgs.core.features import losses
from ros2_clickgs.core.features.clusters import Clusters
from ros2_clickgs.core.features.neighbours import dealt_order, neighbour_groups, spatial
from ros2_clickgs.core.features.options import TrainingOptions
from ros2_clickgs.core.features.terms import gaussian_terms, pixel_terms
from tests.core.features import literal

SAME = {"rtol": 1e-9, "atol": 1e-12}


def bunched(count: int, depth: int, seed: int = 0) -> torch.Tensor:
    """Return features in a few bunches, so that thresholds are met on both sides."""
    g = torch.Generator().manual_seed(seed)
    centers = torch.randn(4, depth, generator=g, dtype=torch.float64)
    noise = torch.randn(count, depth, generator=g, dtype=torch.float64) * 0.45
    return centers[torch.randint(4, (count,), generator=g)] + noise


def masks_of(count: int, seed: int = 0) -> torch.Tensor:
    """Return masks 0 (background), 1, 2 and IGNORE."""
    return torch.randint(-1, 3, (count,), generator=torch.Generator().manual_seed(seed))


def gradient_of(x: torch.Tensor, term) -> tuple[float, torch.Tensor]:
    x = x.clone().requires_grad_()
    value = term(x)
    return float(value.detach()), torch.autograd.grad(value, x)[0]


def ours(x: torch.Tensor, term) -> tuple[float, torch.Tensor]:
    """Return value and gradient of a term on directions, as one of x."""
    norms = losses.norms_of(x)
    value, gradient = term(x / norms)
    return value, losses.through_norm(gradient, x / norms, norms)


def test_positive_is_equation_2() -> None:
    F, M = bunched(24, 12), masks_of(24)
    expected = gradient_of(F, lambda F: literal.positive(F, M))
    torch.testing.assert_close(ours(F, lambda u: losses.positive(u, M)), expected, **SAME)


@pytest.mark.parametrize("tau", [0.5, 0.75])
def test_negative_is_equation_3(tau: float) -> None:
    F, M = bunched(24, 12), masks_of(24)
    value, gradient = gradient_of(F, lambda F: literal.negative(F, M, tau))
    assert value > 0
    result = ours(F, lambda u: losses.negative(u, M, tau))
    torch.testing.assert_close(result, (value, gradient), **SAME)


def test_negative_does_not_depend_on_the_block_size(monkeypatch) -> None:
    u, M = torch.nn.functional.normalize(bunched(50, 12), dim=1), masks_of(50)
    whole = losses.negative(u, M, 0.5)
    monkeypatch.setattr(losses, "BLOCK", 7)
    torch.testing.assert_close(losses.negative(u, M, 0.5), whole, **SAME)


def test_sampled_negatives_are_right_on_average() -> None:
    u, M = torch.nn.functional.normalize(bunched(60, 12), dim=1), masks_of(60)
    value, gradient = losses.negative(u, M, 0.5)
    parts = [losses.negative(u, M, 0.5, c) for c in torch.randperm(60).split(12)]
    assert sum(v for v, _ in parts) / 5 == pytest.approx(value)
    torch.testing.assert_close(sum(g for _, g in parts) / 5, gradient, **SAME)


def test_sampled_negatives_keep_their_bound() -> None:
    u, M = torch.nn.functional.normalize(bunched(400, 12), dim=1), masks_of(400)
    value, _ = losses.negative(u, M, 0.5)
    bound = losses.negative_bound(64, miss=1e-3)
    for seed in range(50):
        columns = torch.randperm(400, generator=torch.Generator().manual_seed(seed))[:64]
        assert abs(losses.negative(u, M, 0.5, columns)[0] - value) < bound


def test_the_bound_falls_with_the_root_of_the_sample() -> None:
    assert losses.negative_bound(512) == pytest.approx(losses.negative_bound(128) / 2)
    assert losses.negative_bound(512) < 0.09


def test_guided_is_equations_8_and_9() -> None:
    f, C = bunched(30, 12), bunched(5, 12, seed=0)
    value, gradient = gradient_of(f, lambda f: literal.guided(f, C, 0.9, 0.3))
    assert value != 0
    result = ours(f, lambda u: losses.guided(u, torch.nn.functional.normalize(C, dim=1), 0.9, 0.3))
    torch.testing.assert_close(result, (value, gradient), **SAME)


def test_guided_without_clusters_is_nothing() -> None:
    value, gradient = losses.guided(torch.ones(3, 12), torch.zeros(0, 12), 0.9, 0.5)
    assert value == 0
    assert not gradient.any()


def test_spatial_is_its_equation_for_every_group() -> None:
    f, points = bunched(40, 24), bunched(40, 3, seed=1)
    points = points[dealt_order(points, 15)]
    groups = neighbour_groups(points, group_size=15, neighbours=4)
    assert len(groups) == 3
    for group in groups:
        members = list(range(40))[group.members]
        expected = gradient_of(f, lambda f, m=members: literal.spatial(f, points, m, 4))
        torch.testing.assert_close(ours(f, lambda u, g=group: spatial(u, g)), expected, **SAME)


def test_gaussians_are_dealt_once_each_and_neighbours_lie_near_each_other() -> None:
    points = torch.rand(3000, 3, generator=torch.Generator().manual_seed(0))
    order = dealt_order(points, 1000)
    assert order.sort().values.tolist() == list(range(3000))
    for block in order.split(1000):
        assert (points[block].mean(0) - 0.5).abs().max() < 0.05
        assert (points[block].diff(dim=0).norm(dim=1) < 0.2).float().mean() > 0.75


def test_a_single_gaussian_has_no_neighbours() -> None:
    (group,) = neighbour_groups(torch.zeros(1, 3), 100, 5)
    assert spatial(torch.ones(1, 24), group)[0] == 0


def test_terms_on_gaussians_are_their_equations() -> None:
    f, points = bunched(30, 24), bunched(30, 3, seed=1)
    (group,) = neighbour_groups(points, 100, 5)
    C = {"coarse": bunched(4, 12), "fine": bunched(4, 24)}
    options = TrainingOptions(tau_coarse=0.2, tau_fine=0.3)

    def total(f):
        return (
            0.5 * literal.spatial(f, points, list(range(30)), 5)
            + 0.2 * literal.norm3d(f, 12)
            + 10 * literal.guided(f[:, :12], C["coarse"], 0.9, 0.2)
            + 10 * literal.guided(f, C["fine"], 0.9, 0.3)
        )

    clusters = {
        level: Clusters(things=torch.nn.functional.normalize(c, dim=1), background=c[:0])
        for level, c in C.items()
    }
    gradient, terms = gaussian_terms(f, group, clusters, options)
    value, expected = gradient_of(f, total)
    assert sum(terms.values()) == pytest.approx(value)
    torch.testing.assert_close(gradient, expected, **SAME)


def test_terms_on_pixels_are_their_equations() -> None:
    F, M = bunched(24, 24), torch.stack([masks_of(24, 1), masks_of(24, 2)])
    options = TrainingOptions(tau_coarse=0.2, tau_fine=0.3)

    def total(F):
        stopped = torch.cat([F[:, :12].detach(), F[:, 12:]], dim=1)
        return (
            literal.positive(F[:, :12], M[0])
            + literal.positive(F, M[1])
            + 0.1 * literal.negative(F[:, :12], M[0], 0.2)
            + 0.1 * literal.negative(stopped, M[1], 0.3)
            + 0.2 * literal.norm2d(F[:, :12], M[0], 1.0)
            + 0.2 * literal.norm2d(F, M[1], 2**0.5)
        )

    gradient, terms = pixel_terms(F, M, torch.arange(24), options)
    value, expected = gradient_of(F, total)
    assert sum(terms.values()) == pytest.approx(value)
    torch.testing.assert_close(gradient, expected, **SAME)


def test_unlabelled_pixels_feel_nothing() -> None:
    F, M = bunched(24, 24), torch.full((2, 24), -1)
    M[:, :12] = masks_of(12).clamp(min=0)
    gradient, _ = pixel_terms(F, M, torch.arange(24), TrainingOptions(tau_coarse=0.1))
    assert gradient[:12].any(1).all()
    assert not gradient[12:].any()


def test_without_the_granularity_prior_levels_do_not_touch() -> None:
    F, M = bunched(24, 24), torch.stack([masks_of(24, 1), masks_of(24, 2)])
    alone = TrainingOptions(shares_coarse=False)
    whole, _ = pixel_terms(F, M, torch.arange(24), alone)
    M[1] = -1
    coarse, _ = pixel_terms(F, M, torch.arange(24), alone)
    torch.testing.assert_close(whole[:, :12], coarse[:, :12], **SAME)


@pytest.mark.parametrize("name", ["negative", "norm2d", "norm3d", "spatial", "global"])
def test_every_term_can_be_switched_off(name: str) -> None:
    options = replace(TrainingOptions(tau_coarse=0.1, tau_fine=0.1), **{f"{name}_weight": 0.0})
    F, M = bunched(24, 24), torch.stack([masks_of(24, 1), masks_of(24, 2)])
    (group,) = neighbour_groups(bunched(24, 3), 100, 5)
    clusters = {"coarse": Clusters(things=F[:3, :12], background=F[:0, :12])}
    _, terms = pixel_terms(F, M, torch.arange(24), options)
    _, more = gaussian_terms(F, group, clusters, options)
    values = terms | more
    assert values.pop(name) == 0
    assert all(values.values())
