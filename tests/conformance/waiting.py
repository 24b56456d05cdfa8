"""Waiting for a condition that no event announces. Imports nothing of the module under test."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_S = 0.02


def eventually(condition: Callable[[], T], timeout_s: float = 10.0) -> T:
    """Call `condition` until it returns something true, and return that.

    Raises:
        AssertionError: It did not within `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        is_last = time.monotonic() >= deadline
        value = condition()
        if value:
            return value
        assert not is_last, f"did not come true within {timeout_s:g} s; the last value was {value!r}"
        time.sleep(_PAUSE_S)
