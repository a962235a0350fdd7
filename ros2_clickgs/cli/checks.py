# SPDX-License-Identifier: Apache-2.0
"""Arguments that are checked before any work is done."""

import math
from pathlib import Path

from ros2_clickgs.errors import ConfigError


def check_number(name: str, value: float, low: float, high: float) -> None:
    """Raise ConfigError unless low <= value <= high."""
    if not low <= value <= high:
        bounds = f"{low} to {high}" if math.isfinite(high) else f"{low} or more"
        raise ConfigError(name, value, bounds)


def check_output(path: Path, suffixes: tuple[str, ...]) -> None:
    """Raise ConfigError, before any work is done, if the result could not be written there."""
    if path.suffix.lower() not in suffixes:
        raise ConfigError("--out", str(path), "a file ending in " + " or ".join(suffixes))
