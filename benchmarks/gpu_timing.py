# SPDX-License-Identifier: Apache-2.0
"""Time on a device, what the hardware can do at best, and the floor that follows from both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

OPERATIONS_PER_ENTRY = 22
"""Additions, multiplications, comparisons and one exponential that an entry w of W asks for."""
BYTES_PER_SPLAT = 24
"""Centre, conic and opacity in float32."""
L2_BYTES = 256 << 20
"""Written between two calls, so that none finds its data in a cache."""


@dataclass(frozen=True)
class Clock:
    """Median milliseconds of calls on a device; events on a GPU, wall clock on a CPU."""

    device: str
    repeats: int = 15
    warmups: int = 3

    def milliseconds(self, call: Callable[[], object]) -> float:
        """Return the median time of a call, caches cold."""
        for _ in range(self.warmups):
            call()
        cold = torch.empty(L2_BYTES if self.device == "cuda" else 1, device=self.device).byte()
        times = []
        for _ in range(self.repeats):
            cold.zero_()
            times.append(self.once(call))
        return statistics.median(times)

    def once(self, call: Callable[[], object]) -> float:
        """Return the milliseconds of one call."""
        if self.device != "cuda":
            start = time.perf_counter()
            call()
            return 1e3 * (time.perf_counter() - start)
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)


@dataclass(frozen=True)
class Ceilings:
    """What this device reached when it did nothing else."""

    bytes_per_s: float
    """Device to device copy, bytes read and written."""
    operations_per_s: float
    """Product of float32 matrices without tensor cores."""

    @classmethod
    def measure(cls, clock: Clock, megabytes: int = 2048, side: int = 8192) -> "Ceilings":
        """Copy a large block and multiply two matrices of random numbers."""
        source = torch.rand(megabytes << 18, device=clock.device)
        target = torch.empty_like(source)
        copy_s = 1e-3 * clock.milliseconds(lambda: target.copy_(source))
        a, b = torch.rand(2, side, side, device=clock.device)
        product_s = 1e-3 * clock.milliseconds(lambda: a @ b)
        return cls(2 * source.nbytes / copy_s, 2 * side**3 / product_s)


@dataclass(frozen=True)
class Work:
    """What one view asks of any method: counted, not measured."""

    pairs: int
    """(splat, tile) pairs."""
    splats: int
    """Gaussians in at least one tile."""
    entries: int
    """Numbers w > 0 in W."""
    pixels: int
    votes: int
    """(Gaussian, label) with a vote."""
    cells: int
    """Gaussians times labels: what is set to zero."""

    def bytes_moved(self) -> int:
        """Return the fewest bytes that a vote reads and writes."""
        lists = 4 * self.pairs + BYTES_PER_SPLAT * self.splats
        return lists + 4 * self.pixels + 8 * self.votes + 4 * self.cells

    def floor_ms(self, ceilings: Ceilings) -> float:
        """Return the milliseconds that no version runs much faster than."""
        moving = self.bytes_moved() / ceilings.bytes_per_s
        computing = OPERATIONS_PER_ENTRY * self.entries / ceilings.operations_per_s
        return 1e3 * max(moving, computing)


def peak_megabytes(device: str, call: Callable[[], object]) -> float:
    """Return the device memory at its highest during a call, in MB; 0 on a CPU."""
    if device != "cuda":
        call()
        return 0.0
    torch.cuda.reset_peak_memory_stats()
    call()
    return torch.cuda.max_memory_allocated() / 1e6
