"""The event loops of asyncio actors."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVar

from nbactors.local.reactor.brisk_selector import BriskLoopSelector
from nbactors.speedups import compiled

_M = TypeVar("_M")

_SLOTS = {"_callback", "_args", "_cancelled", "_loop", "_source_traceback", "_repr", "__weakref__", "_context"}
"""The attributes of handles in the versions of Python up to 3.13."""

_PARTS = ("_ready", "_debug", "_closed", "_task_factory")
"""The attributes of asyncio's loop that `ActorLoop` uses."""

_new_handle: Callable[..., asyncio.Handle] | None = None
"""Makes a handle as `asyncio.Handle` does; None if that is to make it."""

if compiled is not None and set(getattr(asyncio.Handle, "__slots__", ())) == _SLOTS:
    compiled.know_handles(asyncio.Handle)
    _new_handle = compiled.new_handle


class ActorLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, with a shorter way to do what each call needs: a task, and a call of the task's first step."""

    _ready: deque[Any]
    _debug: bool
    _closed: bool
    _task_factory: Any

    def call_soon(  # type: ignore[override] # for any callback
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """See the base class."""
        if self._debug or self._closed:
            return _without_last_frame(super().call_soon(callback, *args, context=context))
        handle = _new_handle(callback, args, self, context)  # type: ignore[misc] # see `new_loop`
        self._ready.append(handle)
        return handle

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """See the base class."""
        if options or self._debug or self._closed or self._task_factory is not None:
            return _without_last_frame(super().create_task(coro, **options))
        return asyncio.Task(coro, loop=self)


def _without_last_frame(made: _M) -> _M:
    """Return a handle or task; where it was made, which debug mode tells, is not here."""
    frames: Any = getattr(made, "_source_traceback", None)
    if frames:
        del frames[-1]
    return made


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: uvloop's where that is installed."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        pass
    else:
        made: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return made
    if _new_handle is not None:
        loop = ActorLoop(BriskLoopSelector())
        if all(hasattr(loop, part) for part in _PARTS):
            return loop
        loop.close()
    return asyncio.SelectorEventLoop(BriskLoopSelector())
