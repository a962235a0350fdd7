# SPDX-License-Identifier: Apache-2.0
"""Votes on a GPU: are they gsplat's gradients, and what do they cost beside them and beside RGB?

Per view of the built-in tabletop, its Gaussians split up to the size asked for: (a) the paper's
way, three channels forward and twice backward; (b) two channels forward and once backward; (c)
gsplat's RGB forward; our forward-only votes for 1, 12 and 64 labels; and the floor that bytes and
operations set. Columns in ms are of the pass alone; `view/c` adds projection, sorting and binning.

    python -m benchmarks.gpu [--counts 200000 1000000 3000000 10000000] [--maps FILE ...]
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from benchmarks.gpu_report import plot, verdicts
from benchmarks.gpu_timing import Ceilings, Clock, Work, peak_megabytes
from benchmarks.gpu_training import training_rows
from benchmarks.report import Row, print_table, write_results
from benchmarks.votes import resized, split
from ros2_clickgs.backends import gsplat_cuda
from ros2_clickgs.backends.gsplat_cuda import GsplatRasterizer, gradient, paint, pixel_grid
from ros2_clickgs.backends.gsplat_tiles import TiledSplats
from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.types import Camera
from ros2_clickgs.core.views import pinhole
from ros2_clickgs.errors import BackendUnavailableError
from ros2_clickgs.scenes.tabletop import make_tabletop

FEATURES = 24


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    counts: tuple[int, ...] = (200_000, 1_000_000, 3_000_000, 10_000_000)
    sizes: tuple[tuple[int, int], ...] = ((640, 480), (1920, 1080))
    labels: tuple[int, ...] = (1, 12, 64)
    views: int = 200
    sampled_pixels: int = 10_000
    main_count: int = 1_000_000
    minutes: float = 9.0
    device: str = "cuda"
    repeats: int = 15
    warmups: int = 3


def main() -> None:
    """Build gsplat's kernels, measure everything, print tables, write the JSON and the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=list(Plan.counts))
    parser.add_argument("--minutes", type=float, default=Plan.minutes)
    parser.add_argument("--maps", nargs="*", default=[], help="map files to check agreement on")
    options = parser.parse_args()
    os.environ.setdefault("COLUMNS", "190")
    begin = time.perf_counter()
    try:
        gsplat_cuda.require_gsplat()
    except BackendUnavailableError as error:
        sys.exit(f"benchmarks.gpu: {error}")
    built_s = time.perf_counter() - begin
    print(f"{torch.cuda.get_device_name()}; gsplat's kernels ready after {built_s:.0f} s")
    plan = Plan(counts=tuple(options.counts), minutes=options.minutes)
    real = [row for path in options.maps for row in map_rows(Path(path), plan)]
    results = {"build_s": built_s, "real_maps": real, **measure_all(plan, begin)}
    results["total_s"] = time.perf_counter() - begin
    print(f"written: {write_results('gpu', results)}, after {results['total_s']:.0f} s")
    plot(results["votes"])


def measure_all(plan: Plan, begin: float) -> dict[str, object]:
    """Run all parts until the time is up; the most telling ones first."""
    clock = Clock(plan.device, plan.repeats, plan.warmups)
    base = make_tabletop()
    out: dict[str, object] = {"agreement": [], "votes": [], "totals": []}
    out |= {"variants": [], "features": [], "training": []}
    ceilings = Ceilings.measure(clock) if plan.device == "cuda" else Ceilings(1e10, 1e10)
    out["ceilings"] = vars(ceilings)
    reached = ceilings.bytes_per_s / 1e12, ceilings.operations_per_s / 1e12
    print("copy {:.2f} TB/s, float32 {:.1f} TFLOP/s".format(*reached))

    main_first = sorted(plan.counts, key=lambda count: count != plan.main_count)
    for count in main_first:
        gaussians = split(base.gaussians, count).to(plan.device)
        rasterizer = GsplatRasterizer(gaussians, plan.device)
        jobs: list[tuple[str, Callable[[], list[Row]]]] = [
            ("votes", partial(vote_rows, rasterizer, base.cameras[0], plan, clock, ceilings))
        ]
        if count == main_first[0]:
            view = resized(base.cameras[0], *plan.sizes[0])
            jobs += [
                ("agreement", partial(agreement_rows, rasterizer, base.cameras, plan)),
                ("totals", partial(total_rows, rasterizer, base.cameras, plan)),
                ("variants", partial(variant_rows, rasterizer, base.cameras[0], plan, clock)),
                ("features", partial(feature_rows, rasterizer, base.cameras[0], plan, clock)),
                ("training", partial(training_rows, rasterizer, view, plan.sampled_pixels, clock)),
            ]
        for name, job in jobs:
            if time.perf_counter() - begin > 60 * plan.minutes:
                print(f"time is up: {name} of {count} Gaussians left out")
                continue
            rows = job()
            print_table(rows)
            out[name] += rows
    promised = "{}x{}".format(*plan.sizes[-1]), plan.main_count, plan.views
    out["verdicts"] = verdicts(out["agreement"], out["votes"], out["totals"], *promised)
    if out["verdicts"]:
        print_table(out["verdicts"])
    return out


