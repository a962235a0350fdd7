# SPDX-License-Identifier: Apache-2.0
"""Node `player`: a dataset or a rosbag2 instead of cameras."""

import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray

from ros2_clickgs.config import PlayerConfig
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.nodes.lifecycle import ClickGSNode
from ros2_clickgs.nodes.playback import open_playback
from ros2_clickgs.nodes.qos import RELIABLE

WAIT_PERIOD_S = 0.1
DIAGNOSTICS_PERIOD_S = 1.0


class PlayerNode(ClickGSNode):
    """Plays in a thread of its own, so that reading a file holds nothing up."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("player", PlayerConfig, **kwargs)
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def configure(self) -> None:
        """Open the dataset."""
        self._playback = open_playback(self, self.config)
        self._diagnostics_out = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        self.get_logger().info(f"{self.config.dataset}: {len(self._playback)} to play")

    def activate(self) -> None:
        """Begin to play."""
        self._stop.clear()
        self._timer = self.create_timer(DIAGNOSTICS_PERIOD_S, self._report)
        self._thread = threading.Thread(target=self._run, name="clickgs-player", daemon=True)
        self._thread.start()

    def deactivate(self) -> None:
        """Stop playing."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None
            self.destroy_timer(self._timer)

    def cleanup(self) -> None:
        """Close the dataset."""
        self._playback.close()
        self.destroy_publisher(self._diagnostics_out)

    def _run(self) -> None:
        try:
            self._wait_for_listener()
            while not self._stop.is_set():
                self._play_once()
                if not self.config.loop:
                    self.get_logger().info("played everything once")
                    return
        except Exception as bug:
            self.on_bug(bug)

    def _wait_for_listener(self) -> None:
        while self.config.wait_for_subscriber and not self._playback.has_listener():
            if self._stop.wait(WAIT_PERIOD_S):
                return

    def _play_once(self) -> None:
        for step in self._playback.steps(self.config.rate_hz):
            if self._stop.wait(step.after_s):
                return
            self.diagnostics.received("played")
            try:
                step.publish()
            except ClickGSError as error:
                self.drop("image", error)

    def _report(self) -> None:
        facts = {"dataset": self.config.dataset, "length": len(self._playback)}
        stamp = self.get_clock().now().to_msg()
        self._diagnostics_out.publish(self.diagnostics.report(stamp, facts))
