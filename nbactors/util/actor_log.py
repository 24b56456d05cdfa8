"""The log of an actor, which has all its output: reading it from the beginning or the end, and following it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from nbactors.util.state import NodeMissingError, actor_logs

_PAUSE_S = 0.1


def read(actor: dict[str, Any], lines: int | None, follow: bool) -> Iterator[str]:
    """Yield the text of an actor's log, then the text that is added to it.

    Args:
        actor: A row of `nbactors.util.state.actor_logs`.
        lines: How many of the last lines; None for all.
        follow: Go on until the actor has ended. Blocks the calling thread; Ctrl-C ends it.
    """
    while follow and not actor["log_path"] and _is_alive(actor):
        time.sleep(_PAUSE_S)
        actor = _again(actor) or actor
    if not actor["log_path"]:
        return
    with Path(actor["log_path"]).open(errors="replace") as log:
        yield from log if lines is None else deque(log, maxlen=lines)
        if follow:
            yield from _added(log, actor)


def _added(log: TextIO, actor: dict[str, Any]) -> Iterator[str]:
    """Yield the text that is added to an open log until the actor has ended.

    Nothing tells that a file has grown, so the file is polled. The node is asked first whether the actor lives, so that
    the last lines of an actor that dies in between are read.
    """
    while True:
        is_alive = _is_alive(actor)
        text = log.read()
        if text:
            yield text
        elif not is_alive:
            return
        else:
            time.sleep(_PAUSE_S)


def _is_alive(actor: dict[str, Any]) -> bool:
    now = _again(actor)
    return now is not None and now["state"] != "DEAD"


def _again(actor: dict[str, Any]) -> dict[str, Any] | None:
    """Return the actor's present row, None if the node is gone or has forgotten the actor."""
    try:
        found = actor_logs(actor["actor_id"])
    except NodeMissingError:
        return None
    return found[-1] if found else None
