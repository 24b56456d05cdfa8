"""`eventually` waits for a condition that has no event."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from nbactors.frontend.user_code import lets_through

T = TypeVar("T")

_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05


@lets_through  # in an actor, `cancel` ends its sleep
def eventually(condition: Callable[[], T], timeout_s: float = 5.0, what: str = "") -> T:
    """Call `condition` until its result is true, and return the result. Any thread; blocks it.

    This is for states of other processes that have no event. Example: `eventually(lambda: not psutil.pid_exists(pid))`.

    Args:
        condition: Called at least once, and for the last time after `timeout_s` seconds.
        timeout_s: Limit of the wait in seconds.
        what: Description of the condition for the error; by default the function's name.

    Raises:
        TimeoutError: The result was not true in time. The message contains the last result.
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
