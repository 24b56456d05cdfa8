"""`Alone`: lets a method of the runtime's own run while no other call of its actor does."""

from __future__ import annotations

import asyncio
import threading

from nbactors.definitions.hooks import METHODS

ALONE = METHODS | {"__ray_terminate__"}
"""The methods that run while no other call does."""


class AlonePlain:
    """For an actor that runs one call at a time."""

    def enter(self, method: str) -> None:
        """Wait until a call may run. On the thread that runs it."""

    def leave(self, method: str) -> None:
        """Note that a call has ended that has entered."""

    async def enter_async(self, method: str) -> None:
        """Do the same as `enter`, for coroutines."""

    async def leave_async(self, method: str) -> None:
        """Do the same as `leave`, for coroutines."""


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

    def enter(self, method: str) -> None:
        """Wait until a call may run: one of `ALONE` until no other call runs."""
        alone = method in ALONE
        with self._changed:
            while self._is_closed:
                self._changed.wait()
            if alone:
                self._is_closed = True
                self._changed.wait_for(lambda: not self._count)
            self._count += 1

    def leave(self, method: str) -> None:
        """See the base class."""
        with self._changed:
            self._count -= 1
            if method in ALONE:
                self._is_closed = False
                self._changed.notify_all()
            elif self._is_closed:
                self._changed.notify_all()

    async def enter_async(self, method: str) -> None:
        """See the base class."""
        alone = method in ALONE
        if alone or self._is_closed:
            changed = self._async_changed
            assert changed is not None
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

    async def leave_async(self, method: str) -> None:
        """See the base class."""
        self._count -= 1
        alone = method in ALONE
        if alone:
            self._is_closed = False
        if alone or self._is_closed:
            changed = self._async_changed
            assert changed is not None
            async with changed:
                changed.notify_all()
