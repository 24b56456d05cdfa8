"""`ThreadOwners`: which call the code of a thread belongs to. See `in_worker.thread_calls`."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Token

from nbactors.cluster.host.call import CURRENT, Call

_CONSTRUCTOR = "__init__"


class ThreadOwners:
    """See `nbactors.in_worker.thread_calls.Owners`.

    Args:
        end_lines: Ends the unfinished lines of a call.
    """

    def __init__(self, end_lines: Callable[[Call], object]) -> None:
        self._end_lines = end_lines

    def owner(self) -> Call | None:
        """See `Owners.owner`."""
        return CURRENT.get()

    def of_thread(self, owner: Call | None) -> Call | None:
        """See `Owners.of_thread`. The calls that a thread makes are not listed as children of its call."""
        return None if owner is None or owner.method == _CONSTRUCTOR else owner._replace(number=b"")

    def enter(self, owner: Call | None) -> Token[Call | None]:
        """See `Owners.enter`."""
        return CURRENT.set(owner)

    def leave(self, token: Token[Call | None]) -> None:
        """See `Owners.leave`."""
        CURRENT.reset(token)

    def end_lines(self, owner: Call | None) -> None:
        """See `Owners.end_lines`."""
        if owner is not None:
            self._end_lines(owner)
