# SPDX-License-Identifier: Apache-2.0
"""How exactly part annotations of other instances reach the built-in objects' Gaussians.

Protocol: sources are instances 100 to 104 of a kind, two random views each (other shape, colour,
light), every pixel labelled with its part by ground truth; the label images say all, no object
masks are given. Targets are instances 300 and 301, which nothing was tuned on (200 to 202 were
used for that). A target is seen in sixteen views rendered around it. IoU in 3D counts Gaussians
that these views show; rendered IoU counts the pixels of six random views that were not used.
`paper` is arXiv:2409.11681's rule: five nearest neighbours by cosine, majority, votes, and no
smoothing; the other rows smooth alike. Features are the ones that need no weights.

    python -m benchmarks.affordance_3d [--seeds 2] [--first 300] [--only "soft votes"] [--timing]

With --timing only the processor seconds by stage are kept, of our default on one target of each
kind; all threads of the process count, so that other processes do not matter.
"""

import argparse
import time

import numpy as np
import torch

from benchmarks.report import Row, print_table, write_results
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.affordances.options import AffordanceScores, TransferOptions
from ros2_clickgs.core.affordances.sources import AnnotatedImage, SourceSet, prepare
from ros2_clickgs.core.affordances.transfer import decide, gather
from ros2_clickgs.core.affordances.viewing import cameras_around
from ros2_clickgs.core.clicking import rendered_image
from ros2_clickgs.core.descriptor import FeatureGrid
from ros2_clickgs.models.dense import DenseDescriptor
from ros2_clickgs.scenes.masks import scene_masks
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.tabletop import make_object

PARTS = {
    "mug": ["handle"],
    "hammer": ["handle", "head"],
    "knife": ["blade", "handle"],
    "bowl": ["inside"],
    "bottle": ["neck"],
}
SOURCE_SEEDS, SOURCE_VIEWS, UNSEEN_VIEWS, VIEWS = range(100, 105), 2, 6, 16
METHODS = {
    "paper": TransferOptions(rule="majority", smoothing=0),
    "majority votes": TransferOptions(rule="majority"),
    "majority features": TransferOptions(rule="majority", lifting="features"),
    "soft votes": TransferOptions(),
    "soft features": TransferOptions(lifting="features"),
}
UP = torch.tensor([0.0, 0.0, 1.0])


def main() -> None:
    """Measure all kinds and print the means over targets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="targets of each kind")
    parser.add_argument("--first", type=int, default=300, help="seed of the first target")
    parser.add_argument("--only", nargs="*", default=list(METHODS), help="methods to run")
    parser.add_argument("--timing", action="store_true")
    chosen = parser.parse_args()
    if chosen.timing:
        chosen.only, chosen.seeds = ["soft votes"], 1
    rows, times = [], []
    for kind in PARTS:
        found, spent = measure(kind, range(chosen.first, chosen.first + chosen.seeds), chosen.only)
        rows, times = rows + found, times + spent
        print_table(rows[-len(PARTS[kind]) * len(chosen.only) * chosen.seeds :])
    summaries = [summary(rows, method) for method in chosen.only]
    print_table(summaries)
    if chosen.timing:
        print_table([median_times(times)])
        write_results("affordance_time", {"median": [median_times(times)], "rows": times})
    elif chosen.only == list(METHODS):
        write_results("affordance_3d", {"summary": summaries, "rows": rows})


def measure(kind: str, seeds: range, methods: list[str]) -> tuple[list[Row], list[Row]]:
    """Return IoUs and processor seconds of one kind's targets with every method."""
    pictures, names = pictures_of(kind)
    start = time.process_time()
    sources = prepare(pictures, names, DenseDescriptor())
    preparing = time.process_time() - start
    rows, times = [], []
    for seed in seeds:
        scene = make_object(kind, seed, view_count=UNSEEN_VIEWS)
        for method in methods:
            scores, seconds = transferred(scene, sources, METHODS[method])
            rows += [{"kind": kind, "seed": seed, "method": method, **row}
                     for row in ious(scene, kind, scores)]  # fmt: skip
            times.append({"kind": kind, "method": method, "sources": preparing, **seconds})
    return rows, times


