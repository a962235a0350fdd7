# SPDX-License-Identifier: Apache-2.0
"""How exactly votes recover objects from masks and poses as bad as a network's and a robot's.

Maps: three built-in tabletops of 14 objects (every second of their 60 views), and, where the real
data is there, a trained kitchen map and a potted plant with ground truth by hand-set boxes
(subjects.py), each with three seeds of noise. Masks are the rendered ground truth at 640x480 px,
made worse (scenes/noise.py): borders off by up to 3 px, 20 % of masks missing, 5 % on the wrong
object, in 15 % of views things in pieces or joined. What is missing or cut off is background and
so speaks against its object. Votes are cast from poses that are off by 1 cm and 0.5 degrees.

Every sixth view is unseen and has its true pose. Rendered IoU compares label images there, all
pixels together, per object; 3D IoU counts the Gaussians that a voting view has seen.

    python -m benchmarks.noise [--seeds 3] [--ablations]
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Int32
from torch import Tensor

from benchmarks.accuracy import iou, rendered_iou
from benchmarks.report import Row, print_table, write_results
from benchmarks.subjects import DATA, LEAST_PX, Subject, kitchen, plant, tabletop
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.boundaries import across, decided_at_border, straddling, without_borders
from ros2_clickgs.core.cleaning import completed, without_outliers
from ros2_clickgs.core.consensus import (
    MaskedView,
    agreed_votes,
    fitted_votes,
    soft_masks,
    summed_votes,
)
from ros2_clickgs.core.fitting import fitted
from ros2_clickgs.core.objects import largest_component
from ros2_clickgs.core.rendering import render_labels
from ros2_clickgs.core.types import BACKGROUND, NEVER_SEEN, Camera
from ros2_clickgs.core.views import FOV_DEG, orbit_cameras
from ros2_clickgs.core.votes import Votes, cast_votes, decide_labels
from ros2_clickgs.scenes.noise import noisy_object_masks, noisy_pose

RENDERED_VIEWS = 3
"""Views rendered around each object."""

Labels = Int32[Tensor, " N"]


class Trial:
    """One map, one seed: what votes and what is compared."""

    def __init__(self, subject: Subject, seed: int) -> None:
        self.subject, self.seed = subject, seed
        self.rasterizer = make_rasterizer(subject.gaussians)
        self.count = len(subject.object_names)
        pairs = [(camera, self.truth(camera)) for camera in subject.cameras]
        pairs = [(camera, t) for camera, t in pairs if (t > BACKGROUND).sum() >= LEAST_PX]
        self.unseen, self.truths = map(list, zip(*pairs[5::6], strict=True))
        voting = [pair for i, pair in enumerate(pairs) if i % 6 != 5]
        self.views = [self.noisy_view(*pair, i) for i, pair in enumerate(voting)]
        self.naive = summed_votes(self.rasterizer, self.views, self.count)
        self.seen = decide_labels(self.naive) != NEVER_SEEN

    def truth(self, camera: Camera) -> Int32[Tensor, "H W"]:
        """Return the true label image of a view."""
        return render_labels(self.rasterizer, camera, self.subject.labels)

    def noisy_view(
        self, camera: Camera, truth: Int32[Tensor, "H W"], i: int, exact: bool = False
    ) -> MaskedView:
        """Return a view with masks made worse, and unless `exact` a pose made worse."""
        rng = np.random.default_rng([self.seed, i])
        masks = torch.from_numpy(noisy_object_masks(truth.numpy(), rng))
        return (camera if exact else noisy_pose(camera, rng)), masks

    def rendered_views(self, labels: Labels) -> list[MaskedView]:
        """Return views around what was found, with masks as bad but poses as they are."""
        cameras = []
        for label in range(1, self.count + 1):
            points = self.subject.gaussians.means[labels == label].double()
            if len(points):
                center = points.mean(0)
                radius = float((points - center).norm(dim=-1).quantile(0.98))
                distance = radius / (0.5 * math.tan(math.radians(FOV_DEG) / 2) * 0.75)
                at = {"distance": distance, "up": self.subject.up, "count": RENDERED_VIEWS}
                cameras += orbit_cameras(self.rasterizer, center, **at)
        return [
            self.noisy_view(camera, self.truth(camera), 1000 + i, exact=True)
            for i, camera in enumerate(cameras)
        ]

    def row(self, step: str, labels: Labels) -> list[Row]:
        """Return the figures of every object."""
        images = [render_labels(self.rasterizer, camera, labels) for camera in self.unseen]
        truth = self.subject.labels
        return [
            {
                "map": self.subject.name, "seed": self.seed, "step": step, "object": name,
                "iou_3d": iou((labels == i) & self.seen, (truth == i) & self.seen),
                "iou_rendered": rendered_iou(images, self.truths, i),
            }
            for i, name in enumerate(self.subject.object_names, 1)
        ]  # fmt: skip


def steps(trial: Trial) -> list[Row]:
    """Return the figures of the paper's rule and of each step added to it."""
    map_, views, count = trial.rasterizer, trial.views, trial.count
    rows = trial.row("naive vote", decide_labels(trial.naive))
    rows += trial.row("+ gates", decide_labels(agreed_votes(map_, views, count, reach=0.0)))
    votes = agreed_votes(map_, views, count)
    labels = decide_labels(votes)
    rows += trial.row("+ masks moved", labels)
    labels = cleaned(trial, labels, votes)
    rows += trial.row("+ boundaries", labels)
    more = [*views, *trial.rendered_views(labels)]
    votes = fitted_votes(map_, more, count, labels)
    return rows + trial.row("+ rendered views", cleaned(trial, decide_labels(votes), votes))


