"""Which engine is current. Engines are imported by name, on first use."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbactors.engine.base import ActorLink, Engine, RuntimeFacts
from nbactors.exceptions import RaySystemError, hints

if TYPE_CHECKING:
    from nbactors.options import InitOptions

__all__ = [
    "ActorLink",
    "Engine",
    "RuntimeFacts",
    "check_not_forked",
    "current",
    "install",
    "on_start",
    "running",
    "start",
    "stop",
]

_MODULES = {"local": "nbactors.local.session.start"}

_lock = threading.RLock()
_engine: Engine | None = None
_hooks: list[Callable[[], None]] = []
_inherited: list[Engine] = []
_forked = False


def running() -> Engine | None:
    """Return the current engine, or None. Never blocks."""
    return _engine


def current() -> Engine:
    """Return the current engine; start the local one with default options if none runs (automatic init).

    Raises:
        RaySystemError: This is a forked child, which starts a session only when asked to, by `init()`.
    """
    engine = _engine
    if engine is not None:
        return engine
    check_not_forked()
    from nbactors.options import InitOptions  # noqa: PLC0415 - only the first verb pays for it

    return start("local", InitOptions())


def start(name: str, options: InitOptions) -> Engine:
    """Start the named engine and make it current. The caller has checked that none runs; a race is settled here."""
    global _engine, _forked
    with _lock:
        if _engine is None:
            _forked = False
            _engine = importlib.import_module(_MODULES[name]).start(options)
            for hook in _hooks:
                hook()
        return _engine


def on_start(hook: Callable[[], None]) -> None:
    """Call `hook` whenever a session has started, on the thread that started it."""
    _hooks.append(hook)


def install(engine: Engine | None) -> None:
    """Make an engine current that was started elsewhere (in a worker)."""
    global _engine
    _engine = engine


def check_not_forked() -> None:
    """Raise in a forked child that has no session of its own.

    Raises:
        RaySystemError: This is one.
    """
    if _forked:
        raise RaySystemError(hints.FORKED)


def stop() -> None:
    """Shut the current engine down, if there is one."""
    global _engine
    with _lock:
        engine, _engine = _engine, None
    if engine is not None:
        engine.shutdown()


def _forget_in_child() -> None:
    """In a forked child, forget the engine: its connections and threads are the parent's.

    Kept rather than dropped, since what runs when it is collected would speak on those connections.
    """
    global _engine, _forked, _lock
    if _engine is not None:
        _inherited.append(_engine)
        _engine = None
        _forked = True
    _lock = threading.RLock()  # a thread of the parent's may have held it, and is not here to let go


os.register_at_fork(after_in_child=_forget_in_child)
