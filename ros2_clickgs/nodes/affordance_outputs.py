# SPDX-License-Identifier: Apache-2.0
"""What the affordance node publishes; called by its worker alone, once it is there."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from ros2_clickgs.msg import AffordanceArray
from ros2_clickgs.nodes.conversions.affordances import (
    AFFORDANCE_POINT,
    heat_cloud,
    markers_from_affordances,
)
from ros2_clickgs.nodes.qos import LATCHED, RELIABLE
from ros2_clickgs.nodes.transfers import Known

if TYPE_CHECKING:
    from ros2_clickgs.nodes.affordance import AffordanceNode


class AffordanceOutputs:
    """Publishers of the affordance node."""

    def __init__(self, node: "AffordanceNode") -> None:
        self._node = node
        self._affordances = node.create_publisher(AffordanceArray, "~/affordances", LATCHED)
        self._cloud = node.create_publisher(PointCloud2, "~/affordance_cloud", LATCHED)
        self._markers = node.create_publisher(MarkerArray, "~/markers", LATCHED)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)

    def close(self) -> None:
        """Stop publishing."""
        for publisher in (self._affordances, self._cloud, self._markers, self._diagnostics):
            self._node.destroy_publisher(publisher)

    def publish(self, known: Iterable[Known], array: AffordanceArray) -> None:
        """Tell all that is known: messages, heat-coloured cloud, markers."""
        self._affordances.publish(array)
        points = np.concatenate([np.zeros(0, AFFORDANCE_POINT), *(one.points for one in known)])
        self._cloud.publish(heat_cloud(points, array.header))
        self._markers.publish(markers_from_affordances(array.affordances, array.header))

    def publish_diagnostics(self, report: DiagnosticArray) -> None:
        """Tell how it goes."""
        self._diagnostics.publish(report)
