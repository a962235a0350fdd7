# SPDX-License-Identifier: Apache-2.0
"""The action `train_features`: one goal at a time becomes a process; its progress is feedback."""

from typing import TYPE_CHECKING, Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future

from ros2_clickgs.action import TrainFeatures
from ros2_clickgs.errors import ClickGSError, ConfigError
from ros2_clickgs.nodes.conversions.durations import msg_from_seconds
from ros2_clickgs.nodes.files import path_below
from ros2_clickgs.nodes.training_job import (
    IGNORE,
    WATCH,
    Done,
    LiveView,
    Preview,
    Progress,
    TrainingJob,
)
from ros2_clickgs.nodes.training_process import TrainingProcess

if TYPE_CHECKING:
    from ros2_clickgs.nodes.trainer import TrainerNode


class TrainAction:
    """Offers the action. A goal while one runs is aborted at once, and told why."""

    def __init__(self, node: "TrainerNode") -> None:
        self._node = node
        self._busy: Any = None
        self._process: TrainingProcess | None = None
        self._is_watched = self._is_cancelled = self._is_leaving = False
        self.progress = Progress(stage="idle")
        """Of the goal in hand, or of the last one."""
        self._server = ActionServer(
            node,
            TrainFeatures,
            "~/train_features",
            self._execute,
            goal_callback=lambda goal: GoalResponse.ACCEPT,
            cancel_callback=self._cancel,
            callback_group=ReentrantCallbackGroup(),
        )

    @property
    def pid(self) -> int:
        """Of the process that trains; 0 while none does."""
        return self._process.pid if self._process else 0

    def close(self, patience_s: float | None) -> None:
        """End the goal in hand, withdraw the action."""
        self._is_leaving = True
        if self._process is not None:
            self._process.stop(patience_s)
        self._server.destroy()

    async def _execute(self, handle: Any) -> TrainFeatures.Result:
        self._node.diagnostics.received("train_features")
        try:
            self._check_free()
            self._busy = handle
            try:
                done = await self._train(handle)
            finally:
                self._busy = self._process = None
        except ClickGSError as error:
            self._node.drop("train_features", error)
            done = Done(success=False, message=str(error))
        if handle.is_cancel_requested:
            handle.canceled()
        elif done.success and not self._is_leaving:
            handle.succeed()
        else:
            handle.abort()
        return result_msg(done)

    def _check_free(self) -> None:
        if self._busy is not None:
            now = self.progress
            raise ClickGSError(
                f"a training runs ({now.stage}, iteration {now.iteration} of {now.iterations}); "
                "cancel it or wait for its end"
            )

    async def _train(self, handle: Any) -> Done:
        goal, self._is_watched, self._is_cancelled = handle.request, False, False
        if not goal.iterations:
            raise ConfigError("iterations", 0, "1 or more")
        if goal.path:
            check_features_path(self._node.map_config.session_dir, goal.path)
        frames = None if goal.cameras else await self._node.keyframes()
        executor = self._node.executor
        future = Future(executor=executor)

        def on_event(event: Progress | Preview | Done) -> None:
            is_heard = self._node.context.ok()
            if isinstance(event, Progress) and is_heard:
                self._on_progress(handle, event)
            elif isinstance(event, Preview) and is_heard:
                self._node.publish_preview(event.image)
            elif isinstance(event, Done):
                future.set_result(event)
                executor.wake()

        self._process = TrainingProcess(self._job(goal, frames), on_event)
        if self._is_cancelled or self._is_leaving:
            self._process.cancel()
        return await future

    def _job(self, goal: TrainFeatures.Goal, frames: list[LiveView] | None) -> TrainingJob:
        return TrainingJob(
            config=self._node.map_config,
            map_from_file=self._node.map_from_file,
            frames=frames,
            cameras=goal.cameras,
            masks=goal.masks,
            iterations=goal.iterations,
            seed=goal.seed,
            resume=goal.resume,
            path=goal.path,
        )

    def _cancel(self, handle: Any) -> CancelResponse:
        if self._busy is not None and handle.goal_id == self._busy.goal_id:
            self._is_cancelled = True
            if self._process is not None:
                self._process.cancel()
        return CancelResponse.ACCEPT

    def _on_progress(self, handle: Any, progress: Progress) -> None:
        self.progress = progress
        handle.publish_feedback(feedback_msg(progress))
        is_watched = self._node.is_preview_watched()
        if is_watched != self._is_watched:
            self._is_watched = is_watched
            self._process.say(WATCH if is_watched else IGNORE)


def check_features_path(session_dir: str, path: str) -> None:
    """Raise ClickGSError unless features can be written there."""
    if path_below(session_dir, path).suffix != ".npz":
        raise ClickGSError(f"path {path!r} is no .npz; features are written as NAME.npz")


def feedback_msg(progress: Progress) -> TrainFeatures.Feedback:
    """Return how far a training is."""
    return TrainFeatures.Feedback(
        stage=progress.stage,
        iteration=progress.iteration,
        iterations=progress.iterations,
        loss_names=list(progress.terms),
        loss_values=list(progress.terms.values()),
        loss=float(sum(progress.terms.values())),
        coarse_clusters=progress.coarse_clusters,
        fine_clusters=progress.fine_clusters,
        eta=msg_from_seconds(progress.eta_s),
    )


def result_msg(done: Done) -> TrainFeatures.Result:
    """Return how a training ended."""
    return TrainFeatures.Result(
        success=done.success,
        message=done.message,
        path=done.path,
        iterations=done.progress.iteration,
        coarse_clusters=done.progress.coarse_clusters,
        fine_clusters=done.progress.fine_clusters,
        loss_names=list(done.progress.terms),
        loss_values=list(done.progress.terms.values()),
        duration=msg_from_seconds(done.seconds),
    )
