"""Classes that the tests run as actors. They are pickled by value, so that workers need no path to the tests."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any


def counter() -> Any:
    """Return a plain class."""

    class Counter:
        def __init__(self, value: int = 0) -> None:
            self.value = value

        def add(self, n: int = 1, *, times: int = 1) -> int:
            self.value += n * times
            return self.value

        def fail(self) -> None:
            raise ValueError("no")

        def count_to(self, n: int) -> Any:
            yield from range(n)

        def sleep(self, seconds: float, mark: str = "") -> str:
            if mark:
                Path(mark).touch()
            time.sleep(seconds)
            return "slept"

        def spin(self, mark: str) -> None:
            Path(mark).touch()
            while True:
                pass

    return Counter
