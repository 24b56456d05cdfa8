"""The waits of threads that no signal reaches, so that another thread can end these waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbactors.local.reactor.waiter import Waiter


class ThreadWaits:
    """The current waiter of each waiting thread but the main one, by the thread's identifier."""

    def __init__(self) -> None:
        self._waiters: dict[int, Waiter] = {}

    def waiter_of(self, ident: int) -> Waiter | None:
        """Return the thread's current waiter: set if a finalizer has interrupted a wait. On the thread itself."""
        return self._waiters.get(ident)

    def begin(self, ident: int, waiter: Waiter) -> None:
        """Note that the thread waits. On the thread itself, before it waits."""
        self._waiters[ident] = waiter

    def end(self, ident: int, outer: Waiter | None) -> None:
        """Note that the wait, which may be inside an `outer` one, can not be interrupted any more. On the thread."""
        if outer is None:
            self._waiters.pop(ident, None)
        else:
            self._waiters[ident] = outer

    def interrupt(self, ident: int) -> bool:
        """Make a thread's wait raise KeyboardInterrupt. Return False if the thread does not wait. Any thread."""
        waiter = self._waiters.get(ident)
        # The comparison and the store are atomic. The waiting thread clears `ident` before it reads `interrupted`.
        if waiter is not None and waiter.ident:
            waiter.interrupted = True
            waiter.interrupt()
            return True
        return False
