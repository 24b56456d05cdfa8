"""SIGINT in a session: raised in the user's code and in waits, never in the middle of the runtime's own work.

Guarantees, while the handler is installed:

- A signal never tears code of the runtime on the main thread. It is *due* instead, and is raised when that code has
  returned, when the next verb begins, or in a wait, whichever comes first. So no lock stays taken, no frame is half
  sent, and no count is wrong. The fast path pays for it with one look at `due`.
- A wait ends at once.
- The previous handler decides what an interrupt does: it raises KeyboardInterrupt, or cancels the cell.
- An interrupt reaches a cell that awaits, since it wakes the event loop. ipykernel's own handler does not.

The platform must run a handler of `signal` on the main thread between two bytecodes, and pass it the interrupted frame.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from time import sleep
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from nbactors.frontend.user_code import is_let_through
from nbactors.version import PACKAGE

if TYPE_CHECKING:
    import asyncio

RETRY_S = 0.003
"""Seconds that a signal is due before it is tried again. Most work of the runtime without a wait takes less."""

_ROUNDS = 20
"""Turns of an event loop in which a cancellation reaches the innermost coroutine that the cell's task awaits. Each
coroutine that catches it and raises it again takes one or two."""

_RUNTIME = tuple(PACKAGE + room + os.sep for room in ("local", "engine", "frontend", "pickling"))
_MAIN = threading.main_thread().ident
_SIGINT = int(signal.SIGINT)


class Sleeper(Protocol):
    """A wait of the main thread."""

    def interrupt(self) -> None:
        """End the wait. On the main thread, in a signal handler."""


class Interrupts:
    """The handler of SIGINT. There is one, `INTERRUPTS`.

    Attributes:
        due: Whether a signal has come that was not raised yet.
        sleeper: The main thread's wait in the reactor, which looks at `due` at its end; None outside of a wait.
        handler: The installed function, always the same object.
        is_passing: Whether a cancellation in the event loop comes from an interrupt.
        passed: The number of interrupts that the previous handler has got.
    """

    __slots__ = (
        "_is_reminder",
        "_loop",
        "_previous",
        "_reminding",
        "due",
        "handler",
        "is_passing",
        "passed",
        "sleeper",
    )

    def __init__(self) -> None:
        self.due = False
        self.sleeper: Sleeper | None = None
        self.handler: Callable[[int, FrameType | None], None] = self._on_signal
        self._previous: Callable[[int, FrameType | None], Any] = signal.default_int_handler
        self._loop: weakref.ref[asyncio.AbstractEventLoop] | None = None
        """The main thread's event loop, if one ran when the handler was installed."""
        self.is_passing = False
        self.passed = 0
        self._reminding = False
        self._is_reminder = False

    def install(self) -> None:
        """Install the handler, unless the signal is ignored. Any thread; does nothing on another than the main thread.

        Also called at the beginning of each cell, since ipykernel installs a handler of its own for each.
        """
        if _thread.get_ident() != _MAIN:
            return
        loop = _running_loop()
        if loop is not None:
            self._loop = weakref.ref(loop)
        previous = signal.getsignal(_SIGINT)
        if callable(previous) and previous is not self.handler:
            self.due = False
            self._previous = previous
            signal.signal(_SIGINT, self.handler)

    def remove(self) -> None:
        """Install the previous handler again. Any thread; does nothing on another than the main thread."""
        if _thread.get_ident() == _MAIN and signal.getsignal(_SIGINT) is self.handler:
            signal.signal(_SIGINT, self._previous)

    def wake_loop(self) -> None:
        """Have the main thread's event loop take a turn, so that Python runs the handler of a signal. Any thread."""
        loop = self._loop() if self._loop is not None else None
        if loop is not None:
            try:
                loop.call_soon_threadsafe(_do_nothing)
            except RuntimeError:  # it is closed
                pass

    def raise_due(self) -> None:
        """Raise a signal that is due, on the main thread; return if none is, or if the previous handler does not raise.

        Raises:
            KeyboardInterrupt: Or another error of the previous handler.
        """
        if self.due and _thread.get_ident() == _MAIN:
            self.due = False
            self._pass_on(sys._getframe(1))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._is_reminder:
            self._is_reminder = False
            if not self.due:  # it was raised meanwhile
                return
        sleeper = self.sleeper
        if sleeper is not None:
            self.due = True
            sleeper.interrupt()
        elif _is_in_runtime(frame):
            self.due = True
            self._remind_soon()
        else:
            self.due = False
            self._pass_on(frame)

    def _pass_on(self, frame: FrameType | None) -> None:
        self.passed += 1
        loop = _running_loop()
        if loop is not None:
            self.is_passing = True
            # ipykernel's handler for cells that await uses `call_soon`, which does not end the loop's sleep on the
            # loop's own thread. `call_soon_threadsafe` does.
            loop.call_soon_threadsafe(self._settle_down, loop, _ROUNDS)
        self._previous(_SIGINT, frame)

    def _settle_down(self, loop: asyncio.AbstractEventLoop, rounds: int) -> None:
        """Count the loop's turns until the interrupt has reached the innermost coroutine. On the loop's thread."""
        if rounds:
            loop.call_soon(self._settle_down, loop, rounds - 1)
        else:
            self.is_passing = False

    def _remind_soon(self) -> None:
        if self._reminding:
            return
        self._reminding = True
        try:
            # Not threading.Thread or a timer of the reactor: they take locks, which the interrupted code may hold.
            _thread.start_new_thread(self._remind, ())
        except RuntimeError:  # no more threads: the next verb or wait raises it
            self._reminding = False

    def _remind(self) -> None:
        sleep(RETRY_S)
        self._reminding = False
        if self.due and signal.getsignal(_SIGINT) is self.handler:
            self._is_reminder = True
            signal.pthread_kill(_MAIN, _SIGINT)  # type: ignore[arg-type]


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs on this thread, if one does. Does not import asyncio, which takes long."""
    module = sys.modules.get("asyncio")
    try:
        return module.get_running_loop() if module is not None else None
    except RuntimeError:  # none runs
        return None


def _do_nothing() -> None:
    pass


def _is_in_runtime(frame: FrameType | None) -> bool:
    """Return whether the runtime runs in a frame: as its code, or in a library that it calls; see `user_code`."""
    is_foreign = False
    while frame is not None:
        code = frame.f_code
        if is_foreign and is_let_through(code):
            return False
        if code.co_filename.startswith(_RUNTIME):
            return True
        is_foreign = True
        frame = frame.f_back
    return False


INTERRUPTS = Interrupts()
