"""SIGINT in a session: raised in the user's code and in waits, never in the middle of the runtime's own work.

Guarantees, while the handler is installed:

- Code of the runtime that the main thread runs is not torn: a signal that comes there is *due*, and is raised when
  that code has returned, when the next verb begins, or in a wait, whichever comes first. So a lock is never left
  taken, a frame never half sent, and a count never wrong; and the fast path pays for it with one look at `due`.
- A wait ends at once.
- What an interrupt means is for the handler that was there before: it raises KeyboardInterrupt, or cancels the cell.
- It reaches a cell that awaits: the event loop is woken, which ipykernel's own handler does not do.

What is assumed of the platform: a handler of `signal` runs on the main thread between two bytecodes, and is told the
frame that it interrupts.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable
from time import sleep
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from nbactors.frontend.user_code import is_let_through
from nbactors.version import PACKAGE

if TYPE_CHECKING:
    import asyncio

RETRY_S = 0.003
"""How long a signal is due before it is tried again. What the runtime does without waiting mostly takes less."""

_ROUNDS = 20
"""Turns of an event loop in which a cancellation has come down from the cell's task to what it awaits; each coroutine
that catches and hands on takes one or two."""

_RUNTIME = tuple(PACKAGE + room + os.sep for room in ("local", "engine", "frontend"))
_MAIN = threading.main_thread().ident
_SIGINT = int(signal.SIGINT)


class Sleeper(Protocol):
    """What the main thread waits for."""

    def interrupt(self) -> None:
        """End the wait. The main thread, in a signal handler."""


class Interrupts:
    """The handler of SIGINT. There is one, `INTERRUPTS`.

    Attributes:
        due: A signal has come and was not raised yet.
        sleeper: What the main thread waits for in the reactor; it looks at `due` when it has left.
        handler: What is installed, always the same object.
        is_passing: What the event loop cancels now it cancels for an interrupt.
    """

    __slots__ = ("_is_reminder", "_previous", "_reminding", "due", "handler", "is_passing", "sleeper")

    def __init__(self) -> None:
        self.due = False
        self.sleeper: Sleeper | None = None
        self.handler: Callable[[int, FrameType | None], None] = self._on_signal
        self._previous: Callable[[int, FrameType | None], Any] = signal.default_int_handler
        self.is_passing = False
        self._reminding = False
        self._is_reminder = False

    def install(self) -> None:
        """Take the signal, unless it is ignored. Any thread; does nothing on another than the main one.

        ipykernel sets a handler for each cell, so this is called at the begin of each cell, too.
        """
        if _thread.get_ident() != _MAIN:
            return
        previous = signal.getsignal(_SIGINT)
        if callable(previous) and previous is not self.handler:
            self.due = False
            self._previous = previous
            signal.signal(_SIGINT, self.handler)

    def remove(self) -> None:
        """Give the signal back to the handler before. Any thread; does nothing on another than the main one."""
        if _thread.get_ident() == _MAIN and signal.getsignal(_SIGINT) is self.handler:
            signal.signal(_SIGINT, self._previous)

    def raise_due(self) -> None:
        """Raise what is due, on the main thread; return if there is nothing, or if its handler does not raise.

        Raises:
            KeyboardInterrupt: Or whatever else the handler before raises.
        """
        if self.due and _thread.get_ident() == _MAIN:
            self.due = False
            self._pass_on(sys._getframe(1))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._is_reminder:
            self._is_reminder = False
            if not self.due:  # raised meanwhile
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
        module = sys.modules.get("asyncio")
        if module is not None:
            try:
                loop = module.get_running_loop()
            except RuntimeError:  # none runs
                pass
            else:
                self.is_passing = True
                # ipykernel's handler for cells that await uses `call_soon`, which on the loop's own thread does not end
                # the loop's sleep. This does.
                loop.call_soon_threadsafe(self._settle_down, loop, _ROUNDS)
        self._previous(_SIGINT, frame)

    def _settle_down(self, loop: asyncio.AbstractEventLoop, rounds: int) -> None:
        """Count the loop's turns until the interrupt has reached what the cell awaits. On the loop's thread."""
        if rounds:
            loop.call_soon(self._settle_down, loop, rounds - 1)
        else:
            self.is_passing = False

    def _remind_soon(self) -> None:
        if self._reminding:
            return
        self._reminding = True
        try:
            # Neither threading.Thread nor a timer of the reactor: both take locks, which the code that was interrupted
            # may hold.
            _thread.start_new_thread(self._remind, ())
        except RuntimeError:  # no more threads: the next verb or wait raises it
            self._reminding = False

    def _remind(self) -> None:
        sleep(RETRY_S)
        self._reminding = False
        if self.due and signal.getsignal(_SIGINT) is self.handler:
            self._is_reminder = True
            signal.pthread_kill(_MAIN, _SIGINT)  # type: ignore[arg-type]


def _is_in_runtime(frame: FrameType | None) -> bool:
    """Return whether the frame is the runtime's, or was called by it and not through to the user's code."""
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
