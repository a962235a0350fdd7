# SPDX-License-Identifier: Apache-2.0
"""Everything: ros2 launch ros2_clickgs clickgs.launch.py map:=MAP [dataset:=DIR] [rviz:=true]."""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription

SHARE = Path(__file__).parents[1]
ARGUMENTS = {
    "map": ("", "3DGS map: .ply, .compressed.ply, .splat or .spz"),
    "dataset": ("", "folder or rosbag2 to play instead of cameras; empty: none"),
    # One camera; several are listed in the YAML (`cameras: [front, rear]`, docs/interfaces.md).
    "image": ("image", "topic of the rectified images"),
    "camera_info": ("camera_info", "topic of their calibration"),
    "pose": ("pose", "topic of the camera's pose in the map frame"),
    "params_file": (str(SHARE / "config" / "clickgs.yaml"), "YAML with further parameters"),
    "rviz": ("false", "start RViz"),
}


def generate_launch_description() -> LaunchDescription:
    """Return the nodes, the player among them if there is something to play, and RViz."""
    given = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    profiles = str(SHARE / "config" / "fastdds_shm.xml")
    # One process with all nodes, so that they share the map; a dataset makes it play, too.
    nodes = Node(
        package="ros2_clickgs",
        executable="clickgs_nodes",
        parameters=[
            given["params_file"],
            {
                "map_path": ParameterValue(given["map"], value_type=str),
                "dataset": ParameterValue(given["dataset"], value_type=str),
            },
        ],
        remappings=[(name, given[name]) for name in ("image", "camera_info", "pose")],
        output="screen",
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(SHARE / "config" / "clickgs.rviz")],
        condition=IfCondition(given["rviz"]),
    )
    use_shared_memory = SetEnvironmentVariable(
        "FASTRTPS_DEFAULT_PROFILES_FILE",
        EnvironmentVariable("FASTRTPS_DEFAULT_PROFILES_FILE", default_value=profiles),
    )
    # OpenMP threads that wait busily starve the other processes of a robot's computer.
    wait_idly = SetEnvironmentVariable("OMP_WAIT_POLICY", "PASSIVE")
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=doc)
        for name, (default, doc) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, use_shared_memory, wait_idly, nodes, rviz])