def label_blocks(labels: int, width: int, height: int, device: str) -> torch.Tensor:
    """Return rectangles 1 .. labels in a grid, with as much background between them."""
    side = next(side for side in range(1, labels + 1) if side * side >= labels)
    v = torch.arange(height, device=device)[:, None] * side / height
    u = torch.arange(width, device=device)[None, :] * side / width
    cell = v.int() * side + u.int() + 1
    inside = ((v % 1 - 0.5).abs() < 0.35) & ((u % 1 - 0.5).abs() < 0.35) & (cell <= labels)
    return torch.where(inside, cell, 0).int()


def vote_rows(
    rasterizer: GsplatRasterizer, view: Camera, plan: Plan, clock: Clock, ceilings: Ceilings
) -> list[Row]:
    """Return one row per image size and number of labels."""
    rows: list[Row] = []
    n = len(rasterizer.gaussians)
    for width, height in plan.sizes:
        camera = resized(view, width, height)
        calls = peers(rasterizer, camera, label_blocks(1, width, height, plan.device))
        times = {name: clock.milliseconds(call) for name, call in calls.items()}
        for labels in plan.labels:
            image = label_blocks(labels, width, height, plan.device)
            cast = partial(rasterizer.vote, camera, image, labels + 1)
            work = count_work(rasterizer, camera, cast())
            vote_ms = clock.milliseconds(cast)
            rows.append({
                "gaussians": n, "image": f"{width}x{height}", "labels": labels,
                "pairs": work.pairs, **times, "vote_ms": vote_ms,
                "a/vote": times["two_backward_ms"] / vote_ms,
                "b/vote": times["one_backward_ms"] / vote_ms,
                "vote/c": vote_ms / times["rgb_ms"],
                "view/c": (times["tiles_ms"] + vote_ms) / (times["tiles_ms"] + times["rgb_ms"]),
                "floor_ms": work.floor_ms(ceilings), "MB": work.bytes_moved() / 1e6,
                "peak_MB": peak_megabytes(plan.device, cast),
            })  # fmt: skip
    return rows


def peers(
    rasterizer: GsplatRasterizer, camera: Camera, mask: torch.Tensor
) -> dict[str, Callable[[], object]]:
    """Return what votes are compared with; all but the first start from tiles."""
    tiled = rasterizer.tiled(camera)
    return {
        "tiles_ms": lambda: rasterizer.tiled(replace(camera)),
        "rgb_ms": lambda: paint(tiled, camera, rasterizer.gaussians.means),
        "two_backward_ms": lambda: two_backward_passes(tiled, camera, mask),
        "one_backward_ms": lambda: gradient(tiled, camera, one_hot(mask, 2)),
    }


def count_work(rasterizer: GsplatRasterizer, camera: Camera, votes: torch.Tensor) -> Work:
    """Count what a view asks for."""
    from ros2_clickgs.backends.triton_weights import count_entries

    tiled = rasterizer.tiled(camera)
    pixels = pixel_grid(camera).to(votes.device)
    return Work(
        pairs=len(tiled.flatten_ids),
        splats=len(torch.unique(tiled.flatten_ids)),
        entries=int(count_entries(tiled, pixels).sum()),
        pixels=len(pixels),
        votes=int(torch.count_nonzero(votes)),
        cells=votes.numel(),
    )


def two_backward_passes(tiled: TiledSplats, camera: Camera, mask: torch.Tensor) -> torch.Tensor:
    """Vote as the paper does (Joseph et al., arXiv:2409.11681): RGB forward, backward twice."""
    values = torch.zeros(tiled.means2d.shape[1], 3, device=mask.device, requires_grad=True)
    image, inside = paint(tiled, camera, values), (mask > 0)[..., None].float()
    votes_for = torch.autograd.grad((image * inside).sum(), values, retain_graph=True)[0]
    votes_against = torch.autograd.grad((image * (1 - inside)).sum(), values)[0]
    return votes_for[:, 0] - votes_against[:, 0]


def one_hot(labels: torch.Tensor, count: int) -> torch.Tensor:
    """Return the image [H, W, count] that is 1 where the label is."""
    return (labels[..., None] == torch.arange(count, device=labels.device)).float()


