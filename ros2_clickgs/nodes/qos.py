# SPDX-License-Identifier: Apache-2.0
"""Quality of service: sensors newest first, results reliable and kept for late comers."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Results and the map."""
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""Clicks, poses, pictures that we make; a best-effort subscriber may listen too."""
BEST_EFFORT = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Small inputs of any publisher: poses, camera_info, clicks."""


def sensor_qos(reliability: str) -> QoSProfile:
    """Return depth 1 with the reliability that `input_qos` names."""
    policies = {
        "best_effort": ReliabilityPolicy.BEST_EFFORT,
        "reliable": ReliabilityPolicy.RELIABLE,
    }
    return QoSProfile(depth=1, reliability=policies[reliability])
