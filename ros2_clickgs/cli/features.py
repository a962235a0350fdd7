# SPDX-License-Identifier: Apache-2.0
"""`clickgs train`, `query` and `everything`: features on the map, and what they answer."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ros2_clickgs.cli.checks import check_number, check_output
from ros2_clickgs.cli.console import progress, say
from ros2_clickgs.cli.options import Backend, Cameras, MapPath, OptionalCameras, Pixel, Point
from ros2_clickgs.errors import ClickGSError

if TYPE_CHECKING:
    from torch import Tensor

    from ros2_clickgs.core.features.query import FeatureQuery
    from ros2_clickgs.core.features.training import Step, Trainer
    from ros2_clickgs.core.rasterizer import Rasterizer
    from ros2_clickgs.io.views import View

Level = Literal["coarse", "fine"]
CHECKPOINT_EVERY = 250
"""Iterations that a kill may cost."""


def train(
    map: MapPath,
    *,
    cameras: Cameras,
    masks: Path,
    out: Path,
    iterations: int = 3000,
    seed: int = 0,
    resume: bool = False,
    memory_gb: float = 2.0,
    backend: Backend = "auto",
) -> dict[str, Any]:
    """Train two-level features on the frozen map, so that clicks need no 2D network.

    Ctrl-C writes the features as they are; --resume goes on from there, or from a kill.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        cameras: transforms.json or a COLMAP sparse folder.
        masks: folder of NAME.coarse.png and NAME.fine.png; ids need not agree between views,
            0 is background, 255 (16 bits: 65535) unlabelled.
        out: F.npz to write.
        iterations: how long; the paper's 3000.
        seed: of everything random.
        resume: go on from OUT's checkpoint, if there is one.
        memory_gb: for the pixels' blending weights; what does not fit goes to files.
        backend: rasterizer.
    """
    from ros2_clickgs.backends import make_kernels, make_rasterizer
    from ros2_clickgs.core.features.options import TrainingOptions
    from ros2_clickgs.core.features.training import Trainer
    from ros2_clickgs.io.cameras import load_views
    from ros2_clickgs.io.features import SpillingShelf, load_checkpoint, save_features
    from ros2_clickgs.io.maps import load_map, map_sha256
    from ros2_clickgs.io.masked_views import load_masked_views

    check_number("--iterations", iterations, 1, float("inf"))
    check_number("--seed", seed, 0, float("inf"))
    check_number("--memory-gb", memory_gb, 0, float("inf"))
    check_output(out, (".npz",))
    views = load_views(cameras)
    masked = load_masked_views(views, masks).masked
    map_hash, checkpoint = map_sha256(map), out.with_suffix(".checkpoint.pt")
    guided_from = min(TrainingOptions().global_from, iterations * 2 // 3)
    options = TrainingOptions(iterations=iterations, seed=seed, global_from=guided_from)
    start = time.perf_counter()
    rasterizer = make_rasterizer(load_map(map), backend)
    shelf = SpillingShelf(int(memory_gb * 2**30))
    kernels = make_kernels(rasterizer.gaussians.device)
    trainer = Trainer(rasterizer, masked, options, shelf, kernels)
    if resume and checkpoint.exists():
        load_checkpoint(checkpoint, trainer, map_hash)
    last = run(trainer, checkpoint, map_hash)
    result = trainer.result()
    save_features(out, result, map_hash, views)
    if trainer.is_done:
        checkpoint.unlink(missing_ok=True)
    return {
        "out": str(out),
        "views": len(masked),
        "views_without_masks": len(views) - len(masked),
        "iterations": trainer.iteration,
        "coarse_clusters": len(result.coarse_clusters),
        "fine_clusters": len(result.fine_clusters),
        "loss": last.terms if last else {},
        "seconds": time.perf_counter() - start,
    }


def run(trainer: "Trainer", checkpoint: Path, map_hash: str) -> "Step | None":
    """Train to the end or to Ctrl-C, with a checkpoint now and then; return the last step."""
    from ros2_clickgs.io.features import save_checkpoint

    last, left = None, trainer.options.iterations - trainer.iteration
    try:
        for _ in progress(range(left), "training", left):
            last = trainer.step()
            if last.iteration % CHECKPOINT_EVERY == 0 and not trainer.is_done:
                save_checkpoint(checkpoint, trainer, map_hash)
    except KeyboardInterrupt:
        say(f"stopped after {trainer.iteration} iterations; --resume goes on from here")
        save_checkpoint(checkpoint, trainer, map_hash)
    return last


def query(
    map: MapPath,
    *,
    features: Path,
    out: Path,
    level: Level = "coarse",
    pixel: Pixel = None,
    point: Point = None,
    cameras: OptionalCameras = None,
    backend: Backend = "auto",
) -> dict[str, Any]:
    """Write what was clicked on, by trained features.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        features: F.npz of that map.
        out: .ply or .spz to write.
        level: coarse for the object, fine for the part.
        pixel: clicked pixel of a camera's view, by the view's name.
        point: or clicked point in the map's frame, in m.
        cameras: where the view is looked up; else among those of the training.
        backend: rasterizer.
    """
    from ros2_clickgs.backends import make_rasterizer
    from ros2_clickgs.core.features.query import FeatureQuery, check_fits
    from ros2_clickgs.io.cameras import load_views
    from ros2_clickgs.io.features import load_feature_views, load_features
    from ros2_clickgs.io.maps import load_map, map_sha256, save_map

    if (point is None) == (pixel is None):
        raise ClickGSError("give either --pixel VIEW U V or --point X Y Z")
    check_output(out, (".ply", ".spz"))
    feature_map = load_features(features, map_sha256(map))
    rasterizer = make_rasterizer(load_map(map), backend)
    check_fits(rasterizer.gaussians, feature_map)
    views = load_views(cameras) if cameras else load_feature_views(features)
    answerer = FeatureQuery(feature_map.to(rasterizer.gaussians.device))
    start = time.perf_counter()
    clicked = clicked_feature(rasterizer, answerer, views, pixel, point, level)
    chosen = answerer.select(clicked[None], level)
    seconds = time.perf_counter() - start
    if not chosen.any():
        raise ClickGSError(f"nothing at the {level} level is like what was clicked on")
    save_map(out, rasterizer.gaussians.select(chosen).to("cpu"))
    return {"out": str(out), "level": level, "gaussians": int(chosen.sum()), "seconds": seconds}


def clicked_feature(
    rasterizer: "Rasterizer",
    answerer: "FeatureQuery",
    views: "list[View]",
    pixel: tuple[str, float, float] | None,
    point: tuple[float, float, float] | None,
    level: Level,
) -> "Tensor":
    """Return the feature [24] at a pixel of a view or at a point (m)."""
    import torch

    from ros2_clickgs.io.cameras import find_view

    if pixel is not None:
        camera = find_view(views, pixel[0]).camera
        return answerer.feature_at_pixel(rasterizer, camera, *pixel[1:], level)
    return answerer.feature_at_point(rasterizer.gaussians, torch.tensor(point), level)


def everything(
    map: MapPath, *, features: Path, out: Path, level: Level = "coarse"
) -> dict[str, Any]:
    """Label every Gaussian with the thing that trained features say it belongs to.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        features: F.npz of that map.
        out: L.npz to write.
        level: coarse for objects, fine for parts.
    """
    from ros2_clickgs.core.features.query import FeatureQuery, check_fits
    from ros2_clickgs.io.features import load_features
    from ros2_clickgs.io.labels import Labels, save_labels
    from ros2_clickgs.io.maps import load_map, map_sha256

    check_output(out, (".npz",))
    map_hash = map_sha256(map)
    feature_map = load_features(features, map_hash)
    check_fits(load_map(map), feature_map)
    labels = FeatureQuery(feature_map).everything(level)
    count = len(feature_map.clusters(level))
    names = [f"object_{i + 1}" if level == "coarse" else f"part_{i + 1}" for i in range(count)]
    save_labels(out, Labels(labels=labels, names=names, map_sha256=map_hash))
    return {
        "out": str(out),
        "level": level,
        "labels": {str(i + 1): int((labels == i + 1).sum()) for i in range(count)},
        "background": int((labels == 0).sum()),
    }
