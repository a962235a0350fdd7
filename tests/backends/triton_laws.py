# SPDX-License-Identifier: Apache-2.0
"""The GPU kernels against the reference: under Triton's interpreter, or on a GPU where one is.

Not collected by itself: test_triton.py runs it in a process of its own, because Triton decides
when it is imported whether it interprets. By hand:

    TRITON_INTERPRET=1 python -m pytest tests/backends/triton_laws.py
"""

import os
import sys
import time
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ros2_clickgs.backends import gsplat_cuda
from ros2_clickgs.backends.gsplat_cuda import GsplatRasterizer, gradient
from ros2_clickgs.backends.reference import ReferenceRasterizer
from ros2_clickgs.core.geometry import pose_from
from ros2_clickgs.core.types import IGNORE, Camera, Gaussians
from ros2_clickgs.scenes.tabletop import make_tabletop
from tests.backends import fake_gsplat
from tests.conftest import double, random_camera, random_gaussians

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
LAWS = settings(
    max_examples=4 if INTERPRETED else 50, deadline=None, derandomize=INTERPRETED,
    phases=[Phase.generate],  # the interpreter is too slow to shrink with
)  # fmt: skip
SEEDS, COUNTS = st.integers(0, 10_000), st.integers(1, 50)
WIDTHS, HEIGHTS = st.integers(1, 36), st.integers(1, 36)

pytest.importorskip("triton", reason="Triton is not installed")


@cache
def real_gsplat() -> bool:
    try:
        gsplat_cuda.require_gsplat()
    except gsplat_cuda.BackendUnavailableError:
        return False
    return not INTERPRETED


@pytest.fixture(autouse=True, scope="module")
def gsplat():
    """Without CUDA and gsplat, let a stand-in project and bin."""
    if real_gsplat():
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "gsplat", fake_gsplat)
        patch.setattr(gsplat_cuda, "require_gsplat", lambda: None)
        yield


def scene(seed, count, width=33, height=20, scale_m=0.1):
    gaussians = random_gaussians(count, seed, scale_m)
    camera = random_camera(seed, width, height)
    return GsplatRasterizer(gaussians, DEVICE), ReferenceRasterizer(double(gaussians)), camera


