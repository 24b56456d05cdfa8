"""`Workshop`: runs what blocks, on a few threads, and refuses what is too much."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TypeVar

_T = TypeVar("_T")

THREADS = 8
WAITING = 32
"""Most functions that run or wait for a thread."""

LIMIT_S = 15.0
"""Seconds after which an answer comes too late."""

ACTIONS = 20
"""Actions that may be asked for at once, and in one second: buttons need fewer, and a page cannot flood the node."""


class Workshop:
    """Methods: the thread of the server's event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="nbactors-server")
        self._busy = 0
        self._left = float(ACTIONS)
        self._at = monotonic()

    def may_act(self) -> bool:
        """Count one action; return False if there were too many."""
        now = monotonic()
        self._left = min(ACTIONS, self._left + (now - self._at) * ACTIONS)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    async def run(self, function: Callable[[], _T]) -> _T:
        """Return the result of a function, which runs on another thread.

        Raises:
            asyncio.QueueFull: Too many wait.
            asyncio.TimeoutError: It has taken more than `LIMIT_S` seconds. It goes on, and keeps its thread.
        """
        if self._busy >= WAITING:
            raise asyncio.QueueFull
        self._busy += 1
        work = asyncio.get_running_loop().run_in_executor(self._threads, function)
        work.add_done_callback(self._note_end)
        return await asyncio.wait_for(asyncio.shield(work), LIMIT_S)

    def _note_end(self, work: asyncio.Future[_T]) -> None:
        self._busy -= 1
        if not work.cancelled():
            work.exception()  # nobody may wait any more

    def close(self) -> None:
        """Take no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
