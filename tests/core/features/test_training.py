# SPDX-License-Identifier: Apache-2.0
"""A training finds the things, and goes on bit for bit wherever it was stopped."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from ros2_clickgs.core.features.masks import MaskedView
from ros2_clickgs.core.features.options import TrainingOptions
from ros2_clickgs.core.features.query import FeatureQuery
from ros2_clickgs.core.features.training import TERMS, Trainer
from ros2_clickgs.errors import ClickGSError, ConfigError, ShapeError
from tests.core.features.training_scene import OPTIONS, blob_rasterizer, blob_truth, blob_views


@pytest.fixture(scope="module")
def scene() -> SimpleNamespace:
    rasterizer = blob_rasterizer()
    return SimpleNamespace(rasterizer=rasterizer, views=blob_views(rasterizer))


def trained(scene, iterations: int, options: TrainingOptions = OPTIONS) -> Trainer:
    trainer = Trainer(scene.rasterizer, scene.views, options)
    for _ in range(iterations):
        trainer.step()
    return trainer


@pytest.fixture(scope="module")
def finished(scene) -> Trainer:
    return trained(scene, OPTIONS.iterations)


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_blobs_and_their_halves(scene, seed: int) -> None:
    options = replace(
        OPTIONS,
        seed=seed,
        iterations=400,
        global_from=250,
        refresh_every=50,
        pixels_per_iteration=1500,
        negative_columns=0,
        background_is_mask=False,  # behind the blobs there is nothing that could carry a feature
    )
    trainer = trained(scene, options.iterations, options)
    result = trainer.result()
    assert trainer.is_done
    assert len(result.coarse_clusters) == 2
    assert len(result.fine_clusters) == 4
    answers = FeatureQuery(result)
    for level, truth in zip(("coarse", "fine"), blob_truth(), strict=True):
        labels = answers.everything(level)
        for thing in truth.unique():
            own = labels[truth == thing].mode().values
            both = ((labels == own) & (truth == thing)).sum()
            assert both / ((labels == own) | (truth == thing)).sum() > 0.9


@pytest.mark.parametrize("stop", [1, 59, 60, 61, 80, 97, 119])
def test_it_goes_on_bit_for_bit(scene, finished: Trainer, stop: int) -> None:
    first = trained(scene, stop)
    state = {name: value.clone() for name, value in first.state().items()}
    second = Trainer(scene.rasterizer, scene.views, OPTIONS)
    second.restore(state)
    while not second.is_done:
        second.step()
    assert torch.equal(second.features, finished.features)
    for level, found in finished.clusters.items():
        assert torch.equal(found.directions, second.clusters[level].directions)


def test_another_seed_gives_another_result(scene, finished: Trainer) -> None:
    other = trained(scene, 5, replace(OPTIONS, seed=1))
    assert not torch.allclose(other.features, trained(scene, 5).features)


def test_it_is_usable_wherever_it_is_stopped(scene) -> None:
    for iterations in (0, 1, 30):
        trainer = trained(scene, iterations)
        before = trainer.features.clone()
        result = trainer.result()
        assert FeatureQuery(result).everything("fine").shape == (len(result),)
        assert torch.equal(before, trainer.features)


def test_a_step_tells_all_terms(scene) -> None:
    trainer = trained(scene, OPTIONS.global_from)
    step = trainer.step()
    assert tuple(step.terms) == TERMS
    assert step.iteration == OPTIONS.global_from + 1
    assert step.loss == pytest.approx(sum(step.terms.values()))
    assert step.coarse_clusters > 0


def test_clusters_are_kept_when_none_are_found(scene, monkeypatch) -> None:
    trainer = trained(scene, OPTIONS.global_from + 1)
    kept = trainer.clusters["coarse"].things
    monkeypatch.setattr(
        "ros2_clickgs.core.features.training.find_clusters", lambda pooled, *_: pooled[:0]
    )
    for _ in range(OPTIONS.refresh_every):
        trainer.step()
    assert torch.equal(trainer.clusters["coarse"].things, kept)


def test_without_any_cluster_the_others_go_on(scene, monkeypatch) -> None:
    monkeypatch.setattr(
        "ros2_clickgs.core.features.training.find_clusters", lambda pooled, *_: pooled[:0]
    )
    step = trained(scene, OPTIONS.global_from).step()
    assert step.terms["global"] == 0


def test_views_without_a_mask_are_refused(scene) -> None:
    empty = torch.zeros_like(scene.views[0].coarse)
    view = MaskedView(camera=scene.views[0].camera, coarse=empty, fine=empty)
    with pytest.raises(ClickGSError, match="none of 1 views has a mask"):
        Trainer(scene.rasterizer, [view], OPTIONS)


def test_the_state_of_another_map_is_refused(scene, finished: Trainer) -> None:
    state = finished.state() | {"features": torch.zeros(7, 24)}
    with pytest.raises(ShapeError, match="features"):
        Trainer(scene.rasterizer, scene.views, OPTIONS).restore(state)


@pytest.mark.parametrize(
    ("name", "value"), [("learning_rate", 0.0), ("tau_fine", float("nan")), ("iterations", -1)]
)
def test_options_are_checked(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        TrainingOptions(**{name: value})
