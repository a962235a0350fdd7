# SPDX-License-Identifier: Apache-2.0
"""Launch files load, and name executables, files and parameters that exist."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from ros2_clickgs.config import NODES, leaves

ROOT = Path(__file__).parents[1]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda p: p.name)
def test_launch_file_has_the_function_that_launch_calls(path):
    tree = ast.parse(path.read_text())
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert functions == ["generate_launch_description"]


def test_launched_nodes_and_parameters_exist():
    text = (ROOT / "launch" / "clickgs.launch.py").read_text()
    executables = re.findall(r'executable="(\w+)"', text)
    assert executables == ["clickgs_nodes", "rviz2"]
    assert " clickgs_nodes:main" in (ROOT / "CMakeLists.txt").read_text()
    known = {leaf.name for config in NODES.values() for leaf in leaves(config)}
    assert re.findall(r'"(\w+)": ParameterValue', text) == ["map_path", "dataset"]
    assert {"map_path", "dataset"} <= known
    for name in re.findall(r'"config" / "([\w.]+)"', text):
        assert (ROOT / "config" / name).is_file()


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda p: p.name)
def test_launch_file_loads_under_launch(path):
    launch = pytest.importorskip("launch", reason="ROS's launch is not installed (not on PyPI)")
    pytest.importorskip("launch_ros")
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    source = PythonLaunchDescriptionSource(str(path))
    description = source.get_launch_description(launch.LaunchContext())
    arguments = {argument.name for argument in description.get_launch_arguments()}
    assert {"map", "dataset", "rviz"} <= arguments


def test_rviz_shows_what_the_nodes_publish():
    config = yaml.safe_load((ROOT / "config" / "clickgs.rviz").read_text())
    manager = config["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == "map"
    shown = [display.get("Topic", {}).get("Value", "") for display in manager["Displays"]]
    for name in ("map_cloud", "object_cloud", "markers", "overlay"):
        assert f"/clickgs/segmenter/{name}" in shown
    assert "/clickgs/trainer/preview" in shown
    assert {"/clickgs/affordance/affordance_cloud", "/clickgs/affordance/markers"} <= set(shown)
    assert "rviz_default_plugins/PublishPoint" in [tool["Class"] for tool in manager["Tools"]]
