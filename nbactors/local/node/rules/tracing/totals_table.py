"""`TotalsTable`: how many calls of each actor have ended, those without a row and forgotten ones included."""

from __future__ import annotations

from collections.abc import Callable

from nbactors.local.wire import messages

KEEP = 10_000
"""Actors whose totals are kept; if there are more, those that have changed least recently are forgotten."""

FINISHED, FAILED, CANCELLED = range(3)
"""How a call has ended."""


class TotalsTable:
    """The totals of actors since the start of the node, in the order of their last changes."""

    def __init__(self) -> None:
        self._counts: dict[bytes, tuple[int, list[int]]] = {}
        """By the actor's id, the number of the last change, and a count for each way to end."""

    def add(self, actor_id: bytes, how: int, number: int, change: Callable[[], int]) -> None:
        """Count calls that have ended, or take them back.

        Args:
            actor_id: The actor, empty for tasks, which have no totals.
            how: `FINISHED`, `FAILED` or `CANCELLED`.
            number: How many, negative to take back.
            change: Returns the number of this change.
        """
        if not actor_id or not number:
            return
        _, counts = self._counts.pop(actor_id, (0, [0, 0, 0]))
        counts[how] = max(0, counts[how] + number)
        self._counts[actor_id] = (change(), counts)
        if len(self._counts) > KEEP:
            del self._counts[next(iter(self._counts))]

    def changed(self, after: int, up_to: int) -> list[messages.ActorTotals]:
        """Return the totals that have changed last after the change `after`, up to the change `up_to`."""
        found = []
        for actor_id, (seq, counts) in reversed(self._counts.items()):
            if seq <= after:
                break
            if seq <= up_to:
                found.append(messages.ActorTotals(actor_id, counts[FINISHED], counts[FAILED], counts[CANCELLED], seq))
        return found
