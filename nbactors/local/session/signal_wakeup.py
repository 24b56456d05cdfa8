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
from nbactors.local.reactor.reactor import Reactor

_MAIN = threading.main_thread().ident

_writers: set[int] = set()
"""The ends of pipes of this module that Python may have for its wakeup descriptor."""

_left: list[tuple[int, int]] = []
"""Pipes of sessions that ended on another thread, which may not take the pipe away from Python. Used again."""


class SignalWakeup:
    """The pipe of one session. Does nothing if another owner has set a wakeup descriptor, or off the main thread.

    Args:
        reactor: Reads the pipe.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._pipe: tuple[int, int] | None = None
        if _thread.get_ident() != _MAIN:
            return
        pipe = _left.pop() if _left else os.pipe()
        _writers.add(pipe[1])
        for end in pipe:
            os.set_blocking(end, False)
        before = signal.set_wakeup_fd(pipe[1], warn_on_full_buffer=False)
        if before in (-1, pipe[1]):
            self._pipe = pipe
            reactor.register(pipe[0], selectors.EVENT_READ, self._on_signal)
        else:
            signal.set_wakeup_fd(before)
            _close(pipe)

    def _on_signal(self, mask: int) -> None:
        """A signal has come. The leader's thread."""
        if self._pipe is not None:
            try:
                os.read(self._pipe[0], 4096)
            except BlockingIOError:  # a signal handler that waits has interrupted this, and has read it
                pass
            INTERRUPTS.wake_loop()

    def remove(self) -> None:
        """Take the pipe away. Any thread; on another than the main thread it stays open for the next session."""
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            return
        self._reactor.unregister(pipe[0])
        if _thread.get_ident() != _MAIN:
            _left.append(pipe)
            return
        _take_from_python()
        _close(pipe)


def _take_from_python() -> None:
    after = signal.set_wakeup_fd(-1)
    if after not in _writers:  # an event loop has set its own since
        signal.set_wakeup_fd(after)


def _close(pipe: tuple[int, int]) -> None:
    _writers.discard(pipe[1])
    for end in pipe:
        os.close(end)


os.register_at_fork(after_in_child=_take_from_python)  # the child's signals are none of the parent's
