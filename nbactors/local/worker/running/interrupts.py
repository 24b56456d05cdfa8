"""Interrupting a running synchronous call: KeyboardInterrupt is raised in this call and nowhere else.

    leader's thread: pursue ──► every RETRY_S: strike ─┬─► main thread: SIGINT, whose handler raises in user code
                                                       └─► pool thread: PyThreadState_SetAsyncExc, or its wait ends

- KeyboardInterrupt is raised only while user code of the call runs: below `invoke`, and not inside the runtime that
  this code has called, where a lock may be held or a frame half sent. Otherwise the attempt does nothing, and the next
  one comes `RETRY_S` later. So an attempt just before user code begins, or enters a system call, is not the last one.
- A finished call, and the call after it, are never interrupted.
- The signal also ends blocking system calls, as Ctrl-C does in a terminal. On a pool thread only Python code notices
  the exception; a wait for results there is ended by the reactor.

The platform must run signal handlers on the main thread between two bytecodes, and pass them the interrupted frame.
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
from nbactors.in_worker.thread_frames import current_frames
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.version import PACKAGE

if TYPE_CHECKING:
    from nbactors.frontend.interrupts import Sleeper
    from nbactors.local.reactor.thread_waits import ThreadWaits
    from nbactors.local.worker.jobs.job import Job
    from nbactors.local.worker.running.answers import Answers

RETRY_S = 0.02

LET_IN_S = 0.005
"""Seconds for which the handler of a caller's signal lets the leader's thread run, to read the caller's `Cancel`."""

PATIENCE_S = 1.0
"""Seconds that an interrupted call may take to clean up before it is interrupted again."""

GIVE_UP_S = 5.0
"""Seconds of vain attempts after which the caller is told that the call cannot be interrupted."""

_TEXT = "this call was cancelled"
_BLOCKS = (
    "It has ignored two interrupts, or blocks in a system call: in a threaded actor those reach Python code and waits "
    "for results only."
)


