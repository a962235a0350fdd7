# SPDX-License-Identifier: Apache-2.0
"""How exactly trained features answer clicks, and what each term of the loss is worth.

Protocol: every sixth of the tabletop's 60 cameras is an unseen view, the other 50 train. Their
masks are the ground truth made as bad as SAM's (scenes/noise.py), ids dealt anew in every view
and level. Each object (coarse) and part (fine) that unseen views show with 30 pixels or more is
clicked on three times, at pixels drawn with seed 0 from all its pixels in all unseen views.
Gaussians that a click selects are splatted into all unseen views; IoU counts the pixels of all,
and a thing's is the mean over its clicks; what unseen views show with fewer pixels has no part.
`everything` is the same IoU for the label that most of a thing's pixels have.

    python -m benchmarks.features [--seeds 0 1 2] [--shrink 1] [--ablations]
"""

import argparse
import math
import time
from dataclasses import replace

import numpy as np
import torch

from benchmarks.report import print_table, write_results
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.features.feature_map import FeatureMap
from ros2_clickgs.core.features.masks import MaskedView
from ros2_clickgs.core.features.options import TrainingOptions
from ros2_clickgs.core.features.query import FeatureQuery
from ros2_clickgs.core.features.training import Trainer
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import HALF_COVERED, render_labels
from ros2_clickgs.core.types import Camera
from ros2_clickgs.scenes.masks import scene_masks
from ros2_clickgs.scenes.noise import MaskNoise, noisy_masks
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.tabletop import make_tabletop

ABLATIONS = {
    "full": {},
    "w/o GFL": {"global_weight": 0.0},
    "w/o 3D-norm": {"norm3d_weight": 0.0},
    "w/o 2D-norm": {"norm2d_weight": 0.0},
    "w/o spatial": {"spatial_weight": 0.0},
    "w/o granularity prior": {"shares_coarse": False},
}
CLICKS, FEWEST_PIXELS = 3, 30
BORDER_PX = 3.0
"""How far noise moves borders of 640x480, and how much of them the training leaves out."""


