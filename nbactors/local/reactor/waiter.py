"""`Waiter`: what one thread waits for in the reactor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Lock

    from nbactors.local.reactor.duties import Rousable


class Waiter:
    """What one thread waits for. Made by that thread, finished by any.

    Attributes:
        done: Whether it has happened.
        ident: The waiting thread's identifier.
        follows: Whether the thread sleeps while another one leads, and can be made leader.
        interrupted: Whether the wait is to end although it has not happened.
        lock: What the thread sleeps on as a follower.
        led: The reactor that the thread leads, or has led.
    """

    __slots__ = ("done", "follows", "ident", "interrupted", "led", "lock")

    def __init__(self) -> None:
        self.done = False
        self.ident = 0
        self.follows = False
        self.interrupted = False
        self.lock: Lock | None = None
        self.led: Rousable | None = None

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
