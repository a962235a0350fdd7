# SPDX-License-Identifier: Apache-2.0
"""What makes objects last: a change is whole, and on the disk, before anybody is told of it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ros2_clickgs.config import SegmenterConfig
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.operations import Operation
from ros2_clickgs.core.recipe import recipe
from ros2_clickgs.core.state import State
from ros2_clickgs.errors import ClickGSError, SessionInUseError
from ros2_clickgs.io.sessions import Journal, SessionMap, load_session, save_session
from ros2_clickgs.nodes.files import path_below

AUTO = "auto"
SUFFIX = ".session"
SHORTEN_FROM_BYTES = 1 << 26
"""A session's file is shortened when it has grown by this much and to twice its size."""
log = logging.getLogger(__name__)


class Session:
    """Changes of an ObjectMap, one after the other."""

    def __init__(self, objects: ObjectMap, about: SessionMap, path: Path | None) -> None:
        """Bring back what the file holds.

        Args:
            objects: the map, without objects.
            about: what the file has to be about.
            path: where changes are kept; None keeps them nowhere.

        Raises:
            ClickGSError: the file is damaged, in use, about another map, or cannot be written.
        """
        self._objects, self._about, self._empty = objects, about, objects.state
        self._operations: list[Operation] = []
        self._is_other = False
        self._begin = (objects.state, objects.labels())
        self._touched: set[int] = set()
        self._journal = Journal(path, about) if path else None
        if self._journal:
            objects.replay(self._journal.operations)
            self._journal.operations.clear()
        objects.record = self._operations.append

    @property
    def path(self) -> Path | None:
        """Where changes are kept; None: nowhere."""
        return self._journal.path if self._journal else None

    @contextmanager
    def change(self) -> Iterator[None]:
        """Keep what the block does to the objects, or, if it raises, take all of it back.

        Raises:
            ClickGSError: it cannot be written; then it has not happened.
        """
        self._begin = (self._objects.state, self._objects.labels())
        self._touched = set()
        try:
            yield
            self.touch()
            self._keep()
        except BaseException:
            self._objects.state = self._begin[0]
            raise
        finally:
            self._operations.clear()
            self._is_other = False
        self._shorten()

    def touch(self) -> None:
        """Count the change in hand as one of every object that it changes; within a `change`."""
        before, labels = self._begin
        moved = labels != self._objects.labels()
        owners = torch.cat([labels[moved], self._objects.labels()[moved]]).unique().tolist()
        changed = changed_objects(before, self._objects.state) | set(owners)
        changed = (changed & set(self._objects.ids)) - self._touched
        if changed:
            self._objects.touch(sorted(changed))
        self._touched |= changed

    def save(self, path: Path | None, *, overwrite: bool) -> Path:
        """Write the session; return where to.

        Args:
            path: None means its own file, which is made shorter by it.
            overwrite: replace another session's file.

        Raises:
            ClickGSError: the file is there and to stay, or cannot be written.
        """
        if path is None or path == self.path:
            if self._journal is None:
                raise ClickGSError("no session is running (parameter session); give a path")
            self._journal.replace(recipe(self._objects.state))
            return self._journal.path
        if path.exists() and not overwrite:
            raise ClickGSError(f"{path} exists; set overwrite or choose another name")
        save_session(path, self._about, recipe(self._objects.state))
        return path

    def load(self, path: Path) -> None:
        """Take over another session in place of what there is; within a `change`.

        Raises:
            ClickGSError: the file is missing, damaged, or about another map.
        """
        operations = load_session(path, self._about)
        self._objects.state = self._empty
        self._objects.replay(operations)
        self._is_other = True

    def close(self) -> None:
        """Let another process have the file."""
        if self._journal:
            self._journal.close()

    def _keep(self) -> None:
        if self._journal and self._is_other:
            self._journal.replace(recipe(self._objects.state))
        elif self._journal and self._operations:
            self._journal.append(self._operations)

    def _shorten(self) -> None:
        journal = self._journal
        if journal and journal.size > SHORTEN_FROM_BYTES + 2 * journal.snapshot_size:
            try:
                journal.replace(recipe(self._objects.state))
            except ClickGSError as error:
                log.warning("the session's file stays long: %s", error)


def open_session(objects: ObjectMap, config: SegmenterConfig, map_sha256: str) -> Session:
    """Open the session that the parameters name.

    Raises:
        ClickGSError: it cannot be had. `auto` does without when another process has it.
    """
    place = config.map_to_splat
    about = SessionMap(
        sha256=map_sha256,
        gaussian_count=len(objects.state.hidden),
        map_to_splat=(place.scale, *place.translation_m, *place.rotation_xyzw),
    )
    name = config.session
    if not name:
        return Session(objects, about, None)
    if name == AUTO:
        name = f"{Path(config.map_path).stem}-{map_sha256[:8]}"
    path = path_below(config.session_dir, name)
    path = path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)
    try:
        return Session(objects, about, path)
    except SessionInUseError as error:
        if config.session != AUTO:
            raise
        log.warning("session auto: nothing is kept, as %s", error)
        return Session(objects, about, None)


def changed_objects(before: State, after: State) -> set[int]:
    """Return the objects of a state that are not what they were: votes, clicks, names, looks."""
    old = before.ballots
    changed = {i for i, ballot in after.ballots.items() if ballot is not old.get(i)}
    edits = {entry.edit for entry in before.done} ^ {entry.edit for entry in after.done}
    return changed | ({edit.object_id for edit in edits} & set(after.ballots))
