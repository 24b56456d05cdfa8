"""What becomes of a child that a method has forked: it ends when that method returns, and answers nobody.

The child is a copy of the worker with one thread, in the middle of a call. It has neither connections nor the threads
that serve them, so it must not get back into the worker's loop: it would run the calls that wait there a second time,
or spin on closed sockets. Where the runtime would take over what the method has returned or raised, the child exits.

The parent's code pays nothing for that: only in the child are those places replaced.
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

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class ForkHooks:
    """Does it. Made once per worker, after the process has joined: its own hook runs before.

    Args:
        hosted: What the worker hosts.
        performer: The `Performer`, whose methods take over what a call has returned.
        answers: The `Answers`, which would send it.
        give_signals_back: Has signals do what they do in any process.
    """

    def __init__(
        self, hosted: Hosted, performer: object, answers: object, give_signals_back: Callable[[], None]
    ) -> None:
        self._hosted = hosted
        self._performer = performer
        self._answers = answers
        self._give_signals_back = give_signals_back
        self._masks = threading.local()
        # A signal that comes before the child's handlers are its own would be lost there: Python forgets it.
        os.register_at_fork(before=self._block, after_in_parent=self._unblock, after_in_child=self._become_child)

    def _block(self) -> None:
        self._masks.own = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def _unblock(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.own)

    def _become_child(self) -> None:
        self._give_signals_back()
        self._unblock()
        _replace(self._performer, ("deliver", "refuse"), _end)
        _replace(self._performer, ("raised",), _end_by)
        _replace(self._answers, ("give", "give_yielded", "end_stream", "refuse", "send"), _end)
        _replace(self._hosted.made, ("set",), _end)  # the constructor's return
        _replace(self._answers, ("fail", "fail_canceled"), _end_by)
        if self._hosted.calls is not None:
            self._hosted.calls.leave_loop(_end_waiting)


def _replace(thing: object, names: tuple[str, ...], function: Any) -> None:
    for name in names:
        setattr(thing, name, function)


def _end(*_: object) -> NoReturn:
    leave(0)


def _end_by(_: object, error: BaseException) -> NoReturn:
    """Exit as the interpreter does after an exception."""
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
    """Exit without the clean-up, which is the parent's."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # closed by the user
            pass
    os._exit(status)