def noise(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def patches(seed, camera, low, high):
    """Return labels in patches of 5x5 px, so that tiles hold one, several or none of them."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(low, high, (8, 8), generator=generator, dtype=torch.int32)
    labels = coarse.repeat_interleave(5, 0).repeat_interleave(5, 1)
    return labels[: camera.height, : camera.width].contiguous()


def close(fast, slow, tolerance=1e-4):
    assert fast.dtype == torch.float32
    assert fast.shape == slow.shape
    fast, slow = fast.cpu().double(), slow.cpu().double()
    assert (fast - slow).norm() <= tolerance * max(float(slow.norm()), 1e-6)


@LAWS
@given(seed=SEEDS, count=COUNTS, width=WIDTHS, height=HEIGHTS)
def test_votes_equal_the_reference(seed, count, width, height):
    fast, slow, camera = scene(seed, count, width, height)
    labels = patches(seed, camera, IGNORE, 5)
    close(fast.vote(camera, labels, 5), slow.vote(camera, labels, 5))


@LAWS
@given(seed=SEEDS, count=COUNTS, channels=st.sampled_from([1, 2, 3, 8, 11]))
def test_backprojection_equals_the_reference(seed, count, channels):
    fast, slow, camera = scene(seed, count, 20, 18)
    image = noise(seed, camera.height, camera.width, channels) - 0.3
    close(fast.backproject(camera, image), slow.backproject(camera, image))


@LAWS
@given(seed=SEEDS, count=COUNTS)
def test_votes_and_backprojection_equal_the_gradient_of_painting(seed, count):
    fast, _, camera = scene(seed, count, 20, 18)
    labels = patches(seed, camera, IGNORE, 3).to(DEVICE)
    one_hot = (labels[..., None] == torch.arange(3, device=DEVICE)).float()
    proof = gradient(fast.tiled(camera), camera, one_hot)
    close(fast.vote(camera, labels, 3), proof)
    close(fast.backproject(camera, one_hot), proof)


@LAWS
@given(seed=SEEDS, count=COUNTS)
def test_rows_of_w_equal_the_reference(seed, count):
    fast, slow, camera = scene(seed, count, 19, 17)
    generator = torch.Generator().manual_seed(seed)
    pixels = (torch.rand(9, 2, generator=generator) * torch.tensor([19, 17])).long()
    pixels = torch.cat([pixels, pixels[:2]])
    rows, expected = fast.weights(camera, pixels), slow.weights(camera, pixels)
    assert rows.row_offsets.cpu().equal(expected.row_offsets)
    assert rows.row_offsets.dtype == torch.int64
    assert rows.gaussian_ids.cpu().equal(expected.gaussian_ids)
    close(rows.weights, expected.weights)


def test_all_rows_of_w_paint_the_picture():
    fast, slow, camera = scene(1, 40, 9, 7)
    values = noise(1, 40, 3)
    rows = fast.weights(camera)
    painted = rows.splat(values).reshape(7, 9, 3)
    close(painted, slow.splat(camera, values))
    close(rows.backproject(painted.flatten(0, 1)), slow.backproject(camera, painted))


def test_splat_takes_more_channels_than_gsplat_holds_at_once():
    fast, slow, camera = scene(2, 30, 17, 9)
    values = noise(2, 30, 70)
    close(fast.splat(camera, values), slow.splat(camera, values))


@pytest.mark.parametrize(
    ("dtype", "large"), [(torch.uint8, 255), (torch.int16, 300), (torch.int64, 70_000)]
)
def test_labels_may_be_large_and_of_any_integer_type(dtype, large):
    fast, slow, camera = scene(3, 30, 18, 9)
    labels = torch.where(patches(3, camera, 0, 3) == 1, large, 2).to(dtype)
    votes = fast.vote(camera, labels, large + 1)
    assert votes.shape == (30, large + 1)
    close(votes[:, [2, large]], slow.vote(camera, torch.where(labels == 2, 0, 1), 2))
    assert torch.count_nonzero(votes) == torch.count_nonzero(votes[:, [2, large]])


def test_labels_that_nobody_asked_for_do_not_vote():
    fast, slow, camera = scene(4, 30, 18, 9)
    labels = patches(4, camera, -3, 9)
    close(fast.vote(camera, labels, 4), slow.vote(camera, labels, 4))
    assert torch.count_nonzero(fast.vote(camera, torch.full_like(labels, IGNORE), 4)) == 0


def test_images_in_half_precision_are_summed_in_single():
    fast, slow, camera = scene(5, 30, 18, 9)
    image = noise(5, 9, 18, 3).half()
    close(fast.backproject(camera, image), slow.backproject(camera, image.double()))


def test_maps_in_double_precision_and_strided_memory_are_taken():
    gaussians, camera = random_gaussians(20, 6, 0.1), random_camera(6, 18, 9)
    strided = Gaussians(
        means=gaussians.means.T.contiguous().T, quats=gaussians.quats, scales=gaussians.scales,
        opacities=torch.stack([gaussians.opacities] * 2, -1)[:, 0], sh=gaussians.sh,
    )  # fmt: skip
    labels = patches(6, camera, 0, 3)
    expected = GsplatRasterizer(gaussians, DEVICE).vote(camera, labels, 3)
    for other in (strided, double(gaussians)):
        close(GsplatRasterizer(other, DEVICE).vote(camera, labels, 3), expected.cpu())


def test_long_lists_saturate_and_what_is_behind_gets_nothing():
    """More splats than are blended between two looks; the walls end every pixel."""
    n = 90
    wall = Gaussians(
        means=torch.cat([torch.zeros(n, 2), torch.linspace(1, 2, n)[:, None]], -1),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        scales=torch.tensor([[9.0, 9, 0.001]]).repeat(n, 1),
        opacities=torch.cat([torch.full((70,), 0.05), torch.ones(n - 70)]),
        sh=torch.zeros(n, 1, 3),
    )
    K = torch.tensor([[20.0, 0, 10], [0, 20, 8], [0, 0, 1]])
    camera = Camera(K=K, T_world_camera=torch.eye(4), width=20, height=16)
    fast, slow = GsplatRasterizer(wall, DEVICE), ReferenceRasterizer(wall)
    labels = torch.ones(16, 20, dtype=torch.int32)
    votes = fast.vote(camera, labels, 2)
    close(votes, slow.vote(camera, labels, 2))
    assert votes[:70, 1].min() > 0
    assert votes[73:].abs().max() == 0
    rows, expected = fast.weights(camera, torch.tensor([[19, 15]])), slow.weights(camera)
    close(rows.weights, expected.weights[expected.row_offsets[-2] :])


def test_an_empty_map_and_an_empty_view_get_nothing():
    nobody = random_gaussians(0)
    behind = random_gaussians(5)
    K = torch.tensor([[20.0, 0, 8], [0, 20, 8], [0, 0, 1]])
    pose = pose_from(torch.eye(3), torch.tensor([0.0, 0, 9]))
    camera = Camera(K=K, T_world_camera=pose, width=16, height=16)
    for gaussians in (nobody, behind):
        fast, n = GsplatRasterizer(gaussians, DEVICE), len(gaussians)
        votes = fast.vote(camera, torch.zeros(16, 16, dtype=torch.int32), 2)
        assert votes.shape == (n, 2)
        assert votes.abs().sum() == 0
        assert fast.backproject(camera, torch.ones(16, 16, 3)).shape == (n, 3)
        assert fast.splat(camera, torch.ones(n, 3)).abs().sum() == 0
        rows = fast.weights(camera, torch.tensor([[3, 4]]))
        assert rows.row_offsets.tolist() == [0, 0]


def test_results_live_where_what_was_given_lives():
    fast, _, camera = scene(8, 10, 18, 9)
    values, labels = torch.ones(10, 2), torch.zeros(9, 18, dtype=torch.int32)
    for device in {"cpu", DEVICE}:
        results = (
            fast.splat(camera, values.to(device)),
            fast.vote(camera, labels.to(device), 2),
            fast.backproject(camera, labels[..., None].float().to(device)),
        )
        assert {result.device.type for result in results} == {device}
    assert fast.gaussians.device.type == "cpu"
    assert fast.weights(camera).weights.device.type == "cpu"


def test_one_camera_is_projected_once(monkeypatch):
    fast, _, camera = scene(7, 10)
    calls = []
    project = gsplat_cuda.tile_splats
    monkeypatch.setattr(
        gsplat_cuda, "tile_splats", lambda *given: calls.append(given) or project(*given)
    )
    for _ in range(2):
        fast.splat(camera, torch.ones(10, 1))
        fast.backproject(camera, torch.ones(20, 33, 1))
    assert len(calls) == 1


def test_the_benchmark_runs_through_and_judges(monkeypatch, capsys):
    from benchmarks import gpu

    base = make_tabletop(count=300)
    monkeypatch.setattr(gpu, "make_tabletop", lambda: replace(base, cameras=base.cameras[:1]))
    plan = gpu.Plan(
        counts=(12, 14), sizes=((4, 3), (18, 4)), labels=(1, 12), views=2, sampled_pixels=5,
        main_count=14, device=DEVICE, repeats=1, warmups=0,
    )  # fmt: skip
    results = gpu.measure_all(plan, time.perf_counter())
    assert [row["gaussians"] for row in results["votes"]] == [14] * 4 + [12] * 4
    assert max(row["relative"] for row in results["agreement"]) < 1e-4
    assert all(row["floor_ms"] > 0 for row in results["votes"])
    promises = [row["promise"] for row in results["verdicts"]]
    assert len(promises) == 6
    assert "votes equal" in capsys.readouterr().out
