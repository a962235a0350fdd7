# SPDX-License-Identifier: Apache-2.0
"""Let pip build the ROS interfaces with CMake and pack what CMake installs.

colcon does not come here (package.xml says ament_cmake). Everything else is in pyproject.toml.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

NAME = "ros2_clickgs"
ROOT = Path(__file__).resolve().parent
SITE = Path("lib", f"python{sys.version_info.major}.{sys.version_info.minor}", "site-packages")
GENERATED = ("msg", "srv", "action")


def ros_prefixes() -> list[str]:
    """Return the folders that hold ROS: those of a sourced ROS 2, else that of the wheels."""
    if sourced := os.environ.get("AMENT_PREFIX_PATH"):
        return sourced.split(os.pathsep)
    import rosidl_cmake

    return [str(Path(rosidl_cmake.__file__).parents[4])]


def build_environment(prefixes: list[str]) -> dict[str, str]:
    """Return the environment in which CMake and the generators find ROS at these prefixes."""

    def joined(parts: list[str], variable: str = "") -> str:
        return os.pathsep.join([*parts, *filter(None, [os.environ.get(variable)])])

    return os.environ | {
        "AMENT_PREFIX_PATH": joined(prefixes),
        "CMAKE_PREFIX_PATH": joined(prefixes),
        "LD_LIBRARY_PATH": joined([str(Path(p, "lib")) for p in prefixes], "LD_LIBRARY_PATH"),
        "PYTHONPATH": joined([str(Path(p, SITE)) for p in prefixes], "PYTHONPATH"),
    }


def cmake_install(build: Path) -> Path:
    """Configure, build and install with CMake in an empty folder; return the install prefix."""
    # A cache of an earlier build names pip's isolated environment of that time, which is gone.
    shutil.rmtree(build, ignore_errors=True)
    environment = build_environment(ros_prefixes())
    stage = build / "stage"
    configure = [
        "cmake", "-S", str(ROOT), "-B", str(build), "-G", "Ninja",
        "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF", "-DCLICKGS_CPP_INTERFACES=OFF",
        f"-DCMAKE_INSTALL_PREFIX={stage}",
        f"-DPYTHON_INSTALL_DIR={SITE}",
        f"-DPython3_EXECUTABLE={sys.executable}",
    ]  # fmt: skip
    for command in (
        configure,
        ["cmake", "--build", str(build)],
        ["cmake", "--install", str(build)],
    ):
        subprocess.run(command, env=environment, check=True)
    return stage


def copy_generated(source: Path, target: Path) -> None:
    """Replace the interface modules and type-support libraries in `target` by fresh ones."""
    for folder in GENERATED:
        shutil.rmtree(target / folder, ignore_errors=True)
        ignore = shutil.ignore_patterns("__pycache__", "*.c")
        shutil.copytree(source / folder, target / folder, ignore=ignore)
    for library in source.glob("*.so"):
        shutil.copy2(library, target / library.name)


def prefix_files(stage: Path) -> list[tuple[str, list[str]]]:
    """List what belongs under the environment's prefix: libraries, executables, share."""
    folders: dict[str, list[str]] = {}
    for part in sorted(path for top in ("lib", "share") for path in (stage / top).rglob("*")):
        relative = part.relative_to(stage)
        if part.is_file() and SITE not in relative.parents and "cmake" not in relative.parts:
            folders.setdefault(str(relative.parent), []).append(os.path.relpath(part, ROOT))
    return list(folders.items())


class BuildWithInterfaces(build_py):
    """Python modules, plus what CMake generates; beside the sources if editable."""

    def run(self) -> None:
        super().run()
        temporary = Path(self.get_finalized_command("build").build_temp).resolve()
        stage = cmake_install(temporary / "cmake")
        package = (ROOT if self.editable_mode else Path(self.build_lib)) / NAME
        copy_generated(stage / SITE / NAME, package)
        self.distribution.data_files = prefix_files(stage)


class BinaryDistribution(Distribution):
    """A distribution that knows it has compiled parts and files outside the package."""

    def has_ext_modules(self) -> bool:
        return True

    def has_data(self) -> bool:  # an editable install skips data_files without it
        return bool(self.data_files)


setup(cmdclass={"build_py": BuildWithInterfaces}, distclass=BinaryDistribution)
