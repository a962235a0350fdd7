# SPDX-License-Identifier: Apache-2.0
"""Notices when time begins anew: a bag loops, a simulation is reset, the clock is another."""

import time
from collections.abc import Callable

from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node

from ros2_clickgs.nodes.cameras import RUN_NS
from ros2_clickgs.nodes.conversions.geometry import NANOSECONDS

ONE_JUMP_S = 1.0
"""What several streams tell within so long (steady clock) is one jump."""


class ClockWatch:
    """Watches the node's clock and the stamps of streams whose messages come in order."""

    def __init__(self, node: Node, on_jump: Callable[[int], None]) -> None:
        """Watch; `on_jump` is told the time (ns) after the node's clock went back."""
        self.jumps = 0
        """How often time began anew."""
        self._node, self._on_jump = node, on_jump
        self._newest: dict[str, int] = {}
        self._jumped_s = -ONE_JUMP_S
        back = Duration(nanoseconds=-RUN_NS)
        threshold = JumpThreshold(min_forward=None, min_backward=back, on_clock_change=True)
        self._handle = node.get_clock().create_jump_callback(threshold, post_callback=self._jump)

    def began_anew(self, stream: str, stamp_ns: int) -> bool:
        """Take a stamp; return whether it lies far before the last one of its stream."""
        last = self._newest.get(stream, stamp_ns)
        self._newest[stream] = stamp_ns
        if stamp_ns >= last - RUN_NS:
            return False
        self._count(f"{stream} went back by {(last - stamp_ns) / NANOSECONDS:.1f} s")
        return True

    def close(self) -> None:
        """Stop watching."""
        self._handle.unregister()

    def _jump(self, jump: TimeJump) -> None:
        self._count("the clock went back, or use_sim_time was switched")
        self._on_jump(self._node.get_clock().now().nanoseconds)

    def _count(self, what: str) -> None:
        now = time.monotonic()
        if now - self._jumped_s >= ONE_JUMP_S:
            self.jumps += 1
            self._node.get_logger().warning(f"time began anew: {what}; poses before are forgotten")
        self._jumped_s = now
