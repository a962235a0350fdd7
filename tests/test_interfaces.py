# SPDX-License-Identifier: Apache-2.0
"""The interfaces: they import, they say why they exist, and they name units and frames."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for kind in ("msg", "srv", "action") for path in ROOT.glob(f"{kind}/*.{kind}"))
FRAMED = re.compile(r"(geometry_msgs/|std_msgs/Header|sensor_msgs/(PointCloud2|Image|CameraInfo))")
UNIT = re.compile(r"\[(m|px|s|dB|1|0\.\.1)\]")


def members(path: Path) -> list[tuple[str, str, str]]:
    """Return (declaration, field or constant name, comment) of every line that declares one."""
    found, comment = [], []
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            comment.append(line[1:].strip())
        elif line.strip() in ("", "---"):
            comment = []
        else:
            name = re.split(r"[\s=]+", line)[1]
            found.append((line, name, " ".join(comment)))
            comment = []
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_interface_imports_and_has_type_support(path: Path) -> None:
    type_support = pytest.importorskip("rclpy.type_support", reason="rclpy is not installed")
    module = importlib.import_module(f"ros2_clickgs.{path.suffix[1:]}")
    type_support.check_for_type_support(getattr(module, path.stem))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_header_says_why_no_standard_message_serves(path: Path) -> None:
    lines = path.read_text().splitlines()
    header = " ".join(lines[: lines.index("")])
    assert all(line.startswith("# ") for line in lines[: lines.index("")])
    assert re.search(r"\b(standard|vision_msgs|geometry_msgs|std_srvs)\b", header), header
    assert max(map(len, lines)) <= 99, "lines are at most 99 columns"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_field_is_documented_with_unit_and_frame(path: Path) -> None:
    for line, name, comment in members(path):
        assert comment.endswith("."), f"{path.name}: {name} has no comment"
        if re.match(r"(u?int|float)\d+", line) and "id" not in name and "=" not in line:
            named = name in ("kind", "seed") or UNIT.search(comment)
            assert named, f"{path.name}: {name} has no unit"
        if FRAMED.match(line):
            assert re.search("frame|Frame", comment), f"{path.name}: {name} names no frame"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_answers_say_whether_and_why(path: Path) -> None:
    parts = path.read_text().split("\n---\n")
    if len(parts) > 1:
        answer = [line for line in parts[1].splitlines() if line and not line.startswith("#")]
        assert answer[:2] == ["bool success", "string message"]
