# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments: every acknowledged change is there afterwards, none is half there."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ros2_clickgs.io.sessions import load_session
from tests.core.sessions import digest
from tests.io.session_process import ABOUT, Session

LONGEST_S = 0.3
PER_SESSION = 20
"""Kills after which another session begins, so that states do not grow without end."""


class Outcomes:
    """What a session must be after each of its changes."""

    def __init__(self, seed: int) -> None:
        self._session = Session(seed)
        self._digests = [digest(self._session.objects.state)]

    def after(self, number: int) -> str:
        """Return the digest after so many changes."""
        while len(self._digests) <= number:
            self._session.step()
            self._digests.append(digest(self._session.objects.state))
        return self._digests[number]


@pytest.fixture
def users():
    """A process that forks users of sessions."""
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-m", "tests.io.session_process"]
    root = Path(__file__).parents[2]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=root, env=environment, **pipes) as process:
        yield process
        process.stdin.close()


def use_and_kill(users: subprocess.Popen, path: Path, seed: int, after_s: float) -> int:
    """Let a user go on with a session and kill it; return the last change it told of."""
    users.stdin.write(f"{path} {seed}\n")
    users.stdin.flush()
    word, pid = users.stdout.readline().split()
    assert word == "pid"
    time.sleep(after_s)
    os.kill(int(pid), signal.SIGKILL)
    told = 0
    while (line := users.stdout.readline()) != "gone\n":
        told = int(line.removeprefix("done "))
    return told


def check_kills(users: subprocess.Popen, folder: Path, kills: int) -> None:
    rng, told, in_flight = random.Random(7), 0, 0
    for kill in range(kills):
        seed = kill // PER_SESSION
        path = folder / f"{seed}.session"
        if kill % PER_SESSION == 0:
            outcomes, told = Outcomes(seed), 0
        told = max(told, use_and_kill(users, path, seed, rng.uniform(0, LONGEST_S)))
        session = Session(seed)
        session.objects.replay(load_session(path, ABOUT))
        found = digest(session.objects.state)
        assert found in (outcomes.after(told), outcomes.after(told + 1))
        in_flight += found == outcomes.after(told + 1)
        told += found == outcomes.after(told + 1)
    assert told > 0
    print(f"{kills} kills, {in_flight} of them between disk and acknowledgement")


def test_killed_15_times(users, tmp_path):
    check_kills(users, tmp_path, 15)


@pytest.mark.slow
def test_killed_200_times(users, tmp_path):
    check_kills(users, tmp_path, 200)
