"""`input()` in a call that comes from a notebook: the notebook asks its user, once a cell waits for calls."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbactors.in_worker.breakpoints import Line

_NOBODY = (
    "input() in an actor or a task: no notebook has answered. A notebook asks its user while one of its cells waits "
    "for calls, and only where its front end can ask"
)


def install(line: Line, origin: Callable[[], int]) -> None:
    """Redirect `input()` in calls whose `origin` is not 0. Called when the worker starts. See `breakpoints.install`."""
    plain = builtins.input

    def ask(prompt: object = "", /) -> str:
        """Ask the user of the notebook that has made the call, and return the answer.

        Raises:
            EOFError: Nobody can be asked.
        """
        called_from = origin()
        if not called_from:
            return plain(prompt)
        connection = line.open(called_from, f"input({str(prompt)[:200]!r})", True)
        if connection is None:
            raise EOFError(_NOBODY)
        with connection, connection.makefile("r", encoding="utf-8") as lines:
            try:
                connection.sendall(json.dumps({"text": "", "prompt": str(prompt)}).encode() + b"\n")
                answer = lines.readline()
            except OSError:
                answer = ""
        if not answer:
            raise EOFError(_NOBODY)
        return answer.removesuffix("\n")

    builtins.input = ask
