# SPDX-License-Identifier: Apache-2.0
"""The house's rules, read from the source: imports point inward, files stay small."""

import ast
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ros2_clickgs"
GENERATED = {"msg", "srv", "action"}
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60

SHARED = {"config", "errors"}
MAY_IMPORT = {
    "errors": set(),
    "config": {"errors"},
    "core": SHARED,
    "backends": SHARED | {"core"},
    "models": SHARED | {"core"},
    "io": SHARED | {"core"},
    "scenes": SHARED | {"core", "io"},
    "nodes": SHARED | GENERATED | {"core", "backends", "io", "models", "scenes"},
    "viewer": SHARED | {"core", "backends", "io", "models", "scenes"},
}
"""Per room, the other rooms of the package it may import; a room that is missing here may all."""

ROS = {"rclpy", "tf2_ros", "cv_bridge", "message_filters", "rosidl_runtime_py", "launch"}
ROS_ENDINGS = ("_msgs", "_interfaces", "_srvs")
CORE_LIBRARIES = {"hdbscan", "jaxtyping", "numpy", "open3d", "scipy", "torch"}
FORBIDDEN_IN_CORE = {"io", "os", "pathlib", "shutil", "socket", "subprocess", "tempfile"} | {
    "asyncio", "concurrent", "datetime", "multiprocessing", "threading", "time"
}  # fmt: skip
FILE_CALLS = {"open", "imread", "imwrite", "fromfile", "tofile", "memmap", "loadtxt"} | {
    "read_text", "read_bytes", "write_text", "write_bytes", "savetxt", "savez", "savez_compressed"
}  # fmt: skip
WRITES_FILES = {PACKAGE / "scenes" / "dataset.py"}
"""The built-in scene's ground truth is a file that no other part of the product reads."""

SOURCES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path.relative_to(PACKAGE).parts[0] not in GENERATED and "__pycache__" not in path.parts
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def room_of(path: Path) -> str:
    """Return "core" for core/votes.py, "cli" for cli.py, "" for the package's __init__.py."""
    first = path.relative_to(PACKAGE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the full name of every module that a file imports, lazily or not."""
    package = ("ros2_clickgs", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            is_root = module == "ros2_clickgs"
            yield from (f"{module}.{alias.name}" for alias in node.names) if is_root else [module]


def functions(path: Path) -> Iterator[tuple[Function, bool]]:
    """Yield the functions and methods of a file and whether they are public."""

    def visit(body: list[ast.stmt], public: bool) -> Iterator[tuple[Function, bool]]:
        for node in body:
            if isinstance(node, ast.ClassDef):
                yield from visit(node.body, public and not node.name.startswith("_"))
            elif isinstance(node, Function):
                is_setter = any(ast.unparse(d).endswith(".setter") for d in node.decorator_list)
                # a setter is documented by its getter
                yield node, public and not node.name.startswith("_") and not is_setter
                yield from visit(node.body, False)

    yield from visit(ast.parse(path.read_text(), str(path)).body, True)


def lines_of(function: Function) -> int:
    """Return a function's length in lines, its docstring not counted."""
    length = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        length -= docstring.end_lineno - docstring.lineno + 1
    return length


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_file = pytest.mark.parametrize("path", SOURCES, ids=name_of)


@each_file
def test_imports_point_inward(path: Path) -> None:
    room = room_of(path)
    for module in imported_modules(path):
        top, _, rest = module.partition(".")
        if top == "ros2_clickgs":
            target = rest.split(".")[0]
            allowed = MAY_IMPORT.get(room, {target}) | {room, ""}
            assert target in allowed, f"{name_of(path)} ({room}) must not import {module}"
        elif room != "nodes":
            is_ros = top in ROS or top.endswith(ROS_ENDINGS)
            assert not is_ros, f"{name_of(path)} imports {module}: only nodes know ROS"


@each_file
def test_nodes_know_no_kernels(path: Path) -> None:
    if room_of(path) not in {"nodes", "viewer", "cli"}:
        return
    for module in imported_modules(path):
        is_kernel = module.startswith("ros2_clickgs.backends.")
        assert not is_kernel, f"{name_of(path)} imports {module}: use backends.make_rasterizer"


@each_file
def test_errors_config_and_core_need_few_libraries(path: Path) -> None:
    room = room_of(path)
    if room not in {"errors", "config", "core"}:
        return
    libraries = CORE_LIBRARIES if room == "core" else set()
    for module in imported_modules(path):
        top = module.split(".")[0]
        known = top in libraries or top in sys.stdlib_module_names or top == "ros2_clickgs"
        assert known, f"{name_of(path)} imports {module}"
        if room == "core":
            assert top not in FORBIDDEN_IN_CORE, f"{name_of(path)}: no {top} in core"


def opens_a_file(call: ast.Call) -> bool:
    """Tell a file from bytes in memory and from readers that are opened without arguments."""
    called = getattr(call.func, "attr", getattr(call.func, "id", ""))
    in_memory = any(ast.unparse(argument).startswith("BytesIO(") for argument in call.args)
    return called in FILE_CALLS and not in_memory and (called != "open" or bool(call.args))


@each_file
def test_only_io_opens_files(path: Path) -> None:
    if room_of(path) == "io" or path in WRITES_FILES:
        return
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        opens = isinstance(node, ast.Call) and opens_a_file(node)
        assert not opens, f"{name_of(path)}:{node.lineno} opens a file: that is for io"


@each_file
def test_files_and_functions_stay_small(path: Path) -> None:
    length = len(path.read_text().splitlines())
    assert length <= MAX_FILE_LINES, f"{name_of(path)} has {length} lines"
    for function, _ in functions(path):
        message = f"{name_of(path)}: {function.name} has {lines_of(function)} lines"
        assert lines_of(function) <= MAX_FUNCTION_LINES, message


@each_file
def test_public_functions_of_core_have_docstrings(path: Path) -> None:
    if room_of(path) != "core":
        return
    for function, is_public in functions(path):
        message = f"{name_of(path)}: {function.name} has no docstring"
        assert not is_public or ast.get_docstring(function), message


def test_every_file_states_its_licence_and_purpose() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n"), name_of(path)
        assert ast.get_docstring(ast.parse(text)), f"{name_of(path)} has no module docstring"


def test_version_is_the_same_everywhere() -> None:
    texts = [(ROOT / name).read_text() for name in ("pyproject.toml", "package.xml")]
    version = texts[0].split('\nversion = "')[1].split('"')[0]
    assert f"<version>{version}</version>" in texts[1]
    assert f"\n{version} (" in (ROOT / "CHANGELOG.rst").read_text()


def test_package_xml_and_cmake_name_the_same_interface_dependencies() -> None:
    declared = (ROOT / "package.xml").read_text()
    block = (ROOT / "CMakeLists.txt").read_text().split("interface_dependencies\n")[1]
    used = block.split(")")[0].split()
    assert all(f"<depend>{name}</depend>" in declared for name in used)
    pairs = itertools.pairwise(used)
    assert all(first < second for first, second in pairs), "sorted, so that a gap is seen"
