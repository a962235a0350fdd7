# SPDX-License-Identifier: Apache-2.0
"""Pruning the map by the views that are kept, with a figure of what unknown views would lose."""

from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.editing import Edit, Hide
from ros2_clickgs.core.pruning import View, fidelity, seen
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.nodes.workbench import Workbench

HOLD_EVERY = 8
"""Every so manieth view is held back once, to tell what views cost that were not used."""


def prune(bench: Workbench, min_visibility: float, *, dry_run: bool) -> dict[str, Any]:
    """Hide what no kept view sees; return the facts of PruneMap's response.

    All views decide. What unseen views lose is measured on every eighth, by pruning once without
    these.

    Raises:
        ClickGSError: no view has come, or nothing would be left.
    """
    if not 0 <= min_visibility < float("inf"):
        raise ClickGSError(f"min_visibility {min_visibility} is negative or not finite")
    views, there = bench.views(), ~bench.objects.state.hidden
    keep = seen(bench.rasterizer, [camera for camera, _ in views], min_visibility) & there
    if not keep.any():
        raise ClickGSError(f"nothing is seen with more than {min_visibility} px; lower it")
    used = fidelity(bench.rasterizer, without(bench, ~keep), views)
    held, rest = views[::HOLD_EVERY], [v for i, v in enumerate(views) if i % HOLD_EVERY]
    if not rest:
        held = []
    unseen = fidelity(bench.rasterizer, estimate(bench, rest, min_visibility), held)
    if not dry_run:
        bench.objects.hide(torch.nonzero(there & ~keep)[:, 0])
    return {
        "gaussians_before": int(there.sum()),
        "gaussians_after": int(keep.sum()),
        "max_pixel_change": used.max_pixel_change,
        "psnr_seen_before": used.psnr_before,
        "psnr_seen_after": used.psnr_after,
        "psnr_unseen_before": unseen.psnr_before,
        "psnr_unseen_after": unseen.psnr_after,
    }


def estimate(bench: Workbench, views: list[View], min_visibility: float) -> Rasterizer:
    """Return the map pruned by some of the views only."""
    if not views:
        return bench.rasterizer
    return without(bench, ~seen(bench.rasterizer, [camera for camera, _ in views], min_visibility))


def without(bench: Workbench, rows: Bool[Tensor, " N"]) -> Rasterizer:
    """Return the map with some rows hidden."""
    edit = Edit(0, torch.nonzero(rows)[:, 0], Hide())
    return make_rasterizer(edit(bench.rasterizer.gaussians), bench.config.backend)
