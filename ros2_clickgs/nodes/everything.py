# SPDX-License-Identifier: Apache-2.0
"""The action `segment_everything`: all objects of the map, by votes or by trained features."""

import time
from typing import TYPE_CHECKING, Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup

from ros2_clickgs.action import SegmentEverything
from ros2_clickgs.errors import ClickGSError, NotFoundError
from ros2_clickgs.nodes.conversions.durations import msg_from_seconds
from ros2_clickgs.nodes.sweep import Sweep
from ros2_clickgs.nodes.trained_features import everything_by_features
from ros2_clickgs.nodes.workbench import Workbench

if TYPE_CHECKING:
    from ros2_clickgs.nodes.segmenter import SegmenterNode

METHODS = ("auto", "votes", "features")


class CancelledError(ClickGSError):
    """Whoever asked does not want it any more."""


class EverythingAction:
    """Offers the action, one goal at a time; between two views the worker does other things.

    It is there as long as the node, since rclpy's executor fails if an action server goes while
    it waits; goals for an inactive node are aborted with that reason.
    """

    def __init__(self, node: "SegmenterNode") -> None:
        self._node = node
        self._is_busy = False
        self._server = ActionServer(
            node,
            SegmentEverything,
            "~/segment_everything",
            self._execute,
            goal_callback=lambda goal: GoalResponse.ACCEPT,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    async def _execute(self, handle: Any) -> SegmentEverything.Result:
        self._node.diagnostics.received("segment_everything")
        began_s = time.monotonic()
        result = SegmentEverything.Result()
        try:
            ids = await self._alone(handle)
            result.success, result.object_ids = True, ids
            result.message = f"{len(ids)} objects found"
        except ClickGSError as error:
            if not isinstance(error, CancelledError):
                self._node.drop("segment_everything", error)
            result.message = str(error)
        result.duration = msg_from_seconds(time.monotonic() - began_s)
        end(handle, result.success)
        return result

    async def _alone(self, handle: Any) -> list[int]:
        if self._is_busy:
            raise ClickGSError("everything is being segmented already; cancel that, or wait")
        self._is_busy = True
        try:
            return await self._segment(handle)
        finally:
            self._is_busy = False

    async def _segment(self, handle: Any) -> list[int]:
        goal = handle.request
        method = goal.method or "auto"
        if method not in METHODS:
            raise NotFoundError("method", method, ", ".join(METHODS))
        if method == "auto":
            knows = await self._node.answer(
                lambda bench: bench.features.query("auto") is not None, changes=False
            )
            method = "features" if knows else "votes"
        limits = {
            "min_gaussians": goal.min_gaussians,
            "min_score": goal.min_score,
            "replace": goal.replace,
        }
        if method == "votes":
            return await self._by_votes(handle, limits)
        self._tell(handle, "objects")

        def by_features(bench: Workbench) -> list[int]:
            return everything_by_features(bench, level=goal.level, **limits)

        return await self._node.answer(by_features, changes=True)

    async def _by_votes(self, handle: Any, limits: dict[str, Any]) -> list[int]:
        level, max_views = handle.request.level, handle.request.max_views
        sweep = await self._node.answer(
            lambda bench: Sweep(bench, level, max_views), changes=False
        )
        began_s = time.monotonic()
        while sweep.views_done < sweep.views_total:
            check(handle, sweep)
            spent_s = time.monotonic() - began_s
            left = sweep.views_total - sweep.views_done
            eta_s = spent_s / sweep.views_done * left if sweep.views_done else -1.0
            self._tell(handle, "masks", sweep, eta_s)
            await self._node.answer(sweep.look, changes=False)
        check(handle, sweep)
        self._tell(handle, "objects", sweep)
        return await self._node.answer(lambda bench: sweep.finish(bench, **limits), changes=True)

    def _tell(
        self, handle: Any, stage: str, sweep: Sweep | None = None, eta_s: float = -1.0
    ) -> None:
        feedback = SegmentEverything.Feedback(stage=stage, eta=msg_from_seconds(eta_s))
        if sweep is not None:
            feedback.views_done, feedback.views_total = sweep.views_done, sweep.views_total
        handle.publish_feedback(feedback)


def check(handle: Any, sweep: Sweep) -> None:
    """Raise CancelledError if the goal was cancelled."""
    if handle.is_cancel_requested:
        raise CancelledError(
            f"cancelled after {sweep.views_done} of {sweep.views_total} views; nothing has changed"
        )


def end(handle: Any, success: bool) -> None:
    """Tell how a goal ended."""
    if handle.is_cancel_requested:
        handle.canceled()
    elif success:
        handle.succeed()
    else:
        handle.abort()
