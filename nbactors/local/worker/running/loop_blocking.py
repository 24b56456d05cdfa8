"""Tells that a `get` or `wait` blocks the event loop of an asyncio actor."""

from __future__ import annotations

import asyncio
import sys

from nbactors.version import PACKAGE


class LoopBlocking:
    """Says it once for the process, as Ray does, with the line where it happens. Any thread."""

    def __init__(self) -> None:
        self._told = False

    def notice(self) -> None:
        """The calling thread is about to wait."""
        if self._told or asyncio._get_running_loop() is None:
            return
        self._told = True
        frame = sys._getframe()
        while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
            frame = frame.f_back
        print(
            f"{frame.f_code.co_filename}:{frame.f_lineno}: Using blocking ray.get inside async actor. This blocks the "
            "event loop. Please use `await` on object ref with asyncio.gather if you want to yield execution to the "
            "event loop instead: `value = await ref`, `values = await asyncio.gather(*refs)`, and `await "
            "asyncio.wait(refs)` for ray.wait.",
            file=sys.stderr,
            flush=True,
        )
