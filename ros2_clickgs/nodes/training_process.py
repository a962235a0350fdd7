# SPDX-License-Identifier: Apache-2.0
"""A training in a process of its own: it takes no turn of ours, and may be killed."""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable

from ros2_clickgs.nodes.training_job import CANCEL, Done, Preview, Progress, TrainingJob

MODULE = "ros2_clickgs.nodes.training"
THREAD = "clickgs-training"
LIMITS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")


class TrainingProcess:
    """Starts a training and hears of it in a thread; the last it tells is a `Done`."""

    def __init__(self, job: TrainingJob, on_event: Callable[[Progress | Preview | Done], None]):
        self._on_event = on_event
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | thread_limits(job.config.threads),
            start_new_session=True,  # Ctrl-C is for the trainer, which then ends this
        )
        self._thread = threading.Thread(target=self._hear, args=(job,), name=THREAD, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def cancel(self) -> None:
        """Let it end with what it has."""
        self.say(CANCEL)

    def say(self, word: str) -> None:
        """Tell it a word of training_job.py; in vain if it has ended."""
        try:
            pickle.dump(word, self._process.stdin)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass

    def stop(self, patience_s: float | None) -> None:
        """Cancel it and wait; end it after so long. Its checkpoints stay."""
        self.cancel()
        self._thread.join(patience_s)
        self._process.kill()
        self._thread.join()

    def _hear(self, job: TrainingJob) -> None:
        self.say(job)
        last = None
        try:
            while not isinstance(last, Done):
                last = pickle.load(self._process.stdout)
                if not isinstance(last, Done):
                    self._on_event(last)
        except (EOFError, pickle.UnpicklingError):
            pass
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()
        if not isinstance(last, Done):
            reason = f"the training's process ended with code {code}, see its log"
            last = Done(success=False, message=f"{reason}; resume goes on from its checkpoint")
        self._on_event(last)


def thread_limits(threads: int) -> dict[str, str]:
    """Return the environment that gives a process so many CPU threads; 0: all cores but one."""
    count = threads or max(len(os.sched_getaffinity(0)) - 1, 1)
    return {**dict.fromkeys(LIMITS, str(count)), "OMP_WAIT_POLICY": "PASSIVE"}
