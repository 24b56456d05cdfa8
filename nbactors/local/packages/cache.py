"""The user's cache of environments and archives: places, the mark of what is whole, and the lock of who makes it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from nbactors.exceptions import RuntimeEnvSetupError
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.frontend.user_code import lets_through

MARK = ".whole"
"""The file in a directory of the cache that was written last."""

POLL_S = 0.1
"""Seconds between two looks whether another process has made what this one waits for."""

_making: set[tuple[int, str]] = set()
"""The threads of this process that make something, and the paths of it."""


def root() -> str:
    """Return the directory of the cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "nbactors")


def key_of(facts: Any) -> str:
    """Return a name for what is made from `facts`, which JSON can write."""
    return hashlib.sha256(json.dumps(facts).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def is_whole(path: str) -> bool:
    """Return whether a directory of the cache was made to its end."""
    return os.path.exists(os.path.join(path, MARK))


def make(path: str, fill: Callable[[int], None], deadline: float, say: Callable[[str], None]) -> None:
    """Make a directory of the cache, unless it is whole. Blocks while another thread or process makes it.

    Any thread of a session or worker. An interrupt ends it, and nothing stays of what is half made.

    Args:
        path: The directory.
        fill: Makes the directory's content; it gets the descriptor of the lock's file. It is called with an empty
            directory.
        deadline: The monotonic time at which the wait for another process ends.
        say: Shows a line to the user.

    Raises:
        RuntimeEnvSetupError: The cache cannot be written, or another process has taken too long; or as `fill`.
    """
    if is_whole(path):
        return
    me = (threading.get_ident(), path)
    if me in _making:
        raise RuntimeEnvSetupError(
            f"{path} is being made by the very code that this signal handler or finalizer has interrupted. Call again "
            "when that has returned."
        )
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RuntimeEnvSetupError(
            f"{os.path.dirname(path)} cannot be written ({error.strerror}). It holds what runtime_envs need. Make it "
            "writable, or have XDG_CACHE_HOME name another directory."
        ) from error
    _making.add(me)
    try:
        _take(lock, path, deadline, say)
        try:
            if not is_whole(path):
                _fill(path, fill, lock)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
    finally:
        _making.discard(me)
        os.close(lock)


def _take(lock: int, path: str, deadline: float, say: Callable[[str], None]) -> None:
    said, passed = False, INTERRUPTS.passed
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        if monotonic() > deadline:
            raise RuntimeEnvSetupError(
                f"Another session or thread is making {path}, and has not finished within the limit. Wait for it and "
                "call again, or raise the limit: runtime_env={'config': {'setup_timeout_seconds': ...}}."
            )
        if not said:
            said = True
            say("another session is making this environment; waiting for it")
        pause(threading.Event().wait, POLL_S)
        raise_interrupts(passed)


@lets_through
def pause(wait: Callable[[float], Any], seconds: float) -> Any:
    """Call a function of the standard library that blocks for a moment. An interrupt may be raised in it."""
    return wait(seconds)


def raise_interrupts(passed: int) -> None:
    """Raise an interrupt that has come, also in a cell that awaits, which it cancels when this has returned.

    Args:
        passed: The number of interrupts that had been passed on before the wait.
    """
    if INTERRUPTS.due:
        INTERRUPTS.raise_due()
    is_cancelling = INTERRUPTS.is_passing and INTERRUPTS.passed != passed
    if is_cancelling and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


def _fill(path: str, fill: Callable[[int], None], lock: int) -> None:
    shutil.rmtree(path, ignore_errors=True)  # left by a process that was killed
    try:
        os.mkdir(path, 0o700)
        fill(lock)
        with open(os.path.join(path, MARK), "w"):
            pass
    except BaseException as error:
        shutil.rmtree(path, ignore_errors=True)
        if isinstance(error, OSError):
            raise RuntimeEnvSetupError(f"{path} cannot be written: {error}. Free some space and call again.") from error
        raise
