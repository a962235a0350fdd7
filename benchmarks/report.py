# SPDX-License-Identifier: Apache-2.0
"""How every benchmark reports: a table on the screen, a JSON file named after the hardware."""

import json
import platform
import re
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
"""Where the JSON files are kept."""

Row = dict[str, str | int | float]
"""One line of a table: column -> value."""


def hardware_name() -> str:
    """Return processor, cores in use and GPU as one word, such as `xeon-8481c-2-cores`."""
    parts = [_processor(), f"{torch.get_num_threads()} cores"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    words = re.sub(r"\(R\)|\(TM\)|CPU|Processor|@.*?GHz", " ", " ".join(parts))
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write_results(name: str, results: list[Row] | dict[str, object]) -> Path:
    """Write rows, or named sets of them, to `results/NAME-HARDWARE.json`; return its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{hardware_name()}.json"
    content = results if isinstance(results, dict) else {"rows": results}
    path.write_text(json.dumps({"hardware": hardware_name(), **content}, indent=1) + "\n")
    return path


def print_table(rows: list[Row]) -> None:
    """Print rows with the first one's keys as the heads of the columns."""
    table = Table(*rows[0])
    for row in rows:
        table.add_row(
            *(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values())
        )
    Console().print(table)
