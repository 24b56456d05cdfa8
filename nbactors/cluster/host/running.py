"""`Running`: the calls of a host that run now, and those that are not to run; how a call is stopped.

A session stops a call by an order, which a thread of the host carries out: see `orders`. A synchronous method on the
main thread is interrupted by a signal, since nothing else ends a sleep or a loop. Ray blocks SIGINT in its workers, so
the signal is a real-time one. On another thread, Python code gets an exception, and system calls go on. A coroutine is
cancelled as asyncio does. A call that has not begun never begins.

A call that goes on for `PATIENCE_S` after its interrupt gets a second one, and no third.
"""

from __future__ import annotations

import _thread
import ctypes
import signal
import threading
from collections import OrderedDict, deque
from functools import partial
from time import monotonic
from types import FrameType
from typing import Any, NamedTuple

from nbactors.cluster.common.timing import later
from nbactors.cluster.host.call import Call
from nbactors.cluster.host.interrupt_signal import INTERRUPT
from nbactors.exceptions import CallTimeoutError, TaskCancelledError

PATIENCE_S = 1.0
"""Seconds that an interrupted call may take to clean up before it is interrupted again."""

_BLOCKS = (
    "It has ignored two interrupts, or blocks in a system call: in an actor with threads those reach Python code and "
    "waits for results only."
)

_BYTECODES = 10
"""Turns of a loop in which an exception from another thread is raised: each turn looks for one."""

KEPT = 10_000
"""Numbers of ended calls that are remembered, and of calls that are not to run."""


class Stop(NamedTuple):
    """Why a call is stopped.

    Attributes:
        interrupts: Whether a running synchronous method is interrupted.
        timeout_s: The limit of time that is over; 0 if the user has cancelled the call.
    """

    interrupts: bool = False
    timeout_s: float = 0.0

    def error(self, call_id: str, phase: str) -> TaskCancelledError:
        """Return the error of the call; `phase` is "queued" or "running"."""
        if self.timeout_s:
            return CallTimeoutError(call_id, phase, self.timeout_s)
        return TaskCancelledError(call_id, "It had not begun." if phase == "queued" else "It was running.")


class Stopped(BaseException):
    """A call was stopped before it had begun.

    Attributes:
        stop: Why.
    """

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop)
        self.stop = stop


class Begun:
    """A call that runs.

    Attributes:
        task: Its asyncio task, None for a synchronous call outside an event loop.
        is_plain: Whether it runs no coroutine.
        thread: The thread that runs it.
        since: When it has begun, by the monotonic clock.
        stop: Set when the call is to end.
        is_struck: Whether an interrupt or a cancellation of its asyncio task has reached it.
        strikes: How many interrupts have been sent to it.
        is_open: Whether an interrupt may reach it now: its user code runs.
        is_dropped: Whether nobody reads its values any more; it ends at its next one.
    """

    __slots__ = (
        "call",
        "is_dropped",
        "is_open",
        "is_plain",
        "is_struck",
        "loop",
        "since",
        "stop",
        "strikes",
        "task",
        "thread",
    )

    def __init__(self, call: Call, task: Any = None, loop: Any = None) -> None:
        self.call = call
        self.task = task
        self.loop = loop
        self.thread = _thread.get_ident()
        self.since = monotonic()
        self.stop: Stop | None = None
        self.is_plain = task is None
        self.is_struck = False
        self.strikes = 0
        self.is_open = False
        self.is_dropped = False


