# SPDX-License-Identifier: Apache-2.0
"""No cameras: ros2 launch ros2_clickgs replay.launch.py map:=MAP dataset:=DIR."""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Return clickgs.launch.py with a dataset that must be given, and RViz unless refused."""
    everything = PythonLaunchDescriptionSource(str(Path(__file__).with_name("clickgs.launch.py")))
    arguments = [
        DeclareLaunchArgument("map", description="3DGS map"),
        DeclareLaunchArgument("dataset", description="folder or rosbag2 to play"),
        DeclareLaunchArgument("rviz", default_value="true", description="start RViz"),
    ]
    given = {name: LaunchConfiguration(name) for name in ("map", "dataset", "rviz")}
    included = IncludeLaunchDescription(everything, launch_arguments=given.items())
    return LaunchDescription([*arguments, included])
