# SPDX-License-Identifier: Apache-2.0
"""How often the example planner grasps the mug by its handle, judged against ground truth.

examples/04_grasp_planner.py runs in its own process and hears, over ROS 2, what the nodes would
publish: the map, the mug, its affordance regions. Its best grasp is judged on a denser sample of
the same surfaces, which it never sees: the open gripper (two fingers and a palm) must touch
nothing, closing fingers must meet nothing but the mug, and what they meet first, on both sides,
must be labelled handle. The regions come from the true part labels, or from a transfer: sources
are mugs of other seeds, alone, rendered from random views and labelled by ground truth.

    python -m benchmarks.grasping [--standing 20] [--lying 5]      (Ctrl-C reports what is judged)
"""

import argparse
import contextlib
import itertools
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import rclpy
import torch
from geometry_msgs.msg import PoseArray
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float32MultiArray, Header

from benchmarks.grasp_trials import Trial, faults, trials
from benchmarks.report import print_table, write_results
from examples.antipodal import Gripper
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.affordances.options import AffordanceScores
from ros2_clickgs.core.affordances.sources import AnnotatedImage, prepare
from ros2_clickgs.core.affordances.transfer import transfer
from ros2_clickgs.core.affordances.viewing import cameras_around
from ros2_clickgs.core.clicking import rendered_image
from ros2_clickgs.core.clouds import PointCloud, cloud_from_gaussians
from ros2_clickgs.core.harmonics import rgb_from_sh
from ros2_clickgs.core.regions import find_regions
from ros2_clickgs.core.rendering import render_labels
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.models.descriptors import make_descriptor
from ros2_clickgs.msg import (
    Affordance,
    AffordanceArray,
    SegmentedObject,
    SegmentedObjectArray,
)
from ros2_clickgs.nodes.conversions.affordances import affordance_points, msg_from_region
from ros2_clickgs.nodes.conversions.clouds import (
    msg_from_points,
    points_from_cloud,
    points_from_map,
)
from ros2_clickgs.nodes.conversions.geometry import msg_from_nanoseconds, pose_from_msg
from ros2_clickgs.nodes.qos import LATCHED
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.tabletop import make_object

PLANNER = Path(__file__).parents[1] / "examples" / "04_grasp_planner.py"
PARTS = ["handle", "body", "inside"]
SOURCE_SEEDS, SOURCE_VIEWS = range(100, 104), 8
"""Mugs that the annotations come from; none of them is grasped."""
PATIENCE_S = 120.0
Scorer = Callable[[Trial], AffordanceScores]
"""Says what the mug's Gaussians afford."""


class Robot(Node):
    """Publishes what our nodes would, and hears what the planner says."""

    def __init__(self) -> None:
        super().__init__("robot", namespace="clickgs")
        self._out = {
            kind: self.create_publisher(kind, topic, LATCHED)
            for kind, topic in (
                (PointCloud2, "segmenter/map_cloud"),
                (SegmentedObjectArray, "segmenter/objects"),
                (AffordanceArray, "affordance/affordances"),
            )
        }
        self._heard: dict[type, PoseArray | Float32MultiArray] = {}
        for kind, name in ((PoseArray, "grasps"), (Float32MultiArray, "openings")):
            self.create_subscription(kind, f"grasp_planner/{name}", self._hear, LATCHED)

    def _hear(self, msg: PoseArray | Float32MultiArray) -> None:
        self._heard[type(msg)] = msg

    def grasps(
        self, *messages: PointCloud2 | SegmentedObjectArray | AffordanceArray
    ) -> list[tuple[np.ndarray, float]]:
        """Publish, one after the other; return the planner's answer to the last, best first."""
        for message in messages:
            self._heard.clear()
            self._out[type(message)].publish(message)
            until_s = time.monotonic() + PATIENCE_S
            while len(self._heard) < 2:
                rclpy.spin_once(self, timeout_sec=0.1)
                if time.monotonic() > until_s:
                    raise SystemExit(f"the planner did not answer within {PATIENCE_S:g} s")
        poses = [pose_from_msg(pose).numpy() for pose in self._heard[PoseArray].poses]
        return list(zip(poses, self._heard[Float32MultiArray].data, strict=True))

    def is_heard(self) -> bool:
        """Return whether the planner is there."""
        rclpy.spin_once(self, timeout_sec=0.1)
        return all(publisher.get_subscription_count() for publisher in self._out.values())


