# SPDX-License-Identifier: Apache-2.0
"""The process that trains: `python -m ros2_clickgs.nodes.training`, started by the trainer.

A job comes on stdin, words of training_job.py follow; progress goes out on stdout, both pickled.
When the trainer dies, stdin ends, and so does the training, as if it had been cancelled.
"""

import os
import pickle
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import torch

from ros2_clickgs.backends import make_kernels, make_rasterizer
from ros2_clickgs.core.features.feature_map import FeatureMap
from ros2_clickgs.core.features.options import COARSE_DEPTH, DEPTH, TrainingOptions
from ros2_clickgs.core.features.query import feature_image
from ros2_clickgs.core.features.training import Trainer
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.io.features import (
    SpillingShelf,
    load_checkpoint,
    save_checkpoint,
    save_features,
)
from ros2_clickgs.io.maps import load_map, map_sha256
from ros2_clickgs.io.masked_views import TrainingViews, keep_views, load_kept_views
from ros2_clickgs.nodes.files import features_file, path_below
from ros2_clickgs.nodes.training_job import (
    CANCEL,
    WATCH,
    Done,
    Preview,
    Progress,
    TrainingJob,
)
from ros2_clickgs.nodes.training_views import ViewCollector

RECENT = 50
"""Iterations whose pace tells when the end will be."""
Tell = Callable[[Progress | Preview | Done], None]


class CancelledError(Exception):
    """The training was cancelled before there was anything to keep."""


class Orders:
    """What the trainer said so far; read in a thread of its own."""

    def __init__(self, stream: BinaryIO) -> None:
        self.cancelled, self.watched = threading.Event(), threading.Event()
        self._stream = stream
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while (word := pickle.load(self._stream)) != CANCEL:
                (self.watched.set if word == WATCH else self.watched.clear)()
        except EOFError:
            pass
        self.cancelled.set()


