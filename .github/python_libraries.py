# SPDX-License-Identifier: Apache-2.0
"""Print the Python libraries of pyproject.toml that a ROS installation does not bring itself.

Without arguments: those that the package and its tests need; else those of the extras named.
"""

import sys
from pathlib import Path

import tomllib

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

EXTRAS = PROJECT["optional-dependencies"]
if len(sys.argv) > 1:
    requirements = [requirement for name in sys.argv[1:] for requirement in EXTRAS[name]]
else:
    requirements = PROJECT["dependencies"] + EXTRAS["test"]

for requirement in requirements:
    if not requirement.startswith("ros-"):
        print(requirement)
