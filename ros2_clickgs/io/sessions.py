# SPDX-License-Identifier: Apache-2.0
"""Sessions on disk: a list of operations that is only ever added to, or replaced as a whole.

A file begins with which map it is for and with a snapshot: the shortest list of operations that
leads to a state. What is accepted later is appended, one record per change, and on the disk before
anybody is told. A snapshot is thus the same file, only shorter.
"""

import fcntl
import functools
import inspect
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from jaxtyping import jaxtyped
from torch import Tensor

from ros2_clickgs.core.operations import OPERATIONS, Operation
from ros2_clickgs.errors import (
    ClickGSError,
    FileFormatError,
    MapMismatchError,
    SessionInUseError,
)
from ros2_clickgs.io.atomic import atomic_path
from ros2_clickgs.io.records import DAMAGED, encoded, read_records

MAGIC = b"clickgs session 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMap:
    """The map that a session is about."""

    sha256: str
    """Of the map file."""
    gaussian_count: int
    """Rows of it."""
    map_to_splat: tuple[float, ...]
    """Scale, translation (m) and rotation (xyzw) that its frame was given."""


def save_session(path: str | Path, about: SessionMap, operations: Iterable[Operation]) -> None:
    """Write operations as a snapshot, atomically.

    Raises:
        ClickGSError: the file cannot be written.
    """
    operations = list(operations)
    header = {
        "map_sha256": about.sha256,
        "gaussian_count": about.gaussian_count,
        "map_to_splat": list(about.map_to_splat),
        "snapshot_length": len(operations),
    }
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            file.write(MAGIC + encoded(header))
            for operation in operations:
                file.write(encoded([list(operation)]))
    except OSError as error:
        raise cannot_be_written(path, error) from error


def load_session(path: str | Path, about: SessionMap) -> list[Operation]:
    """Return the operations of a session that is about this map.

    Raises:
        FileFormatError: the file is missing or damaged; a torn last change is no damage.
        MapMismatchError: it is about another map.
    """
    return _read(Path(path), about)[0]


class Journal:
    """The file of the running session: changes are on the disk when `append` returns."""

    def __init__(self, path: str | Path, about: SessionMap) -> None:
        """Open a session, or begin one; what was in it is in `operations`.

        Raises:
            FileFormatError, MapMismatchError: as in load_session.
            SessionInUseError: another process has it.
            ClickGSError: the file cannot be written.
        """
        self.path, self._about = Path(path), about
        self._lock = lock(self.path)
        self.operations: list[Operation] = []
        """What happened before."""
        try:
            if not self.path.exists():
                save_session(self.path, about, [])
            self.operations, end = _read(self.path, about)
            self._open(end)
        except BaseException:
            self._lock.close()
            raise

    def append(self, operations: list[Operation]) -> None:
        """Add a change, all of its operations or none.

        Raises:
            ClickGSError: it cannot be written; the file is as it was.
        """
        end = self.size
        try:
            rest = memoryview(encoded([list(operation) for operation in operations]))
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
            self.size = self._file.tell()
        except OSError as error:
            self._file.truncate(end)
            self._file.seek(end)
            raise cannot_be_written(self.path, error) from error

    def replace(self, operations: Iterable[Operation]) -> None:
        """Put a snapshot in place of everything, atomically.

        Raises:
            ClickGSError: it cannot be written; the file is as it was.
        """
        save_session(self.path, self._about, operations)
        self._file.close()
        self._open(self.path.stat().st_size)

    def close(self) -> None:
        """Let another process have the session."""
        self._file.close()
        self._lock.close()

    def _open(self, end: int) -> None:
        self._file = self.path.open("r+b", buffering=0)
        self._file.truncate(end)
        self._file.seek(end)
        os.fsync(self._file.fileno())
        self.size = self.snapshot_size = end
        """In bytes; now, and when it was opened or last shortened."""


def lock(path: Path) -> IO[bytes]:
    """Return a lock that lasts until it is closed, or the process is killed.

    Raises:
        SessionInUseError: another process has it.
        ClickGSError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = path.with_name(f".{path.name}.lock").open("wb")
    except OSError as error:
        raise cannot_be_written(path, error) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        held.close()
        raise SessionInUseError(path) from None
    return held


def cannot_be_written(path: object, error: OSError) -> ClickGSError:
    """Return what to raise when the disk refuses."""
    reason = error.strerror or error
    return ClickGSError(f"{path} cannot be written: {reason}; free the disk or change session_dir")


def _read(path: Path, about: SessionMap) -> tuple[list[Operation], int]:
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise FileFormatError(path, "is no session of ros2_clickgs", "choose another file")
            records = list(read_records(path, file, len(MAGIC)))
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileFormatError(path, f"cannot be read ({reason})", "check the path") from error
    header = records[0].content if records else None
    if not isinstance(header, dict) or not isinstance(header.get("snapshot_length"), int):
        raise FileFormatError(path, "does not say which map it is for", DAMAGED)
    check_map(path, header, about)
    if len(records) - 1 < header["snapshot_length"]:
        raise FileFormatError(path, "is cut off within its snapshot", DAMAGED)
    changes = [_operations(path, record.content, about) for record in records[1:]]
    return [operation for change in changes for operation in change], records[-1].end


def check_map(path: Path, header: dict[str, Any], about: SessionMap) -> None:
    """Raise unless a session's header names this map, in this place.

    Raises:
        MapMismatchError: it is about another map; both hashes are told.
        FileFormatError: the map's frame was placed otherwise.
    """
    if header.get("map_sha256") != about.sha256:
        made_for = str(header.get("map_sha256"))
        raise MapMismatchError(path, made_for=made_for, given=about.sha256)
    if header.get("map_to_splat") != list(about.map_to_splat):
        raise FileFormatError(
            path,
            f"was made with map_to_splat {header.get('map_to_splat')} (scale, translation, "
            f"rotation), not {list(about.map_to_splat)}",
            "set it back, or choose another session",
        )


def _operations(path: Path, change: Any, about: SessionMap) -> list[Operation]:
    if not isinstance(change, list):
        raise FileFormatError(path, "holds a change that is no list of operations", DAMAGED)
    return [_operation(path, item, about.gaussian_count) for item in change]


def _operation(path: Path, item: Any, gaussian_count: int) -> Operation:
    name, arguments = item if isinstance(item, list) and len(item) == 2 else (None, None)
    is_known = isinstance(name, str) and name in OPERATIONS and isinstance(arguments, dict)
    expected = parameters_of(name) if is_known else {}
    if not is_known or set(arguments) != set(expected):
        raise FileFormatError(path, f"holds an unknown operation {str(item)[:80]}", DAMAGED)
    with jaxtyped("context"):  # axes of the same name are equally long
        for argument, value in arguments.items():
            if not is_sound(value, expected[argument]) or (
                argument == "rows" and bool(((value < 0) | (value >= gaussian_count)).any())
            ):
                problem = f"holds {name} with {argument} = {str(value)[:80]}"
                raise FileFormatError(path, problem, DAMAGED)
    return Operation(name, arguments)


@functools.cache
def parameters_of(name: str) -> dict[str, Any]:
    """Return an operation's arguments and their types."""
    parameters = inspect.signature(OPERATIONS[name]).parameters.values()
    return {p.name: p.annotation for p in parameters if p.name != "state"}


def is_sound(value: Any, kind: Any) -> bool:
    """Tell whether a value has the type that is asked for, and is finite."""
    if isinstance(value, Tensor):
        return isinstance(value, kind) and bool(torch.isfinite(value).all())
    return type(value) is kind and (kind is not float or abs(value) < float("inf"))
