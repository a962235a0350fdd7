# SPDX-License-Identifier: Apache-2.0
"""How exactly one click finds each built-in object, with the segmenter that needs no weights.

Protocol: every sixth of the tabletop's 60 cameras is an unseen view; the other 50 are rendered
images that may be asked for masks, eight per click. The click is the pixel deepest inside the
object's true mask, in that of five spread views which shows most of it. Rendered IoU is that of
`accuracy`.

    python -m benchmarks.clicks [--seeds 3]
"""

import argparse
import time

import cv2
import numpy as np
import torch

from benchmarks.accuracy import iou, rendered_iou
from benchmarks.report import print_table, write_results
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.clicking import (
    Click,
    PosedImage,
    lift_pixel,
    prompt_of,
    rendered_image,
    segment_clicks,
)
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.rendering import render_labels
from ros2_clickgs.core.sight import order_by_sight
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.models.classical import ClassicalSegmenter
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.tabletop import make_tabletop

VIEWS_PER_CLICK = 8


def main() -> None:
    """Measure every object of several seeds and print the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many tabletops")
    rows = [row for seed in range(parser.parse_args().seeds) for row in measure(seed)]
    print_table(rows)
    rendered = [row["iou_rendered"] for row in rows]
    summary = {
        "clicks": len(rows),
        "mean_iou_3d": float(np.mean([row["iou_3d"] for row in rows])),
        "mean_iou_rendered": float(np.mean(rendered)),
        "median_iou_rendered": float(np.median(rendered)),
        "share_below_half": float(np.mean(np.array(rendered) < 0.5)),
        "median_seconds": float(np.median([row["seconds"] for row in rows])),
    }
    print_table([summary])
    write_results("clicks", {"per_object": rows, "summary": [summary]})


def measure(seed: int) -> list[dict]:
    """Return 3D and rendered IoU of each object after one click."""
    scene = make_tabletop(seed)
    rasterizer, segmenter = make_rasterizer(scene.gaussians), ClassicalSegmenter()
    unseen = scene.cameras[5::6]
    truths = [render_labels(rasterizer, camera, scene.object_labels) for camera in unseen]
    images = [rendered_image(rasterizer, c) for i, c in enumerate(scene.cameras) if i % 6 != 5]
    rows = []
    for label, name in enumerate(scene.object_names[1:], 1):
        object_map = ObjectMap(rasterizer)
        clicked, click = true_click(object_map, scene, label, images[::10])
        asked = [clicked, *others(object_map, images, clicked, click)][:VIEWS_PER_CLICK]
        start = time.perf_counter()
        labels = answer(object_map, segmenter, asked, click) * label
        seconds = time.perf_counter() - start
        pictures = [render_labels(rasterizer, camera, labels) for camera in unseen]
        rows.append({
            "seed": seed, "object": name,
            "iou_3d": iou(labels == label, scene.object_labels == label),
            "iou_rendered": rendered_iou(pictures, truths, label),
            "seconds": seconds,
        })  # fmt: skip
    return rows


def true_click(
    object_map: ObjectMap, scene: Scene, label: int, images: list[PosedImage]
) -> tuple[PosedImage, Click]:
    """Return the image that shows most of an object, and the click in the middle of it."""
    rasterizer = object_map.rasterizer
    masks = [render_labels(rasterizer, im.camera, scene.object_labels) == label for im in images]
    best = int(np.argmax([int(mask.sum()) for mask in masks]))
    depth_inside = cv2.distanceTransform(masks[best].numpy().astype(np.uint8), cv2.DIST_L2, 3)
    v, u = np.unravel_index(depth_inside.argmax(), depth_inside.shape)
    image = images[best]
    return image, Click(lift_pixel(rasterizer, image.camera, float(u) + 0.5, float(v) + 0.5))


def others(
    object_map: ObjectMap, images: list[PosedImage], clicked: PosedImage, click: Click
) -> list[PosedImage]:
    """Return the further images that show the click, the most telling first."""
    order = order_by_sight([image.camera for image in images], click.point)
    shown = [images[i] for i in order if images[i] is not clicked]
    return [image for image in shown if prompt_of(object_map.rasterizer, image, [click])]


def answer(
    object_map: ObjectMap, segmenter: ClassicalSegmenter, images: list[PosedImage], click: Click
) -> torch.Tensor:
    """Return 1 for the Gaussians found under the click, else 0."""
    try:
        found = segment_clicks(object_map, segmenter, images, [click])
    except ClickGSError:
        return torch.zeros(len(object_map.rasterizer.gaussians), dtype=torch.int32)
    return (object_map.labels() == found.id).int()


if __name__ == "__main__":
    main()
