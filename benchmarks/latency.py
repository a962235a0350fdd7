# SPDX-License-Identifier: Apache-2.0
"""From a click to the first object, and to the final one: how long, and where the time goes.

Through the workbench of the segmenter node, on the built-in tabletop (640x480), with a session on
disk, one object after the other: those clicked before stay. Two situations:

- robot has looked around: fifty images have come, the click is in the one that shows most
- robot stands still: only that image has come, all other views are rendered

First: until the first answer is on the disk and its message is made. Final: until the object is
settled or the view budget is used, with every answer in between. Stages are exclusive and in
seconds of processor time, of all cores together, so that other work on the machine counts little.
Medians over the objects, the first one left out (it warms up).

    python -m benchmarks.latency [--seed 0] [--sam2 TINY.pt LARGE.pt]
"""

import functools
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from std_msgs.msg import Header

from benchmarks.clicks import true_click
from benchmarks.report import Row, print_table, write_results
from ros2_clickgs.config import SegmenterConfig
from ros2_clickgs.core.posed_image import PosedImage, rendered_image
from ros2_clickgs.core.state import Click
from ros2_clickgs.io.maps import save_map
from ros2_clickgs.nodes.conversions.objects import msg_from_object
from ros2_clickgs.nodes.keyframes import Frame
from ros2_clickgs.nodes.workbench import Workbench
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.tabletop import make_tabletop

STAGES = ("render", "set_image", "predict", "votes", "decide", "box and cloud", "journal", "rest")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    seed: int = 0
    """Tabletop."""
    objects: int = 14
    """So many of its objects."""
    sam2: tuple[str, ...] = ()
    """Checkpoints or hub ids of SAM 2 that are measured besides the classical segmenter."""


class Stopwatch:
    """Where processor time goes: every stage's own, without that of stages within it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inner_s = [0.0]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block's time as a stage's."""
        began = time.process_time()
        self._inner_s.append(0.0)
        try:
            yield
        finally:
            spent = time.process_time() - began
            self.seconds[name] += spent - self._inner_s.pop()
            self._inner_s[-1] += spent

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Count the time spent in a method of an object as a stage's."""
        original: Callable = getattr(owner, method)

        @functools.wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return original(*args, **kwargs)

        setattr(owner, method, watched)


def main(options: Options) -> None:
    """Measure, print and keep."""
    rows = [
        row
        for segmenter in ("classical", *options.sam2)
        for situation in ("has looked around", "stands still")
        for row in measure(options.seed, segmenter, situation, options.objects)
    ]
    summary = summarize(rows)
    print_table(rows)
    print_table(summary)
    write_results("latency", {"per_object": rows, "medians": summary})


def measure(seed: int, segmenter: str, situation: str, count: int) -> Iterator[Row]:
    """Yield, for every object, the times of its first and of its final answer."""
    scene = make_tabletop(seed)
    with tempfile.TemporaryDirectory() as folder:
        bench, watch = watched_bench(scene, segmenter, Path(folder))
        images = [rendered_image(bench.rasterizer, camera) for camera in scene.cameras]
        stage = [image for i, image in enumerate(images) if i % 6 != 5][::10]
        for label, name in enumerate(scene.object_names[1 : count + 1], 1):
            image, click = true_click(bench.objects, scene, label, stage)
            bench.keyframes = type(bench.keyframes)(bench.config.keyframes)
            for shown in images if situation == "has looked around" else [image]:
                shown.depth = None
                bench.keyframes.add(Frame(shown, "camera", 1))
            for answer, seconds, parts in timed(bench, watch, image, click):
                yield {
                    "segmenter": segmenter, "robot": situation, "object": name, "answer": answer,
                    "seconds": seconds, "processor": sum(parts.values()), **parts,
                }  # fmt: skip
        bench.session.close()


def watched_bench(scene: Scene, segmenter: str, folder: Path) -> tuple[Workbench, Stopwatch]:
    """Return a node's workbench, and the stopwatch that its parts go by.

    Args:
        scene: the map.
        segmenter: "classical", or what SAM 2 is loaded from.
        folder: where map and session are kept.
    """
    save_map(folder / "map.ply", scene.gaussians)
    is_sam2 = segmenter != "classical"
    config = SegmenterConfig(
        map_path=str(folder / "map.ply"),
        session_dir=str(folder),
        segmenter="sam2" if is_sam2 else segmenter,
        segmenter_checkpoint=segmenter if is_sam2 else "",
    )
    bench, watch = Workbench(config), Stopwatch()
    for owner, method, name in (
        (bench.rasterizer, "splat", "render"),
        (bench.rasterizer, "weights", "render"),
        (bench.rasterizer, "vote", "votes"),
        (bench.segmenter, "set_image", "set_image"),
        (bench.segmenter, "predict", "predict"),
        (bench.objects, "labels", "decide"),
        (bench.objects, "get", "box and cloud"),
        (bench.objects, "cloud", "box and cloud"),
        (bench.session, "_keep", "journal"),
    ):
        watch.watch(owner, method, name)
    return bench, watch


def timed(
    bench: Workbench, watch: Stopwatch, image: PosedImage, click: Click
) -> Iterator[tuple[str, float, dict[str, float]]]:
    """Yield the time until the first answer and until the final one, whole and by stage."""
    watch.seconds.clear()
    began = time.perf_counter()
    with watch.stage("rest"):
        with bench.accepting():
            found = bench.segment([click], first=image)
        tell(bench, found.id)
    yield "first", time.perf_counter() - began, parts_of(watch)
    while bench.looks.is_pending(found.id):
        with watch.stage("rest"):
            with bench.accepting():
                has_changed = bench.looks.go_on(found.id)
            if has_changed:
                tell(bench, found.id)
    yield "final", time.perf_counter() - began, parts_of(watch)


def tell(bench: Workbench, object_id: int) -> None:
    """Make the object's message."""
    ballot = bench.objects.state.ballot(object_id)
    found, cloud = bench.objects.get(object_id), bench.objects.cloud(object_id)
    msg_from_object(found, ballot, cloud, Header())


def parts_of(watch: Stopwatch) -> dict[str, float]:
    """Return the seconds of each stage."""
    return {name: watch.seconds[name] for name in STAGES}


def summarize(rows: list[Row]) -> list[Row]:
    """Return medians over the objects."""
    groups = dict.fromkeys((row["segmenter"], row["robot"], row["answer"]) for row in rows)
    return [median_of(key, rows) for key in groups]


def median_of(key: tuple, rows: list[Row]) -> Row:
    """Return the medians of one segmenter, situation and answer."""
    chosen = [row for row in rows if (row["segmenter"], row["robot"], row["answer"]) == key][1:]
    columns = ("seconds", "processor", *STAGES)
    values = {name: float(np.median([row[name] for row in chosen])) for name in columns}
    longest = max(row["seconds"] for row in chosen)
    return (
        dict(zip(("segmenter", "robot", "answer"), key, strict=True))
        | values
        | {"longest": longest}
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
