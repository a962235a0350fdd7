# SPDX-License-Identifier: Apache-2.0
"""What Click-Gaussian makes of a real kitchen: one picture of features, segments and three clicks.

A map trained on 100 frames of 320x240 (68 k Gaussians), masks by the segmenter without weights on
every third of them, shown at a view that no training has seen.

    python -m benchmarks.feature_pictures KITCHEN_RGBD OUT.jpg [--iterations 3000]
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.cli.overview import captioned, marked, tinted
from ros2_clickgs.core.features.masks import MaskedView
from ros2_clickgs.core.features.options import TrainingOptions
from ros2_clickgs.core.features.query import FeatureQuery, feature_image
from ros2_clickgs.core.features.training import Trainer
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.rendering import HALF_COVERED, render_labels
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.io.images import read_depth, read_image, write_image
from ros2_clickgs.io.maps import load_map
from ros2_clickgs.io.views import View
from ros2_clickgs.models.automatic import two_level_masks
from ros2_clickgs.models.classical import ClassicalSegmenter

Picture = UInt8[np.ndarray, "H W 3"]
UNSEEN = "000955"
CLICKS = {"white mug": (55.0, 147.0), "magazine": (185.0, 180.0), "spotted mug": (252.0, 138.0)}
EVERY, BORDER_PX, COLUMNS = 3, 1.5, 4


def main() -> None:
    """Train and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--iterations", type=int, default=3_000)
    chosen = parser.parse_args()
    views = load_views(chosen.folder / "transforms.json")
    training = [view for view in views if view.split == "train"][::EVERY]
    (unseen,) = (view for view in views if view.name == UNSEEN)
    rasterizer = make_rasterizer(load_map(chosen.folder / "point_cloud.ply"))
    options = TrainingOptions(
        iterations=chosen.iterations,
        global_from=chosen.iterations * 2 // 3,
        border_px=BORDER_PX,
    )
    trainer = Trainer(rasterizer, [masked(view) for view in training], options)
    while not trainer.is_done:
        trainer.step()
    query = FeatureQuery(trainer.result())
    panels = [captioned(panel, name) for name, panel in pictures(rasterizer, query, unseen)]
    rows = [np.hstack(panels[i : i + COLUMNS]) for i in range(0, len(panels), COLUMNS)]
    write_image(chosen.out, np.vstack(rows))


def masked(view: View) -> MaskedView:
    """Return a view with the masks of both levels that need no weights."""
    image, depth = read_image(view.image_path), read_depth(view.depth_path, view.depth_unit_m)
    coarse, fine = two_level_masks(ClassicalSegmenter(), image, depth)
    return MaskedView(camera=view.camera, coarse=coarse, fine=fine)


def pictures(
    rasterizer: Rasterizer, query: FeatureQuery, view: View
) -> Iterator[tuple[str, Picture]]:
    """Yield every panel with its caption."""
    photograph, camera = read_image(view.image_path), view.camera
    image = feature_image(rasterizer, query.feature_map, camera, "fine")
    yield "photograph, three clicks", marked(photograph, list(CLICKS.values()))
    yield "features, three axes as RGB", (255 * image.numpy()).astype(np.uint8)
    for level in ("coarse", "fine"):
        labels = query.everything(level)
        segments = coloured(render_labels(rasterizer, camera, labels), photograph)
        yield f"{level}, {len(query.feature_map.clusters(level))} things", segments
    yield "masks of this view, coarse", coloured(masked(view).coarse, photograph)
    for name, (u, v) in CLICKS.items():
        clicked = query.feature_at_pixel(rasterizer, camera, u, v, "coarse")
        chosen = query.select(clicked[None], "coarse")
        shown = rasterizer.splat(camera, chosen[:, None].float())[..., 0] >= HALF_COVERED
        yield name, marked(tinted(photograph, shown.numpy()), [(u, v)])


def coloured(labels: Int[Tensor, "H W"], photograph: Picture) -> Picture:
    """Return a photograph in grey with every label > 0 in a colour of its own."""
    hues = np.random.default_rng(0).permutation(180).astype(np.uint8)
    values = labels.numpy()
    hsv = np.stack([hues[values % 180], np.full_like(values, 200), np.full_like(values, 255)], -1)
    colors = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    grey = np.repeat(cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    mixed = (0.45 * grey + 0.55 * colors).astype(np.uint8)
    return np.where((values > 0)[..., None], mixed, grey)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
