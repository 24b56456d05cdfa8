"""`ActorLog`: the latest changes of actors' states, and the latest waits of drivers."""

from __future__ import annotations

from collections import deque

from nbactors.local.node.rules.tracing.task_table import Sequence
from nbactors.local.wire import messages

KEEP = 5000
"""How many changes are kept. A reader that is further behind misses older ones."""


class ActorLog:
    """Moments in the order of their numbers.

    Args:
        sequence: Numbers the changes.
    """

    def __init__(self, sequence: Sequence) -> None:
        self._sequence = sequence
        self._moments: deque[messages.ActorMoment] = deque()
        self._waits: deque[messages.DriverWaits] = deque()

    def note(self, now: float, actor_id: bytes, class_name: str, name: str, state: str, **worker: object) -> None:
        """Note that an actor is in a state now. `worker`: `process_id`, `pid` and `job`."""
        facts: dict[str, object] = {"process_id": b"", "pid": 0, "job": b"", **worker}
        self._moments.append(
            messages.ActorMoment(actor_id, class_name, name, state, now, seq=self._sequence.next(), **facts)  # type: ignore[arg-type]
        )
        if len(self._moments) > KEEP:
            self._moments.popleft()

    def note_waits(self, process_id: bytes, pid: int, waits: list[messages.Wait]) -> None:
        """Note waits of a driver's own code."""
        self._waits.append(messages.DriverWaits(process_id, pid, waits, self._sequence.next()))
        if len(self._waits) > KEEP:
            self._waits.popleft()

    def moments(self, after: int, up_to: int) -> list[messages.ActorMoment]:
        """Return the changes after the change `after`, up to the change `up_to`."""
        return _between(self._moments, after, up_to)

    def waits(self, after: int, up_to: int) -> list[messages.DriverWaits]:
        """Return the waits after the change `after`, up to the change `up_to`."""
        return _between(self._waits, after, up_to)


def _between(items: deque, after: int, up_to: int) -> list:  # type: ignore[type-arg]
    found = []
    for item in reversed(items):
        if item.seq <= after:
            break
        if item.seq <= up_to:
            found.append(item)
    found.reverse()
    return found
