# SPDX-License-Identifier: Apache-2.0
"""What pruning saves and costs: the built-in tabletop, and real maps with their own photographs.

A Gaussian stays if any used view gives it any weight at all (the paper's rule). The tabletop's
views are its cameras, every sixth held back; the kitchen's are the images that its map was trained
on, held back are its test images.

    python -m benchmarks.pruning [--data FOLDER]
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch

from benchmarks.report import print_table, write_results
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.pruning import View, fidelity, visibility
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.io.images import read_image
from ros2_clickgs.io.maps import load_map
from ros2_clickgs.scenes.tabletop import make_tabletop

DATA = Path(__file__).parents[2] / "shared" / "data"
THRESHOLDS_PX = (0.0, 1.0)
"""What has no more than this over all used views is dropped; 0 is the paper's rule."""
LOSSLESS = 1 / 510
"""Half a step of an 8-bit picture."""


def main() -> None:
    """Prune each map by each threshold and print one row each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with kitchen_rgbd")
    options = parser.parse_args()
    rows = measure("tabletop", *tabletop())
    rows += measure("tabletop, 10 views", *tabletop(every=5))
    if (options.data / "kitchen_rgbd").is_dir():
        rows += measure("kitchen_rgbd", *kitchen(options.data / "kitchen_rgbd"))
    print_table(rows)
    write_results("pruning", rows)
    lossy = [r for r in rows if r["threshold_px"] == 0 and r["max_pixel_change"] > LOSSLESS]
    if lossy:
        raise SystemExit(f"a pixel of a used view changes by more than 1/510: {lossy}")


def tabletop(every: int = 1) -> tuple[Gaussians, list[View], list[View]]:
    """Return the built-in map, used and unseen views; there are no images."""
    scene = make_tabletop()
    unseen = [(camera, None) for camera in scene.cameras[5::6]]
    used = [(camera, None) for i, camera in enumerate(scene.cameras) if i % 6 != 5]
    return scene.gaussians, used[::every], unseen


def kitchen(folder: Path) -> tuple[Gaussians, list[View], list[View]]:
    """Return the real map, the views that it was trained on and those kept for testing."""
    views = load_views(folder / "transforms.json")
    names = json.loads((folder / "transforms.json").read_text())["test_filenames"]
    tests = {Path(name).stem for name in names}
    looks = [(view.camera, read_image(view.image_path, view.camera)) for view in views]
    is_test = [view.image_path.stem in tests for view in views]
    used = [look for look, test in zip(looks, is_test, strict=True) if not test]
    unseen = [look for look, test in zip(looks, is_test, strict=True) if test]
    return load_map(folder / "point_cloud.ply"), used, unseen


def measure(name: str, gaussians: Gaussians, used: list[View], unseen: list[View]) -> list[dict]:
    """Return a row per threshold."""
    whole = make_rasterizer(gaussians)
    begin = time.perf_counter()
    seen_px = visibility(whole, [camera for camera, _ in used]).cpu()
    seconds = time.perf_counter() - begin
    rows = []
    for threshold in THRESHOLDS_PX:
        keep = seen_px > threshold
        pruned = make_rasterizer(whole.gaussians.select(keep.to(whole.gaussians.device)))
        at_used, at_unseen = (fidelity(whole, pruned, views) for views in (used, unseen))
        row = {
            "map": name, "threshold_px": threshold, "views": len(used),
            "gaussians": len(gaussians), "kept": int(keep.sum()),
            "compression": 1 - float(keep.float().mean()), "seconds": seconds,
            "max_pixel_change": at_used.max_pixel_change,
            "psnr_used_before": at_used.psnr_before, "psnr_used_after": at_used.psnr_after,
            "unseen_views": len(unseen),
            "psnr_unseen_before": at_unseen.psnr_before,
            "psnr_unseen_after": at_unseen.psnr_after,
            "psnr_unseen_between": at_unseen.psnr_between,
            "max_unseen_change": at_unseen.max_pixel_change,
        }  # fmt: skip
        rows.append({column: shown(value) for column, value in row.items()})
    return rows


def shown(value: str | int | float) -> str | int | float:
    """Return a figure that JSON has a word for."""
    if isinstance(value, float) and not math.isfinite(value):
        return "no images" if math.isnan(value) else "identical"
    return value


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
