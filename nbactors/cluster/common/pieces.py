"""`Pieces`: waits inside of Ray's code, in pieces. No interrupt and no other thread reaches a thread there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from time import monotonic

SLICE_S = 0.1
"""Seconds of a piece of a wait that is to come back to Python code often."""

VISIT_S = 0.05
"""The same for a thread that may be asked to call something meanwhile."""


class Visits:
    """What the main thread is asked to call while it waits."""

    def __init__(self) -> None:
        self._main_thread = threading.main_thread().ident
        self._callbacks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._waits = 0

    @property
    def is_on_main_thread(self) -> bool:
        """Whether the calling thread is the main one."""
        return threading.get_ident() == self._main_thread

    def ask(self, callback: Callable[[], None]) -> bool:
        """Have the main thread call `callback`; return False if it does not wait. Any thread."""
        if not self._waits:
            return False
        self._callbacks.put(callback)
        return True

    def begin(self) -> None:
        """Note that a wait begins. The main thread."""
        self._waits += 1

    def end(self) -> None:
        """Note that a wait ends, and call what is still to be called. The main thread."""
        self._waits -= 1
        self.run()

    def run(self) -> None:
        """Call what is to be called. The main thread."""
        while not self._callbacks.empty():
            self._callbacks.get()()


class Pieces:
    """How waits are divided. Any thread.

    Args:
        is_divided: Returns whether all waits of the calling thread are.

    Attributes:
        visits: In a session with a front end, what asks the main thread; None elsewhere.
    """

    def __init__(self, is_divided: Callable[[], bool]) -> None:
        self._is_divided = is_divided
        self.visits: Visits | None = None

    @contextmanager
    def of(self, timeout: float | None, is_divided: bool = False) -> Iterator[Iterator[float | None]]:
        """Return an iterator over the pieces of a wait, which the waiting thread takes inside of this context.

        An item is the seconds of a piece, None for one without end. The last piece ends with `timeout`.

        Args:
            timeout: Seconds of the whole wait, None for no limit.
            is_divided: Whether it is divided in any case.
        """
        visits = self.visits
        if visits is None or not visits.is_on_main_thread:
            yield _lengths(timeout, SLICE_S if is_divided or self._is_divided() else None)
            return
        visits.begin()
        try:
            yield _lengths(timeout, VISIT_S, visits.run)
        finally:
            visits.end()


def _nothing() -> None:
    return None


def _lengths(
    timeout: float | None, longest: float | None, between: Callable[[], object] = _nothing
) -> Iterator[float | None]:
    deadline = None if timeout is None else monotonic() + timeout
    while True:
        left = None if deadline is None else max(deadline - monotonic(), 0.0)
        yield left if longest is None else longest if left is None else min(left, longest)
        if longest is None or (deadline is not None and monotonic() >= deadline):
            return
        between()
