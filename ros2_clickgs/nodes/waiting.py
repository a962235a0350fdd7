# SPDX-License-Identifier: Apache-2.0
"""Images and masks that wait for the pose at their stamp."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from std_msgs.msg import Header

from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.nodes.cameras import CameraSource

CAPACITY = 30
"""Images of a second at 30 Hz; when more wait, poses do not come and the oldest is dropped."""


class Waiting(NamedTuple):
    """A message that needs its camera."""

    stream: str
    header: Header
    content: Any
    arrived_s: float
    """Steady clock."""


class WaitingRoom:
    """Holds what came until its pose is there or will not get better."""

    def __init__(
        self,
        cameras: CameraSource,
        patience_s: float,
        on_ready: Callable[[Waiting, Camera], None],
        on_drop: Callable[[str, ClickGSError | str], None],
    ) -> None:
        """Prepare to wait.

        Args:
            cameras: knows intrinsics and poses.
            patience_s: how long to wait for a later pose, on the steady clock.
            on_ready: takes a message and the camera that took it.
            on_drop: takes a stream and why its message is dropped.
        """
        self.patience_s = patience_s
        self._cameras = cameras
        self._on_ready, self._on_drop = on_ready, on_drop
        self._waiting: deque[Waiting] = deque()

    def add(self, stream: str, header: Header, content: Any) -> None:
        """Let something wait; it goes on at once if its pose is known."""
        if len(self._waiting) == CAPACITY:
            self._on_drop(self._waiting.popleft().stream, "waited for a pose behind too many")
        self._waiting.append(Waiting(stream, header, content, time.monotonic()))
        self.release()

    def release(self) -> None:
        """Pass on what need not wait any longer."""
        now = time.monotonic()
        for waiting in list(self._waiting):
            is_patient = now - waiting.arrived_s < self.patience_s
            if self._cameras.is_final(waiting.header) or not is_patient:
                self._waiting.remove(waiting)
                self._pass_on(waiting)

    def _pass_on(self, waiting: Waiting) -> None:
        try:
            self._on_ready(waiting, self._cameras.at(waiting.header))
        except ClickGSError as error:
            self._on_drop(waiting.stream, error)