def main() -> None:
    """Train on each seed and print the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--shrink", type=int, default=1, help="images of 640x480 over this")
    parser.add_argument("--pixels", type=int, default=10_000)
    parser.add_argument("--iterations", type=int, default=3_000)
    parser.add_argument("--ablations", action="store_true")
    chosen = parser.parse_args()
    options = TrainingOptions(
        iterations=chosen.iterations,
        global_from=chosen.iterations * 2 // 3,
        pixels_per_iteration=chosen.pixels,
        border_px=BORDER_PX / chosen.shrink,
    )
    rows, details = [], {}
    for name, change in (ABLATIONS if chosen.ablations else {"full": {}}).items():
        for seed in chosen.seeds:
            row, things = measure(seed, chosen, replace(options, **change))
            rows.append({"terms": name} | row)
            details[f"{name}, seed {seed}"] = things
            print_table(rows)
    kind = "ablations" if chosen.ablations else "features"
    write_results(kind, {"settings": vars(chosen), "rows": rows, "iou_of_each": details})


def measure(
    seed: int, chosen: argparse.Namespace, options: TrainingOptions
) -> tuple[dict, dict[str, float]]:
    """Train on one tabletop; return mIoU of both levels, and the IoU of each thing and part."""
    scene = make_tabletop(seed, chosen.count)
    rasterizer = make_rasterizer(scene.gaussians)
    cameras = [shrunk(camera, chosen.shrink) for camera in scene.cameras]
    training = [camera for i, camera in enumerate(cameras) if i % 6 != 5]
    noise = MaskNoise(border_px=BORDER_PX / chosen.shrink)
    trainer = Trainer(
        rasterizer, noisy_views(scene, rasterizer, training, noise), replace(options, seed=seed)
    )
    start = time.process_time()
    while not trainer.is_done:
        trainer.step()
    row = {"seed": seed, "processor_s": time.process_time() - start}
    found, details = answers(scene, rasterizer, cameras[5::6], trainer.result())
    return row | found, details


def noisy_views(
    scene: Scene, rasterizer: Rasterizer, cameras: list[Camera], noise: MaskNoise | None = None
) -> list[MaskedView]:
    """Return the views with masks of both levels as a segmenter would draw them."""
    views = []
    for i, camera in enumerate(cameras):
        truth = scene_masks(scene, rasterizer, camera)
        coarse, fine = (
            torch.from_numpy(noisy_masks(labels.numpy(), np.random.default_rng([i, k]), noise))
            for k, labels in enumerate((truth.objects, truth.parts))
        )
        views.append(MaskedView(camera=camera, coarse=coarse, fine=fine))
    return views


def answers(
    scene: Scene, rasterizer: Rasterizer, unseen: list[Camera], feature_map: FeatureMap
) -> tuple[dict, dict[str, float]]:
    """Return the mIoU of clicks and of the segmentation of everything, and each thing's by clicks.

    Unseen views are those that the training has not seen.
    """
    query, row, details = FeatureQuery(feature_map), {}, {}
    masks = [scene_masks(scene, rasterizer, camera) for camera in unseen]
    parts = [f"{scene.object_names[o]} {name}" for o, name in
             zip(scene.part_object, scene.part_names, strict=True)]  # fmt: skip
    levels = {"coarse": ("objects", scene.object_names), "fine": ("parts", parts)}
    for level, (field, names) in levels.items():
        truth = torch.stack([getattr(mask, field) for mask in masks])
        ious = clicked(query, rasterizer, unseen, truth, level)
        labels = query.everything(level)
        images = torch.stack([render_labels(rasterizer, camera, labels) for camera in unseen])
        row[f"{level}_click"] = math.fsum(ious.values()) / len(ious)
        row[f"{level}_everything"] = matched(images, truth)
        row[f"{level}_clusters"] = len(feature_map.clusters(level))
        details |= {names[thing]: iou for thing, iou in ious.items()}
    return row, details


def things_in(truth: torch.Tensor) -> list[int]:
    """Return the labels that the unseen views [V, H, W] show well enough to be clicked on."""
    labels, counts = truth[truth > 0].unique(return_counts=True)
    return labels[counts >= FEWEST_PIXELS].tolist()


def clicked(
    query: FeatureQuery, rasterizer: Rasterizer, unseen: list[Camera], truth: torch.Tensor, level
) -> dict[int, float]:
    """Return each thing's mean IoU over three clicks on it."""
    rng, things, chosen = np.random.default_rng(0), [], []
    for thing in things_in(truth):
        pixels = torch.nonzero(truth == thing)
        for view, v, u in pixels[rng.choice(len(pixels), CLICKS, replace=False)].tolist():
            feature = query.feature_at_pixel(rasterizer, unseen[view], float(u), float(v), level)
            chosen.append(query.select(feature[None], level))
            things.append(thing)
    both, either = torch.zeros(len(things)), torch.zeros(len(things))
    members = torch.stack(chosen, dim=1).float()
    for camera, image in zip(unseen, truth, strict=True):
        found = rasterizer.splat(camera, members) >= HALF_COVERED
        right = image[..., None] == torch.tensor(things)
        both += (found & right).sum((0, 1))
        either += (found | right).sum((0, 1))
    means = (both / either).reshape(-1, CLICKS).mean(1).tolist()
    return dict(zip(things[::CLICKS], means, strict=True))


def matched(images: torch.Tensor, truth: torch.Tensor) -> float:
    """Return the mean IoU of each thing with the label that most of its pixels have."""
    ious = []
    for thing in things_in(truth):
        right = truth == thing
        label = images[right].mode().values
        found = (images == label) & (label > 0)
        ious.append(float((found & right).sum() / (found | right).sum()))
    return math.fsum(ious) / len(ious)


def shrunk(camera: Camera, factor: int) -> Camera:
    """Return the same view with fewer pixels."""
    K = torch.diag(torch.tensor([1 / factor, 1 / factor, 1.0], dtype=torch.float64)) @ camera.K
    return replace(camera, K=K, width=camera.width // factor, height=camera.height // factor)


if __name__ == "__main__":
    main()
