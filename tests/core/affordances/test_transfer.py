# SPDX-License-Identifier: Apache-2.0
"""From annotated images to Gaussians: votes, features, smoothing, what was never seen."""

import numpy as np
import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.affordances.lifting import Evidence
from ros2_clickgs.core.affordances.options import AffordanceScores, TransferOptions
from ros2_clickgs.core.affordances.smoothing import smooth
from ros2_clickgs.core.affordances.sources import AnnotatedImage, SourceSet, prepare
from ros2_clickgs.core.affordances.transfer import decide, gather, transfer
from ros2_clickgs.core.affordances.viewing import bounding_sphere, cameras_around
from ros2_clickgs.core.clicking import rendered_image
from ros2_clickgs.core.descriptor import FeatureGrid
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import ClickGSError, ConfigError

RED, GREEN = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


class Colors:
    """A descriptor for tests: each pixel's colour."""

    name = "colors"

    def describe(self, image, mask=None, inside=None) -> FeatureGrid:
        features = torch.nn.functional.normalize(torch.from_numpy(image / 255.0).float(), dim=-1)
        if mask is not None:
            features[torch.from_numpy(~mask)] = 0
        return FeatureGrid(features=features, origin=(0.0, 0.0), cell=(1.0, 1.0))


def stick(count: int = 400) -> Gaussians:
    """Return a stick along x whose left half is red and right half green."""
    x = torch.linspace(-0.1, 0.1, count)
    colors = torch.where(x[:, None] < 0, torch.tensor(RED), torch.tensor(GREEN))
    return Gaussians(
        means=torch.stack([x, 0.01 * torch.sin(50 * x), 0 * x], -1),
        quats=torch.tensor([1.0, 0, 0, 0]).expand(count, 4),
        scales=torch.full((count, 3), 0.006),
        opacities=torch.full((count,), 0.9),
        sh=(colors[:, None] - 0.5) / 0.28209479,
    )


def color_sources() -> SourceSet:
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, :4, 0], image[:, 4:, 1] = 255, 255
    labels = np.ones((8, 8), np.int32)
    labels[:, 4:] = 2
    picture = AnnotatedImage(name="two", image=image, labels=labels)
    return prepare([picture], ["background", "grasp", "cut"], Colors())


@pytest.mark.parametrize("lifting", ["votes", "features"])
@pytest.mark.parametrize("rule", ["majority", "soft"])
def test_halves_of_a_stick_get_the_classes_of_their_colours(rule: str, lifting: str) -> None:
    gaussians = stick()
    told = []
    scores = transfer(
        make_rasterizer(gaussians, "numba"),
        torch.arange(len(gaussians)),
        cameras_around(gaussians, torch.tensor([0.0, 0, 1]), 4),
        color_sources(),
        Colors(),
        TransferOptions(rule=rule, lifting=lifting),
        lambda done, total: told.append((done, total)),
    )
    truth = torch.where(gaussians.means[:, 0] < 0, 1, 2)
    seen = scores.labels >= 0
    assert (scores.labels == truth)[seen].float().mean() > 0.97
    torch.testing.assert_close(scores.scores[seen].sum(1), torch.ones(int(seen.sum())))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_what_views_say_adds_up() -> None:
    gaussians, options = stick(), TransferOptions()
    rasterizer, own = make_rasterizer(gaussians, "numba"), torch.arange(len(gaussians))
    cameras = cameras_around(gaussians, torch.tensor([0.0, 0, 1]), 4)
    rest = (color_sources(), Colors(), options)
    together = gather(rasterizer, own, cameras, *rest)
    apart = gather(rasterizer, own, cameras[:1], *rest) + gather(
        rasterizer, own, cameras[1:], *rest
    )
    torch.testing.assert_close(apart.votes, together.votes)
    torch.testing.assert_close(apart.visibility, together.visibility)


def test_in_a_whole_map_only_the_objects_rows_are_scored() -> None:
    gaussians = stick()
    rasterizer, own = make_rasterizer(gaussians, "numba"), torch.arange(100, 300)
    cameras = cameras_around(gaussians, torch.tensor([0.0, 0, 1]), 3)
    images = [rendered_image(rasterizer, camera) for camera in cameras]
    scores = transfer(rasterizer, own, images, color_sources(), Colors())
    assert len(scores.labels) == 200
    whole = scores.spread(own, len(gaussians))
    assert (whole.labels[:100] == -1).all()
    assert torch.equal(whole.labels[own], scores.labels)


