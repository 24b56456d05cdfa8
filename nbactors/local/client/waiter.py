"""`Waiter`: what one thread waits for in the reactor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Lock

    from nbactors.local.client.reactor import Reactor


class Waiter:
    """What one thread waits for. Made by that thread, finished by any."""

    __slots__ = ("done", "interrupted", "led", "lock", "promoted")

    def __init__(self) -> None:
        self.done = False
        self.promoted = False
        self.interrupted = False
        self.lock: Lock | None = None
        self.led: Reactor | None = None

    def finish(self) -> None:
        """Say that it has happened. Idempotent; any thread; takes no lock that can be held."""
        self.done = True
        self.rouse()

    def interrupt(self) -> None:
        """End the wait, although it has not happened. The waiting thread's signal handler, or see `ThreadWaits`."""
        self.interrupted = True
        if self.led is not None:
            self.led.wake()
        self.rouse()

    def rouse(self) -> None:
        """Wake the thread if it sleeps, as a follower or as the leader."""
        lock = self.lock
        if lock is not None:
            try:
                lock.release()
            except RuntimeError:  # it is awake already
                pass
        if self.led is not None:
            self.led.end_sleep()
