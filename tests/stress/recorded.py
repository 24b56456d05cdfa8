"""Actors and tasks that record in a `History` what they run. They are killed at any moment."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import nbactors
from nbactors.testing import History
from nbactors.testing.records import Call

LIMIT_S = 40.0
"""A call without an answer by then hangs. A restart takes less than a second, on a busy machine some seconds."""


class Plain:
    """One call at a time. The state is the number of calls of `add` that have returned."""

    def __init__(self, history: History, label: str) -> None:
        self.history = history
        self.life = history.born(label)
        self.changes = 0
        self.lock = threading.Lock()

    def add(self, call: Call) -> int:
        with self.life.run(call, changes=True) as run:
            with self.lock:
                run.saw(self.changes)
                self.changes += 1
                value = self.changes
            return run.returns(value)

    def read(self, call: Call) -> int:
        with self.life.run(call) as run:
            value = self.changes
            run.saw(value)
            return run.returns(value)

    def slow(self, call: Call, seconds: float) -> float:
        with self.life.run(call) as run:
            threading.Event().wait(seconds)
            return run.returns(seconds)

    def fail(self, call: Call) -> None:
        with self.life.run(call):
            raise ValueError(str(call))

    def length(self, call: Call, blob: bytes) -> int:
        with self.life.run(call) as run:
            return run.returns(len(blob))

    def blob(self, call: Call, size: int) -> bytes:
        with self.life.run(call) as run:
            return run.returns(bytes(size))

    def stream(self, call: Call, count: int) -> Iterator[int]:
        with self.life.run(call) as run:
            yield from range(count)
            run.returns(list(range(count)))


class Asynchronous:
    """Many calls at a time, on a loop."""

    def __init__(self, history: History, label: str) -> None:
        self.history = history
        self.life = history.born(label)
        self.changes = 0

    async def add(self, call: Call) -> int:
        with self.life.run(call, changes=True) as run:
            await asyncio.sleep(0)
            run.saw(self.changes)
            self.changes += 1
            return run.returns(self.changes)

    async def read(self, call: Call) -> int:
        with self.life.run(call) as run:
            run.saw(self.changes)
            return run.returns(self.changes)

    async def slow(self, call: Call, seconds: float) -> float:
        with self.life.run(call) as run:
            await asyncio.sleep(seconds)
            return run.returns(seconds)

    async def fail(self, call: Call) -> None:
        with self.life.run(call):
            raise ValueError(str(call))

    async def length(self, call: Call, blob: bytes) -> int:
        with self.life.run(call) as run:
            return run.returns(len(blob))

    async def blob(self, call: Call, size: int) -> bytes:
        with self.life.run(call) as run:
            return run.returns(bytes(size))

    async def stream(self, call: Call, count: int) -> AsyncIterator[int]:
        with self.life.run(call) as run:
            for index in range(count):
                yield index
            run.returns(list(range(count)))

    async def relay(self, call: Call, target: str, other: list[Any]) -> str:
        """Call another actor, as a submitter of its own."""
        with self.life.run(call) as run:
            submitter = self.history.submitter(f"{self.life.id}:{call}")
            inner = submitter.invoke(target, "add", retries=-1, lane=None)
            ref = other[0].add.options(max_task_retries=-1).remote(inner)
            submitter.take(inner, await _answer(ref))
            submitter.leave()
            return run.returns(target)


async def _answer(ref: Any) -> Any:
    """Wait for an answer; return a function that returns or raises it."""
    await asyncio.wait([ref], timeout=LIMIT_S)
    return lambda: nbactors.get(ref, timeout=0)


def double(history: History, call: Call, number: int) -> int:
    with history.run(call) as run:
        return run.returns(2 * number)


def linger(history: History, call: Call, seconds: float) -> float:
    with history.run(call) as run:
        threading.Event().wait(seconds)
        return run.returns(seconds)


def fail(history: History, call: Call) -> None:
    with history.run(call):
        raise ValueError(str(call))


def produce(history: History, call: Call, count: int) -> Iterator[int]:
    with history.run(call) as run:
        yield from range(count)
        run.returns(list(range(count)))
