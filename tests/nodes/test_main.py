# SPDX-License-Identifier: Apache-2.0
"""Whole processes: they start, talk to others over DDS, and end cleanly on Ctrl-C."""

import os
import signal
import subprocess
import sys

import pytest
import rclpy
from lifecycle_msgs.srv import GetState
from rclpy.node import Node
from sensor_msgs.msg import Image, PointCloud2

from ros2_clickgs.nodes.qos import LATCHED, RELIABLE
from tests.nodes.robot import wait_until

pytestmark = pytest.mark.ros


def started(call: str) -> subprocess.Popen:
    """Return a process that runs something of nodes.main."""
    code = f"import sys; from ros2_clickgs.nodes import main; sys.exit(main.{call})"
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


def test_up_plays_a_dataset_to_another_process(ros, world):
    heard = {"map_cloud": [], "overlay": []}
    node = Node("peer", namespace="clickgs")
    node.create_subscription(
        PointCloud2, "segmenter/map_cloud", heard["map_cloud"].append, LATCHED
    )
    node.create_subscription(Image, "segmenter/overlay", heard["overlay"].append, RELIABLE)
    words = [str(world / "map.ply"), str(world), "", "-p", 'session:=""']
    process = started(f"up(*{words!r})")
    wait_until(lambda: rclpy.spin_once(node, timeout_sec=0.1) or all(heard.values()), 60)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert (heard["overlay"][0].height, heard["overlay"][0].width) == (120, 160)
    node.destroy_node()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("segmenter_main(['--ros-args', '-p', 'map_path:=/nowhere.ply'])", "/nowhere.ply"),
        ("segmenter_main()", "parameter 'map_path' is ''"),
        ("segmenter_main(['--ros-args', '-p', 'backend:=cuda'])", "auto | gsplat | numba"),
        ("affordance_main(['--ros-args', '-p', 'views:=0'])", "views out of range. Min: 1"),
        ("player_main(['--ros-args', '-p', 'dataset:=/nowhere'])", "'/nowhere' does not exist"),
    ],
)
def test_bad_input_ends_with_one_line_and_code_2(call, told):
    process = started(call)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert told in errors.splitlines()[-1]
    assert "Traceback" not in errors


def test_without_autostart_a_node_waits_to_be_configured(ros):
    process = started("segmenter_main(['--ros-args', '-p', 'autostart:=false'])")
    node = Node("peer", namespace="clickgs")
    client = node.create_client(GetState, "segmenter/get_state")
    assert client.wait_for_service(60)
    for _ in range(10):  # DDS loses an answer whose way back is not discovered yet
        future = client.call_async(GetState.Request())
        rclpy.spin_until_future_complete(node, future, timeout_sec=2)
        if future.done():
            break
    node.destroy_node()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert future.result().current_state.label == "unconfigured"
    assert process.returncode == 0, errors


INTERRUPTED = """
import os, signal, sys
from ros2_clickgs.nodes import main

def interrupted(node):
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()

main.SegmenterNode.configure = interrupted
sys.exit(main.segmenter_main())
"""


def test_ctrl_c_while_a_node_loads_its_map_ends_it_cleanly():
    words = [sys.executable, "-c", INTERRUPTED]
    ended = subprocess.run(words, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


def test_shared_memory_profile_is_set_but_not_over_the_users(monkeypatch):
    from ros2_clickgs.nodes import main

    monkeypatch.delenv(main.PROFILES, raising=False)
    main.use_shared_memory()
    assert os.environ[main.PROFILES].endswith("fastdds_shm.xml")
    monkeypatch.setenv(main.PROFILES, "/mine.xml")
    main.use_shared_memory()
    assert os.environ[main.PROFILES] == "/mine.xml"
