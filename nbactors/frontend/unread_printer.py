"""`UnreadPrinter`: writes errors that no code can read any more to stderr, as Ray does, but each kind once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from nbactors.exceptions import reasons
from nbactors.frontend.sink import DROPPED
from nbactors.frontend.text_stream import write_now

if TYPE_CHECKING:
    from nbactors.frontend.sink import UnreadError

VARIABLE = "RAY_IGNORE_UNHANDLED_ERRORS"
"""The variable of the environment that turns these reports off."""

GATHER_S = 0.2
"""Seconds for which errors of one kind are counted before they are written."""

EVERY_S = 1.0
"""Seconds between two writes."""

KINDS = 1_000
"""Kinds that are remembered. The traceback of a kind is written once."""


def are_off() -> bool:
    """Return whether the environment turns these reports off."""
    return bool(os.environ.get(VARIABLE))


class UnreadPrinter:
    """Writes the errors of one process. One thread at a time.

    Args:
        later: Calls a function after so many seconds, without waiting for it.
    """

    def __init__(self, later: Callable[[float, Callable[[], None]], object]) -> None:
        self._later = later
        self._new: dict[tuple[str, str], list[UnreadError]] = {}
        self._told: set[tuple[str, str]] = set()
        self._is_due = False
        self._next_at = 0.0

    def take(self, error: UnreadError, state: str) -> None:
        """Take notice of an error."""
        if state != DROPPED:
            return
        self._new.setdefault((error.call, error.kind), []).append(error)
        if not self._is_due:
            self._is_due = True
            self._later(max(GATHER_S, self._next_at - monotonic()), self.flush)

    def flush(self) -> None:
        """Write what was gathered. Also at the end of a session."""
        self._is_due = False
        self._next_at = monotonic() + EVERY_S
        new, self._new = self._new, {}
        for kind, errors in new.items():
            is_told = kind in self._told
            write_now(sys.stderr, _text(errors[0], len(errors), is_told))
            if len(self._told) < KINDS:
                self._told.add(kind)


def _text(error: UnreadError, count: int, is_told: bool) -> str:
    calls = f" in {count}{' more' if is_told else ''} call{'s' if count > 1 else ''}" if count > 1 or is_told else ""
    text = f"{error.error} (in {error.call})" if is_told else reasons.unread(error.call, error.text, error.pid)
    return f"Unhandled error{calls} (suppress with '{VARIABLE}=1'): {text}\n"
