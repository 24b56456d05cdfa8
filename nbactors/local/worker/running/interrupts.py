"""Interrupting a running synchronous method: KeyboardInterrupt, raised in that very call and nowhere else.

Guarantees:

- It is raised only while the call's own code runs: below `invoke`, and not inside the runtime that this code has
  called (where a lock may be held or a frame half sent). Elsewhere the attempt does nothing and is made again
  `RETRY_S` later; so an attempt that comes a moment before the code begins, or before it enters a system call, is no
  loss either.
- A call that has finished, or the next one, is never hit.

On the main thread it is a signal, which also ends blocking system calls, as Ctrl-C does in a terminal. A pool thread
gets an asynchronous exception, which only Python code notices; where it waits for results, that wait is ended.

What is assumed of the platform: a handler of `signal` runs on the main thread between two bytecodes, and is told the
frame that it interrupts.
"""

from __future__ import annotations

import ctypes
import selectors
import signal
import sys
import threading
import types
from collections.abc import Callable
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from nbactors.frontend.user_code import is_let_through
from nbactors.local.reactor.reactor import Reactor
from nbactors.version import PACKAGE

if TYPE_CHECKING:
    from nbactors.local.reactor.thread_waits import ThreadWaits
    from nbactors.local.worker.jobs.job import Job
    from nbactors.local.worker.running.answers import Answers

RETRY_S = 0.02

LET_IN_S = 0.005
"""What a signal from outside leaves to the thread that reads the reason for it."""

PATIENCE_S = 1.0
"""What a call may take to clean up before it is interrupted again."""

GIVE_UP_S = 5.0
"""After this without a chance to raise it, the caller is told."""

_TEXT = "this call was cancelled"
_BLOCKS = (
    "It has ignored two interrupts, or blocks in a system call: in a threaded actor those reach Python code and waits "
    "for results only."
)


