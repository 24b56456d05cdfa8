"""The log of an actor, which has all its output: reading it from the beginning or the end, and following it."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, TextIO

from nbactors.util.files import log_end
from nbactors.util.state import NodeMissingError, actor_logs

_PAUSE_S = 0.1


def read(actor: dict[str, Any], lines: int | None, follow: bool) -> Iterator[str]:
    """Yield the text of an actor's log, then the text that is added to it.

    The log of a restarted actor begins with the log of its last process, whose end tells how the process has crashed.

    Args:
        actor: A row of `nbactors.util.state.actor_logs`.
        lines: How many of the last lines; None for all.
        follow: Go on until the actor has ended. Blocks the calling thread; Ctrl-C ends it.
    """
    paths = _paths(actor)
    with ExitStack() as opened:
        logs: list[TextIO] = []
        for path in reversed(paths):
            log, found = _open(path, lines)
            logs.insert(0, opened.enter_context(log))
            lines = None if lines is None else lines - found
        for log in logs:
            yield from log
        if follow:
            yield from _added(actor, paths, logs[-1] if logs else None, opened)


def last(actor: dict[str, Any], count: int, most_bytes: int) -> list[str]:
    """Return the last lines of an actor's log without their ends, from the last bytes of each file only.

    Args:
        actor: A row of `nbactors.util.state.actor_logs`.
        count: The most lines.
        most_bytes: The most bytes that are read of each file.
    """
    found: list[str] = []
    for path in reversed(_paths(actor)):
        found = log_end.lines(path, count - len(found), most_bytes) + found
    return found


def _added(actor: dict[str, Any], paths: list[str], log: TextIO | None, opened: ExitStack) -> Iterator[str]:
    """Yield the text that is added to an actor's logs until the actor has ended.

    Nothing tells that a file has grown, so the file is polled. The node is asked first whether the actor lives, so that
    the last lines of an actor that dies in between are read.

    Args:
        actor: The actor's row.
        paths: The logs that were read.
        log: The last of them, open at its end; None for none.
        opened: Closes the logs.
    """
    while True:
        now = _again(actor)
        text = log.read() if log is not None else ""
        fresh = [path for path in _paths(now) if path not in paths] if now is not None else []
        if text:
            yield text
        elif fresh:
            log = opened.enter_context(_open(fresh[0])[0])
            paths.append(fresh[0])
        elif now is None or now["state"] == "DEAD":
            return
        else:
            time.sleep(_PAUSE_S)


def _paths(actor: dict[str, Any]) -> list[str]:
    return [path for path in (actor["last_log_path"], actor["log_path"]) if path]


def _open(path: str, lines: int | None = None) -> tuple[TextIO, int]:
    """Return a log, open at the beginning of its last lines or at its own, and how many lines these are."""
    file = open(path, "rb")  # noqa: SIM115 - the caller closes it
    position, found = (0, 0) if lines is None else log_end.find(file, lines)
    file.seek(position)
    return io.TextIOWrapper(file, errors="replace"), found


def _again(actor: dict[str, Any]) -> dict[str, Any] | None:
    """Return the actor's present row, None if the node is gone or has forgotten the actor."""
    try:
        found = actor_logs(actor["actor_id"])
    except NodeMissingError:
        return None
    return found[-1] if found else None
