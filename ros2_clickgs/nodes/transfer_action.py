# SPDX-License-Identifier: Apache-2.0
"""The action `transfer_affordances`: goals go to the worker, feedback and results come back."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup

from ros2_clickgs.action import TransferAffordances
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.nodes.conversions.durations import msg_from_seconds

if TYPE_CHECKING:
    from ros2_clickgs.nodes.affordance import AffordanceNode

UNKNOWN_S = -1.0


class CancelledError(Exception):
    """The client does not want the result any more."""


class TransferAction:
    """Offers the action; many goals may be waiting for the worker at once."""

    def __init__(self, node: "AffordanceNode") -> None:
        self._node = node
        self._server = ActionServer(
            node,
            TransferAffordances,
            "~/transfer_affordances",
            self._execute,
            goal_callback=lambda goal: GoalResponse.ACCEPT,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    async def _execute(self, handle: Any) -> TransferAffordances.Result:
        self._node.diagnostics.received("transfer_affordances")
        progress = GoalProgress(handle, self._node.check)
        result = TransferAffordances.Result()
        try:
            result.affordances = await self._node.transfer(handle.request, progress)
            result.success = True
            result.message = f"{len(result.affordances.affordances)} regions"
            handle.succeed()
        except CancelledError:
            result.message = "cancelled; affordances are as they were"
            handle.canceled()
        except ClickGSError as error:
            self._node.drop("transfer_affordances", error)
            result.message = str(error)
            handle.abort()
        result.duration = msg_from_seconds(progress.elapsed_s())
        return result


class GoalProgress:
    """Feedback of a goal; every word of it is a chance to leave."""

    def __init__(self, handle: Any, check: Callable[[], None]) -> None:
        """Begin to count the time; `check` raises when the node leaves."""
        self._handle, self._check = handle, check
        self._began_s = time.monotonic()
        self._feedback = TransferAffordances.Feedback(eta=msg_from_seconds(UNKNOWN_S))

    def check(self) -> None:
        """Raise CancelledError if the client wants to leave, ClickGSError if the node does."""
        self._check()
        if self._handle.is_cancel_requested:
            raise CancelledError

    def begin(self, stage: str, objects_total: int = 0) -> None:
        """Tell what is being done now."""
        self._feedback.stage = stage
        self._feedback.objects_total = objects_total or self._feedback.objects_total
        self._publish()

    def begin_object(self, object_id: int, objects_done: int) -> None:
        """Tell which object is being worked on."""
        self._feedback.object_id, self._feedback.objects_done = object_id, objects_done
        self._feedback.views_done = self._feedback.views_total = 0
        self.begin("views")

    def on_view(self, done: int, total: int) -> None:
        """Tell how many views of the object are done."""
        self._feedback.views_done, self._feedback.views_total = done, total
        share = (self._feedback.objects_done + done / total) / self._feedback.objects_total
        self._feedback.eta = msg_from_seconds(self.elapsed_s() * (1 - share) / share)
        self._publish()

    def elapsed_s(self) -> float:
        """Return how long it has taken so far."""
        return time.monotonic() - self._began_s

    def _publish(self) -> None:
        self.check()
        self._handle.publish_feedback(self._feedback)


class NoProgress:
    """Tells nobody; leaves when the node does."""

    def __init__(self, check: Callable[[], None]) -> None:
        self.check = check

    def begin(self, stage: str, objects_total: int = 0) -> None:
        """See GoalProgress."""
        self.check()

    def begin_object(self, object_id: int, objects_done: int) -> None:
        """See GoalProgress."""
        self.check()

    def on_view(self, done: int, total: int) -> None:
        """See GoalProgress."""
        self.check()
