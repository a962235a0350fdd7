# SPDX-License-Identifier: Apache-2.0
"""What was asked for comes first; what can wait takes turns with the streams."""

import threading

from ros2_clickgs.nodes.worker import Job, Worker


def test_jobs_are_done_by_urgency():
    bugs, done, gate = [], [], threading.Event()
    worker = Worker(bugs.append)

    def doing(name):
        return Job(lambda: done.append(name))

    def look_on():
        done.append("look")
        if done.count("look") < 3:
            worker.put_leisure(Job(look_on))
        else:
            worker.put(Job(finished.set))

    finished = threading.Event()
    worker.put(Job(gate.wait))
    worker.put_leisure(Job(look_on))
    worker.put_newest("left", doing("old left"))
    worker.put_newest("left", doing("left"))
    worker.put_newest("right", doing("right"))
    worker.put(doing("click"))
    gate.set()
    assert finished.wait(10)
    worker.stop()
    assert not bugs
    assert done == ["click", "left", "look", "right", "look", "look"]
