# SPDX-License-Identifier: Apache-2.0
"""Seconds per view that votes cost, beside the colour image and the paper's two backward passes.

The map is the built-in tabletop, its Gaussians split into finer ones up to the size asked for.
Times are medians of whole calls, projection and sorting included; compile time is not.

    python -m benchmarks.votes [--counts 200000 1000000 3000000] [--repeats 7]

With `--against PATH` the other checkout at PATH votes on the same map in turn, in a process of its
own, and each row says how many times faster this one is.
"""

import argparse
import functools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.report import print_table, write_results
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.backends.reference import BLOCK, blend, project_gaussians
from ros2_clickgs.core.harmonics import colors
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.scenes.tabletop import make_tabletop

ROOT = Path(__file__).resolve().parents[1]
SIZES = [(640, 480), (1280, 720)]
OBJECTS = 12
AUTOGRAD_UP_TO = 1_000_000
"""Gaussians above which the two backward passes in plain torch would take minutes."""


def main() -> None:
    """Measure all sizes and print one row each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[200_000, 1_000_000, 3_000_000])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--against", help="root of another checkout to compare with")
    options = parser.parse_args()
    if options.against:
        name, row_of = "votes-against", functools.partial(compare, options.against)
    else:
        name, row_of = "votes", measure
    rows = [
        row_of(count, width, height, options.repeats, options.backend)
        for count in options.counts
        for width, height in SIZES
    ]
    print_table(rows)
    write_results(name, {"rows": rows})


def compare(
    other: str, count: int, width: int, height: int, repeats: int, backend: str
) -> dict[str, object]:
    """Return the medians of another checkout's votes and of this one's, taken in turn."""
    scene = (count, width, height, backend)
    with Voter(ROOT, *scene) as now, Voter(other, *scene) as before:
        times = alternate({"before_s": before.vote, "now_s": now.vote}, repeats)
    row = {"gaussians": count, "image": f"{width}x{height}", "objects": 1, **times}
    return row | {"times_faster": times["before_s"] / times["now_s"]}


class Voter:
    """A process that casts votes with the package of some checkout, when it is told to."""

    def __init__(self, root: str | Path, *scene: int | str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--voter", *map(str, scene)],
            env=os.environ | {"PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Voter":
        self.vote()
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()

    def vote(self) -> None:
        """Cast the votes of one view, and wait for them."""
        self._process.stdin.write("vote\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


def serve(count: int, width: int, height: int, backend: str) -> None:
    """Be a Voter's process: cast votes for every line of stdin."""
    scene = make_tabletop()
    rasterizer = make_rasterizer(split(scene.gaussians, count), backend)
    one = (label_grid(height, width) == OBJECTS // 2).int()
    for _ in sys.stdin:
        rasterizer.vote(resized(scene.cameras[0], width, height), one, 2)
        print("done", flush=True)


def measure(count: int, width: int, height: int, repeats: int, backend: str) -> dict:
    """Return the medians for one map and one image size."""
    scene = make_tabletop()
    gaussians = split(scene.gaussians, count)
    camera = resized(scene.cameras[0], width, height)
    rasterizer = make_rasterizer(gaussians, backend)
    one = (label_grid(height, width) == OBJECTS // 2).int()
    twelve = label_grid(height, width)

    def fresh() -> Camera:
        return resized(camera, width, height)

    color = lambda: rasterizer.splat(fresh(), colors(rasterizer.gaussians, camera))  # noqa: E731
    splat = lambda: rasterizer.splat(fresh(), rasterizer.gaussians.means)  # noqa: E731
    calls = {
        "colour_s": color,
        "splat_s": splat,
        "vote_1_s": lambda: rasterizer.vote(fresh(), one, 2),
        "vote_12_s": lambda: rasterizer.vote(fresh(), twelve, OBJECTS + 1),
    }
    times = alternate(calls, repeats)
    row = {"gaussians": len(gaussians), "image": f"{width}x{height}", "objects": OBJECTS, **times}
    row["vote_1_per_splat"] = times["vote_1_s"] / times["splat_s"]
    row["vote_12_per_vote_1"] = times["vote_12_s"] / times["vote_1_s"]
    if len(gaussians) <= AUTOGRAD_UP_TO and (width, height) == SIZES[0]:
        start = time.perf_counter()
        two_backward_passes(gaussians, camera, one)
        row["two_backward_passes_s"] = time.perf_counter() - start
        row["speedup"] = row["two_backward_passes_s"] / times["vote_1_s"]
    return row


def alternate(calls: dict[str, Callable], repeats: int) -> dict[str, float]:
    """Return each call's median seconds; the calls take turns, so that a noisy spell hits all."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def two_backward_passes(gaussians: Gaussians, camera: Camera, mask: torch.Tensor) -> torch.Tensor:
    """Vote as the paper's code does: render three channels, then go back twice, under autograd.

    Joseph et al., arXiv:2409.11681: gradient of (image * mask).mean(), then of the inverse mask.
    """
    means2d, conics, radii, depths = project_gaussians(gaussians, camera)
    order = torch.argsort(depths)
    order = order[torch.isfinite(depths[order])]
    means2d, conics, radii = means2d[order], conics[order], radii[order]
    opacities = gaussians.opacities[order]
    painted = torch.zeros(len(gaussians), 3, requires_grad=True)
    image = torch.zeros(camera.height, camera.width, 3)
    blocks = []
    for pixels in pixel_blocks(camera):
        touches = (means2d + radii >= pixels[0]) & (means2d - radii <= pixels[-1] + 1)
        ids = torch.nonzero(touches.all(1))[:, 0]
        w = blend(means2d[ids] - (pixels[:, None] + 0.5), conics[ids], opacities[ids])
        blocks.append((pixels, w @ painted[order[ids]]))
    where = torch.cat([pixels for pixels, _ in blocks])
    image = torch.index_put(image, (where[:, 1], where[:, 0]), torch.cat([c for _, c in blocks]))
    weight = mask[..., None].float()
    inside_votes = torch.autograd.grad((image * weight).mean(), painted, retain_graph=True)[0]
    outside_votes = torch.autograd.grad((image * (1 - weight)).mean(), painted)[0]
    return inside_votes.norm(dim=-1) - outside_votes.norm(dim=-1)


def pixel_blocks(camera: Camera) -> list[torch.Tensor]:
    """Return the pixels (u, v) of each block of BLOCK x BLOCK, row by row."""
    return [
        torch.cartesian_prod(
            torch.arange(v, min(v + BLOCK, camera.height)),
            torch.arange(u, min(u + BLOCK, camera.width)),
        ).flip(-1)
        for v in range(0, camera.height, BLOCK)
        for u in range(0, camera.width, BLOCK)
    ]


def split(gaussians: Gaussians, count: int) -> Gaussians:
    """Return `count` Gaussians: each is split into finer ones that cover the same surface."""
    copies = -(-count // len(gaussians))
    rows = torch.arange(len(gaussians)).repeat(copies)[:count]
    g = gaussians.select(rows)
    jitter = torch.randn(count, 3, generator=torch.Generator().manual_seed(0))
    return Gaussians(
        means=g.means + jitter * g.scales * (copies > 1) * 0.7,
        quats=g.quats,
        scales=g.scales / copies**0.5,
        opacities=g.opacities,
        sh=g.sh,
    )


def resized(camera: Camera, width: int, height: int) -> Camera:
    """Return the same view with another image size."""
    K = camera.K.clone()
    K[0] *= width / camera.width
    K[1] *= height / camera.height
    return Camera(K=K, T_world_camera=camera.T_world_camera, width=width, height=height)


def label_grid(height: int, width: int) -> torch.Tensor:
    """Return OBJECTS rectangles on background, which cover about half of the image."""
    labels = torch.zeros(height, width, dtype=torch.int32)
    for k in range(OBJECTS):
        v, u = (k // 4) * height // 3, (k % 4) * width // 4
        labels[
            v + height // 20 : v + height // 3 - height // 20, u + width // 20 : u + width // 5
        ] = k + 1
    return labels


if __name__ == "__main__":
    if sys.argv[1:2] == ["--voter"]:
        count, width, height = map(int, sys.argv[2:5])
        serve(count, width, height, sys.argv[5])
    else:
        main()
