# SPDX-License-Identifier: Apache-2.0
"""How exactly annotations reach other instances in real images: UMD-i, one-shot and five-shot.

Protocol: UMD-i has one RGB crop with object mask and `label_rank` of each instance. A pixel's
truth is the affordance of rank 1 (exactly one in UMD-i; ranks 2, 3 and the codes 0 and 9, not
possible, do not count); pixels of the mask without one are background. Only pixels of the mask
count. Sources and targets are of one class of tool and never the same instance. One-shot: every
other instance alone is the source. Five-shot: five others are, drawn with seed 0, in classes of
six instances or more. Classes with a single affordance are left out: there is nothing to tell
apart. IoU of an affordance: intersections over unions, both summed over all pairs of the class.
`paper` is five nearest neighbours by cosine and their majority (arXiv:2409.11681).

    python -m benchmarks.affordance_umd [--data ../shared/data/affordance_umd_i/dataset]

With CLICKGS_DINOV2_CHECKPOINT naming a file, DINOv2 is measured, too.
"""

import argparse
import itertools
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import print_table, write_results
from ros2_clickgs.core.affordances.lifting import classified
from ros2_clickgs.core.affordances.options import TransferOptions
from ros2_clickgs.core.affordances.rules import make_rule
from ros2_clickgs.core.affordances.sources import AnnotatedImage, prepare
from ros2_clickgs.core.descriptor import Descriptor
from ros2_clickgs.io.sources import load_pictures
from ros2_clickgs.models.descriptors import make_descriptor

DATA = Path(__file__).parents[2] / "shared" / "data" / "affordance_umd_i" / "dataset"
RULES = {"paper": TransferOptions(rule="majority"), "soft": TransferOptions()}
FIVE = 5


def main() -> None:
    """Measure every descriptor that is here and print the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    pictures, classes = load_pictures(parser.parse_args().data)
    tools = by_tool(pictures)
    rows = []
    for descriptor in descriptors():
        for shots, (rule, options) in itertools.product((1, FIVE), RULES.items()):
            found = {
                (tool, affordance): value
                for tool, own in tools.items()
                for affordance, value in ious(own, classes, descriptor, options, shots)
            }
            run = {"descriptor": descriptor.name, "shots": shots, "rule": rule}
            each = [{**run, "tool": t, "affordance": a, "iou": v} for (t, a), v in found.items()]
            rows += [*each, {**run, "tool": "all", "affordance": "mean",
                             "iou": float(np.mean(list(found.values())))}]  # fmt: skip
            print_table(rows[-len(each) - 1 :])
    write_results("affordance_umd", rows)


def descriptors() -> Iterator[Descriptor]:
    """Yield the descriptor without weights, and DINOv2 where a checkpoint is given."""
    yield make_descriptor("dense")
    checkpoint = os.environ.get("CLICKGS_DINOV2_CHECKPOINT", "")
    if checkpoint:
        yield make_descriptor("dinov2", checkpoint)


def by_tool(pictures: list[AnnotatedImage]) -> dict[str, list[AnnotatedImage]]:
    """Return the images of each class of tool, such as mug, that has two affordances or more."""
    groups = defaultdict(list)
    for picture in pictures:
        groups[picture.name.split("_")[0]].append(picture)
    return {
        tool: own
        for tool, own in groups.items()
        if len(np.unique(np.concatenate([p.labels[p.labels > 0] for p in own]))) > 1
    }


def ious(
    pictures: list[AnnotatedImage],
    classes: list[str],
    descriptor: Descriptor,
    options: TransferOptions,
    shots: int,
) -> list[tuple[str, float]]:
    """Return the IoU of each affordance of one class of tool."""
    both, either = torch.zeros(len(classes)), torch.zeros(len(classes))
    for sources, target in pairs(pictures, shots):
        if len(np.unique(np.concatenate([p.labels[p.mask] for p in sources]))) < 2:
            continue
        rule = make_rule(prepare(sources, classes, descriptor), options)
        found = labels_of(target, descriptor, rule)[target.mask]
        truth = torch.from_numpy(target.labels[target.mask])
        for label in range(1, len(classes)):
            both[label] += ((found == label) & (truth == label)).sum()
            either[label] += ((found == label) | (truth == label)).sum()
    annotated = np.unique(np.concatenate([p.labels[p.mask] for p in pictures]))
    return [
        (classes[label], float(both[label] / either[label]))
        for label in annotated
        if label > 0 and either[label] > 0
    ]


def pairs(
    pictures: list[AnnotatedImage], shots: int
) -> Iterator[tuple[list[AnnotatedImage], AnnotatedImage]]:
    """Yield sources and target of every run; see the protocol."""
    rng = np.random.default_rng(0)
    for k, target in enumerate(pictures):
        others = pictures[:k] + pictures[k + 1 :]
        if shots == 1:
            yield from (([source], target) for source in others)
        elif len(others) >= shots:
            yield [others[i] for i in rng.choice(len(others), shots, replace=False)], target


def labels_of(target: AnnotatedImage, descriptor: Descriptor, rule) -> torch.Tensor:
    """Return each pixel's most probable class."""
    grid = descriptor.describe(target.image, target.mask)
    return classified(grid, rule, *target.labels.shape).argmax(-1)


if __name__ == "__main__":
    main()
