"""`KernelPaths`: which notebook each kernel of the server has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from jupyter_core.utils import ensure_async

LOOK_S = 5.0
"""Seconds between two looks: a notebook may be renamed."""


class KernelPaths:
    """The path of each kernel's notebook, by the kernel's id. It looks again while pages are open.

    Args:
        sessions: The server's sessions, each of which connects a notebook with a kernel.
        is_watched: Returns whether pages are open.
    """

    def __init__(self, sessions: Any, is_watched: Callable[[], bool]) -> None:
        self._sessions = sessions
        self._is_watched = is_watched
        self._task: asyncio.Task[None] | None = None
        self.paths: dict[str, str] = {}

    def watch(self) -> None:
        """Look from now on, as long as pages are open. On the server's thread."""
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while self._is_watched():
            rows = await ensure_async(self._sessions.list_sessions())
            self.paths = {row["kernel"]["id"]: row["path"] for row in rows if row.get("kernel")}
            await asyncio.sleep(LOOK_S)