class Training:
    """One job, from views to a features file."""

    def __init__(self, job: TrainingJob, orders: Orders, tell: Tell) -> None:
        self._job, self._orders, self._tell = job, orders, tell
        self._began_s = self._told_s = self._shown_s = time.monotonic()
        config = job.config
        self._map_path = Path(config.map_path).expanduser()
        self._sha = map_sha256(self._map_path)
        self._own = features_file(config.session_dir, config.map_path, self._sha)
        self._out = path_below(config.session_dir, job.path) if job.path else self._own
        self._checkpoint = self._own.with_suffix(".checkpoint.pt")
        self._kept_views = self._own.with_suffix(".views.npz")
        self._progress = Progress(stage="masks", iterations=job.iterations)

    def run(self) -> Done:
        """Train to the end, or until cancelled.

        Raises:
            ClickGSError: the job cannot be done.
        """
        self._own.parent.mkdir(parents=True, exist_ok=True)
        self._report(stage="masks")
        self._rasterizer = make_rasterizer(load_map(self._map_path), self._job.config.backend)
        is_resumed = self._job.resume and self._checkpoint.exists()
        try:
            self._views = self._resumed_views() if is_resumed else self._new_views()
        except CancelledError:
            return self._done(False, "cancelled before the first iteration; nothing was changed")
        self._report(stage="weights")
        self._trainer = self._make_trainer()
        if is_resumed:
            load_checkpoint(self._checkpoint, self._trainer, self._sha)
        self._train()
        return self._finish()

    def _resumed_views(self) -> TrainingViews:
        views, source = load_kept_views(self._kept_views, self._sha)
        if self._job.source != source:
            raise ClickGSError(
                f"{self._checkpoint} was made with {source}, not with {self._job.source}; "
                "send the same, or resume: false to start anew"
            )
        return views

    def _new_views(self) -> TrainingViews:
        self._checkpoint.unlink(missing_ok=True)
        collector = ViewCollector(self._job, self._rasterizer)
        began_s = time.monotonic()

        def on_view(done: int) -> None:
            if self._orders.cancelled.is_set():
                raise CancelledError
            pace_s = (time.monotonic() - began_s) / done
            self._report(eta_s=pace_s * (len(collector) - done) if not self._job.masks else -1.0)

        views = collector.masked(on_view)
        keep_views(self._kept_views, views, self._job.source, self._sha)
        return views

    def _make_trainer(self) -> Trainer:
        count = self._job.iterations
        guided_from = min(TrainingOptions().global_from, count * 2 // 3)
        options = TrainingOptions(
            iterations=count,
            seed=self._job.seed,
            global_from=guided_from,
            pixels_per_iteration=self._job.config.pixels_per_iteration,
        )
        shelf = SpillingShelf(int(self._job.config.memory_gb * 2**30))
        kernels = make_kernels(self._rasterizer.gaussians.device)
        return Trainer(self._rasterizer, self._views.masked, options, shelf, kernels)

    def _train(self) -> None:
        trainer, times = self._trainer, deque([time.monotonic()], maxlen=RECENT + 1)
        self._report(stage="training", iteration=trainer.iteration)
        while not (trainer.is_done or self._orders.cancelled.is_set()):
            step = trainer.step()
            times.append(time.monotonic())
            pace_s = (times[-1] - times[0]) / (len(times) - 1)
            self._report(
                iteration=step.iteration,
                terms=step.terms,
                coarse_clusters=step.coarse_clusters,
                fine_clusters=step.fine_clusters,
                eta_s=pace_s * (trainer.options.iterations - step.iteration),
            )
            self._show()
            if step.iteration % self._job.config.checkpoint_every == 0 and not trainer.is_done:
                save_checkpoint(self._checkpoint, trainer, self._sha)

    def _finish(self) -> Done:
        """Keep what there is."""
        trainer = self._trainer
        if not trainer.iteration:
            return self._done(False, "cancelled before the first iteration; nothing was changed")
        if not trainer.is_done:
            save_checkpoint(self._checkpoint, trainer, self._sha)
        self._report(stage="clusters", eta_s=-1.0)
        result = trainer.result()
        coarse, fine = len(result.coarse_clusters), len(result.fine_clusters)
        self._report(stage="saving", coarse_clusters=coarse, fine_clusters=fine)
        told = f"{trainer.iteration} iterations on {len(self._views.masked)} views"
        if not coarse and not fine:
            return self._done(False, f"{told} found no clusters; resume with more iterations")
        for path in {self._own, self._out}:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_features(path, result, self._sha, self._views.views)
        if trainer.is_done:
            self._checkpoint.unlink(missing_ok=True)
            self._kept_views.unlink(missing_ok=True)
        how = "" if trainer.is_done else "cancelled; resume goes on from here: "
        found = f"{coarse} coarse and {fine} fine clusters, {self._out}"
        return self._done(True, f"{how}{told}: {found}", str(self._out))

    def _done(self, success: bool, message: str, path: str = "") -> Done:
        seconds = time.monotonic() - self._began_s
        return Done(
            success=success, message=message, path=path, progress=self._progress, seconds=seconds
        )

    def _report(self, **changes: object) -> None:
        """Tell how far it is, at once if it is another stage."""
        is_new = changes.get("stage", self._progress.stage) != self._progress.stage
        self._progress = replace(self._progress, **changes)
        now_s = time.monotonic()
        if is_new or now_s - self._told_s >= self._job.config.feedback_period_s:
            self._tell(self._progress)
            self._told_s = now_s

    def _show(self) -> None:
        """Render what the features look like, if somebody looks and it is time."""
        now_s = time.monotonic()
        is_due = now_s - self._shown_s >= self._job.config.preview_period_s
        if not (is_due and self._orders.watched.is_set()):
            return
        self._shown_s = now_s
        features = self._trainer.features
        feature_map = FeatureMap(
            features=features,
            coarse_clusters=features[:0, :COARSE_DEPTH],
            fine_clusters=features[:0, :DEPTH],
        )
        camera = self._views.masked[0].camera
        image = feature_image(self._rasterizer, feature_map, camera, "fine")
        self._tell(Preview(image=(image * 255).round().to(torch.uint8).cpu().numpy()))


def main() -> None:
    """Do the job that comes on stdin."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(event: Progress | Preview | Done) -> None:
        pickle.dump(event, out)
        out.flush()

    job = pickle.load(sys.stdin.buffer)
    os.nice(job.config.niceness)
    orders = Orders(sys.stdin.buffer)
    try:
        tell(Training(job, orders, tell).run())
    except ClickGSError as error:
        tell(Done(success=False, message=str(error)))
    except BrokenPipeError:
        sys.exit("the trainer is gone")
    except OSError as error:
        remedy = "free space or correct its permissions, then resume"
        tell(Done(success=False, message=f"{error.filename}: {error.strerror}; {remedy}"))


if __name__ == "__main__":
    main()