def ablations(trial: Trial) -> list[Row]:
    """Return the figures of each rule at the border alone, on masks that were moved."""
    votes = agreed_votes(trial.rasterizer, trial.views, trial.count)
    labels = decide_labels(votes)
    votes, lesser = last_round(trial, labels, lambda image: image)
    clear = decided_at_border(votes, straddling(lesser, votes))
    banded, _ = last_round(trial, labels, without_borders)
    one_piece = cleaned(trial, labels, votes, outliers=False)
    return [
        *trial.row("masks moved", labels),
        *trial.row("ignore band", decide_labels(banded)),
        *trial.row("clear at the border", decide_labels(clear)),
        *trial.row("one piece", one_piece),
        *trial.row("one piece, no outliers", cleaned(trial, labels, votes)),
        *trial.row("one piece, completed", completed(trial.subject.gaussians.means, one_piece)),
    ]


def cleaned(trial: Trial, labels: Labels, votes: Votes, outliers: bool = True) -> Labels:
    """Return labels in which every object is one piece, without outliers."""
    labels = labels.clone()
    for label in range(1, trial.count + 1):
        rows = torch.nonzero(labels == label)[:, 0]
        points = trial.subject.gaussians.means[rows]
        keep = largest_component(points, votes.votes_for[label - 1, rows])
        if outliers:
            keep[keep.clone()] = without_outliers(points[keep])
        labels[rows[~keep]] = BACKGROUND
    return labels


def last_round(trial: Trial, labels: Labels, change: Callable) -> tuple[Votes, Tensor]:
    """Return the votes of moved masks after a change, and how much lies across borders."""
    votes, lesser = Votes.none(trial.count, len(labels)), 0.0
    members = labels[:, None] == torch.arange(1, trial.count + 1)
    for camera, image in trial.views:
        moved, fits = fitted(image, soft_masks(trial.rasterizer, camera, members))
        view = masked(cast_votes(trial.rasterizer, camera, change(moved), trial.count), fits)
        votes, lesser = votes + view, lesser + across(view)
    return votes, lesser


def masked(votes: Votes, counts: Bool[Tensor, " L"]) -> Votes:
    """Return the votes on those objects only."""
    return Votes(
        votes_for=votes.votes_for * counts[:, None],
        votes_against=votes.votes_against * counts[:, None],
    )


def summarize(rows: list[Row]) -> list[Row]:
    """Return mean and worst object for each map and step."""
    summary = []
    for key in dict.fromkeys((row["map"], row["step"]) for row in rows):
        chosen = [row for row in rows if (row["map"], row["step"]) == key]
        worst = min(chosen, key=lambda row: row["iou_rendered"])
        summary.append({
            "map": key[0], "step": key[1], "objects": len(chosen),
            **{k: float(np.mean([r[k] for r in chosen])) for k in ("iou_3d", "iou_rendered")},
            "worst_iou_3d": min(row["iou_3d"] for row in chosen),
            "worst_iou_rendered": worst["iou_rendered"],
            "worst_object": f"{worst['object']} (seed {worst['seed']})",
        })  # fmt: skip
    return summary


def main() -> None:
    """Measure every object of all maps and seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many of each map")
    parser.add_argument("--ablations", action="store_true", help="the rules at the border alone")
    chosen = parser.parse_args()
    measure, rows = (ablations if chosen.ablations else steps), []
    for seed in range(chosen.seeds):
        rows += measure(Trial(tabletop(seed), seed))
        for real in (kitchen, plant) if DATA.is_dir() else ():
            rows += measure(Trial(real(), seed))
        print_table(summarize(rows))
    name = "noise_ablations" if chosen.ablations else "noise"
    write_results(name, {"per_object": rows, "summary": summarize(rows)})


if __name__ == "__main__":
    main()
