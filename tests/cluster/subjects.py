"""Classes that the tests run as actors. They are pickled by value, so that workers need no path to the tests."""

from __future__ import annotations

import os
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


def latches() -> Any:
    """Return a class whose methods of each kind wait."""

    class Latches:
        def __init__(self) -> None:
            import threading

            self.opened = threading.Event()

        def sync(self, number: int, *, text: str) -> str:
            number = 0
            self.opened.wait()
            return text * number

        def stream(self, number: int) -> Any:
            self.opened.wait()
            yield number

        def open(self) -> None:
            self.opened.set()

    return Latches


def async_latches() -> Any:
    """Return a class whose coroutines of each kind wait."""

    class AsyncLatches:
        def __init__(self) -> None:
            import threading

            self.opened = threading.Event()

        async def sync(self, number: int, *, text: str) -> str:
            await self.opening()
            return text * number

        async def stream(self, number: int) -> Any:
            await self.opening()
            yield number

        async def opening(self) -> None:
            import asyncio

            await asyncio.to_thread(self.opened.wait)

        async def open(self) -> None:
            self.opened.set()

    return AsyncLatches


def leaver() -> Any:
    """Return a class whose actors end at the same moment, when `gate`, a FIFO, has a byte for each.

    Each prints `lines` long lines then.
    """

    class Leaver:
        def __init__(self, folder: Path, lines: int) -> None:
            self._folder, self._lines = folder, lines

        def pid(self) -> int:
            return os.getpid()

        def __ray_shutdown__(self) -> None:
            (self._folder / f"{os.getpid()}.ends").touch()
            with (self._folder / "gate").open("rb", buffering=0) as gate:
                gate.read(1)
            for _ in range(self._lines):
                print("x" * 5_000_000)
            print("the last line")

    return Leaver