@contextlib.contextmanager
def planner() -> Iterator[Robot]:
    """Start the example in a process of its own, and what talks to it."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    quiet = {"stderr": subprocess.DEVNULL, "start_new_session": True}
    process = subprocess.Popen([sys.executable, PLANNER], **quiet)
    try:
        robot = Robot()
        while not robot.is_heard():
            pass
        yield robot
    finally:
        process.terminate()
        process.wait()
        rclpy.try_shutdown()


def messages(trial: Trial, scores: AffordanceScores, revision: int) -> tuple:
    """Return what our nodes would publish: nothing, the map, the mug, its regions."""
    scene = trial.scene
    header = Header(stamp=msg_from_nanoseconds(revision), frame_id="map")
    colors = (rgb_from_sh(scene.gaussians.sh) * 255).round().to(torch.uint8).numpy()
    points = points_from_map(scene.gaussians, colors, scene.object_labels, len(scene.gaussians))
    cloud = mug_cloud(scene)
    found = SegmentedObject(
        header=header,
        id=scene.object_id("mug"),
        name="mug",
        revision=revision,
        settled=True,
        cloud=msg_from_points(points_from_cloud(cloud), header),
    )
    return (
        AffordanceArray(header=header),
        msg_from_points(points, header),
        SegmentedObjectArray(header=header, objects=[found]),
        AffordanceArray(
            header=header,
            affordances=region_messages(found, cloud, scores),
            class_names=scores.classes,
        ),
    )


def region_messages(
    found: SegmentedObject, cloud: PointCloud, scores: AffordanceScores
) -> list[Affordance]:
    """Return the regions of an object whose Gaussians are scored."""
    regions = find_regions(cloud, scores.scores, scores.labels)
    points = affordance_points(found, scores.scores.numpy(), regions)
    return [msg_from_region(r, scores.classes[r.class_id], found, points) for r in regions]


def mug_cloud(scene: Scene) -> PointCloud:
    """Return the mug's points with normals, as seen from the scene's cameras."""
    gaussians = mug_of(scene)
    views = torch.stack([camera.center for camera in scene.cameras])
    ids = torch.full((len(gaussians),), scene.object_id("mug"), dtype=torch.int32)
    return cloud_from_gaussians(make_rasterizer(gaussians), ids, torch.ones(len(ids)), views)


def mug_of(scene: Scene) -> Gaussians:
    """Return the mug's Gaussians."""
    return scene.gaussians.select(scene.object_labels == scene.object_id("mug"))


def true_scores(trial: Trial) -> AffordanceScores:
    """Return what the mug's Gaussians are by the scene's part labels."""
    scene = trial.scene
    parts = scene.part_labels[scene.object_labels == scene.object_id("mug")]
    is_handle = parts == scene.part_id("mug", "handle")
    return AffordanceScores.of(
        ["background", "handle"], torch.nn.functional.one_hot(is_handle.long(), 2).float()
    )


class Transferred:
    """Scores by a transfer with the weight-free descriptor, from other mugs' rendered views."""

    def __init__(self) -> None:
        self._descriptor = make_descriptor("dense")
        pictures = [one for seed in SOURCE_SEEDS for one in annotated(seed)]
        self._sources = prepare(pictures, ["background", *PARTS], self._descriptor)

    def __call__(self, trial: Trial) -> AffordanceScores:
        """See Scorer."""
        mug = mug_of(trial.scene)
        views = cameras_around(mug, torch.tensor([0.0, 0.0, 1.0]))
        ids = torch.arange(len(mug))
        return transfer(make_rasterizer(mug), ids, views, self._sources, self._descriptor)


def annotated(seed: int) -> Iterator[AnnotatedImage]:
    """Yield random views of a mug alone with its true parts."""
    scene = make_object("mug", seed, view_count=SOURCE_VIEWS)
    rasterizer = make_rasterizer(scene.gaussians)
    parts = torch.tensor([0, *(PARTS.index(name) + 1 for name in scene.part_names[1:])])
    for i, camera in enumerate(scene.cameras):
        labels = render_labels(rasterizer, camera, parts[scene.part_labels.long()]).numpy()
        image = rendered_image(rasterizer, camera).image
        yield AnnotatedImage(name=str(i), image=image, labels=labels, mask=labels > 0)


def judge(robot: Robot, trial: Trial, scores: AffordanceScores, number: int) -> list[str]:
    """Return what is wrong with the planner's best grasp; nothing, if it succeeds."""
    grasps = robot.grasps(*messages(trial, scores, number))
    return faults(trial.truth, *grasps[0], Gripper()) if grasps else ["no grasp"]


def main() -> None:
    """Grasp standing and lying mugs, with true and with transferred regions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--standing", type=int, default=20, help="trials")
    parser.add_argument("--lying", type=int, default=5, help="trials")
    options = parser.parse_args()
    scorers: dict[str, Scorer] = {"true": true_scores, "transferred": Transferred()}
    found: dict[tuple[str, str], list[list[str]]] = defaultdict(list)
    with planner() as robot, contextlib.suppress(KeyboardInterrupt):
        number = itertools.count(1)
        for trial in trials(options.standing, options.lying):
            for regions, score in scorers.items():
                wrong = judge(robot, trial, score(trial), next(number))
                found[trial.stance, regions].append(wrong)
                print(f"{trial.name}, {regions} regions: {'; '.join(wrong) or 'good'}", flush=True)
    rows = [row(*which, wrong) for which, wrong in sorted(found.items(), reverse=True)]
    print_table(rows)
    write_results("grasping", rows)


def row(stance: str, regions: str, found: list[list[str]]) -> dict[str, str | int | float]:
    """Return how many best grasps are good, and what is wrong with the others."""
    good = sum(not wrong for wrong in found)
    reasons = Counter(reason for wrong in found for reason in wrong)
    return {
        "mug": stance, "regions": regions, "trials": len(found), "good": good,
        "success": good / len(found), "faults": ", ".join(f"{n} {r}" for r, n in reasons.items()),
    }  # fmt: skip


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
