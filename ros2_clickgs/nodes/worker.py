# SPDX-License-Identifier: Apache-2.0
"""The one thread that owns the map and the votes."""

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

THREAD = "clickgs-worker"


class Job(NamedTuple):
    """Something to do, and what to tell who asked when it will not be done."""

    run: Callable[[], None]
    refuse: Callable[[], None] = lambda: None


class Worker:
    """Runs jobs one after the other: asked-for ones in order, then the newest of each stream.

    What can wait is done when nothing else is asked for, or in turn with the streams.
    """

    def __init__(self, on_bug: Callable[[Exception], None]) -> None:
        """Start the thread; `on_bug` is told of an exception that no job should let through."""
        self._on_bug = on_bug
        self._jobs: deque[Job] = deque()
        self._newest: dict[str, Job] = {}
        self._leisure: Job | None = None
        self._is_streams_turn = True
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Queue a job that is never dropped (a click, a service call)."""
        with self._changed:
            if not self._stopping:
                self._jobs.append(job)
                self._changed.notify()
                return
        job.refuse()

    def put_newest(self, stream: str, job: Job) -> bool:
        """Queue a job in place of the stream's waiting one; return True if that one is lost."""
        with self._changed:
            is_replaced = stream in self._newest
            self._newest[stream] = job
            self._changed.notify()
        return is_replaced

    def put_leisure(self, job: Job) -> None:
        """Queue the job that is done when there is time; there is one at a time."""
        with self._changed:
            self._leisure = job
            self._changed.notify()

    def queue_length(self) -> int:
        """Return how many jobs wait."""
        with self._changed:
            return len(self._jobs) + len(self._newest)

    def stop(self, patience_s: float | None = None) -> None:
        """Finish the job in hand, refuse those that wait, end the thread.

        Args:
            patience_s: leave the job in hand to itself after so long; None waits for it.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(patience_s)
        for job in self._jobs:
            job.refuse()

    def _run(self) -> None:
        try:
            while job := self._next():
                job.run()
        except Exception as error:  # a bug: the node dies of it, see ClickGSNode.on_bug
            self._on_bug(error)

    def _next(self) -> Job | None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._jobs or self._newest or self._leisure
            )
            if self._stopping:
                return None
            if self._jobs:
                return self._jobs.popleft()
            if self._newest and (self._is_streams_turn or not self._leisure):
                self._is_streams_turn = False
                return self._newest.pop(next(iter(self._newest)))
            self._is_streams_turn = True
            job, self._leisure = self._leisure, None
            return job
