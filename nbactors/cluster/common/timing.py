"""A function that is called after a while."""

from __future__ import annotations

import threading
from collections.abc import Callable


def later(seconds: float, function: Callable[[], None]) -> None:
    """Call a function after `seconds`, on a thread of its own, which does not keep the process alive. Any thread."""
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.name = "nbactors-timer"  # by this name it belongs to no call, see `in_worker.thread_calls`
    timer.start()
