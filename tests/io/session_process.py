# SPDX-License-Identifier: Apache-2.0
"""A process that uses a session until it is killed; for each line on stdin it forks such a user.

Line: PATH SEED. The user prints its process id, then the number of every change that was accepted,
after it was; the changes of a session are the same in every run, so their outcome is known.
"""

import os
import random
import sys

import torch

from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.operations import Operation
from ros2_clickgs.core.recipe import recipe
from ros2_clickgs.io.sessions import Journal, SessionMap
from tests.core.blobs import BLOB_COUNT, blob_map
from tests.core.sessions import StillRasterizer, act

ABOUT = SessionMap(
    sha256="c" * 64, gaussian_count=2 * BLOB_COUNT, map_to_splat=(1.0, 0.0, 0.0, 0.0)
)
SHORTEN_EVERY = 23
NUMBERED = 1000
"""Ids kept free after each change, so that the next id tells how many there were."""


class Session:
    """An object map whose changes are determined by a seed and their number."""

    def __init__(self, seed: int) -> None:
        self.objects, self.seed, self.number = ObjectMap(StillRasterizer(blob_map())), seed, 0
        self.change: list = []

    def step(self) -> None:
        """Make the next change, and number it."""
        self.number += 1
        self.change.clear()
        self.objects.record = self.change.append
        act(self.objects, random.Random(1000 * self.seed + self.number))
        number = Operation("reserve", {"next_id": self.number * NUMBERED})
        self.objects.replay([number])
        self.change.append(number)


def use(path: str, seed: int) -> None:
    """Bring a session back and go on with it, for ever."""
    journal, session = Journal(path, ABOUT), Session(seed)
    session.objects.replay(journal.operations)
    session.number = session.objects.state.next_id // NUMBERED
    print("pid", os.getpid(), flush=True)
    while True:
        session.step()
        journal.append(session.change)
        print("done", session.number, flush=True)
        if session.number % SHORTEN_EVERY == 0:
            journal.replace(recipe(session.objects.state))


def main() -> None:
    """Fork a user per line; end with stdin."""
    torch.set_num_threads(1)
    for line in sys.stdin:
        path, seed = line.split()
        child = os.fork()
        if child == 0:
            use(path, int(seed))
        os.waitpid(child, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()
