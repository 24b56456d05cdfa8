"""`breakpoint()` in a call that comes from a notebook: the debugger's prompt opens in the notebook."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import socket

SET_TRACE = "nbactors.util.pdb"
"""The module whose frame lies between the user's code and the hook."""


class Line(Protocol):
    """Connects calls to the notebook that has made them."""

    def open(self, origin: int, where: str, asks: bool) -> socket.socket | None:
        """Connect the call of the calling thread. Blocks until the session has connected, for some seconds at most.

        Args:
            origin: What `install` was told of the call, never 0.
            where: Where the call waits, for the user.
            asks: Whether it waits for an answer to one question; else for a debugger.

        Returns:
            A connection, as `nbactors.frontend.sink.Paused` describes it; None if the session does not connect.
        """


def install(line: Line, origin: Callable[[], int], preset: str = "") -> None:
    """Redirect `breakpoint()` in calls whose `origin` is not 0. Called when the worker starts.

    Args:
        line: Connects a call to its notebook.
        origin: Returns a number that tells where the calling code's call comes from, 0 if no notebook has made it.
        preset: A value of PYTHONBREAKPOINT that is not the user's.
    """
    usual = sys.breakpointhook

    def hook(*args: Any, **kwargs: Any) -> Any:
        called_from = origin()
        if not called_from or os.environ.get("PYTHONBREAKPOINT") not in (None, "", preset):
            return usual(*args, **kwargs)
        frame: Any = sys._getframe(1)
        if frame.f_globals.get("__name__") == SET_TRACE:
            frame = frame.f_back
        return _stop(line, called_from, frame)

    sys.breakpointhook = hook


def _stop(line: Line, origin: int, frame: Any) -> None:
    """Open a debugger at a frame, on the frame's thread. It waits for the user, or until the session ends."""
    code = frame.f_code
    where = f"{code.co_filename}:{frame.f_lineno} in {code.co_name}"
    connection = line.open(origin, where, False)
    if connection is None:
        print(f"breakpoint() at {where}: no notebook answers, so the call goes on", file=sys.stderr)
        return
    from nbactors.in_worker.debugger import Debugger  # noqa: PLC0415 - pdb takes long to import

    Debugger(connection).set_trace(frame)
