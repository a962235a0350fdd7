# SPDX-License-Identifier: Apache-2.0
"""Starts nodes: each alone, or all in one process; ends them cleanly on Ctrl-C."""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_share_path
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.parameter import Parameter

from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.nodes import worker
from ros2_clickgs.nodes.affordance import AffordanceNode
from ros2_clickgs.nodes.lifecycle import ClickGSNode
from ros2_clickgs.nodes.player import PlayerNode
from ros2_clickgs.nodes.segmenter import SegmenterNode
from ros2_clickgs.nodes.spinning import spin
from ros2_clickgs.nodes.trainer import TrainerNode

Maker = Callable[[list[ClickGSNode]], ClickGSNode | None]
"""Makes a node, knowing those made before it in the same process; None: it is not wanted."""

THREADS = 4
"""Of the executor: inputs, services, timers and transitions of several nodes."""
PATIENCE_S = 2.0
"""How long the job in hand may still take after Ctrl-C."""
PROFILES = "FASTRTPS_DEFAULT_PROFILES_FILE"


def segmenter_main(args: Sequence[str] | None = None) -> int:
    """Run the segmenter alone."""
    return run([lambda _: SegmenterNode()], args)


def affordance_main(args: Sequence[str] | None = None) -> int:
    """Run the affordance node alone: it hears objects and their splats from a segmenter."""
    return run([lambda _: AffordanceNode()], args)


def trainer_main(args: Sequence[str] | None = None) -> int:
    """Run the trainer alone: it collects keyframes of its own."""
    return run([lambda _: TrainerNode()], args)


def player_main(args: Sequence[str] | None = None) -> int:
    """Run the player alone."""
    return run([lambda _: PlayerNode()], args)


def main(args: Sequence[str] | None = None) -> int:
    """Run all nodes in one process; the player too if a parameter names its dataset."""
    return run([lambda _: SegmenterNode(), *BESIDE, played_if_named], args)


def up(
    map_path: str | Path, dataset: str | Path = "", params_file: str | Path = "", *ros_args: str
) -> int:
    """Start what clickgs.launch.py starts: the nodes in one process, over shared memory.

    Args:
        map_path: the 3DGS map.
        dataset: folder or bag to play; empty means that cameras publish the images.
        params_file: YAML with further parameters; empty means the shipped one.
        ros_args: further ROS arguments, such as `-r`, `image:=/camera/image_rect`.

    Returns:
        The process's exit code: 0 done, 2 bad input, told in one line.
    """
    use_shared_memory()
    params_file = str(params_file or share() / "config" / "clickgs.yaml")
    args = ["--ros-args", "--params-file", params_file, *ros_args]
    overrides = [Parameter("map_path", value=str(map_path))]
    nodes = [lambda _: SegmenterNode(parameter_overrides=overrides), *BESIDE]
    if dataset:
        played = [Parameter("dataset", value=str(dataset))]
        nodes.append(lambda _: PlayerNode(parameter_overrides=played))
    return run(nodes, args)


def trainer_beside(nodes: list[ClickGSNode]) -> TrainerNode:
    """Return a trainer that uses the map and the keyframes of the segmenter beside it."""
    return TrainerNode(next(node for node in nodes if isinstance(node, SegmenterNode)))


BESIDE: list[Maker] = [lambda _: AffordanceNode(), trainer_beside]
"""What runs in the segmenter's process."""


def played_if_named(nodes: list[ClickGSNode]) -> PlayerNode | None:
    """Return a player, unless nothing names what to play."""
    player = PlayerNode()
    if player.get_parameter("dataset").value:
        return player
    player.destroy_node()
    return None


def run(makers: list[Maker], args: Sequence[str] | None = None) -> int:
    """Spin nodes until Ctrl-C.

    Returns:
        0 when ended from outside, 2 when a node cannot start with what it was given.
    """
    use_shared_memory()
    rclpy.init(args=list(args) if args is not None else None)
    executor = MultiThreadedExecutor(THREADS)
    nodes: list[ClickGSNode] = []
    try:
        for make in makers:
            if (node := make(nodes)) is not None:
                nodes.append(node)
                executor.add_node(node)
                node.start()
        spin(executor)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except ClickGSError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        for node in reversed(nodes):
            node.close(PATIENCE_S)
        executor.shutdown()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
        leave_if_busy()
    return 0


def leave_if_busy() -> None:
    """End the process at once if a worker is in the midst of something: nothing there is saved."""
    if any(thread.name == worker.THREAD for thread in threading.enumerate()):
        sys.stdout.flush()
        os._exit(0)


def use_shared_memory() -> None:
    """Let Fast DDS move clouds and images through shared memory, unless the user has a say."""
    profiles = share() / "config" / "fastdds_shm.xml"
    if profiles.is_file():
        os.environ.setdefault(PROFILES, str(profiles))


def share() -> Path:
    """Return the folder with our config and launch files: the source tree, else installed."""
    source = Path(__file__).parents[2]
    if (source / "launch").is_dir():
        return source
    try:
        return get_package_share_path("ros2_clickgs")
    except (PackageNotFoundError, OSError):  # OSError: no environment was sourced
        return Path(sys.prefix) / "share" / "ros2_clickgs"