def test_never_seen_gaussians_stay_unlabelled() -> None:
    gaussians = stick()
    hidden = gaussians.select(torch.arange(50))
    away = Gaussians(
        means=hidden.means + torch.tensor([0.0, 0, 50]), quats=hidden.quats,
        scales=hidden.scales, opacities=0 * hidden.opacities, sh=hidden.sh,
    )  # fmt: skip
    both = Gaussians(**{
        name: torch.cat([getattr(gaussians, name), getattr(away, name)])
        for name in ("means", "quats", "scales", "opacities", "sh")
    })  # fmt: skip
    cameras = cameras_around(gaussians, torch.tensor([0.0, 0, 1]), 3)
    rasterizer = make_rasterizer(both, "numba")
    scores = transfer(rasterizer, torch.arange(len(both)), cameras, color_sources(), Colors())
    assert (scores.labels[-50:] == -1).all()
    assert scores.scores[-50:].eq(0).all()


def test_a_callback_may_end_the_transfer() -> None:
    def stop(done: int, total: int) -> None:
        raise InterruptedError

    gaussians = stick(50)
    cameras = cameras_around(gaussians, torch.tensor([0.0, 0, 1]), 3)
    rasterizer = make_rasterizer(gaussians, "numba")
    with pytest.raises(InterruptedError):
        transfer(rasterizer, torch.arange(50), cameras, color_sources(), Colors(), on_view=stop)


def test_views_that_miss_the_object_are_refused() -> None:
    gaussians = stick(50)
    camera = cameras_around(gaussians, torch.tensor([0.0, 0, 1]), 1)[0]
    gaussians = Gaussians(
        means=gaussians.means + 9, quats=gaussians.quats, scales=gaussians.scales,
        opacities=gaussians.opacities, sh=gaussians.sh,
    )  # fmt: skip
    rasterizer = make_rasterizer(gaussians, "numba")
    with pytest.raises(ClickGSError, match="no view shows the object"):
        transfer(rasterizer, torch.arange(50), [camera], color_sources(), Colors())


def test_sources_of_another_descriptor_are_refused() -> None:
    other = Colors()
    other.name = "other"
    with pytest.raises(ConfigError, match="colors"):
        transfer(make_rasterizer(stick(9), "numba"), torch.arange(9), [], color_sources(), other)


def test_one_class_only_is_refused() -> None:
    picture = AnnotatedImage(
        name="one", image=np.full((8, 8, 3), 99, np.uint8), labels=np.ones((8, 8), np.int32)
    )
    with pytest.raises(ClickGSError, match="hold 'grasp' only"):
        prepare([picture], ["background", "grasp"], Colors())


def evidence_of(votes: torch.Tensor) -> Evidence:
    return Evidence(votes=votes, visibility=votes.sum(1))


def test_neighbours_outvote_a_stray_and_strength_zero_leaves_scores_alone() -> None:
    gaussians = stick()
    votes = torch.nn.functional.one_hot(1 + (gaussians.means[:, 0] > 0).long(), 3).float()
    strays = torch.tensor([50, 120, 333])
    votes[strays] = votes[strays][:, [0, 2, 1]]
    assert torch.equal(smooth(evidence_of(votes), gaussians, 0.0), votes)
    smoothed = smooth(evidence_of(votes), gaussians, 0.67)
    assert smoothed[strays].argmax(1).tolist() == [1, 1, 2]
    torch.testing.assert_close(smoothed.sum(1), torch.ones(len(votes)))


def test_unsure_views_leave_the_object_to_the_background() -> None:
    unsure = Evidence(votes=torch.tensor([[0.0, 0.02, 0.0]]), visibility=torch.ones(1))
    sure = Evidence(votes=torch.tensor([[0.0, 0.9, 0.0]]), visibility=torch.ones(1))
    assert unsure.scores.argmax(1) == 0
    assert sure.scores.argmax(1) == 1


def test_labels_follow_scores() -> None:
    scores = torch.tensor([[0.2, 0.8], [0.0, 0.0], [0.6, 0.4]])
    assert AffordanceScores.of(["background", "grasp"], scores).labels.tolist() == [1, -1, 0]


def test_decide_needs_a_view() -> None:
    nothing = Evidence(votes=torch.zeros(9, 3), visibility=torch.zeros(9))
    with pytest.raises(ClickGSError, match="no view"):
        decide(nothing, stick(9), color_sources(), TransferOptions())


def test_cameras_around_hold_the_object_and_stand_above_it() -> None:
    gaussians, up = stick(), torch.tensor([0.0, 1.0, 0.0])
    cameras = cameras_around(gaussians, up, 8)
    center, radius_m = bounding_sphere(gaussians.means.double())
    assert len({tuple(camera.center.tolist()) for camera in cameras}) == 8
    for camera in cameras:
        assert (camera.center - center) @ up.double() > 0.3 * radius_m
        alpha = make_rasterizer(gaussians, "numba").splat(camera, torch.ones(len(gaussians), 1))
        assert alpha[[0, -1]].max() < 0.1
        assert alpha[:, [0, -1]].max() < 0.1
