# SPDX-License-Identifier: Apache-2.0
"""Everything: ros2 launch ros2_clickgs clickgs.launch.py map:=MAP [dataset:=DIR] [rviz:=true]."""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PythonExpression
from launch_ros.actions import LifecycleNode, Node
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
    """Return the segmenter, the player if there is something to play, and RViz if wanted."""
    given = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    profiles = str(SHARE / "config" / "fastdds_shm.xml")
    segmenter = LifecycleNode(
        package="ros2_clickgs",
        executable="segmenter",
        name="segmenter",
        namespace="clickgs",
        parameters=[
            given["params_file"],
            {"map_path": ParameterValue(given["map"], value_type=str)},
        ],
        remappings=[(name, given[name]) for name in ("image", "camera_info", "pose")],
        output="screen",
    )
    player = LifecycleNode(
        package="ros2_clickgs",
        executable="player",
        name="player",
        namespace="clickgs",
        parameters=[
            given["params_file"],
            {"dataset": ParameterValue(given["dataset"], value_type=str)},
        ],
        remappings=[(name, given[name]) for name in ("image", "camera_info", "pose")],
        condition=IfCondition(PythonExpression(["'", given["dataset"], "' != ''"])),
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
    return LaunchDescription([*declared, use_shared_memory, wait_idly, segmenter, player, rviz])