def agreement_rows(
    rasterizer: GsplatRasterizer, cameras: list[Camera], plan: Plan, label: str = "tabletop"
) -> list[Row]:
    """Compare votes and backprojection with gsplat's gradients and with its pictures."""
    rows: list[Row] = []
    for view in cameras[:: max(len(cameras) // 4, 1)]:
        camera = resized(view, *plan.sizes[0])
        tiled = rasterizer.tiled(camera)
        labels = label_blocks(12, camera.width, camera.height, plan.device)
        noise = torch.rand(camera.height, camera.width, FEATURES, device=plan.device)
        found = {"vote": rasterizer.vote(camera, labels, 13)}
        found["backproject"] = rasterizer.backproject(camera, noise)
        for name, image in (("vote", one_hot(labels, 13)), ("backproject", noise)):
            proof = gradient(tiled, camera, image)
            off = float((found[name] - proof).norm() / proof.norm())
            rows.append({
                "map": label, "view": len(rows) // 2, "what": name, "relative": off,
                "adjoint": adjoint_error(tiled, camera, image, found[name]),
            })  # fmt: skip
    return rows


def map_rows(path: Path, plan: Plan) -> list[Row]:
    """Return the agreement on a map from a file, seen from outside its densest part."""
    from ros2_clickgs.io.maps import load_map

    gaussians = load_map(path).to(plan.device)
    middle = gaussians.means.median(0).values.cpu()
    reach = (gaussians.means.cpu() - middle).norm(dim=-1).median()
    eyes = middle + reach * torch.tensor([[1.5, 0.4, 0.8], [-0.5, 1.2, 0.3]])
    up = torch.tensor([0.0, 0, 1])
    cameras = [pinhole(look_at(eye, middle, up), *plan.sizes[0]) for eye in eyes]
    rows = agreement_rows(GsplatRasterizer(gaussians, plan.device), cameras, plan, path.name)
    print_table(rows)
    return rows


def adjoint_error(
    tiled: TiledSplats, camera: Camera, image: torch.Tensor, credits: torch.Tensor
) -> float:
    """Return how far <W v, image> is from <v, credits>, relative: no gradient is involved."""
    values = torch.rand(credits.shape[0], 1, device=credits.device)
    left = (paint(tiled, camera, values).double() * image).sum((0, 1))
    right = (values.double() * credits).sum(0)
    return float((left - right).norm() / left.norm())


def circling(cameras: list[Camera], count: int, size: tuple[int, int]) -> Iterator[Camera]:
    """Yield the scene's views over and over, each a camera of its own."""
    for i in range(count):
        yield resized(cameras[i % len(cameras)], *size)


def total_rows(rasterizer: GsplatRasterizer, cameras: list[Camera], plan: Plan) -> list[Row]:
    """Return seconds for all views of a scene and for a tenth of them, everything included."""
    width, height = plan.sizes[0]
    mask = label_blocks(1, width, height, plan.device)

    def ours(camera: Camera) -> torch.Tensor:
        return rasterizer.vote(camera, mask, 2)

    def papers(camera: Camera) -> torch.Tensor:
        return two_backward_passes(rasterizer.tiled(camera), camera, mask)

    rows: list[Row] = []
    for name, cast in (("ours", ours), ("two backward passes", papers)):
        for views in (plan.views, max(plan.views // 10, 1)):
            list(map(cast, circling(cameras, 2, plan.sizes[0])))

            def scene(cast=cast, views=views) -> torch.Tensor:
                return sum(map(cast, circling(cameras, views, plan.sizes[0])))

            total_s = 1e-3 * Clock(plan.device, min(plan.repeats, 3), 0).milliseconds(scene)
            rows.append({"what": name, "views": views, "image": f"{width}x{height}", "s": total_s})
    return rows


def variant_rows(
    rasterizer: GsplatRasterizer, view: Camera, plan: Plan, clock: Clock
) -> list[Row]:
    """Return what the vote kernel costs with more warps per tile; the default should win."""
    from ros2_clickgs.backends import triton_votes

    camera = resized(view, *plan.sizes[-1])
    tiled = rasterizer.tiled(camera)
    image = label_blocks(12, camera.width, camera.height, plan.device)
    noise = torch.rand(camera.height, camera.width, 8, device=plan.device)
    return [
        {
            "warps": warps,
            "vote_12_ms": clock.milliseconds(
                partial(triton_votes.vote, tiled, image, 13, warps=warps)
            ),
            "backproject_8_ms": clock.milliseconds(
                partial(triton_votes.backproject, tiled, noise, warps=warps)
            ),
        }
        for warps in (1, 2, 4, 8)
    ]


def feature_rows(
    rasterizer: GsplatRasterizer, view: Camera, plan: Plan, clock: Clock
) -> list[Row]:
    """Return what training and queries of features are made of: rows of W, products, one query."""
    width, height = plan.sizes[0]
    camera = resized(view, width, height)
    pixels = torch.stack([
        torch.randint(0, width, (plan.sampled_pixels,), device=plan.device),
        torch.randint(0, height, (plan.sampled_pixels,), device=plan.device),
    ], -1)  # fmt: skip
    rows = rasterizer.weights(camera, pixels)
    features = torch.rand(len(rasterizer.gaussians), FEATURES, device=plan.device)
    rendered = rows.splat(features)
    calls = {
        f"rows of W, {plan.sampled_pixels} pixels": lambda: rasterizer.weights(camera, pixels),
        f"W features, {FEATURES} channels": lambda: rows.splat(features),
        f"W^T gradient, {FEATURES} channels": lambda: rows.backproject(rendered),
        "query: one product": lambda: features @ features[0],
    }
    return [{"what": name, "ms": clock.milliseconds(call)} for name, call in calls.items()]


if __name__ == "__main__":
    main()
