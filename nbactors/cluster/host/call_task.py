"""`CallTask`: the asyncio task of a call, which always begins.

Ray waits for the end of a coroutine that it runs, and is told by the coroutine itself. A task that is cancelled before
its start never runs its coroutine, so Ray would wait for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

_OF_RAY = "run_async_func_or_coro_in_event_loop"
"""What the names of Ray's coroutines contain that have to begin."""


class CallTask(asyncio.Task[Any]):
    """A task that a cancellation reaches only once its coroutine has begun. On its loop's thread.

    Ray also unpickles arguments in such a task. It tells nobody that it has begun, so nothing cancels it.
    """

    _has_begun = False
    _is_cancelled_early = False

    def cancel(self, msg: Any = None) -> bool:
        """See `asyncio.Task.cancel`."""
        if self._has_begun or self.done():
            return super().cancel(msg)
        self._is_cancelled_early = True
        return True

    def begin(self) -> None:
        """Note that the task's call begins.

        Raises:
            CancelledError: The task was cancelled before.
        """
        self._has_begun = True
        if self._is_cancelled_early:
            raise asyncio.CancelledError


def use_in(loop: asyncio.AbstractEventLoop) -> None:
    """Have later calls run in such tasks on a loop that has no factory of its own. On its thread."""
    if loop.get_task_factory() is None:
        loop.set_task_factory(_made)  # type: ignore[arg-type] # typeshed lacks the keywords of Python 3.13


def _made(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **given: Any) -> asyncio.Task[Any]:
    kind = CallTask if _OF_RAY in getattr(coroutine, "__qualname__", "") else asyncio.Task
    return kind(coroutine, loop=loop, **given)
