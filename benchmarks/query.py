# SPDX-License-Identifier: Apache-2.0
"""Milliseconds from a click to labels on trained features, medians; features are made up.

`point` takes a clicked point in the map, `pixel` a pixel of the view that was clicked before, and
`first_pixel` one of a view that has not been looked at yet: then the map is projected first. The
paper: 10 ms on a GPU.

    python -m benchmarks.query [--counts 200000 1000000 3000000] [--repeats 15]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.functional import normalize

from benchmarks.report import print_table, write_results
from benchmarks.votes import resized, split
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.features.feature_map import FeatureMap
from ros2_clickgs.core.features.query import FeatureQuery
from ros2_clickgs.scenes.tabletop import make_tabletop

CLUSTERS = 45


def main() -> None:
    """Measure each size and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[200_000, 1_000_000, 3_000_000])
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    rows = [measure(count, options.repeats) for count in options.counts]
    print_table(rows)
    write_results("query", rows)


def measure(count: int, repeats: int) -> dict:
    """Return the medians for one map."""
    scene = make_tabletop(0, 100_000)
    rasterizer = make_rasterizer(split(scene.gaussians, count))
    gaussians, camera = rasterizer.gaussians, scene.cameras[0]
    answers = FeatureQuery(made_up_features(count).to(gaussians.device))

    def at_point() -> torch.Tensor:
        feature = answers.feature_at_point(gaussians, gaussians.means[7], "coarse")
        return answers.select(feature[None], "coarse")

    def at_pixel(view=camera) -> torch.Tensor:
        feature = answers.feature_at_pixel(rasterizer, view, 320.0, 300.0, "fine")
        return answers.select(feature[None], "fine")

    return {
        "gaussians": count,
        "point_ms": milliseconds(at_point, repeats),
        "pixel_ms": milliseconds(at_pixel, repeats),
        "first_pixel_ms": milliseconds(lambda: at_pixel(resized(camera, 640, 480)), 3),
        "everything_ms": milliseconds(lambda: answers.everything("fine"), repeats),
    }


def made_up_features(count: int) -> FeatureMap:
    """Return features near one of CLUSTERS directions."""
    g = torch.Generator().manual_seed(0)
    directions = normalize(torch.randn(CLUSTERS, 24, generator=g), dim=1)
    features = directions[torch.randint(CLUSTERS, (count,), generator=g)]
    return FeatureMap(
        features=features + 0.02 * torch.randn(count, 24, generator=g),
        coarse_clusters=normalize(directions[:, :12], dim=1),
        fine_clusters=directions,
    )


def milliseconds(call: Callable[[], torch.Tensor], repeats: int) -> float:
    """Return the median of whole calls, after one that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


if __name__ == "__main__":
    main()
