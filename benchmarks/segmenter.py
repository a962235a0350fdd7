# SPDX-License-Identifier: Apache-2.0
"""How well one click picks an object: the classical segmenter on the built-in tabletop.

Every visible object of several rendered views is clicked at random pixels well inside its true
mask; the answer is compared with that mask.

    python -m benchmarks.segmenter [--seeds 2 3 4] [--views 4] [--clicks 3]
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import tyro

from benchmarks.report import Row, print_table, write_results
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.rendering import render, render_labels
from ros2_clickgs.core.segmenter import Prompt, Segmenter
from ros2_clickgs.models.classical import ClassicalSegmenter
from ros2_clickgs.scenes.tabletop import make_tabletop


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    seeds: tuple[int, ...] = (2, 3, 4)
    """Seeds of the scenes; 0 and 1 were used to fit the segmenter."""
    views: int = 4
    """Views of each scene, spread over its walk."""
    clicks: int = 3
    """Clicks on each object of a view."""
    least_px: int = 150
    """Objects that show fewer pixels are left out."""


def main(options: Options) -> None:
    """Measure, print and keep."""
    segmenter = ClassicalSegmenter()
    answers = [row for seed in options.seeds for row in answers_of_scene(segmenter, seed, options)]
    rows = [*by_object(answers), summary("all", answers)]
    print_table(rows)
    print(f"score against IoU: correlation {correlation(answers):.2f}")
    print(f"written: {write_results('segmenter', rows)}")


def answers_of_scene(segmenter: Segmenter, seed: int, options: Options) -> Iterator[Row]:
    """Yield IoU, score and time of every click on one scene."""
    scene = make_tabletop(seed=seed)
    rasterizer = make_rasterizer(scene.gaussians)
    rng = np.random.default_rng(seed)
    step = len(scene.cameras) // options.views
    for camera in scene.cameras[step // 2 :: step]:
        view = render(rasterizer, camera)
        labels = render_labels(rasterizer, camera, scene.object_labels).numpy()
        image = (view.color * 255).round().byte().numpy()
        start = time.perf_counter()
        segmenter.set_image(image, view.depth.numpy())
        set_s = time.perf_counter() - start
        for label in np.unique(labels[labels > 0]):
            if (labels == label).sum() >= options.least_px:
                for row in click_object(segmenter, labels == label, options.clicks, rng):
                    yield {"object": scene.object_names[label], **row, "set_s": set_s}


def click_object(
    segmenter: Segmenter, truth: np.ndarray, count: int, rng: np.random.Generator
) -> Iterator[Row]:
    """Yield IoU, score and time of clicks well inside a true mask."""
    depth_px = cv2.distanceTransform(np.pad(truth, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    v, u = np.nonzero(depth_px >= min(3, depth_px.max() / 2))
    for pick in rng.choice(len(v), count):
        click = np.array([[u[pick] + 0.5, v[pick] + 0.5]])
        start = time.perf_counter()
        (mask,) = segmenter.predict([Prompt(point_coords=click, point_labels=np.array([True]))])
        overlap = (mask.pixels & truth).sum() / (mask.pixels | truth).sum()
        yield {
            "iou": float(overlap),
            "score": mask.score,
            "predict_s": time.perf_counter() - start,
        }


def by_object(answers: list[Row]) -> list[Row]:
    """Return one row per object name (mug_2 counts as a mug), the worst first."""
    kinds = {kind_of(row) for row in answers}
    rows = [summary(kind, [row for row in answers if kind_of(row) == kind]) for kind in kinds]
    return sorted(rows, key=lambda row: row["iou_mean"])


def kind_of(row: Row) -> str:
    """Return the object's name without its number."""
    return str(row["object"]).rstrip("_0123456789")


def summary(name: str, answers: list[Row]) -> Row:
    """Return the figures of some answers."""
    iou, score, set_s, predict_s = (
        np.array([row[key] for row in answers]) for key in ("iou", "score", "set_s", "predict_s")
    )
    return {
        "object": name,
        "clicks": len(answers),
        "iou_mean": round(float(iou.mean()), 3),
        "iou_median": round(float(np.median(iou)), 3),
        "below_half": round(float((iou < 0.5).mean()), 3),
        "score_if_good": round(float(score[iou >= 0.8].mean()), 3) if (iou >= 0.8).any() else 0.0,
        "score_if_bad": round(float(score[iou < 0.5].mean()), 3) if (iou < 0.5).any() else 0.0,
        "set_s": round(float(set_s.mean()), 3),
        "predict_s": round(float(predict_s.mean()), 3),
    }


def correlation(answers: list[Row]) -> float:
    """Return the correlation of the segmenter's own score with the IoU."""
    return float(
        np.corrcoef([row["iou"] for row in answers], [row["score"] for row in answers])[0, 1]
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
