"""Warns of a `get` or `wait` that blocks the event loop of an asyncio actor."""

from __future__ import annotations

import asyncio
import sys

from nbactors.version import PACKAGE


class LoopBlocking:
    """Warns once per process, as Ray does, and names the line of the call. Any thread."""

    def __init__(self) -> None:
        self._told = False

    def notice(self) -> None:
        """Warn if the calling thread, which is about to wait, runs an event loop."""
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
