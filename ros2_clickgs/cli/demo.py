# SPDX-License-Identifier: Apache-2.0
"""`clickgs demo`: three objects clicked through the real nodes, over real DDS."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from ros2_clickgs.cli.console import progress, say
from ros2_clickgs.errors import ClickGSError

if TYPE_CHECKING:
    from ros2_clickgs.cli.targets import Target
    from ros2_clickgs.io.views import View
    from ros2_clickgs.nodes.clicker import Clicker

CLICKED = ("mug", "bottle", "bowl")
"""Things of the built-in scene."""
START_TIMEOUT_S, IMAGE_TIMEOUT_S, CLICK_TIMEOUT_S = 240.0, 60.0, 180.0
LAP = 120
"""Images that are waited for before the first click, or as many as there are."""
EVERY = 3
"""The built-in scene is shown from each k-th of its cameras."""
MAP_NAMES = ("point_cloud.ply", "map.ply", "scene.ply", "*.ply", "*.spz", "*.splat")


def demo(
    *,
    data: Path | None = None,
    map: Path | None = None,
    out: Path = Path("demo_out"),
    click: Annotated[list[tuple[float, ...]], tyro.conf.UseAppendAction] = [],  # noqa: B006
) -> dict[str, Any]:
    """Click three objects through the real nodes; leave pictures and the objects' files.

    Args:
        data: folder with a map (or depth images to build one of), transforms.json and images;
            without it the built-in scene.
        map: map file, if it is not in that folder.
        out: folder for the results.
        click: X Y Z in m of a thing to click on, or several points of it; once or more; without it
            things that stand out.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise ClickGSError("rclpy is not installed; source a ROS 2 setup.bash or `pip install .`")
    from ros2_clickgs.io.cameras import load_views

    keep_to_this_machine()
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    folder = data if data else written_scene(out / "scene")
    views = [view for view in load_views(folder) if view.image_path]
    if not views:
        raise ClickGSError(f"{folder}: no view has an image; give a folder with images/")
    map_path = map or find_map(folder) or built_map(folder, out / "map.ply")
    targets = choose_targets(views, map_path, click, folder / "masks" if data is None else None)
    with running_nodes(map_path, folder, out) as (check_alive, started):
        from ros2_clickgs.nodes.clicker import Clicker

        clicker = Clicker(check_alive)
        try:
            report = click_all(clicker, targets, min(LAP, len(views)), out, started)
        finally:
            clicker.close()
    return {"map": str(map_path), **report, "overview": str(out / "overview.png"), "out": str(out)}


def keep_to_this_machine() -> None:
    """Stay out of the way of other ROS users, unless the environment says where to be."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


def written_scene(folder: Path) -> Path:
    """Make the built-in scene and write it with its images."""
    from ros2_clickgs.backends import make_rasterizer
    from ros2_clickgs.scenes.dataset import write_scene
    from ros2_clickgs.scenes.tabletop import make_tabletop

    say("making the built-in scene")
    scene = make_tabletop()
    count = len(range(0, len(scene.cameras), EVERY))
    bar = progress(range(count), "rendering the scene's images", count)
    write_scene(
        scene,
        folder,
        make_rasterizer(scene.gaussians),
        every=EVERY,
        on_view=lambda done, total: next(bar, None),
    )
    list(bar)
    return folder


def find_map(folder: Path) -> Path | None:
    """Return the map file of a folder, if it has one."""
    found = (path for name in MAP_NAMES for path in sorted(folder.glob(name)))
    return next(found, None)


def built_map(folder: Path, out: Path) -> Path:
    """Build a map of the folder's depth images.

    Raises:
        ClickGSError: it has none.
    """
    from ros2_clickgs.cli.building import build_map

    say(f"{folder} holds no map file (.ply, .spz or .splat): building one of its depth images")
    build_map(folder, out=out)
    return out


def choose_targets(
    views: "list[View]",
    map_path: Path,
    clicks: list[tuple[float, ...]],
    masks: Path | None,
) -> "list[Target]":
    """Return what to click on, in the order of the clicks; `masks` are the built-in scene's."""
    from ros2_clickgs.backends import make_rasterizer
    from ros2_clickgs.cli.targets import found_targets, given_targets, known_targets
    from ros2_clickgs.io.maps import load_map
    from ros2_clickgs.models.choose import make_segmenter
    from ros2_clickgs.scenes.layout import CAST

    rasterizer = make_rasterizer(load_map(map_path))
    if clicks:
        return given_targets(rasterizer, views, clicks)
    if masks:
        names = {name: list(CAST).index(name) + 1 for name in CLICKED}
        return known_targets(rasterizer, views, masks, names)
    say("looking for things that stand out")
    return found_targets(rasterizer, views, make_segmenter(), count=3)


