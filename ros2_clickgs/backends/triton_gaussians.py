# SPDX-License-Identifier: Apache-2.0
"""The terms on Gaussians in one launch: neighbours, the sphere, clusters.

A program takes a few Gaussians; directions of their neighbours are made as they are fetched, so
that nothing is kept between. Equations are those of core/features/losses.py and neighbours.py.
"""

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.backends.triton_pixels import COARSE, lengths, through_norm
from ros2_clickgs.backends.triton_sparse import entries_of
from ros2_clickgs.core.features.clusters import Clusters
from ros2_clickgs.core.features.neighbours import NeighbourGroup
from ros2_clickgs.core.features.options import DEPTH, LEVELS, TrainingOptions

WIDTH = 32
"""Channels that a program has room for."""
GAUSSIANS, CLUSTERS = 32, 16
"""Gaussians of a program; clusters they are compared with at once."""
NAMES = ("spatial", "norm3d", "global")


@triton.jit
def directions_at(features, rows, there, DEPTH: tl.constexpr, WIDTH: tl.constexpr):
    """Return the directions of whole features; 0 where there is none."""
    channels = tl.arange(0, WIDTH)[None, :]
    at = features + rows.to(tl.int64)[:, None] * DEPTH + channels
    x = tl.load(at, mask=there[:, None] & (channels < DEPTH), other=0.0)
    return x / lengths(x)[:, None]