class Running:
    """The calls of one host. Any thread.

    Attributes:
        calls: The calls that run, by their numbers.
    """

    def __init__(self) -> None:
        self.calls: dict[bytes, Begun] = {}
        self._lock = threading.RLock()
        self._stopped: OrderedDict[bytes, Stop] = OrderedDict()
        self._ended: deque[bytes] = deque(maxlen=KEPT)
        self._main: Begun | None = None
        self._main_thread = threading.main_thread().ident or 0

    def listen(self) -> None:
        """Have signals interrupt calls. On the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return  # Ray runs this host's calls elsewhere; none is interrupted then
        signal.signal(INTERRUPT, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {INTERRUPT})

    def begin(self, call: Call, task: Any = None, loop: Any = None) -> Begun:
        """Note that a call begins. On the thread that runs it.

        Raises:
            Stopped: The call was stopped before.
        """
        with self._lock:
            stop = self._stopped.pop(call.number, None) if self._stopped else None
            if stop is not None:
                self._ended.append(call.number)
                raise Stopped(stop)
            begun = self.calls[call.number] = Begun(call, task, loop)
        if begun.is_plain:
            if begun.thread == self._main_thread:
                self._main = begun
            begun.is_open = True
        return begun

    def open_plain(self, begun: Begun) -> None:
        """Note that a call on an event loop has no coroutine: while it runs, nothing else runs on the loop's thread."""
        begun.is_plain = True
        if begun.thread == self._main_thread:
            self._main = begun
        begun.is_open = True

    def end(self, begun: Begun) -> None:
        """Note that a call has ended. On its thread. Nothing interrupts it after this has begun."""
        begun.is_open = False
        if self._main is begun:
            self._main = None
        while True:
            try:
                with self._lock:
                    self.calls.pop(begun.call.number, None)
                    self._ended.append(begun.call.number)
                # What is on its way to this thread is raised here. It is not taken back: CPython 3.11 would go on
                # looking for it, and hangs then where a tracer runs, such as a debugger's or that of coverage.
                for _ in range(_BYTECODES if begun.strikes else 0):
                    pass
                return
            except KeyboardInterrupt:
                continue

    def stop(self, number: bytes, stop: Stop) -> str:
        """Stop a call. Return what it was: "queued", "running" or "ended"."""
        with self._lock:
            begun = self.calls.get(number)
            if begun is None:
                if number in self._ended:
                    return "ended"
                self._stopped[number] = stop
                while len(self._stopped) > KEPT:
                    self._stopped.popitem(last=False)
                return "queued"
            if begun.stop is None or stop.interrupts:
                begun.stop = stop
            if not begun.is_plain:
                begun.is_struck = True
                begun.loop.call_soon_threadsafe(begun.task.cancel)
            elif stop.interrupts:
                self._strike(begun)
                later(PATIENCE_S, partial(self._strike_again, begun))
        return "running"

    def drop(self, number: bytes) -> None:
        """Have a generator end at its next value, or never begin."""
        with self._lock:
            begun = self.calls.get(number)
            if begun is None:
                self.stop(number, Stop())
            else:
                begun.is_dropped = True

    def _strike_again(self, begun: Begun) -> None:
        with self._lock:
            if self.calls.get(begun.call.number) is begun:
                begun.is_open = True
                self._strike(begun)

    def interrupt(self) -> int:
        """Interrupt all calls that run now, and return how many they were."""
        return sum(self.stop(number, Stop(interrupts=True)) == "running" for number in list(self.calls))

    def why_deaf(self, number: bytes) -> str:
        """Return why a call still runs that has got both interrupts; empty if it has ended or has not got them."""
        begun = self.calls.get(number)
        if begun is None or begun.strikes < 2:
            return ""
        return "It has ignored two interrupts and still runs." if begun is self._main else _BLOCKS

    def _strike(self, begun: Begun) -> None:
        begun.strikes += 1
        if begun is self._main:
            signal.pthread_kill(self._main_thread, INTERRUPT)
        elif begun.is_open and begun.thread != self._main_thread:
            begun.is_open = False
            begun.is_struck = True
            _strike_thread(begun.thread, KeyboardInterrupt)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        begun = self._main
        if begun is not None and begun.is_open and begun.stop is not None:
            begun.is_open = False  # one interrupt at a time: code on its way out is not torn
            begun.is_struck = True
            raise KeyboardInterrupt("this call was cancelled")


def _strike_thread(thread: int, error: type[BaseException]) -> None:
    """Raise an exception in another thread at one of its next bytecodes."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
