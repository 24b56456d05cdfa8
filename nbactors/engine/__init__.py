"""The current engine of this process. An engine's module is imported at its first use. Any thread."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbactors.engine.base import ActorLink, Engine, GroupFacts, RuntimeFacts
from nbactors.engine.observer import Following, Observer, TaskChanges
from nbactors.engine.session_following import SessionFollowing
from nbactors.exceptions import RaySystemError, hints
from nbactors.object_ref import ObjectRef

if TYPE_CHECKING:
    from nbactors.options import InitOptions

__all__ = [
    "ActorLink",
    "Engine",
    "GroupFacts",
    "Observer",
    "RuntimeFacts",
    "TaskChanges",
    "beside",
    "check_not_forked",
    "current",
    "follow",
    "install",
    "observe",
    "on_start",
    "replace",
    "running",
    "start",
    "stop",
]

_MODULES = {"local": "nbactors.local.session.start", "ray": "nbactors.cluster.start"}
_OBSERVERS = {
    "local": ("nbactors.local.observing", "LocalObserver"),
    "ray": ("nbactors.cluster.observing.observer", "RayObserver"),
}

_lock = threading.RLock()
_engine: Engine | None = None
_hooks: list[Callable[[], None]] = []
_inherited: list[Engine] = []
_forked = False


def running() -> Engine | None:
    """Return the current engine, or None. Never blocks."""
    return _engine


def current() -> Engine:
    """Return the current engine; if none runs, start one with default options (automatic init).

    Raises:
        RaySystemError: This is a forked child process, which gets a session by an explicit `init()` only.
    """
    engine = _engine
    if engine is not None:
        return engine
    check_not_forked()
    from nbactors.options import InitOptions  # noqa: PLC0415 - only the first verb pays for it
    from nbactors.options.engine_choice import engine_name  # noqa: PLC0415 - as above

    name = engine_name()
    return start(name, InitOptions(engine=name))


def observe(name: str = "") -> Observer:
    """Return what reads the state of actors and calls. It starts nothing.

    Args:
        name: The engine; by default that of the running session, and without a session this machine's.
    """
    running = _engine
    module, cls = _OBSERVERS[name or (running.name if running is not None else "local")]
    observer: Observer = getattr(importlib.import_module(module), cls)()
    return observer


def follow() -> Following:
    """Return a reader of changes, which goes on with the next session if that has another engine."""
    return SessionFollowing(_followed, observe)


def _followed() -> object:
    """Return the session that tells of calls; None where the node of this machine does."""
    running = _engine
    return running if running is not None and running.name != "local" else None


def start(name: str, options: InitOptions) -> Engine:
    """Start the named engine, make it current, and return it; if another thread was faster, return its engine."""
    global _engine, _forked
    if _engine is None and options.runtime_env is not None:
        # Without the lock: packages may take minutes, for which no other thread should wait here.
        options = importlib.import_module(_MODULES[name]).prepare(options)
    with _lock:
        if _engine is None:
            _forked = False
            _engine = importlib.import_module(_MODULES[name]).start(options)
            hints.explain_in_scripts()
            for hook in _hooks:
                hook()
        return _engine


def beside(name: str, options: InitOptions) -> Engine:
    """Start the named engine beside the current one, which stays current, and return it. See `replace`."""
    engine: Engine = importlib.import_module(_MODULES[name]).start(options)
    return engine


def replace(engine: Engine) -> None:
    """Make an engine current that was started `beside` another one. The caller shuts the other one down."""
    global _engine
    with _lock:
        _engine = engine
        for hook in _hooks:
            hook()


def on_start(hook: Callable[[], None]) -> None:
    """Call `hook` after every start of a session, on the thread that has started the session."""
    _hooks.append(hook)


def install(engine: Engine | None) -> None:
    """Make an engine current that the caller has started. Used in workers."""
    global _engine
    _engine = engine


def check_not_forked() -> None:
    """Check that this process is not a forked child whose parent has a session and which has no session itself.

    Raises:
        RaySystemError: This process is such a child.
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
    """In a forked child, stop using the engine, since its connections and threads belong to the parent process.

    `_inherited` keeps a reference to the engine: its finalizers would send messages on the parent's connections.
    """
    global _engine, _forked, _lock
    if _engine is not None:
        _inherited.append(_engine)
        _engine = None
        _forked = True
    _lock = threading.RLock()  # a thread that held the lock during the fork does not exist here, and cannot release it


ObjectRef._engine = staticmethod(current)
os.register_at_fork(after_in_child=_forget_in_child)
