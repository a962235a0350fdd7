# SPDX-License-Identifier: Apache-2.0
"""Node `affordance`: objects and annotated images in, regions for a grasp planner out."""

import gc
import time
from collections.abc import Callable, Iterable
from typing import Any

from rclpy.task import Future
from std_msgs.msg import Header

from ros2_clickgs.action import TransferAffordances
from ros2_clickgs.config import AffordanceConfig
from ros2_clickgs.core.types import Gaussians
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.msg import AffordanceArray, SegmentedObject, SegmentedObjectArray
from ros2_clickgs.nodes.affordance_outputs import AffordanceOutputs
from ros2_clickgs.nodes.lifecycle import ClickGSNode
from ros2_clickgs.nodes.qos import LATCHED
from ros2_clickgs.nodes.splat_source import LOOK_PERIOD_S, fetch
from ros2_clickgs.nodes.survey import Progress, Survey
from ros2_clickgs.nodes.transfer_action import CancelledError, NoProgress, TransferAction
from ros2_clickgs.nodes.transfers import Known, request_from_goal
from ros2_clickgs.nodes.worker import Job, Worker

DIAGNOSTICS_PERIOD_S = 1.0
OBJECTS_PATIENCE_S = 2.0
"""How long a goal's object may not be on `~/objects` yet."""
INACTIVE = "the affordance node is not active; activate it (ros2 lifecycle set ... activate)"


class AffordanceNode(ClickGSNode):
    """Callbacks enqueue; one worker owns the survey of what objects afford.

    Objects and their Gaussians come over topics, in one process with the segmenter or not.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("affordance", AffordanceConfig, **kwargs)
        self._survey: Survey | None = None
        self._objects = SegmentedObjectArray()
        self._active: tuple[Worker, Any, Any] | None = None
        self._action = TransferAction(self)

    def configure(self) -> None:
        """Load the descriptor."""
        self._survey = Survey(self.config, self._fetch)
        self.outputs = AffordanceOutputs(self)

    def activate(self) -> None:
        """Listen to objects."""
        self._survey = self._survey or Survey(self.config, self._fetch)
        worker = Worker(self.on_bug)
        timer = self.create_timer(DIAGNOSTICS_PERIOD_S, self._report)
        objects = self.create_subscription(
            SegmentedObjectArray, "segmenter/objects", self.on_objects, LATCHED
        )
        self._active = (worker, objects, timer)
        worker.put(Job(self._publish))

    def deactivate(self) -> None:
        """Stop listening; forget what is known; free the descriptor."""
        if self._active is not None:
            worker, objects, timer = self._active
            self._active = None
            self.destroy_subscription(objects)
            self.destroy_timer(timer)
            worker.stop(self.patience_s)
        self._survey, self._objects = None, SegmentedObjectArray()
        gc.collect()

    def cleanup(self) -> None:
        """Stop publishing."""
        self._survey = None
        self.outputs.close()

    def check(self) -> None:
        """Raise ClickGSError if the node is to leave."""
        if self._active is None:
            raise ClickGSError(INACTIVE)

    def on_objects(self, msg: SegmentedObjectArray) -> None:
        """Let the worker see the objects as they are now."""
        self.diagnostics.received("objects")
        self._objects = msg
        if self._active is not None:
            self._active[0].put_newest("objects", Job(self._follow))

    async def transfer(
        self, goal: TransferAffordances.Goal, progress: Progress
    ) -> AffordanceArray:
        """Let the worker do what a goal asks for; return the regions of its objects.

        Raises:
            ClickGSError: it cannot be done, or the node was deactivated meanwhile.
            CancelledError: nobody wants it any more.
        """

        def work() -> AffordanceArray:
            progress.check()
            request = request_from_goal(goal, self.config)
            self._await_objects(list(goal.object_ids), progress)
            found = self._survey.wanted(list(goal.object_ids))
            known = self._survey.transfer({one.id: request for one in found}, progress)
            self._publish()
            return self._array(known.values())

        return await self._answer(work)

    async def _answer(self, work: Callable[[], AffordanceArray]) -> AffordanceArray:
        self.check()
        executor = self.executor
        future = Future(executor=executor)

        def run() -> None:
            try:
                future.set_result(work())
            except (ClickGSError, CancelledError) as error:
                future.set_exception(error)
            executor.wake()

        def refuse() -> None:
            future.set_exception(ClickGSError(INACTIVE))
            executor.wake()

        self._active[0].put(Job(run, refuse))
        return await future

    def _await_objects(self, ids: list[int], progress: Progress) -> None:
        """Wait a little for objects that the client may have heard of before us."""
        until_s = time.monotonic() + OBJECTS_PATIENCE_S
        while not self._knows(ids) and time.monotonic() < until_s:
            progress.check()
            time.sleep(LOOK_PERIOD_S)
        self._take_objects()

    def _knows(self, ids: list[int]) -> bool:
        there = {found.id for found in self._objects.objects}
        return there.issuperset(ids) and bool(there)

    def _take_objects(self) -> None:
        if self._survey.take(self._objects):
            self._publish()

    def _follow(self) -> None:
        """Forget what is gone, transfer again to what has changed."""
        self._take_objects()
        outdated = self._survey.outdated() if self.config.follow else []
        if not outdated:
            return
        requests = {one.id: self._survey.known[one.id].request for one in outdated}
        try:
            self._survey.transfer(requests, NoProgress(self.check))
        except ClickGSError as error:
            self.drop("objects", error)
        self._publish()

    def _fetch(
        self, found: list[SegmentedObject], check: Callable[[], None]
    ) -> dict[int, Gaussians]:
        return fetch(self, found, self.config.map_patience_s, check)

    def _publish(self) -> None:
        known = self._survey.known.values()
        self.outputs.publish(known, self._array(known))

    def _array(self, known: Iterable[Known]) -> AffordanceArray:
        objects, names = self._survey.objects, self._survey.transfers.names
        now = self.get_clock().now().to_msg()
        header = Header(stamp=now, frame_id=objects.header.frame_id)
        in_order = sorted(known, key=lambda one: one.found.id)
        return AffordanceArray(
            header=header,
            affordances=[region for one in in_order for region in one.regions],
            class_names=names,
            map_sha256=objects.map_sha256,
        )

    def _report(self) -> None:
        if self._active is None:
            return
        survey = self._survey
        facts = {
            "descriptor": survey.transfers.descriptor.name,
            "objects": len(survey.objects.objects),
            "objects with affordances": len(survey.known),
            "queue": self._active[0].queue_length(),
        }
        stamp = self.get_clock().now().to_msg()
        self.outputs.publish_diagnostics(self.diagnostics.report(stamp, facts))
