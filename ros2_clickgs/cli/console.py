# SPDX-License-Identifier: Apache-2.0
"""What people see: results on stdout, progress on stderr."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], doing: str, total: int) -> Iterator[T]:
    """Yield the items under a progress bar, which only a terminal shows."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return iter(
        track(
            items, doing, total, console=console, disable=not console.is_terminal, transient=True
        )
    )


def print_report(report: dict[str, Any]) -> None:
    """Print a result for people, a line per fact."""
    width = max((len(name) for name in report), default=0)
    for name, value in report.items():
        print(f"{name.replace('_', ' '):<{width}}  {shown(value)}")


def shown(value: Any) -> str:
    """Return a value as people write it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {shown(part)}" for name, part in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(shown(part) for part in value)
    return str(value)


def say(line: str) -> None:
    """Tell on stderr what is going on."""
    print(line, file=sys.stderr, flush=True)
