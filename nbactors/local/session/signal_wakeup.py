"""A signal that comes just when the main thread goes to sleep ends that sleep.

Python only notes a signal, and runs its handler on the main thread between two bytecodes. A signal that comes after the
last of these, but before the system call that sleeps, does not end the system call. The handler would run when another
event ends it: for an awaited result perhaps never. The same holds for a signal that the system delivers to another
thread. So each signal also writes a byte into a pipe (`signal.set_wakeup_fd`), which the reactor reads:

- If the main thread leads the reactor, it wakes up and runs the handler.
- If it runs an event loop, the reactor's leader has the loop take a turn.
"""

from __future__ import annotations

import _thread
import os
import selectors
import signal
import threading

from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.local.reactor.bell import Bell
from nbactors.local.reactor.reactor import Reactor

_MAIN = threading.main_thread().ident

_bells: dict[int, Bell] = {}
"""The pipes of this module by the descriptor that Python may write to. One whose session has ended on another thread,
which may not take it away from Python, stays for the next session."""


class SignalWakeup:
    """The pipe of one session. Does nothing if another owner has set a wakeup descriptor, or off the main thread.

    Args:
        reactor: Reads the pipe.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._bell: Bell | None = None
        if _thread.get_ident() != _MAIN:
            return
        before = signal.set_wakeup_fd(-1)
        if before not in (-1, *_bells):
            signal.set_wakeup_fd(before)
            return
        bell = _bells.get(before) or Bell()
        _bells[bell.writer] = bell
        signal.set_wakeup_fd(bell.writer, warn_on_full_buffer=False)
        self._bell = bell
        reactor.register(bell.fileno(), selectors.EVENT_READ, self._on_signal)

    def _on_signal(self, mask: int) -> None:
        """A signal has come. The leader's thread."""
        if self._bell is not None:
            self._bell.still()
            INTERRUPTS.wake_loop()

    def remove(self) -> None:
        """Take the pipe away. Any thread; on another than the main thread it stays open for the next session."""
        bell, self._bell = self._bell, None
        if bell is None:
            return
        self._reactor.unregister(bell.fileno())
        if _thread.get_ident() == _MAIN:
            _take_from_python()
            del _bells[bell.writer]
            bell.close()


def _take_from_python() -> None:
    after = signal.set_wakeup_fd(-1)
    if after not in _bells:  # an event loop has set its own since
        signal.set_wakeup_fd(after)


os.register_at_fork(after_in_child=_take_from_python)  # the child's signals are none of the parent's