def pictures_of(kind: str) -> tuple[list[AnnotatedImage], list[str]]:
    """Return the annotated images of a kind, and the classes."""
    pictures = []
    for seed in SOURCE_SEEDS:
        scene = make_object(kind, seed, view_count=SOURCE_VIEWS)
        rasterizer = make_rasterizer(scene.gaussians)
        for camera in scene.cameras:
            image = rendered_image(rasterizer, camera).image
            labels = scene_masks(scene, rasterizer, camera).parts.numpy()
            pictures.append(AnnotatedImage(name=f"{kind} {seed}", image=image, labels=labels))
    return pictures, scene.part_names


class Timed:
    """A descriptor that counts its seconds."""

    def __init__(self) -> None:
        self._own, self.seconds = DenseDescriptor(), 0.0
        self.name = self._own.name

    def describe(self, *image) -> FeatureGrid:
        """See Descriptor."""
        start = time.process_time()
        grid = self._own.describe(*image)
        self.seconds += time.process_time() - start
        return grid


def transferred(
    scene: Scene, sources: SourceSet, options: TransferOptions
) -> tuple[AffordanceScores, Row]:
    """Return the scores of an object's Gaussians, and the processor seconds by stage."""
    descriptor, own = Timed(), torch.arange(len(scene.gaussians))
    start = time.process_time()
    rasterizer = make_rasterizer(scene.gaussians)
    cameras = cameras_around(scene.gaussians, UP, VIEWS)
    images = [rendered_image(rasterizer, camera) for camera in cameras]
    rendered = time.process_time()
    evidence = gather(rasterizer, own, images, sources, descriptor, options)
    gathered = time.process_time()
    scores = decide(evidence, scene.gaussians, sources, options)
    end = time.process_time()
    return scores, {
        "render": rendered - start,
        "describe": descriptor.seconds,
        "classify and lift": gathered - rendered - descriptor.seconds,
        "smooth": end - gathered,
    }


def ious(scene: Scene, kind: str, scores: AffordanceScores) -> list[Row]:
    """Return the IoU of each part, in 3D and rendered."""
    rasterizer, seen = make_rasterizer(scene.gaussians), scores.labels >= 0
    one_hot = (scores.labels[:, None] == torch.arange(len(scene.part_names))).float()
    pictures, truths = [], []
    for camera in scene.cameras:
        truths.append(scene_masks(scene, rasterizer, camera).parts)
        cover = rasterizer.splat(camera, one_hot)
        pictures.append(torch.where(truths[-1] > 0, cover.argmax(-1), 0))
    picture, truth = torch.stack(pictures), torch.stack(truths)
    rows = []
    for part in PARTS[kind]:
        label = scene.part_id(kind, part)
        found, right = (scores.labels == label)[seen], (scene.part_labels == label)[seen]
        in_views = iou(picture == label, truth == label)
        rows.append({"part": part, "iou_3d": iou(found, right), "iou_rendered": in_views})
    return rows


def iou(found: torch.Tensor, right: torch.Tensor) -> float:
    """Return the intersection over the union of two sets."""
    return float((found & right).sum() / (found | right).sum().clamp(min=1))


def summary(rows: list[Row], method: str) -> Row:
    """Return a method's mean 3D IoU of every part, and the mean over parts."""
    means = {}
    for kind, parts in PARTS.items():
        for part in parts:
            of_part = [row for row in rows if (row["kind"], row["part"]) == (kind, part)]
            of_method = [row for row in of_part if row["method"] == method]
            means[f"{kind} {part}"] = [
                float(np.mean([row[name] for row in of_method]))
                for name in ("iou_3d", "iou_rendered")
            ]
    in_3d, rendered = (float(np.mean([m[i] for m in means.values()])) for i in (0, 1))
    parts = {name: of_part[0] for name, of_part in means.items()}
    return {"method": method, **parts, "mean 3D": in_3d, "mean rendered": rendered}


def median_times(times: list[Row]) -> Row:
    """Return the median processor seconds per object by stage, and the slowest object's total."""
    stages = [{name: t[name] for name in t if name not in ("kind", "method")} for t in times]
    medians = {name: float(np.median([t[name] for t in stages])) for name in stages[0]}
    return {**medians, "slowest object": max(sum(t.values()) for t in stages)}


if __name__ == "__main__":
    main()
