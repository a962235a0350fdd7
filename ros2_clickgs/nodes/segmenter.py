# SPDX-License-Identifier: Apache-2.0
"""Node `segmenter`: clicks and posed images in, objects out."""

import gc
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from rclpy.clock import Clock, ClockType
from rclpy.task import Future

from ros2_clickgs.config import SegmenterConfig
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.nodes.diagnostics import facts_of_objects
from ros2_clickgs.nodes.everything import EverythingAction
from ros2_clickgs.nodes.inputs import Inputs
from ros2_clickgs.nodes.keyframes import Frame
from ros2_clickgs.nodes.lifecycle import ClickGSNode
from ros2_clickgs.nodes.outputs import Outputs
from ros2_clickgs.nodes.services import Services
from ros2_clickgs.nodes.workbench import Workbench
from ros2_clickgs.nodes.worker import Job, Worker

T = TypeVar("T")
DIAGNOSTICS_PERIOD_S = 1.0
INACTIVE = "the segmenter is not active; activate it (ros2 lifecycle set ... activate)"


class SegmenterNode(ClickGSNode):
    """Callbacks enqueue; one worker owns the workbench with the map and the votes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("segmenter", SegmenterConfig, **kwargs)
        self._bench: Workbench | None = None
        self._answer_s = 0.0
        self._active: tuple[Worker, Inputs, Services, Any] | None = None
        self._everything = EverythingAction(self)

    def configure(self) -> None:
        """Load the map and the 2D segmenter."""
        self._bench = self._load()
        self.outputs = Outputs(self)

    def activate(self) -> None:
        """Subscribe, offer services, publish the map."""
        self._bench = self._bench or self._load()
        worker = Worker(self.on_bug)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # the node's may stand still
        timer = self.create_timer(DIAGNOSTICS_PERIOD_S, self._report, clock=steady)
        inputs = Inputs(self)
        self._active = (worker, inputs, Services(self, inputs), timer)
        self.submit("map", lambda bench: None)

    def deactivate(self) -> None:
        """Unsubscribe; free the map, the objects and the 2D segmenter."""
        if self._active is not None:
            worker, inputs, services, timer = self._active
            inputs.close()
            services.close()
            self.destroy_timer(timer)
            worker.stop(self.patience_s)
        self._active = None
        self._let_go()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def cleanup(self) -> None:
        """Stop publishing."""
        self._let_go()
        self.outputs.close()

    def apply_live(self) -> None:
        """Take over live parameters; objects change at once."""
        if self._active is None:
            return
        config = self.config
        self._active[1].apply_live(config.max_pose_age_s)
        self.submit("background_weight", lambda bench: bench.set_weight(config.background_weight))

    def submit(self, stream: str, change: Callable[[Workbench], Any]) -> None:
        """Let the worker change the objects, and publish them; errors drop the message."""

        def run() -> None:
            try:
                self._change(change)
            except ClickGSError as error:
                self.drop(stream, error)

        self._worker.put(Job(run))

    def submit_newest(self, stream: str, frame: Frame) -> None:
        """Let the worker see a posed image, unless a newer one comes before its turn."""

        def run() -> None:
            self._bench.see(frame)
            self.outputs.publish_overlay(self._bench, frame)
            self._look_on_later()

        if self._worker.put_newest(f"{stream} of {frame.frame_id}", Job(run)):
            self.diagnostics.superseded(stream)

    def queue_length(self) -> int:
        """Return how many jobs wait for the worker."""
        return self._worker.queue_length()

    async def answer(self, work: Callable[[Workbench], T], *, changes: bool) -> T:
        """Let the worker answer a service; `changes` says that the objects are to be published.

        Raises:
            ClickGSError: what the work raised, or the node was deactivated meanwhile.
        """
        executor = self.executor
        future = Future(executor=executor)

        def run() -> None:
            try:
                future.set_result(self._change(work) if changes else work(self._bench))
            except ClickGSError as error:
                future.set_exception(error)
            executor.wake()

        def refuse() -> None:
            future.set_exception(ClickGSError(INACTIVE))
            executor.wake()

        self._worker.put(Job(run, refuse))
        return await future

    @property
    def _worker(self) -> Worker:
        active = self._active
        if active is None:
            raise ClickGSError(INACTIVE)
        return active[0]

    def _load(self) -> Workbench:
        bench = Workbench(self.config)
        facts = (
            f"{len(bench.rasterizer.gaussians)} Gaussians of {self.config.map_path}, "
            f"rasterizer {type(bench.rasterizer).__name__}, segmenter {bench.segmenter.name}, "
            f"session {bench.session.path or 'none'} with {len(bench.objects.ids)} objects"
        )
        self.get_logger().info(facts)
        return bench

    def _let_go(self) -> None:
        if self._bench is not None:
            self._bench.session.close()
        self._bench = None

    def _change(self, change: Callable[[Workbench], T]) -> T:
        began_s = time.monotonic()
        with self._bench.accepting():
            result = change(self._bench)
        self._answer_s = time.monotonic() - began_s
        self.outputs.publish_objects(self._bench)
        self.outputs.map_changed(self._bench)
        self._look_on_later()
        return result

    def _look_on_later(self) -> None:
        """Go on looking for objects, one image at a time, when nothing else is to be done."""
        active = self._active
        if active and self._bench.looks.are_pending:
            active[0].put_leisure(Job(self._look_on))

    def _look_on(self) -> None:
        has_changed = False
        try:
            with self._bench.accepting():
                has_changed = self._bench.looks.are_pending and self._bench.looks.go_on()
        except ClickGSError as error:
            self.drop("look", error)
        if has_changed:
            self.outputs.publish_objects(self._bench)
            self.outputs.map_changed(self._bench)
        self._look_on_later()

    def _report(self) -> None:
        bench, worker = self._bench, self._worker
        facts = {
            "map": self.config.map_path,
            "Gaussians": len(bench.rasterizer.gaussians),
            "rasterizer": type(bench.rasterizer).__name__,
            "segmenter": bench.segmenter.name,
            "features": str(bench.features.path if bench.features.are_there else "none"),
            "objects": len(bench.objects.ids),
            "session": str(bench.session.path or "none"),
            "keyframes": len(bench.keyframes),
            "queue": worker.queue_length(),
            "clock jumps": self._active[1].watch.jumps,
            "last answer [s]": f"{self._answer_s:.2f}",
        }
        if self.outputs.is_map_awaited():
            worker.put_newest("map", Job(lambda: self.outputs.publish_map(bench)))
        stamp = self.get_clock().now().to_msg()
        parts = facts_of_objects(bench.objects.state)
        self.outputs.publish_diagnostics(self.diagnostics.report(stamp, facts, parts))
