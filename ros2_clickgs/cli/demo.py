# SPDX-License-Identifier: Apache-2.0
"""`clickgs demo`."""

from pathlib import Path


def demo(*, data: Path | None = None, out: Path = Path("demo_out")) -> int:
    """Click three objects through the real nodes."""
    return 0
