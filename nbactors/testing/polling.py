"""Waiting for a condition that nothing announces."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05


def eventually(condition: Callable[[], T], timeout_s: float = 5.0, what: str = "") -> T:
    """Call `condition` until it returns something true, and return that. Blocks the calling thread.

    For states of other processes that no event tells of. Where there is an event, wait for the event.

    Args:
        condition: Called at least once, the last time not before `timeout_s` is over.
        timeout_s: Seconds.
        what: What is waited for, for the error; the condition's name by default.

    Raises:
        TimeoutError: It did not become true in time; the message holds its last value.
    """
    deadline = time.monotonic() + timeout_s
    pause = _FIRST_PAUSE_S
    while True:
        is_last = time.monotonic() >= deadline
        value = condition()
        if value:
            return value
        if is_last:
            name = what or getattr(condition, "__qualname__", repr(condition))
            raise TimeoutError(f"{name} did not come true within {timeout_s:g} s; the last value was {value!r}")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