def invoke(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call user code. Interrupts are raised only below this function's frame."""
    return function(*args, **kwargs)


_INVOKE = invoke.__code__
_WAIT = Reactor.wait.__code__
_WAITS = (_WAIT, Reactor._wait_sheltered.__code__)
_REACTOR = _WAIT.co_filename


class Pursuit:
    """The attempts to interrupt one call.

    Attributes:
        wanted: The number of interrupts that the call should have got by now.
        most: The number of interrupts after which the caller is told that the call goes on.
        since: The monotonic time at which the latest interrupt was wanted or raised.
    """

    __slots__ = ("job", "most", "since", "wanted")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.wanted = job.interrupts + 1
        self.most = self.wanted + 1
        self.since = monotonic()


class Interrupts:
    """The interrupts of one worker.

    Args:
        on_main: Returns the job whose code the main thread runs, None if it runs none.
    """

    def __init__(self, reactor: Reactor, answers: Answers, on_main: Callable[[], Job | None]) -> None:
        self._reactor = reactor
        self._answers = answers
        self._on_main = on_main
        self._in_handler = False
        self.handler: Callable[[int, types.FrameType | None], None] = self._on_signal
        self.due = False
        self.sleeper: Sleeper | None = None
        self._pursuits: dict[Job, Pursuit] = {}
        self._main_thread = threading.main_thread().ident
        self.windows: dict[int, Window] = {}
        """The windows of pool threads, by the thread's identifier."""

    def install(self) -> None:
        """Set the handler of SIGINT. Once, on the main thread."""
        signal.signal(signal.SIGINT, self.handler)
        self._reactor.shelter = self

    def remove(self) -> None:
        """Restore Python's handler of SIGINT, unless user code has set one."""
        if signal.getsignal(signal.SIGINT) is self.handler:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def pursue(self, job: Job) -> None:
        """Interrupt a call, again and again until it ends. The leader's thread.

        A task that `cancel` has only asked to end gets one interrupt, as in Ray, and may take its time.
        """
        if job not in self._pursuits:
            self._pursuits[job] = Pursuit(job)
            self._go_on(job)

    def invoke(self, job: Job, function: Callable[..., Any], *args: Any) -> Any:
        """Call user code around a call's method, such as the unpickling of its arguments. The call's thread.

        A plain `cancel` does not interrupt this code: as in Ray it interrupts only the function of a task.
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
                # At once: a signal that was sent before may reach the main thread late, and would interrupt the call,
                # which was given up.
                del self._pursuits[job]
                return
            pursuit.wanted += 1
            pursuit.since = monotonic()
        self._reactor.call_later(RETRY_S, lambda: self._go_on(job))

    def _give_up(self, job: Job, why: str) -> None:
        assert job.cancel is not None
        if job.cancel.mode is CancelMode.MEMORY:
            return  # the watch that has interrupted the call ends the process soon
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
        """Raise KeyboardInterrupt if the main thread runs user code of a pursued call. The main thread."""
        sleeper = self.sleeper
        if sleeper is not None:
            self.due = True
            sleeper.interrupt()
        else:
            self._raise_in(frame)

    def _raise_in(self, frame: types.FrameType | None) -> None:
        if self._in_handler:
            # Nested handlers could exhaust the stack. The signal is not lost: its sender repeats it.
            return
        self._in_handler = True
        try:
            hit = self._hits(frame)
        finally:
            self._in_handler = False
        if hit:
            raise KeyboardInterrupt(_TEXT)

    def raise_due(self) -> None:
        """See `Shelter`. The wait counts as the code that waits."""
        self.due = False
        self._raise_in(sys._getframe(1))  # also in a wait of another signal's handler, which has interrupted a wait

    def _hits(self, frame: types.FrameType | None) -> bool:
        """Return whether the main thread's call is to be interrupted now; if so, count the interrupt."""
        job = self._on_main()
        if job is None:
            return False
        if job not in self._pursuits:
            # The caller has sent this signal, since its `Cancel` had no effect. Perhaps the call keeps the GIL, so that
            # the leader's thread has not read the `Cancel`: it gets the GIL now.
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
    """Return whether `frame` runs below `invoke`, and not inside the runtime.

    User code that the runtime calls back without holding a lock counts as user code, see `user_code`. Callbacks of the
    reactor do not count, since the reactor also runs them for other calls. A frame of `Reactor.wait` itself counts as
    its caller: it calls signal handlers only after it has left the reactor, and so does `Reactor._wait_sheltered`.

    Args:
        frame: The current frame of a thread.
        around: Whether user code before or after the method counts, too.
    """
    if frame is not None and frame.f_code in _WAITS:
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


def called_on(frame: types.FrameType | None) -> tuple[Any, tuple[Any, ...], dict[str, Any]] | None:
    """Return the function that `invoke` calls for a job on a thread, and its arguments; None if it calls none.

    Code around the method, such as the unpickling of its arguments, does not count. Any thread.

    Args:
        frame: The innermost frame of the thread.
    """
    found = None
    while frame is not None:
        if frame.f_code is _INVOKE and (frame.f_back is None or frame.f_back.f_code is not _AROUND):
            found = frame  # the outermost one, since the runtime may call others within the method
        frame = frame.f_back
    if found is None:
        return None
    variables = found.f_locals
    return variables["function"], variables["args"], variables["kwargs"]


def _wait_around(frame: types.FrameType | None) -> types.FrameType | None:
    """Return the frame of `Reactor.wait` in which a thread is, None if it is in none."""
    while frame is not None and frame.f_code is not _WAIT:
        file = frame.f_code.co_filename
        if not (file.startswith(PACKAGE) or file == selectors.__file__):
            return None
        frame = frame.f_back
    return frame


class Window:
    """The time in which a pool thread may be interrupted: while it runs user code of one call."""

    def __init__(self, thread: int, waits: ThreadWaits) -> None:
        self.ident = thread
        self._waits = waits
        self._thread = ctypes.c_ulong(thread)
        self._lock = threading.Lock()
        self._job: Job | None = None
        self._striking = False
        """Whether `strike` decides just now. It sets this and then reads `_job`; `shut` sets that and then reads this.
        So one sees the other, and most calls need no lock."""
        self._struck = False

    def open(self, job: Job) -> None:
        """Allow interrupts, since user code of the call begins. The thread itself."""
        self._job = job

    def shut(self) -> None:
        """End interrupts after user code of the call; withdraw one that was not raised yet. The thread itself."""
        try:
            self._job = None
            if not (self._striking or self._struck):
                return
        except KeyboardInterrupt:  # as below
            pass
        while True:
            try:
                with self._lock:  # after the end of `strike`
                    self._job = None
                if self._struck:
                    self._struck = False
                    # Replaced, not taken back: CPython before 3.13 goes on to look for an exception that was taken
                    # back, at each call and loop of all threads, and one that is traced does not get beyond that.
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(self._thread, ctypes.py_object(KeyboardInterrupt))
                    while True:
                        pass
            except KeyboardInterrupt:
                # The interrupt was raised here, after the end of user code: it is dropped.
                continue
            return

    def strike(self, job: Job) -> None:
        """Raise KeyboardInterrupt in the thread, if it runs user code of this call. Another thread.

        The thread raises it when it next looks for exceptions: at the latest when a function is entered. If that is a
        function of the runtime, it has not taken a lock or sent a message by then. A wait for results raises it itself.
        """
        frame = current_frames().get(self.ident)
        wait = _wait_around(frame)
        if not _may_hit(job, wait or frame):
            return
        with self._lock:
            self._striking = True
            try:
                if self._job is not job:
                    return
                if wait is not None:
                    job.interrupts += self._waits.interrupt(self.ident)
                else:
                    job.interrupts += 1
                    self._struck = True
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(self._thread, ctypes.py_object(KeyboardInterrupt))
            finally:
                self._striking = False
