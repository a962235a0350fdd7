# SPDX-License-Identifier: Apache-2.0
"""The kernels of a training against the torch path, interpreted or on a GPU.

Not collected by itself: test_triton_training.py runs it in a process of its own. By hand:

    TRITON_INTERPRET=1 python -m pytest tests/backends/triton_training_laws.py
"""

import os
from dataclasses import replace

import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.features import terms
from ros2_clickgs.core.features.clusters import Clusters
from ros2_clickgs.core.features.kernels import TorchKernels
from ros2_clickgs.core.features.masks import MaskedView
from ros2_clickgs.core.features.neighbours import NeighbourGroup, dealt_order, neighbour_groups
from ros2_clickgs.core.features.options import DEPTH, TrainingOptions
from ros2_clickgs.core.features.products import PixelRows, pixel_rows
from ros2_clickgs.core.features.training import Trainer
from ros2_clickgs.core.rasterizer import BlendWeights
from tests.conftest import random_camera, random_gaussians

pytest.importorskip("triton", reason="Triton is not installed")
from ros2_clickgs.backends import triton_gaussians, triton_pixels, triton_sparse
from ros2_clickgs.backends.triton_training import TritonKernels

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
TOLERANCE = 2e-5
"""Of the largest entry; sums are made in another order."""
OPTIONS = TrainingOptions(spatial_count=25)


def alike(found: torch.Tensor, expected: torch.Tensor, tolerance: float = TOLERANCE) -> bool:
    error = (found.cpu().double() - expected.cpu().double()).abs().max()
    return bool(error <= tolerance * expected.abs().max().clamp(min=1e-12))


def same_terms(found: dict, expected: dict) -> bool:
    return all(found[n] == pytest.approx(expected[n], rel=1e-4, abs=1e-6) for n in expected)


def features(count: int, seed: int = 0) -> torch.Tensor:
    """Return features in few directions, so that many pairs are alike."""
    g = torch.Generator().manual_seed(seed)
    directions = torch.randn(4, DEPTH, generator=g)
    chosen = directions[torch.randint(0, 4, (count,), generator=g)]
    return chosen + 0.3 * torch.randn(count, DEPTH, generator=g)


def some_rows(pixels: int, gaussians: int, seed: int = 0) -> PixelRows:
    g = torch.Generator().manual_seed(seed)
    counts = torch.randint(0, 9, (pixels,), generator=g)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    ids = torch.randint(0, gaussians, (int(offsets[-1]),), generator=g, dtype=torch.int32)
    weights = torch.rand(len(ids), generator=g)
    blend = BlendWeights(
        row_offsets=offsets, gaussian_ids=ids, weights=weights, gaussian_count=gaussians
    )
    return pixel_rows(blend, torch.arange(gaussians), 0, pixels)


@pytest.mark.parametrize(("pixels", "gaussians"), [(1, 1), (37, 20), (64, 50)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rows_times_features(pixels, gaussians, dtype):
    rows, values = some_rows(pixels, gaussians), features(gaussians).to(dtype)
    found = triton_sparse.product(
        rows.gaussian_ids.to(DEVICE), rows.row_offsets.to(DEVICE), values.to(DEVICE),
        rows.weights.to(DEVICE),
    )  # fmt: skip
    assert alike(found, rows.splat(values.float()))


def test_the_transpose_is_added_where_it_belongs():
    rows, pulled = some_rows(40, 25), features(40)
    expected = features(25, seed=1)
    found = expected.clone().to(DEVICE)
    triton_sparse.add_product(
        found, rows.touched.to(DEVICE), rows.pixel_ids.to(DEVICE),
        rows.touched_offsets.to(DEVICE), pulled.to(DEVICE), rows.touched_weights.to(DEVICE),
    )  # fmt: skip
    rows.backproject_into(expected, pulled)
    assert alike(found, expected)


@pytest.mark.parametrize(
    ("changes", "masks"),
    [
        ({}, (-1, 4)),
        ({}, (0, 2)),
        ({}, (-1, 0)),
        ({"shares_coarse": False}, (-1, 4)),
        ({"negative_weight": 0.0}, (-1, 4)),
        ({"norm2d_weight": 0.0}, (-1, 4)),
        ({"tau_coarse": 0.0, "tau_fine": 0.1}, (-1, 4)),
    ],
)
def test_terms_on_pixels(changes, masks):
    options, count = replace(OPTIONS, **changes), 75
    g = torch.Generator().manual_seed(2)
    rendered = features(count)
    ids = torch.randint(*masks, (2, count), generator=g)
    columns = torch.randperm(count, generator=g)[:40]
    found, told = triton_pixels.pixel_terms(
        rendered.to(DEVICE), ids.to(DEVICE), columns.to(DEVICE), options
    )
    expected, terms_expected = terms.pixel_terms(rendered, ids, columns, options)
    assert alike(found, expected)
    assert same_terms(told, terms_expected)


def some_clusters(things: int, width: int, seed: int) -> Clusters:
    g = torch.Generator().manual_seed(seed)
    units = torch.nn.functional.normalize(torch.randn(things + 1, width, generator=g), dim=1)
    return Clusters(things=units[:-1], background=units[-1:])


@pytest.mark.parametrize(
    ("changes", "things"),
    [
        ({}, None),
        ({}, 1),
        ({}, 20),
        ({"shares_coarse": False}, 20),
        ({"spatial_weight": 0.0}, 1),
        ({"norm3d_weight": 0.0}, 1),
        ({"global_weight": 0.0}, 1),
        ({"neighbours": 2}, None),
    ],
)
def test_terms_on_gaussians(changes, things):
    options, count = replace(OPTIONS, tau_global=0.3, tau_coarse=0.1, **changes), 45
    means = torch.randn(count, 3, generator=torch.Generator().manual_seed(3))
    means = means[dealt_order(means, options.spatial_count)]
    groups = neighbour_groups(means, options.spatial_count, options.neighbours)
    width = DEPTH - options.channels("fine").start
    clusters = {} if things is None else {
        "coarse": some_clusters(things, 12, 4), "fine": some_clusters(things + 3, width, 5)
    }  # fmt: skip
    values = features(count)
    for group in groups:
        found, told = triton_gaussians.gaussian_terms(
            values.to(DEVICE), on_device(group), clusters,
            options,
        )  # fmt: skip
        expected, terms_expected = terms.gaussian_terms(values, group, clusters, options)
        assert alike(found, expected)
        assert same_terms(told, terms_expected)


def test_a_training_takes_the_same_steps():
    gaussians, camera = random_gaussians(40), random_camera(width=24, height=16)
    labels = torch.randint(0, 3, (2, 16, 24), generator=torch.Generator().manual_seed(6))
    view = MaskedView(camera=camera, coarse=labels[0], fine=labels[1])
    options = replace(
        OPTIONS, pixels_per_iteration=40, negative_columns=20, global_from=1, cluster_share=0.0
    )
    trainers = [
        Trainer(make_rasterizer(gaussians.to(device), "auto"), [view], options, None, kernels)
        for device, kernels in (("cpu", TorchKernels()), (DEVICE, TritonKernels()))
    ]
    for _ in range(2):
        expected, found = (trainer.step() for trainer in trainers)
        assert same_terms(found.terms, expected.terms)
    assert alike(trainers[1].features, trainers[0].features, 1e-3)


def on_device(group: NeighbourGroup) -> NeighbourGroup:
    tensors = {
        name: getattr(group, name).to(DEVICE) for name in ("neighbours", "of_members", "offsets")
    }
    return NeighbourGroup(members=group.members, **tensors)