@triton.jit
def guide(
    x, clusters, cluster_count, members, tau_global, tau,
    CLUSTERS: tl.constexpr, GAUSSIANS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Return the gradient and the value per Gaussian of GFL at one level, not yet averaged."""
    channels = tl.arange(0, WIDTH)
    norms = lengths(x)
    unit = x / norms[:, None]
    best = tl.full([GAUSSIANS], -2.0, tl.float32)
    nearest = tl.zeros([GAUSSIANS], tl.int32)
    start = 0
    while start < cluster_count:
        slots = start + tl.arange(0, CLUSTERS)
        there = slots < cluster_count
        c = tl.load(
            clusters + slots[:, None] * WIDTH + channels[None, :], mask=there[:, None], other=0.0
        )
        similar = tl.dot(unit, tl.trans(c), input_precision="ieee")
        similar = tl.where(there[None, :], similar, -2.0)
        top = tl.max(similar, axis=1)
        first = tl.min(tl.where(similar == top[:, None], slots[None, :], cluster_count), axis=1)
        nearest = tl.where(top > best, first, nearest)
        best = tl.maximum(top, best)
        start += CLUSTERS
    pulled = tl.zeros([GAUSSIANS, WIDTH], tl.float32)
    value = tl.zeros([GAUSSIANS], tl.float32)
    start = 0
    while start < cluster_count:
        slots = start + tl.arange(0, CLUSTERS)
        there = slots < cluster_count
        c = tl.load(
            clusters + slots[:, None] * WIDTH + channels[None, :], mask=there[:, None], other=0.0
        )
        similar = tl.dot(unit, tl.trans(c), input_precision="ieee")
        away = tl.where(similar > tau, 1.0 / cluster_count, 0.0)
        to = tl.where(best > tau_global, -1.0, 0.0)
        pull = tl.where(slots[None, :] == nearest[:, None], to[:, None], away)
        pull = tl.where(there[None, :] & members[:, None], pull, 0.0)
        value += tl.sum(similar * pull, axis=1)
        pulled += tl.dot(pull, c, input_precision="ieee")
        start += CLUSTERS
    return through_norm(pulled, unit, norms), value


@triton.jit
def to_sphere(x, members, scale, WIDTH: tl.constexpr):
    """Return the gradient and the value of 3D-norm: both halves of a feature have length 1."""
    channels = tl.arange(0, WIDTH)[None, :]
    gradient, value = x * 0.0, 0.0
    for half in tl.static_range(2):
        is_half = (channels < COARSE) if half == 0 else (channels >= COARSE)
        part = tl.where(is_half & members[:, None], x, 0.0)
        length = lengths(part)
        off = tl.where(members, length - 1.0, 0.0)
        value += tl.sum(off * off, axis=0) * scale
        gradient += part * (off / length * (2.0 * scale))[:, None]
    return gradient, value


@triton.jit(
    do_not_specialize=["count", "first", "last", "entry_count", "coarse_count", "fine_count"]
)
def gaussian_kernel(
    features, neighbours, of_members, offsets, clusters, gradient, values,
    count, first, last, entry_count, coarse_count, fine_count, cluster_room,
    spatial_weight, norm3d_weight, global_weight, tau_global, tau_coarse, tau_fine,
    K: tl.constexpr, FINE_FROM: tl.constexpr, DEPTH: tl.constexpr, GAUSSIANS: tl.constexpr,
    CLUSTERS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Write the gradient of some Gaussians' features, and what they add to each term."""
    program = tl.program_id(0)
    rows = program * GAUSSIANS + tl.arange(0, GAUSSIANS)
    channels = tl.arange(0, WIDTH)[None, :]
    inside = rows < count
    members = inside & (rows >= first) & (rows < last)
    member_count = (last - first).to(tl.float32)
    at_own = rows.to(tl.int64)[:, None] * DEPTH + channels
    wanted = inside[:, None] & (channels < DEPTH)
    x = tl.load(features + at_own, mask=wanted, other=0.0)
    norms = lengths(x)
    unit = x / norms[:, None]
    around = tl.zeros([GAUSSIANS, WIDTH], tl.float32)
    for k in tl.static_range(K):
        near = tl.load(neighbours + (rows - first) * K + k, mask=members, other=0)
        around += directions_at(features, near, members, DEPTH, WIDTH)
    share = -spatial_weight / tl.maximum(member_count * K, 1.0)
    spatial = tl.sum(tl.sum(unit * around, axis=1), axis=0) * share
    at, end = entries_of(offsets, rows, inside, count, entry_count)
    longest = tl.max(end - at)
    step = 0
    while step < longest:
        there = at < end
        member = tl.load(of_members + at, mask=there, other=0)
        around += directions_at(features, first + member, there, DEPTH, WIDTH)
        at += 1
        step += 1
    total = through_norm(around * share, unit, norms)
    push, norm3d = to_sphere(x, members, norm3d_weight / member_count, WIDTH)
    total += push
    guided = 0.0
    scale = global_weight / member_count
    if coarse_count > 0:
        pull, value = guide(
            tl.where(channels < COARSE, x, 0.0), clusters, coarse_count, members, tau_global,
            tau_coarse, CLUSTERS, GAUSSIANS, WIDTH,
        )  # fmt: skip
        total += pull * scale
        guided += tl.sum(value, axis=0) * scale
    if fine_count > 0:
        pull, value = guide(
            tl.where(channels >= FINE_FROM, x, 0.0), clusters + cluster_room * WIDTH, fine_count,
            members, tau_global, tau_fine, CLUSTERS, GAUSSIANS, WIDTH,
        )  # fmt: skip
        total += pull * scale
        guided += tl.sum(value, axis=0) * scale
    tl.store(gradient + at_own, total, mask=wanted)
    tl.store(values + program * 3, spatial)
    tl.store(values + program * 3 + 1, norm3d)
    tl.store(values + program * 3 + 2, guided)


def gaussian_terms(
    features: Float[Tensor, "N D"],
    group: NeighbourGroup,
    clusters: dict[str, Clusters],
    options: TrainingOptions,
) -> tuple[Float[Tensor, "N D"], dict[str, float]]:
    """Return gradient and values of the terms, as core.features.terms.gaussian_terms does."""
    found = {level: clusters[level].directions for level in LEVELS if level in clusters}
    room = max([1, *map(len, found.values())])
    padded = features.new_zeros(2, room, WIDTH)
    for row, level in enumerate(LEVELS):
        if level in found:
            padded[row, : len(found[level]), options.channels(level)] = found[level]
    programs = triton.cdiv(len(features), GAUSSIANS)
    gradient, values = torch.empty_like(features), features.new_empty(programs, len(NAMES))
    counts = [len(found.get(level, ())) if options.global_weight else 0 for level in LEVELS]
    gaussian_kernel[(programs,)](
        features, group.neighbours, group.of_members, group.offsets, padded, gradient,
        values, len(features), group.members.start, group.members.stop,
        len(group.of_members), *counts, room,
        options.spatial_weight, options.norm3d_weight, options.global_weight,
        options.tau_global, options.tau_coarse, options.tau_fine,
        K=group.neighbours.shape[1], FINE_FROM=options.channels("fine").start, DEPTH=DEPTH,
        GAUSSIANS=GAUSSIANS, CLUSTERS=CLUSTERS, WIDTH=WIDTH, num_warps=4,
    )  # fmt: skip
    return gradient, dict(zip(NAMES, values.sum(0).tolist(), strict=True))
