"""Which engine is current. Engines are imported by name, on first use."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbactors.engine.base import ActorLink, Engine, RuntimeFacts

if TYPE_CHECKING:
    from nbactors.options import InitOptions

__all__ = ["ActorLink", "Engine", "RuntimeFacts", "current", "install", "on_start", "running", "start", "stop"]

_MODULES = {"local": "nbactors.local.engine"}

_lock = threading.RLock()
_engine: Engine | None = None
_hooks: list[Callable[[], None]] = []


def running() -> Engine | None:
    """Return the current engine, or None. Never blocks."""
    return _engine


def current() -> Engine:
    """Return the current engine; start the local one with default options if none runs (automatic init)."""
    engine = _engine
    if engine is not None:
        return engine
    from nbactors.options import InitOptions  # noqa: PLC0415 - only the first verb pays for it

    return start("local", InitOptions())


def start(name: str, options: InitOptions) -> Engine:
    """Start the named engine and make it current. The caller has checked that none runs; a race is settled here."""
    global _engine
    with _lock:
        if _engine is None:
            _engine = importlib.import_module(_MODULES[name]).start(options)
            for hook in _hooks:
                hook()
        return _engine


def on_start(hook: Callable[[], None]) -> None:
    """Call `hook` whenever a session has started, on the thread that started it."""
    _hooks.append(hook)


def install(engine: Engine | None) -> None:
    """Make an engine current that was started elsewhere (in a worker), or forget it (in a forked child)."""
    global _engine
    _engine = engine


def stop() -> None:
    """Shut the current engine down, if there is one."""
    global _engine
    with _lock:
        engine, _engine = _engine, None
    if engine is not None:
        engine.shutdown()
