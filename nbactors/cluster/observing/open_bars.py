"""`OpenBars`: the bars of workers that have not ended yet. Those of a worker that has died end with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from nbactors.cluster.common.timing import later
from nbactors.frontend.bar import BarState

LOOK_S = 2.0
"""Seconds without news of a bar after which Ray is asked whether its worker lives, again and again."""


class _Open(NamedTuple):
    """A bar, and when it was last heard of, by the monotonic clock."""

    state: BarState
    at: float


class OpenBars:
    """The bars of a session's workers. Any thread.

    Args:
        show: Shows a state of a bar.
        has_ended: Returns whether a worker has ended, by its id.
    """

    def __init__(self, show: Callable[[BarState], object], has_ended: Callable[[str], bool]) -> None:
        self._show = show
        self._has_ended = has_ended
        self._lock = threading.RLock()
        self._asking = threading.Lock()
        self._open: dict[tuple[str, str], _Open] = {}
        self._is_due = False
        self._is_closed = False

    def take(self, state: BarState) -> None:
        """Show what a worker reports; its id is the state's source."""
        key = state.source, state.bar
        with self._lock:
            if state.closed:
                self._open.pop(key, None)
            else:
                self._open[key] = _Open(state, monotonic())
                self._look_later()
        self._show(state)

    def close(self) -> None:
        """Ask Ray no more: its connection is about to end."""
        with self._asking:
            self._is_closed = True

    def look(self) -> None:
        """End the bars of workers that have ended, of those that were not heard of for long."""
        with self._lock:
            self._is_due = False
            quiet = {key: each.state for key, each in self._open.items() if monotonic() - each.at >= LOOK_S}
        ended = self._ended({state.source for state in quiet.values()})
        for key, state in quiet.items():
            if state.source in ended:
                self._end(key, state)
        with self._lock:
            if self._open:
                self._look_later()

    def _ended(self, workers: set[str]) -> set[str]:
        with self._asking:  # `close` waits for it
            try:
                return set() if self._is_closed else {worker for worker in workers if self._has_ended(worker)}
            except (Exception, SystemExit):  # noqa: BLE001 - Ray does not answer, or was shut down by the user
                return set()

    def _end(self, key: tuple[str, str], state: BarState) -> None:
        with self._lock:
            if key not in self._open or self._open[key].state is not state:  # it was heard of meanwhile
                return
            del self._open[key]
        self._show(state._replace(closed=True, leave=True, failed="its process has ended"))

    def _look_later(self) -> None:
        if not self._is_due and not self._is_closed:
            self._is_due = True
            later(LOOK_S, self.look)
