# SPDX-License-Identifier: Apache-2.0
"""`clickgs prune`: the map without what no view sees, and what that costs."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ros2_clickgs.cli.checks import check_number, check_output
from ros2_clickgs.cli.console import progress
from ros2_clickgs.cli.options import Backend, Cameras, MapPath
from ros2_clickgs.errors import ClickGSError

if TYPE_CHECKING:
    from ros2_clickgs.core import pruning
    from ros2_clickgs.io.views import View


def prune(
    map: MapPath,
    *,
    cameras: Cameras,
    out: Path,
    min_visibility: float = 0.0,
    hold_every: int = 0,
    backend: Backend = "auto",
) -> dict[str, Any]:
    """Write the map without the Gaussians that no camera's view sees.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        cameras: transforms.json or a COLMAP sparse folder; its images are compared to, if any.
        out: .ply or .spz to write.
        min_visibility: what has this or less over all views goes, in px; 0 changes no pixel.
        hold_every: every so manieth view has no say, and shows what unseen views lose; 0: none.
        backend: rasterizer.
    """
    from ros2_clickgs.backends import make_rasterizer
    from ros2_clickgs.core.pruning import fidelity, seen
    from ros2_clickgs.io.cameras import load_views
    from ros2_clickgs.io.maps import load_map, save_map

    check_output(out, (".ply", ".spz"))
    check_number("--min-visibility", min_visibility, 0, math.inf)
    check_number("--hold-every", hold_every, 0, math.inf)
    views, gaussians = load_views(cameras), load_map(map)
    held = views[hold_every - 1 :: hold_every] if hold_every else []
    used = [view for view in views if view not in held]
    if not used:
        raise ClickGSError("--hold-every 1 leaves no view to prune by; give 2 or more")
    rasterizer = make_rasterizer(gaussians, backend)
    looking = progress((view.camera for view in used), "looking", len(used))
    keep = seen(rasterizer, looking, min_visibility)
    if not keep.any():
        raise ClickGSError(f"no camera of {cameras} sees the map; {out} is not written")
    pruned = make_rasterizer(rasterizer.gaussians.select(keep.to(gaussians.device)), backend)
    of_used = fidelity(rasterizer, pruned, images(used, "comparing"))
    save_map(out, gaussians.select(keep))
    report = {
        "out": str(out),
        "gaussians_before": len(gaussians),
        "gaussians_after": int(keep.sum()),
        "compression": 1 - int(keep.sum()) / len(gaussians),
        "views": len(used),
        "max_pixel_change": of_used.max_pixel_change,
        **psnrs("seen", of_used),
    }
    if held:
        report |= psnrs("unseen", fidelity(rasterizer, pruned, images(held, "comparing")))
    return report


def images(views: "list[View]", doing: str) -> "Iterator[pruning.View]":
    """Yield the cameras and their images, None where there is none."""
    from ros2_clickgs.io.images import read_image

    for view in progress(views, doing, len(views)):
        has_image = view.image_path is not None and view.image_path.exists()
        yield view.camera, read_image(view.image_path, view.camera) if has_image else None


def psnrs(name: str, fidelity: "pruning.Fidelity") -> dict[str, float]:
    """Return the finite ones of the figures (dB), by name."""
    figures = {
        f"psnr_{name}_before": fidelity.psnr_before,
        f"psnr_{name}_after": fidelity.psnr_after,
        f"psnr_{name}_between": fidelity.psnr_between,
    }
    return {name: value for name, value in figures.items() if math.isfinite(value)}
