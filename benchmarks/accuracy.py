# SPDX-License-Identifier: Apache-2.0
"""How exactly votes recover the built-in objects from clean ground-truth masks.

Protocol: every sixth of the tabletop's 60 cameras is an unseen view, the other 50 may vote. Masks
are the rendered ground truth. 3D IoU counts the Gaussians that a voting view has seen; rendered
IoU compares label images at the 10 unseen views, pixels of all views together, per object.

    python -m benchmarks.accuracy [--seeds 3]
"""

import argparse

import torch

from benchmarks.report import print_table, write_results
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.rendering import render_labels
from ros2_clickgs.core.types import NEVER_SEEN
from ros2_clickgs.core.votes import Votes, cast_votes, decide_labels
from ros2_clickgs.scenes.tabletop import make_tabletop

MASK_SETS = {"all masks": 1, "10 % of the masks": 10, "3 views": 17}


def main() -> None:
    """Measure every object of several seeds and print the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many tabletops")
    rows = []
    for seed in range(parser.parse_args().seeds):
        rows += measure(seed)
    print_table(rows)
    summary = summarize(rows)
    print_table(summary)
    write_results("accuracy", {"per_object": rows, "summary": summary})


def measure(seed: int) -> list[dict]:
    """Return 3D IoU and rendered mIoU of each object for each set of masks."""
    scene = make_tabletop(seed)
    rasterizer = make_rasterizer(scene.gaussians)
    unseen = scene.cameras[5::6]
    voting = [camera for i, camera in enumerate(scene.cameras) if i % 6 != 5]
    truths = [render_labels(rasterizer, camera, scene.object_labels) for camera in unseen]
    rows = []
    for masks, step in MASK_SETS.items():
        cameras = voting[::step]
        labels = vote(rasterizer, scene, cameras)
        images = [render_labels(rasterizer, camera, labels) for camera in unseen]
        for label, name in enumerate(scene.object_names[1:], 1):
            rows.append({
                "seed": seed, "masks": masks, "views": len(cameras), "object": name,
                "iou_3d": iou_3d(labels, scene.object_labels, label),
                "iou_rendered": rendered_iou(images, truths, label),
            })  # fmt: skip
    return rows


def vote(rasterizer, scene, cameras) -> torch.Tensor:
    """Return the labels that ground-truth masks of some views vote for."""
    count = len(scene.object_names) - 1
    votes = Votes.none(count, len(scene.gaussians))
    for camera in cameras:
        mask = render_labels(rasterizer, camera, scene.object_labels)
        votes = votes + cast_votes(rasterizer, camera, mask, count)
    return decide_labels(votes)


def iou_3d(labels: torch.Tensor, truth: torch.Tensor, label: int) -> float:
    """Return the IoU of an object's Gaussians among those that were seen."""
    seen = labels != NEVER_SEEN
    return iou((labels == label) & seen, (truth == label) & seen)


def rendered_iou(images: list[torch.Tensor], truths: list[torch.Tensor], label: int) -> float:
    """Return the IoU of an object's pixels over all views."""
    return iou(torch.stack(images) == label, torch.stack(truths) == label)


def iou(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return intersection over union."""
    return float((a & b).sum() / (a | b).sum().clamp(min=1))


def summarize(rows: list[dict]) -> list[dict]:
    """Return mean and worst object for each set of masks."""
    summary = []
    for masks in MASK_SETS:
        chosen = [row for row in rows if row["masks"] == masks]
        worst = min(chosen, key=lambda row: row["iou_rendered"])
        mean = {k: sum(r[k] for r in chosen) / len(chosen) for k in ("iou_3d", "iou_rendered")}
        summary.append({
            "masks": masks, "views": chosen[0]["views"], **mean,
            "worst_object": f"{worst['object']} (seed {worst['seed']})",
            "worst_iou_rendered": worst["iou_rendered"],
        })  # fmt: skip
    return summary


if __name__ == "__main__":
    main()
