"""Tells whether an exception that a callback of the runtime raised is the callback's own, or an asynchronous one."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any


class Blame:
    """Handles exceptions that come out of callbacks of the runtime: the callback's own, and asynchronous ones.

    An asynchronous exception is meant for the user's code, and is raised to it; but the work of the interrupted
    callback must not be lost. So the callback is run again, and must be written to allow that. If it raises the same
    exception at the same line again, the exception is its own. No user code can handle that, and it must not stop the
    only thread that reads: it is written to stderr.

    A MemoryError is the runtime's, too, if the process has a limit of memory that can be raised a little.

    Args:
        is_alone: Returns whether the calling thread runs no user code to which an exception could be raised.

    Attributes:
        relieve: Raises the limit of the process's memory for the runtime; returns whether it has done so.
    """

    def __init__(self, is_alone: Callable[[], bool]) -> None:
        self._is_alone = is_alone
        self.relieve: Callable[[], bool] = lambda: False

    def __call__(self, error: BaseException, callback: Callable[..., None], args: tuple[Any, ...]) -> None:
        """Run the callback again, and raise or report the exception. Called in the `except` clause that caught it.

        Raises:
            BaseException: `error`, if it was an asynchronous one.
        """
        if isinstance(error, MemoryError) and self.relieve():
            try:
                callback(*args)
            except Exception:  # noqa: BLE001 - no code could handle it
                complain(callback)
            return
        try:
            callback(*args)
        except Exception as again:  # noqa: BLE001 - this call finds out whether it raises again
            if place(again) == place(error):
                complain(callback)
                return
        if self._is_alone():
            complain(callback)
            return
        raise error


def place(error: BaseException) -> object:
    """Return what identifies a failure: the exception's type and the line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return type(error), trace and (trace.tb_frame.f_code, trace.tb_lineno)


def complain(callback: object) -> None:
    """Write the exception that is being handled to stderr, where no code could handle it."""
    try:
        sys.__stderr__.write(f"nbactors: error in {callback!r}:\n{traceback.format_exc()}")  # type: ignore[union-attr]
    except Exception:  # noqa: BLE001 - this process has no stderr
        pass
