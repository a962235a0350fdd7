# SPDX-License-Identifier: Apache-2.0
"""How whole an object gets while the robot stands still: one click, one image, rendered views.

Protocol: the camera took one image, of five spread views of the tabletop's walk the one that shows
most of the object; the click is the pixel deepest inside its true mask there. All other views are
rendered from the map. IoU is that of the object's pixels at the other 59 views of the walk, all
together, for the first answer and for the final one. Segmenters:

- oracle: sees a map whose object is white and all else black, so that its image is the true mask
- classical: the one that needs no weights

    python -m benchmarks.standing [--seeds 0 1 2] [--segmenters oracle classical]
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import tyro
from jaxtyping import Bool
from torch import Tensor

from benchmarks.clicks import true_click
from benchmarks.report import Row, print_table, write_results
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.config import KeyframesConfig
from ros2_clickgs.core.clicking import images_of_clicks
from ros2_clickgs.core.gates import refused_masks
from ros2_clickgs.core.harmonics import sh_from_rgb
from ros2_clickgs.core.looking import Look
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.posed_image import rendered_image
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import HALF_COVERED, render_labels
from ros2_clickgs.core.segmenter import Mask, Prompt, Segmenter
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.models.classical import ClassicalSegmenter
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.tabletop import make_tabletop

LIMITS = KeyframesConfig()
"""As a node that was told nothing else."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Tabletops."""
    segmenters: tuple[str, ...] = ("oracle", "classical")
    """Who draws the masks."""


class Oracle:
    """Answers with what is white."""

    name = "oracle"

    def set_image(self, image: np.ndarray, depth: np.ndarray | None = None) -> None:
        """Take an image of a map with one white object."""
        self._mask = image[..., 0] >= 255 * HALF_COVERED

    def predict(self, prompts: list[Prompt]) -> list[Mask]:
        """Return the white pixels, whatever is asked."""
        return [Mask(pixels=self._mask, score=1.0) for _ in prompts]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one click found."""

    first: Bool[Tensor, " N"]
    final: Bool[Tensor, " N"]
    camera: Camera
    """Of the image that was clicked in."""
    facts: Row


def main(options: Options) -> None:
    """Measure, print and keep."""
    rows = [
        row
        for seed in options.seeds
        for segmenter in options.segmenters
        for row in measure(seed, segmenter)
    ]
    report(rows)


def report(rows: list[Row]) -> None:
    """Print the rows and their means, and keep them."""
    summary = [
        summary_of([row for row in rows if row["segmenter"] == name])
        for name in dict.fromkeys(row["segmenter"] for row in rows)
    ]
    print_table(rows)
    print_table(summary)
    write_results("standing", {"per_object": rows, "summary": summary})


def measure(seed: int, segmenter: str) -> Iterator[Row]:
    """Yield first and final IoU of each object."""
    scene = make_tabletop(seed)
    rasterizer = make_rasterizer(scene.gaussians)
    stage = [c for i, c in enumerate(scene.cameras) if i % 6 != 5][::10]
    answers = [
        answer_of(scene, label, segmenter, stage) for label in range(1, len(scene.object_names))
    ]
    overlaps = overlaps_of(rasterizer, scene, answers)
    for name, answer, (first, final) in zip(
        scene.object_names[1:], answers, overlaps, strict=True
    ):
        yield {
            "seed": seed, "segmenter": segmenter, "object": name,
            "iou_first": first, "iou_final": final, **answer.facts,
        }  # fmt: skip


def answer_of(scene: Scene, label: int, segmenter: str, stage: list[Camera]) -> Answer:
    """Return what one click on an object finds."""
    rasterizer = make_rasterizer(
        painted(scene, label) if segmenter == "oracle" else scene.gaussians
    )
    objects = ObjectMap(rasterizer)
    images = [rendered_image(rasterizer, camera) for camera in stage]
    image, click = true_click(objects, scene, label, images)
    answerer: Segmenter = Oracle() if segmenter == "oracle" else ClassicalSegmenter()
    look = Look(objects, answerer)
    shown = images_of_clicks(
        rasterizer, [image], [click], most=LIMITS.views_per_click, least=LIMITS.min_views
    )
    found = []
    try:
        for step in look.find(shown, [click], LIMITS.rendered_views):
            if step:
                found.append(objects.labels() == step)
    except ClickGSError as error:
        print(f"{scene.object_names[label]}: {error}")
        found.append(torch.zeros(len(scene.gaussians), dtype=torch.bool))
    return Answer(first=found[0], final=found[-1], camera=image.camera, facts=facts_of(objects))


def facts_of(objects: ObjectMap) -> Row:
    """Return views, refused masks, and whether the object settled."""
    if not objects.ids:
        return {"views": 0, "refused": 0, "settled": False}
    ballot = objects.state.ballot(objects.ids[0])
    return {
        "views": len(ballot.view_points),
        "refused": refused_masks(ballot).total(),
        "settled": ballot.settled,
    }


def painted(scene: Scene, label: int) -> Gaussians:
    """Return the map with one object white and all else black."""
    is_object = (scene.object_labels == label).float()
    parts = {name: getattr(scene.gaussians, name) for name in ("means", "quats", "scales")}
    white = sh_from_rgb(is_object[:, None].expand(-1, 3).contiguous())
    return Gaussians(**parts, opacities=scene.gaussians.opacities, sh=white)


def overlaps_of(
    rasterizer: Rasterizer, scene: Scene, answers: list[Answer]
) -> list[tuple[float, float]]:
    """Return the IoU of each first and final answer over all views but the clicked one."""
    found = torch.stack([x for a in answers for x in (a.first, a.final)], -1).float()
    both, either = torch.zeros(2, len(answers), 2)
    for camera in scene.cameras:
        truth = render_labels(rasterizer, camera, scene.object_labels)
        cover = rasterizer.splat(camera, found).unflatten(-1, (-1, 2)) >= HALF_COVERED
        for i, answer in enumerate(answers):
            if not torch.equal(camera.T_world_camera, answer.camera.T_world_camera):
                is_object = (truth == i + 1)[..., None]
                both[i] += (cover[:, :, i] & is_object).sum((0, 1))
                either[i] += (cover[:, :, i] | is_object).sum((0, 1))
    return [tuple(iou.tolist()) for iou in both / either.clamp(min=1)]


def summary_of(rows: list[Row]) -> Row:
    """Return the means over all objects."""
    first, final = (np.array([row[key] for row in rows]) for key in ("iou_first", "iou_final"))
    worst = rows[int(final.argmin())]
    return {
        "segmenter": rows[0]["segmenter"],
        "clicks": len(rows),
        "mean_iou_first": float(first.mean()),
        "mean_iou_final": float(final.mean()),
        "median_iou_final": float(np.median(final)),
        "worst_iou_final": float(final.min()),
        "worst_object": f"{worst['object']} (seed {worst['seed']})",
        "settled": float(np.mean([row["settled"] for row in rows])),
        "median_views": float(np.median([row["views"] for row in rows])),
    }


if __name__ == "__main__":
    main(tyro.cli(Options))
