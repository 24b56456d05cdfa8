"""Async subjects: actors whose calls stay suspended until told to go on."""

from __future__ import annotations

import asyncio
import threading


class Latch:
    """An async actor. `hold` stays suspended until `open`, and `held` returns once so many calls are."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._changed = asyncio.Event()
        self.holding = 0
        self.cancelled = 0

    async def hold(self, value: object = "passed") -> object:
        self._count(1)
        try:
            await self._opened.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self._count(-1)
        return value

    async def held(self, count: int) -> int:
        while self.holding < count:
            self._changed.clear()
            await self._changed.wait()
        return self.holding

    async def count(self) -> int:
        """Return how many are held. Also to be called from another loop, in a concurrency group of its own."""
        return self.holding

    async def open(self) -> int:
        """Let all go on, and return how many were cancelled so far."""
        self._opened.set()
        return self.cancelled

    async def echo(self, value: object = None) -> object:
        return value

    async def fail(self, message: str) -> None:
        raise ValueError(message)

    def _count(self, change: int) -> None:
        self.holding += change
        self._changed.set()


def thread_and_loop() -> tuple[str, int | None]:
    """Return which thread this is, and the id of the loop that runs on it, if any."""
    try:
        loop = id(asyncio.get_running_loop())
    except RuntimeError:
        loop = None
    return f"{threading.current_thread().name}:{threading.get_ident()}", loop
