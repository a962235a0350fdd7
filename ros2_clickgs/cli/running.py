# SPDX-License-Identifier: Apache-2.0
"""`clickgs up` and `clickgs bench`: what runs beside the command line."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import tyro

from ros2_clickgs.errors import ClickGSError

CHECKOUT = Path(__file__).parents[2]


def up(
    map: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MAP")],
    *,
    dataset: Path | None = None,
    params_file: Path | None = None,
    ros_args: Annotated[tuple[str, ...], tyro.conf.Suppress] = (),
) -> int:
    """Start the nodes, as clickgs.launch.py does; ROS arguments go after --ros-args.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        dataset: folder or rosbag2 that stands in for cameras.
        params_file: YAML with parameters; without it the shipped one.
        ros_args: for ROS, after --ros-args, such as `--ros-args -r image:=/camera/image_rect`.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise ClickGSError("rclpy is not installed; source a ROS 2 setup.bash or `pip install .`")
    from ros2_clickgs.nodes.main import up as run_nodes

    return run_nodes(map, dataset or "", params_file or "", *ros_args)


def bench(name: Annotated[str, tyro.conf.Positional] = "votes") -> int:
    """Measure this machine, with the benchmarks of a source checkout.

    Args:
        name: which of `benchmarks/NAME.py`.
    """
    known = sorted(path.stem for path in (CHECKOUT / "benchmarks").glob("[!_]*.py"))
    if name not in known:
        raise ClickGSError(
            f"no benchmark '{name}' in {CHECKOUT / 'benchmarks'}; "
            f"there are: {', '.join(known) or 'none, run this in a source checkout'}"
        )
    return subprocess.call([sys.executable, "-m", f"benchmarks.{name}"], cwd=CHECKOUT)
