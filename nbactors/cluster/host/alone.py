"""`Alone`: lets a method of the runtime's own run while no other call of its actor does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from nbactors.definitions.hooks import METHODS


class AlonePlain:
    """For an actor that runs one call at a time."""

    @contextmanager
    def shared(self, method: str) -> Iterator[None]:
        """Run a call within the `with` block."""
        yield

    @asynccontextmanager
    async def shared_async(self, method: str) -> AsyncIterator[None]:
        """Do the same as `shared`, for coroutines."""
        yield


class Alone(AlonePlain):
    """For an actor that runs several calls at once. Calls that come while a method waits to be alone wait behind it.

    Args:
        is_async: Whether the calls are coroutines of one event loop, else they are on threads.
    """

    def __init__(self, is_async: bool) -> None:
        self._count = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._async_changed = asyncio.Condition() if is_async else None

    @contextmanager
    def shared(self, method: str) -> Iterator[None]:
        """Run a call on this thread within the `with` block, a method of `METHODS` alone."""
        alone = method in METHODS or method == "__ray_terminate__"
        with self._changed:
            self._changed.wait_for(lambda: not self._is_closed)
            if alone:
                self._is_closed = True
                self._changed.wait_for(lambda: not self._count)
            self._count += 1
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                if alone:
                    self._is_closed = False
                self._changed.notify_all()

    @asynccontextmanager
    async def shared_async(self, method: str) -> AsyncIterator[None]:
        """Do the same as `shared`, for coroutines."""
        changed = self._async_changed
        assert changed is not None
        alone = method in METHODS or method == "__ray_terminate__"
        if alone or self._is_closed:
            async with changed:
                await changed.wait_for(lambda: not self._is_closed)
                if alone:
                    self._is_closed = True
                    try:
                        await changed.wait_for(lambda: not self._count)
                    except BaseException:
                        self._is_closed = False
                        changed.notify_all()
                        raise
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            if alone:
                self._is_closed = False
            if alone or self._is_closed:
                async with changed:
                    changed.notify_all()
