# SPDX-License-Identifier: Apache-2.0
"""How well masks of many views become objects without a click, on the built-in tabletop.

Protocol: every sixth of the 60 cameras is an unseen view; every fourth of the other 50 has masks,
the rendered ground truth or the automatic ones of the segmenter without weights, ids dealt anew in
each view. A true object is compared with the thing that has most of its Gaussians: 3D IoU on
Gaussians that were seen, rendered IoU at the 10 unseen views, pixels of all views together.

Seeds 0 to 2 were used while the numbers in `models/everything.py` and `core/everything.py` were
chosen, so scenes from --first 3 on are the harder test.

    python -m benchmarks.everything [--first 0] [--seeds 3]
"""

import argparse
from collections.abc import Iterator

import torch

from benchmarks.accuracy import iou_3d, rendered_iou
from benchmarks.report import Row, print_table, write_results
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.everything import Thing, assemble, masks_of_view
from ros2_clickgs.core.posed_image import rendered_image
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import render_labels
from ros2_clickgs.core.types import Camera
from ros2_clickgs.core.votes import Votes, decide_labels
from ros2_clickgs.models.automatic import two_level_masks
from ros2_clickgs.models.classical import ClassicalSegmenter
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.tabletop import make_tabletop

MASKS = ("ground truth", "classical")
LEAST_GAUSSIANS = 50


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many tabletops")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    rows = [row for seed in seeds for row in measure(seed)]
    summary = [summarize(masks, [row for row in rows if row["masks"] == masks]) for masks in MASKS]
    print_table(rows)
    print_table(summary)
    print(f"written: {write_results('everything', {'per_object': rows, 'summary': summary})}")


def measure(seed: int) -> Iterator[Row]:
    """Yield both IoU of each object for each kind of masks."""
    scene = make_tabletop(seed)
    rasterizer = make_rasterizer(scene.gaussians)
    unseen = scene.cameras[5::6]
    voting = [camera for i, camera in enumerate(scene.cameras) if i % 6 != 5][::4]
    truths = [render_labels(rasterizer, camera, scene.object_labels) for camera in unseen]
    everywhere = torch.ones(len(scene.gaussians), dtype=torch.bool)
    for masks in MASKS:
        images = label_images(masks, rasterizer, scene, voting)
        views = [masks_of_view(rasterizer, *view) for view in zip(voting, images, strict=True)]
        things = assemble(views, everywhere, LEAST_GAUSSIANS)
        labels = named_after(labels_of(things), scene)
        rendered = [render_labels(rasterizer, camera, labels) for camera in unseen]
        for label, name in enumerate(scene.object_names[1:], 1):
            yield {
                "seed": seed, "masks": masks, "views": len(voting), "things": len(things),
                "object": name, "iou_3d": iou_3d(labels, scene.object_labels, label),
                "iou_rendered": rendered_iou(rendered, truths, label),
            }  # fmt: skip


def label_images(
    masks: str, rasterizer: Rasterizer, scene: Scene, cameras: list[Camera]
) -> Iterator[torch.Tensor]:
    """Yield each view's masks; ids mean nothing beyond their view."""
    segmenter, generator = ClassicalSegmenter(), torch.Generator().manual_seed(0)
    for camera in cameras:
        if masks == "classical":
            seen = rendered_image(rasterizer, camera)
            yield two_level_masks(segmenter, seen.image, seen.depth)[0]
        else:
            ids = torch.randperm(len(scene.object_names) - 1, generator=generator) + 1
            truth = render_labels(rasterizer, camera, scene.object_labels)
            yield torch.cat([torch.zeros(1, dtype=torch.long), ids])[truth.long()]


def labels_of(things: list[Thing]) -> torch.Tensor:
    """Return which thing has each Gaussian: 1, 2, … or 0; -1 where never seen."""
    votes = Votes(
        votes_for=torch.cat([thing.votes.votes_for for thing in things]),
        votes_against=torch.cat([thing.votes.votes_against for thing in things]),
    )
    return decide_labels(votes)


def named_after(found: torch.Tensor, scene: Scene) -> torch.Tensor:
    """Return the found labels with those of the true objects that they have most of; else 0."""
    named = found.clamp(max=0)
    for label in range(1, len(scene.object_names)):
        mine = found[(scene.object_labels == label) & (found > 0)]
        if len(mine):
            named[found == mine.mode().values] = label
    return named


def summarize(masks: str, rows: list[Row]) -> Row:
    """Return mean and worst object of one kind of masks."""
    worst = min(rows, key=lambda row: row["iou_rendered"])
    iou = {key: sum(row[key] for row in rows) / len(rows) for key in ("iou_3d", "iou_rendered")}
    return {
        "masks": masks, "views": rows[0]["views"], "objects": len(rows), **iou,
        "below_half": sum(row["iou_rendered"] < 0.5 for row in rows) / len(rows),
        "worst_object": f"{worst['object']} (seed {worst['seed']})",
        "worst_iou_rendered": worst["iou_rendered"],
    }  # fmt: skip


if __name__ == "__main__":
    main()
