"""`Waiter`: one wait of one thread in the reactor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbactors.speedups import compiled

if TYPE_CHECKING:
    from threading import Lock

    from nbactors.local.reactor.duties import Rousable

if compiled is not None and not TYPE_CHECKING:
    Waiter = compiled.Waiter
else:

    class Waiter:
        """One wait of one thread. The waiting thread makes it; any thread may finish it.

        Attributes:
            done: Whether the awaited event has happened.
            ident: The waiting thread's identifier.
            follows: Whether the thread is a follower, which can be made the leader.
            interrupted: Whether the wait is to end although the event has not happened.
            lock: The lock on which the thread sleeps as a follower.
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
            """Note that the awaited event has happened. Idempotent; any thread; waits for no lock."""
            self.done = True
            self.rouse()

        def ready(self, thing: object) -> None:
            """Do what `finish` does. Called by what is waited for, of which this waiter is a listener."""
            self.finish()

        def interrupt(self) -> None:
            """End the wait although the event has not happened. In the thread's signal handler, or by `ThreadWaits`."""
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