def invoke(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call user code. What runs below this frame may be interrupted."""
    return function(*args, **kwargs)


_INVOKE = invoke.__code__
_WAIT = Reactor.wait.__code__
_REACTOR = _WAIT.co_filename


class Pursuit:
    """One call that is to be interrupted.

    Attributes:
        wanted: How many interrupts it is to get by now.
        most: After so many it is left alone.
        since: When the latest of them was wanted.
    """

    __slots__ = ("job", "most", "since", "wanted")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.wanted = job.interrupts + 1
        self.most = self.wanted + 1
        self.since = monotonic()


class Interrupts:
    """Interrupts of one worker.

    Args:
        on_main: Returns the job whose code the main thread runs, None if it runs none.
    """

    def __init__(self, reactor: Reactor, answers: Answers, on_main: Callable[[], Job | None]) -> None:
        self._reactor = reactor
        self._answers = answers
        self._on_main = on_main
        self._in_handler = False
        self._pursuits: dict[Job, Pursuit] = {}
        self._main_thread = threading.main_thread().ident
        self.windows: dict[int, Window] = {}
        """Of the pool threads, by identifier."""

    def install(self) -> None:
        """Take the signal. Once, on the main thread."""
        signal.signal(signal.SIGINT, self._on_signal)

    def remove(self) -> None:
        """Give the signal back, if it is still ours."""
        if signal.getsignal(signal.SIGINT) == self._on_signal:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def pursue(self, job: Job) -> None:
        """Interrupt a call, and go on until it ends. The leader's thread.

        A task that was just cancelled gets one interrupt, as in Ray, and may take its time.
        """
        if job not in self._pursuits:
            self._pursuits[job] = Pursuit(job)
            self._go_on(job)

    def invoke(self, job: Job, function: Callable[..., Any], *args: Any) -> Any:
        """Call what runs the user's code for a call before or after its method. The thread that runs the call.

        It is not interrupted for a `cancel` as in Ray, which interrupts a task's own function alone.
        """
        window = self.windows.get(threading.get_ident())
        if window is None:
            return invoke(function, args, {})
        try:
            window.open(job)
            return invoke(function, args, {})
        finally:
            window.shut()

    def _go_on(self, job: Job) -> None:
        pursuit = self._pursuits[job]
        if job.answered or job.message.number not in job.connection.jobs.running:
            del self._pursuits[job]
            return
        waited = monotonic() - pursuit.since
        only_asked = job.cancel is not None and job.cancel.mode.only_asks
        if job.interrupts < pursuit.wanted:
            if waited > GIVE_UP_S and not only_asked:
                self._give_up(job, "It has not come back to Python code since, where it could be interrupted.")
            else:
                self._strike(job)
        elif waited > PATIENCE_S:
            if only_asked:
                del self._pursuits[job]
                return
            if pursuit.wanted >= pursuit.most:
                self._give_up(
                    job, "It has ignored two interrupts and still runs." if self._is_on_main(job) else _BLOCKS
                )
            pursuit.wanted += 1
            pursuit.since = monotonic()
        self._reactor.call_later(RETRY_S, lambda: self._go_on(job))

    def _give_up(self, job: Job, why: str) -> None:
        assert job.cancel is not None
        end = "cancel(ref, force=True)" if job.is_task else "kill(handle)"
        self._answers.refuse(job, job.cancel, "running", f"{why} {end} ends its process.")
        job.answered = True

    def _strike(self, job: Job) -> None:
        if self._is_on_main(job):
            signal.pthread_kill(self._main_thread, signal.SIGINT)  # type: ignore[arg-type]
            return
        window = self.windows.get(job.thread)
        if window is not None:
            window.strike(job)

    def _is_on_main(self, job: Job) -> bool:
        return job.thread in (0, self._main_thread)

    def _on_signal(self, number: int, frame: types.FrameType | None) -> None:
        """Raise, if the right call is being run. The main thread."""
        if self._in_handler:
            # Each would lie on the stack of the one before, until there is no more. Whoever sent it sends another.
            return
        self._in_handler = True
        try:
            hit = self._hits(frame)
        finally:
            self._in_handler = False
        if hit:
            raise KeyboardInterrupt(_TEXT)

    def _hits(self, frame: types.FrameType | None) -> bool:
        """Return whether what the main thread runs is to be interrupted now, and count it."""
        job = self._on_main()
        if job is None:
            return False
        if job not in self._pursuits:
            # From the caller: it has waited, so perhaps this code keeps the GIL, and nobody has read what it wants.
            sleep(LET_IN_S)
        pursuit = self._pursuits.get(job)
        if pursuit is None or job.interrupts >= pursuit.wanted or not _may_hit(job, frame):
            return False
        job.interrupts += 1
        pursuit.since = monotonic()
        return True


_AROUND = Interrupts.invoke.__code__


def _may_hit(job: Job, frame: types.FrameType | None) -> bool:
    return is_in_user_code(frame, around=job.cancel is None or not job.cancel.mode.only_asks)


def is_in_user_code(frame: types.FrameType | None, *, around: bool = True) -> bool:
    """Return whether `frame` runs below `invoke`, and is not inside of the runtime.

    Where the runtime calls the user's code on, holding nothing, that is the user's code again: see `user_code`. Not so
    what the reactor calls, for it does that for everybody. `Reactor.wait` calls handlers itself when it has left its
    own state in order.

    Args:
        frame: What a thread runs.
        around: Whether code that runs before or after the method counts, too.
    """
    if frame is not None and frame.f_code is _WAIT:
        while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
            frame = frame.f_back
    is_below = is_called_on = False
    while frame is not None:
        code = frame.f_code
        if code is _INVOKE:
            return is_below and (around or frame.f_back is None or frame.f_back.f_code is not _AROUND)
        if is_let_through(code):
            is_called_on = is_called_on or is_below
        elif not code.co_filename.startswith(PACKAGE):
            is_below = True
        elif not is_called_on or code.co_filename == _REACTOR:
            return False
        frame = frame.f_back
    return False


def _wait_around(frame: types.FrameType | None) -> types.FrameType | None:
    """Return the frame of the reactor's wait that a thread is in, None if it is in none."""
    while frame is not None and frame.f_code is not _WAIT:
        file = frame.f_code.co_filename
        if not (file.startswith(PACKAGE) or file == selectors.__file__):
            return None
        frame = frame.f_back
    return frame


class Window:
    """When a pool thread may be struck: while it runs the code of one call."""

    def __init__(self, thread: int, waits: ThreadWaits) -> None:
        self.ident = thread
        self._waits = waits
        self._thread = ctypes.c_ulong(thread)
        self._lock = threading.Lock()
        self._job: Job | None = None
        self._struck = False

    def open(self, job: Job) -> None:
        """The call's code begins. The thread itself."""
        with self._lock:
            self._job = job

    def shut(self) -> None:
        """The call's code has ended; what was not raised yet never will be. The thread itself."""
        while True:
            try:
                with self._lock:
                    self._job = None
                if self._struck:
                    self._struck = False
                    # Replaced, not taken back: CPython before 3.13 goes on to look for an exception that was taken
                    # back, at each call and loop of all threads, and one that is traced does not get beyond that.
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(self._thread, ctypes.py_object(KeyboardInterrupt))
                    while True:
                        pass
            except KeyboardInterrupt:
                # It was raised here, a moment too late.
                continue
            return

    def strike(self, job: Job) -> None:
        """Raise KeyboardInterrupt in the thread, if it runs that call's own code. Another thread.

        It is raised where the thread next looks for it: at the latest where a function begins, of the runtime's too,
        which then has neither taken a lock nor sent anything. Where it waits for results, the wait raises it.
        """
        frame = sys._current_frames().get(self.ident)
        wait = _wait_around(frame)
        if not _may_hit(job, wait or frame):
            return
        with self._lock:
            if self._job is not job:
                return
            if wait is not None:
                job.interrupts += self._waits.interrupt(self.ident)
            else:
                job.interrupts += 1
                self._struck = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(self._thread, ctypes.py_object(KeyboardInterrupt))
