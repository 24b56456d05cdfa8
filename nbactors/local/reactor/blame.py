"""Whose an exception is that came out of a callback of the runtime: the callback's own, or one from outside."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any


class Blame:
    """Tells exceptions of the runtime's callbacks from those that were raised into them.

    A signal's handler and `PyThreadState_SetAsyncExc` raise at any bytecode. Such an exception is the user's, and is
    raised to the user; but what the callback had to do must not be lost with it. So the callback is run again, and must
    be written to bear that. An exception of its own comes again at the same place. That one has nowhere to go, and must
    not stop the process's only reader: it is written to stderr.

    Args:
        is_alone: Returns whether the calling thread runs no code of the user's, to whom something could be raised.
    """

    def __init__(self, is_alone: Callable[[], bool]) -> None:
        self._is_alone = is_alone

    def __call__(self, error: BaseException, callback: Callable[..., None], args: tuple[Any, ...]) -> None:
        """Deal with an exception that is being handled.

        Raises:
            BaseException: `error`, if it came from outside.
        """
        try:
            callback(*args)
        except Exception as again:  # noqa: BLE001 - that is what is to be found out
            if place(again) == place(error):
                complain(callback)
                return
        if self._is_alone():
            complain(callback)
            return
        raise error


def place(error: BaseException) -> object:
    """Return what tells one failure from another: the exception's type and the line that has raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return type(error), trace and (trace.tb_frame.f_code, trace.tb_lineno)


def complain(callback: object) -> None:
    """Write the exception being handled to stderr: it has nowhere else to go."""
    try:
        sys.__stderr__.write(f"nbactors: error in {callback!r}:\n{traceback.format_exc()}")  # type: ignore[union-attr]
    except Exception:  # noqa: BLE001 - no stderr in this process: nothing left to tell it to
        pass
