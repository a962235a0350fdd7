# SPDX-License-Identifier: Apache-2.0
"""Large maps are read in blocks: little more than the map itself is ever in memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.io.map_samples import inria_columns, ply_bytes

LOAD = """
import resource, sys, time
from ros2_clickgs.io.maps import load_map
start = time.perf_counter()
count = len(load_map(sys.argv[1]))
seconds = time.perf_counter() - start
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, seconds)
"""


@pytest.mark.slow
def test_five_million_gaussians_load_in_under_three_times_the_file(tmp_path: Path) -> None:
    count, rows = 5_000_000, inria_columns(50_000)
    header = ply_bytes(("vertex", rows[:1])).partition(b"end_header\n")[0]
    path = tmp_path / "large.ply"
    with path.open("wb") as file:
        file.write(header.replace(b"vertex 1\n", b"vertex %d\n" % count) + b"end_header\n")
        for _ in range(count // len(rows)):
            file.write(rows.tobytes())
    child = [sys.executable, "-c", LOAD, str(path)]
    output = subprocess.run(child, check=True, capture_output=True, text=True).stdout
    loaded, peak_bytes, seconds = (float(word) for word in output.split())
    file_bytes = path.stat().st_size
    path.unlink()
    print(f"peak {peak_bytes / file_bytes:.2f}x of {file_bytes / 1e9:.2f} GB in {seconds:.1f} s")
    assert loaded == count
    assert peak_bytes < 3 * file_bytes
