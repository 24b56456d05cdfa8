"""`%debug` after a failed call: the debugger starts in the frames that the other process had at the failure."""

from __future__ import annotations

import linecache
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbactors import exceptions
from nbactors.jupyter.failures.tracebacks import users_part


class Text:
    """Stands for a value of another process, and has its repr."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def watch(shell: InteractiveShell) -> None:
    """Make this shell's `%debug` enter remote frames. Calling it again does nothing. On the main thread.

    The traceback is changed only while the debugger runs, so that `%tb` and front ends show it as before.
    """
    printer: Any = shell.InteractiveTB
    if getattr(printer, "_nbactors_debugger", None) is not None:
        return
    plain = printer._nbactors_debugger = printer.debugger

    def debugger(force: bool = False) -> None:
        if not (force or printer.call_pdb):
            return
        with _extended(printer):
            if sys.last_traceback is not None:
                plain(force)

    printer.debugger = debugger


def offer(error: BaseException) -> None:
    """Make `%debug` enter an error that was shown, but that no cell has raised. Any thread."""
    if isinstance(error, exceptions.RayTaskError) and error.frames:
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
        if sys.version_info >= (3, 12):
            sys.last_exc = error


@contextmanager
def _extended(printer: Any) -> Iterator[None]:
    """Give the last error a traceback of the user's frames, remote frames included. On the main thread."""
    error = getattr(sys, "last_value", None)
    if error is None:
        yield
        return
    remote = _remote(error) if isinstance(error, exceptions.RayTaskError) else None
    local, last = error.__traceback__, sys.last_traceback
    whole = users_part(local or last, remote)
    error.__traceback__ = sys.last_traceback = printer.tb = whole
    try:
        yield
    finally:
        error.__traceback__, sys.last_traceback = local, last
        vars(printer).pop("tb", None)


def _remote(error: exceptions.RayTaskError) -> types.TracebackType | None:
    """Return a traceback of the remote frames, those of the innermost failed call last."""
    frames = []
    cause: BaseException | None = error
    while isinstance(cause, exceptions.RayTaskError):
        frames += list(cause.frames)
        cause = cause.cause
    if not frames:
        return None
    try:
        from tblib import Traceback  # type: ignore[import-untyped] # noqa: PLC0415 - only debugging needs it
    except ImportError:
        print(
            "nbactors: %debug shows this process only, since the package tblib is missing. `pip install tblib` lets "
            "it enter the frames of the failed call.",
            file=sys.stderr,
        )
        return None
    node: dict[str, Any] | None = None
    for frame in reversed(frames):
        _keep_source(frame)
        node = {
            "tb_frame": {
                "f_globals": {"__name__": "remote", "__file__": frame.filename},
                "f_locals": {name: Text(text) for name, text in frame.variables.items()},
                "f_code": {"co_filename": frame.filename, "co_name": frame.function},
                "f_lineno": frame.line,
            },
            "tb_lineno": frame.line,
            "tb_next": node,
        }
    return Traceback.from_dict(node).as_traceback()  # type: ignore[no-any-return]


def _keep_source(frame: Any) -> None:
    """Let the debugger's `list` show source lines of a file that this process does not have."""
    if frame.source and not linecache.getlines(frame.filename):
        lines = ["\n"] * (frame.first - 1) + [f"{line}\n" for line in frame.source]
        linecache.cache[frame.filename] = (len(lines), None, lines, frame.filename)