@contextmanager
def running_nodes(map_path: Path, folder: Path, out: Path) -> Iterator[Any]:
    """Run `clickgs up` beside us; yield what raises when it has ended, and when it was started."""
    from ros2_clickgs.io.logs import last_line, log_file
    from ros2_clickgs.nodes.main import use_shared_memory

    use_shared_memory()
    log_path = out / "nodes.log"
    words = [
        "up",
        map_path,
        "--dataset",
        folder.resolve(),
        "--ros-args",
        "-p",
        f"session_dir:={out}",
        "-p",
        'session:=""',
    ]
    command = [sys.executable, "-m", "ros2_clickgs.cli", *map(str, words)]
    say("starting the nodes: " + " ".join(["clickgs", *map(str, words)]))
    with log_file(log_path) as log:
        started = time.monotonic()
        nodes = subprocess.Popen(command, stdout=log, stderr=log)

        def check_alive() -> None:
            if nodes.poll() is not None:
                raise ClickGSError(f"the nodes ended: {last_line(log_path)}; see {log_path}")

        try:
            yield check_alive, started
        finally:
            stop(nodes)


def stop(nodes: subprocess.Popen) -> None:
    """End the nodes as Ctrl-C does."""
    nodes.send_signal(signal.SIGINT)
    try:
        nodes.wait(20)
    except subprocess.TimeoutExpired:
        nodes.kill()
        nodes.wait()


def click_all(
    clicker: "Clicker", targets: "list[Target]", lap: int, out: Path, started: float
) -> dict[str, Any]:
    """Click on all targets; write pictures and files; return the figures."""
    import numpy as np

    from ros2_clickgs.io.images import write_image

    clicker.wait_for_map(START_TIMEOUT_S)
    map_s = time.monotonic() - started
    clicker.wait_for_image(IMAGE_TIMEOUT_S)
    image_s = time.monotonic() - started
    say(f"the map is there after {map_s:.1f} s, the first posed image after {image_s:.1f} s")
    clicker.wait_for_images(lap, IMAGE_TIMEOUT_S)
    rows, found = [], {}
    for target in targets:
        facts, picture = click_one(clicker, target)
        say(
            f"{facts['name']}: first seen after {facts['first_s']:.1f} s, "
            f"{facts['gaussians']} Gaussians after {facts['seconds']:.1f} s"
        )
        found[f"object_{facts['id']}"] = facts
        rows.append(picture)
    for facts in found.values():
        clicker.export(facts["file"], facts["id"])
    height = max(picture.shape[0] for picture in rows)
    padded = [np.pad(p, ((0, height - p.shape[0]), (0, 0), (0, 0))) for p in rows]
    write_image(out / "overview.png", np.vstack(padded))
    return {"map_ready_s": map_s, "first_image_s": image_s, "images": clicker.image_count, **found}


def click_one(clicker: "Clicker", target: "Target") -> tuple[dict[str, Any], Any]:
    """Click on one target; return its figures and its row of the overview."""
    import torch

    from ros2_clickgs.cli import overview
    from ros2_clickgs.core.geometry import project
    from ros2_clickgs.io.images import read_image

    start = time.monotonic()
    found = clicker.click(target.point, CLICK_TIMEOUT_S)
    first_s = time.monotonic() - start
    for point in target.more:
        clicker.settle(found.id)
        clicker.refine(found.id, point)
    found = clicker.settle(found.id)
    seconds = time.monotonic() - start
    camera, name = target.view.camera, target.name or found.name
    _, labels = clicker.picture(camera)
    alone, _ = clicker.picture(camera, only=[found.id])
    without, _ = clicker.picture(camera, without=[found.id])
    clicks = project(camera, torch.stack([target.point, *target.more]))[:, :2].tolist()
    image, mask = read_image(target.view.image_path, camera), labels == found.id
    facts = {
        "id": found.id,
        "name": name,
        "gaussians": found.gaussian_count,
        "score": found.score,
        "views": found.view_count,
        "size_m": [found.size.x, found.size.y, found.size.z],
        "settled": found.settled,
        "first_s": first_s,
        "seconds": seconds,
        "file": f"object_{found.id}_{name}.ply" if target.name else f"object_{found.id}.ply",
    }
    if target.truth is not None:
        union = (mask | target.truth).sum()
        facts["iou_in_view"] = float((mask & target.truth).sum() / max(union, 1))
    return facts, overview.row(image, clicks, mask, alone, without, name)
