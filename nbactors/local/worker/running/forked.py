"""Children that a method forks: a child ends when the method returns in it, and answers no caller.

The child is a copy of the worker with one thread, in the middle of a call. It has neither connections nor the threads
that serve them. If the child got back into the worker's loop, it would run the waiting calls a second time, or spin on
closed sockets. So the child exits where the runtime would take over the method's result or exception.

This costs the parent nothing: the functions at those places are replaced in the child only.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.hosted import Hosted
    from nbactors.local.worker.printing.output_pipes import OutputPipes

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class ForkHooks:
    """The hooks for `os.fork`. Registered once per worker; the hook of `local.current` runs before them.

    Args:
        hosted: The worker's actor.
        performer: The `Performer`, whose methods take over results and exceptions of calls.
        answers: The `Answers`, whose methods send them.
        output: The worker's pipes.
        give_signals_back: Restores the default effect of signals.
    """

    def __init__(
        self,
        hosted: Hosted,
        performer: object,
        answers: object,
        output: OutputPipes,
        give_signals_back: Callable[[], None],
    ) -> None:
        self._hosted = hosted
        self._performer = performer
        self._answers = answers
        self._output = output
        self._give_signals_back = give_signals_back
        self._masks = threading.local()

    def register(self) -> None:
        """Have the hooks run from now on. In the worker: forks of the forkserver make workers."""
        # Signals are blocked during the fork: Python drops a signal that arrives before the child has its own handlers.
        os.register_at_fork(before=self._block, after_in_parent=self._unblock, after_in_child=self._become_child)

    def _block(self) -> None:
        self._masks.own = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def _unblock(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.own)

    def _become_child(self) -> None:
        self._give_signals_back()
        self._unblock()
        self._output.forget()
        _replace(self._performer, ("deliver", "refuse"), _end)
        _replace(self._performer, ("raised",), _end_by)
        _replace(self._answers, ("give", "give_yielded", "end_stream", "refuse", "send"), _end)
        _replace(self._hosted.made, ("set",), _end)  # the constructor's return
        _replace(self._answers, ("fail", "fail_canceled"), _end_by)
        if self._hosted.calls is not None:
            self._hosted.calls.pause()  # the fork may lie in a call's first step, while the loop begins those that wait
            self._hosted.calls.leave_loop(_end_waiting)


def _replace(thing: object, names: tuple[str, ...], function: Any) -> None:
    for name in names:
        setattr(thing, name, function)


def _end(*_: object) -> NoReturn:
    leave(0)


def _end_by(_: object, error: BaseException) -> NoReturn:
    """Exit with the status and the traceback that the interpreter would give after an exception."""
    if isinstance(error, SystemExit):
        if error.code is not None and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)
        leave(error.code if isinstance(error.code, int) else int(error.code is not None))
    traceback.print_exception(error)
    leave(1)


def _end_waiting() -> NoReturn:
    print(
        f"a child (pid {os.getpid()}) that a coroutine of an actor has forked ends, since it awaits something: the "
        "event loop is the actor's own. Run what the child awaits by asyncio.run() there.",
        file=sys.stderr,
    )
    leave(1)


def leave(status: int) -> NoReturn:
    """Exit without the clean-up, which only the parent does."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # user code has closed it
            pass
    os._exit(status)
