# SPDX-License-Identifier: Apache-2.0
"""Whether a training holds anything up: images and clicks over ROS before, during and after it.

All nodes run in one process, as `clickgs up` starts them; the player plays the built-in tabletop.

    python -m benchmarks.beside_training [--gaussians 200000] [--clicks 8]
"""

import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import rclpy
import torch
import tyro
from geometry_msgs.msg import Point, PointStamped
from rclpy.action import ActionClient
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from benchmarks.report import Row, print_table, write_results
from ros2_clickgs.action import TrainFeatures
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.nodes.qos import RELIABLE
from ros2_clickgs.scenes.dataset import write_scene
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.tabletop import make_tabletop
from ros2_clickgs.srv import SegmentPoint

PATIENCE_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    gaussians: int = 200_000
    clicks: int = 8
    """In each phase."""
    rate_hz: float = 5.0
    """Images per second that are played."""
    seconds: float = 15.0
    """How long images are counted in each phase."""
    every: int = 4
    """Take every k-th of the scene's views."""


class Peer(Node):
    """Clicks, trains, and counts the images that went all the way through the segmenter."""

    def __init__(self) -> None:
        super().__init__("peer", namespace="clickgs")
        self.images = self.iteration = 0
        self.create_subscription(Image, "segmenter/overlay", self._on_overlay, RELIABLE)
        self._click = self.create_client(SegmentPoint, "segmenter/segment_point")
        self._clear = self.create_client(Trigger, "segmenter/clear")
        self._train = ActionClient(self, TrainFeatures, "trainer/train_features")
        self.wait(lambda: self._click.service_is_ready() and self._train.server_is_ready())

    def wait(self, is_so: Callable[[], object]) -> None:
        """Spin until something is so."""
        until = time.monotonic() + PATIENCE_S
        while not is_so():
            rclpy.spin_once(self, timeout_sec=0.01)
            if time.monotonic() > until:
                raise TimeoutError(f"waited {PATIENCE_S} s in vain")

    def click_s(self, at: list[float], method: str) -> float:
        """Return how long a click took to become an object, forgotten afterwards."""
        point = PointStamped(header=Header(frame_id="map"), point=Point(x=at[0], y=at[1], z=at[2]))
        began = time.perf_counter()
        self._ask(self._click, SegmentPoint.Request(points=[point], method=method))
        took = time.perf_counter() - began
        self._ask(self._clear, Trigger.Request())
        return took

    def images_per_s(self, seconds: float) -> float:
        """Count images for some time."""
        before, began = self.images, time.monotonic()
        self.wait(lambda: time.monotonic() - began >= seconds)
        return (self.images - before) / (time.monotonic() - began)

    def train(self, folder: Path) -> Callable[[], None]:
        """Start a training and wait for its 20th iteration; return what cancels it."""
        goal = TrainFeatures.Goal(
            cameras=str(folder), masks=str(folder / "masks"), iterations=100_000
        )
        sent = self._train.send_goal_async(goal, feedback_callback=self._on_feedback)
        self.wait(lambda: self.iteration >= 20)

        def cancel() -> None:
            sent.result().cancel_goal_async()
            ended = sent.result().get_result_async()
            self.wait(ended.done)
            print(ended.result().result.message)

        return cancel

    def _ask(self, client: object, request: object) -> None:
        future = client.call_async(request)
        self.wait(future.done)
        if not future.result().success:
            print(future.result().message)

    def _on_overlay(self, msg: Image) -> None:
        self.images += 1

    def _on_feedback(self, msg: object) -> None:
        self.iteration = msg.feedback.iteration


def main(options: Options) -> None:
    """Measure, print and keep."""
    scene = make_tabletop(seed=0, count=options.gaussians)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scene(scene, folder, make_rasterizer(scene.gaussians), options.every)
        process = started(folder, options)
        rclpy.init()
        peer = Peer()
        rows = phases(peer, scene, folder, options)
        process.send_signal(signal.SIGINT)
        process.wait(30)
    print_table(rows)
    print(f"written: {write_results('beside_training', rows)}")


def started(folder: Path, options: Options) -> subprocess.Popen:
    """Start all nodes in a process of their own."""
    parameters = {"session": '""', "session_dir": str(folder), "rate_hz": options.rate_hz}
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    arguments = [str(folder / "point_cloud.ply"), str(folder), "", *words]
    code = f"import sys; from ros2_clickgs.nodes.main import up; sys.exit(up(*{arguments!r}))"
    return subprocess.Popen([sys.executable, "-c", code])


def phases(peer: Peer, scene: Scene, folder: Path, options: Options) -> list[Row]:
    """Return a row per phase."""
    places = tops(scene, options.clicks)
    peer.wait(lambda: peer.images)
    peer.click_s(places[0], "votes")
    rows = [phase(peer, "before", places, "votes", options.seconds)]
    cancel = peer.train(folder)
    iteration, began = peer.iteration, time.monotonic()
    rows.append(phase(peer, "during", places, "votes", options.seconds))
    pace = (peer.iteration - iteration) / (time.monotonic() - began)
    rows[-1]["iterations per s"] = pace
    cancel()
    rows.append(phase(peer, "after", places, "votes", options.seconds))
    rows.append(phase(peer, "after, by features", places, "features", options.seconds))
    return rows


def phase(peer: Peer, when: str, places: list[list[float]], method: str, seconds: float) -> Row:
    """Return how fast images and clicks go through."""
    clicks = [peer.click_s(place, method) for place in places]
    return {
        "when": when,
        "images per s": peer.images_per_s(seconds),
        "click median s": statistics.median(clicks),
        "click worst s": max(clicks),
        "iterations per s": 0.0,
    }


def tops(scene: Scene, count: int) -> list[list[float]]:
    """Return the highest point of objects, in m."""
    found = []
    for label in range(1, count + 1):
        means = scene.gaussians.means[scene.object_labels == label]
        found.append(means[torch.argmax(means[:, 2])].tolist())
    return found


if __name__ == "__main__":
    main(tyro.cli(Options))
