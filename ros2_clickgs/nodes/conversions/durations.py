# SPDX-License-Identifier: Apache-2.0
"""Spans of time as messages."""

from builtin_interfaces.msg import Duration

from ros2_clickgs.nodes.conversions.geometry import NANOSECONDS


def msg_from_seconds(seconds: float) -> Duration:
    """Return a span of time; a negative one too."""
    sec, nanosec = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
    return Duration(sec=sec, nanosec=nanosec)
