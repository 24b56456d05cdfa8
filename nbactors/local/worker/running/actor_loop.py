"""The event loops of asyncio actors."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from nbactors.local.reactor.brisk_selector import BriskLoopSelector
from nbactors.speedups import compiled
from nbactors.speedups.worker import LoopBase

_M = TypeVar("_M")

_SLOTS = {"_callback", "_args", "_cancelled", "_loop", "_source_traceback", "_repr", "__weakref__", "_context"}
"""The attributes of handles in the versions of Python up to 3.13."""


def has_steps() -> bool:
    """Return whether the compiled part knows asyncio as it is here."""
    return (
        compiled is not None
        and sys.version_info < (3, 14)
        and set(getattr(asyncio.Handle, "__slots__", ())) == _SLOTS
        and asyncio.Task.__module__ == "_asyncio"
    )


_has_steps = has_steps()

if _has_steps:
    compiled.know_loops(asyncio, BriskLoopSelector)  # type: ignore[union-attr] # see `has_steps`

if TYPE_CHECKING:
    _Loop = asyncio.SelectorEventLoop
else:

    class _Loop(LoopBase, asyncio.SelectorEventLoop):
        """`LoopBase` has the attributes that the turns use, and the turns: `call_soon`, `get_debug`, `_run_once`."""


class ActorLoop(_Loop):
    """asyncio's loop, with a shorter way to do what each call needs: a turn, a callback and a task."""

    _debug: bool
    _closed: bool
    _task_factory: Any

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """See the base class."""
        if options or self._debug or self._closed or self._task_factory is not None:
            return _without_last_frame(super().create_task(coro, **options))
        return asyncio.Task(coro, loop=self)

    def _report(self, handle: Any, error: BaseException) -> None:
        """Have asyncio report what a callback has raised: the handle runs once more, and raises that."""
        handle._context = _Raising(handle, error)
        handle._args = handle._args or ()  # None after `cancel`
        handle._run()


class _Raising:
    """Stands for a handle's context once, and raises what the callback has raised there."""

    def __init__(self, handle: Any, error: BaseException) -> None:
        self._handle, self._context, self._error = handle, handle._context, error

    def run(self, *_: object) -> NoReturn:
        self._handle._context = self._context
        raise self._error


def _without_last_frame(made: _M) -> _M:
    """Return a task; where it was made, which debug mode tells, is not here."""
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
    return (ActorLoop if _has_steps else asyncio.SelectorEventLoop)(BriskLoopSelector())
