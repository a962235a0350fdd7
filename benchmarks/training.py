# SPDX-License-Identifier: Apache-2.0
"""How long it takes to train features: 200,000 Gaussians, 60 views of 640x480, 3,000 iterations.

Seconds include everything but making the scene and its masks. Processor seconds and medians of
iterations are told, too: on a computer that does other things they say what the wall clock cannot.
The paper: 13 minutes on an RTX A5000.

    python -m benchmarks.training [--iterations 3000] [--count 200000] [--views 60]

Where CUDA and gsplat work, the same is trained in the straightforward way, too, and both are asked
by clicks at ten unseen views; there, --count 1000000 --views 200.
"""

import argparse
import statistics
import time
from functools import partial

import numpy as np

from benchmarks.features import answers, noisy_views
from benchmarks.report import Row, print_table, write_results
from benchmarks.straightforward import Straightforward
from ros2_clickgs.backends import gsplat_cuda, make_kernels, make_rasterizer
from ros2_clickgs.core.features.options import TrainingOptions
from ros2_clickgs.core.features.training import Trainer
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import BackendUnavailableError
from ros2_clickgs.scenes.tabletop import make_tabletop
from ros2_clickgs.scenes.viewpoints import around_table

FULL = 3_000
CENTER = (0.0, 0.0, 0.8)
"""What views look at, in m."""


def main() -> None:
    """Train in each way that works here and print where the time goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=FULL)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--views", type=int, default=60)
    chosen = parser.parse_args()
    options = TrainingOptions(iterations=chosen.iterations, global_from=chosen.iterations * 2 // 3)
    scene = make_tabletop(0, chosen.count)
    rasterizer = make_rasterizer(scene.gaussians)
    cameras = around_table(np.random.default_rng(0), CENTER, chosen.views)
    views = noisy_views(scene, rasterizer, cameras)
    kernels = make_kernels(rasterizer.gaussians.device)
    ways = {"ours": partial(Trainer, rasterizer, views, options, None, kernels)}
    if has_gsplat():
        ways["straightforward"] = partial(straightforward, rasterizer, views, options)
    rows = []
    for way, begin in ways.items():
        row, trainer = timed(begin)
        about = {"way": way, "gaussians": chosen.count, "views": chosen.views}
        rows.append(about | row)
        if len(ways) > 1:
            unseen = around_table(np.random.default_rng(1), CENTER, 10)
            rows[-1] |= answers(scene, rasterizer, unseen, trainer.result().to("cpu"))[0]
        print_table(rows[-1:])
    if chosen.iterations == FULL:
        write_results("training", rows)


def has_gsplat() -> bool:
    """Return whether gsplat and a GPU work here."""
    try:
        gsplat_cuda.require_gsplat()
    except BackendUnavailableError:
        return False
    return True


def straightforward(rasterizer: Rasterizer, views: list, options: TrainingOptions):
    """Return the other trainer: gsplat renders whole feature images under autograd."""
    gpu = gsplat_cuda.GsplatRasterizer(rasterizer.gaussians)

    def render(camera: Camera, features):
        return gsplat_cuda.paint(gpu.tiled(camera), camera, features)

    return Straightforward(render, rasterizer.gaussians.means.cuda(), views, options)


def timed(begin) -> tuple[Row, object]:
    """Train to the end; return what each stage took, and the trainer."""
    start, start_cpu = time.perf_counter(), time.process_time()
    trainer = begin()
    row: Row = {"prepare_s": time.perf_counter() - start}
    stages: dict[str, list[float]] = {"contrast": [], "guided": []}
    while not trainer.is_done:
        before = time.perf_counter()
        trainer.step()
        is_guided = trainer.iteration > trainer.options.global_from
        stages["guided" if is_guided else "contrast"].append(time.perf_counter() - before)
    row["total_s"] = time.perf_counter() - start
    row["processor_s"] = time.process_time() - start_cpu
    for stage, seconds in stages.items():
        row[f"{stage}_s"] = sum(seconds)
        row[f"{stage}_ms_median"] = 1e3 * statistics.median(seconds)
    return row, trainer


if __name__ == "__main__":
    main()
