"""The waits of threads that no signal reaches, so that another thread can end them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbactors.local.client.waiter import Waiter


class ThreadWaits:
    """Who waits, by the thread's identifier: all threads but the main one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: dict[int, Waiter] = {}

    def begin(self, ident: int, waiter: Waiter) -> None:
        """Note a wait. The thread that is about to wait."""
        self._waiters[ident] = waiter

    def end(self, ident: int) -> None:
        """The wait is over: from now on it is too late to interrupt it. The thread itself."""
        with self._lock:
            del self._waiters[ident]

    def interrupt(self, ident: int) -> bool:
        """Have a thread's wait raise KeyboardInterrupt; returns False if it does not wait. Any thread."""
        with self._lock:
            waiter = self._waiters.get(ident)
            if waiter is not None:
                waiter.interrupt()
            return waiter is not None
