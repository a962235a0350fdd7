# SPDX-License-Identifier: Apache-2.0
"""What another process says, kept in a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def log_file(path: str | Path) -> Iterator[TextIO]:
    """Yield an empty file for a process to write to."""
    with Path(path).open("w", encoding="utf-8") as file:
        yield file


def last_line(path: str | Path) -> str:
    """Return the last line that was written, empty if none was."""
    lines = Path(path).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
