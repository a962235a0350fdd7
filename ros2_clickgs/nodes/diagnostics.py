# SPDX-License-Identifier: Apache-2.0
"""What came in, what was dropped and why: counted, logged throttled, told on /diagnostics."""

import threading
import time
from collections import Counter
from collections.abc import Mapping

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from ros2_clickgs.core.gates import TO_MASKS, objection_counts
from ros2_clickgs.core.state import State
from ros2_clickgs.errors import ClickGSError

LOG_PERIOD_S = 5.0
"""The same kind of drop is logged at most this often."""


class Diagnostics:
    """Counts of one node; any thread may count."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._received: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._superseded: Counter[str] = Counter()
        self._logged_at: dict[str, float] = {}
        self._newest_reason = ""
        self._reported = (time.monotonic(), Counter[str](), 0)

    def received(self, stream: str) -> None:
        """Count a message that came on a stream."""
        with self._lock:
            self._received[stream] += 1

    def dropped(self, stream: str, error: ClickGSError | str) -> bool:
        """Count a drop; return whether it is time to log one of its kind.

        Args:
            stream: where it came from.
            error: the reason; a text is both the kind and the whole story.
        """
        kind = f"{stream}: {error if isinstance(error, str) else type(error).__name__}"
        now = time.monotonic()
        with self._lock:
            self._dropped[kind] += 1
            self._newest_reason = f"{stream}: {error}"
            is_due = now - self._logged_at.get(kind, -LOG_PERIOD_S) >= LOG_PERIOD_S
            if is_due:
                self._logged_at[kind] = now
        return is_due

    def superseded(self, stream: str) -> None:
        """Count a message that a newer one replaced: no reason to warn, the worker is busy."""
        with self._lock:
            self._superseded[stream] += 1

    def report(
        self,
        stamp: Time,
        facts: Mapping[str, object],
        parts: Mapping[str, Mapping[str, object]] | None = None,
    ) -> DiagnosticArray:
        """Return the counts since the start, the rates since the last report, further facts.

        Args:
            stamp: now.
            facts: about the node as a whole.
            parts: name of a part of it -> facts about that, as a status of its own.
        """
        now = time.monotonic()
        with self._lock:
            then, received_then, dropped_then = self._reported
            received, dropped = Counter(self._received), Counter(self._dropped)
            superseded = Counter(self._superseded)
            self._reported = (now, received, dropped.total())
            reason = self._newest_reason
        values = dict(facts)
        for stream, count in sorted(received.items()):
            rate_hz = (count - received_then[stream]) / max(now - then, 1e-3)
            values |= {f"received {stream}": count, f"rate {stream} [Hz]": f"{rate_hz:.1f}"}
        values |= {f"dropped {kind}": count for kind, count in sorted(dropped.items())}
        values |= {f"dropped {s}: superseded": count for s, count in sorted(superseded.items())}
        is_dropping = dropped.total() > dropped_then
        status = DiagnosticStatus(
            name=self._name,
            level=DiagnosticStatus.WARN if is_dropping else DiagnosticStatus.OK,
            message=f"dropped {reason}" if is_dropping else "running",
            values=pairs(values),
        )
        statuses = [status]
        for name, part in (parts or {}).items():
            name = f"{self._name}: {name}"
            statuses.append(DiagnosticStatus(name=name, message="found", values=pairs(part)))
        return DiagnosticArray(header=Header(stamp=stamp), status=statuses)


def pairs(values: Mapping[str, object]) -> list[KeyValue]:
    """Return what a status tells."""
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]


def facts_of_objects(state: State) -> dict[str, dict[str, object]]:
    """Return how often each object was seen, and why masks of it do not vote or were not drawn."""
    facts = {}
    for object_id, ballot in state.ballots.items():
        reasons = {
            f"{'rejected' if reason in TO_MASKS else 'not asked'}: {reason.value}": count
            for reason, count in objection_counts(ballot).items()
        }
        facts[f"object {object_id} {ballot.name}"] = {
            "views": len(ballot.view_points),
            "settled": ballot.settled,
            **reasons,
        }
    return facts
