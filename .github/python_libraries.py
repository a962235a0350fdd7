# SPDX-License-Identifier: Apache-2.0
"""Print the Python libraries of pyproject.toml that a ROS installation does not bring itself."""

from pathlib import Path

import tomllib

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

for requirement in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]:
    if not requirement.startswith("ros-"):
        print(requirement)
