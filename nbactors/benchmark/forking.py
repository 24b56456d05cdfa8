"""The machine's limit for new actors: a process that is forked, exits and is reaped."""

from __future__ import annotations

import os
import statistics
import time

REPEATS = 9


def fork_and_exit() -> float:
    """Return the median seconds of `fork`, `_exit` and `waitpid`."""
    return statistics.median(_once() for _ in range(REPEATS))


def _once() -> float:
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return time.perf_counter() - start
