"""The waits of threads that no signal reaches, so that another thread can end them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbactors.local.reactor.waiter import Waiter


class ThreadWaits:
    """Who waits, by the thread's identifier: all threads but the main one."""

    def __init__(self) -> None:
        self._waiters: dict[int, Waiter] = {}

    def waiter_of(self, ident: int) -> Waiter | None:
        """Return what a thread waits for: a wait that a finalizer has interrupted. The thread itself."""
        return self._waiters.get(ident)

    def begin(self, ident: int, waiter: Waiter) -> None:
        """Note a wait. The thread that is about to wait."""
        self._waiters[ident] = waiter

    def end(self, ident: int, outer: Waiter | None) -> None:
        """The wait is over: from now on it is too late to interrupt it. The thread itself.

        Args:
            ident: The thread's.
            outer: The wait in which this one was, if it was in one.
        """
        if outer is None:
            self._waiters.pop(ident, None)
        else:
            self._waiters[ident] = outer

    def interrupt(self, ident: int) -> bool:
        """Have a thread's wait raise KeyboardInterrupt; returns False if it does not wait. Any thread."""
        waiter = self._waiters.get(ident)
        # The comparison and the store are one step. The thread clears the one before it reads the other.
        if waiter is not None and waiter.ident:
            waiter.interrupted = True
            waiter.interrupt()
            return True
        return False
