"""Actors that crash on request, and note in a journal what each of their processes does. Imported by workers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

from conformance.mortals import _exit_actor
from conformance.subjects import Gate, Journal

CONSTRUCTED = "constructed"


def end(way: str) -> None:
    """End this process.

    Raises:
        ValueError: `way` is "raise".
        KeyError: `way` is "raise KeyError".
    """
    if way.startswith("os._exit"):
        os._exit(int(way[-2]))
    if way.startswith("sys.exit"):
        sys.exit(int(way[-2]))
    if way == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()
    if way == "exit_actor":
        _exit_actor()
    if way == "raise":
        raise ValueError("again")
    if way == "raise KeyError":
        raise KeyError("again")


class Restartable:
    """Counts in memory, and in a journal.

    Args:
        journal: Gets a line from each process whose constructor runs, and from each run of most methods.
        constructions: How each process ends in its constructor, in order; "" for none.
        gate: Each process but the first waits at it in its constructor.
        kept: What `kept` returns.
    """

    def __init__(
        self, journal: Journal, constructions: tuple[str, ...] = (), gate: Any = None, kept: Any = None
    ) -> None:
        self.journal = journal
        self.value = 0
        self._kept = kept
        journal.note(CONSTRUCTED)
        number = journal.lines().count(CONSTRUCTED)
        if gate is not None and number > 1:
            gate.wait()
        if number <= len(constructions):
            end(constructions[number - 1])

    def increment(self) -> int:
        self.value += 1
        return self.value

    def pid(self) -> int:
        return os.getpid()

    def kept(self) -> Any:
        return self._kept

    def note(self, line: str) -> str:
        self.journal.note(line)
        return line

    def wait(self, gate: Gate, line: str) -> str:
        self.journal.note(line)
        gate.wait()
        return line

    def end(self, way: str) -> None:
        end(way)

    def run(self, line: str, *ways: str) -> int:
        """Note the line; end the first run by the first way, and so on; return the number of this run."""
        self.journal.note(line)
        number = self.journal.lines().count(line)
        if number <= len(ways):
            end(ways[number - 1])
        return number

    def stream(self, gate: Gate, number: int) -> Iterator[int]:
        """Yield numbers. The first run crashes after the second one, when the gate is open."""
        self.journal.note("stream")
        for i in range(number):
            if i == 2 and self.journal.lines().count("stream") == 1:
                gate.wait()
                end("os._exit(1)")
            yield i


class AsyncRestartable:
    """The same on an event loop."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        journal.note(CONSTRUCTED)

    async def pid(self) -> int:
        return os.getpid()

    async def wait(self, gate: Gate, line: str) -> str:
        self.journal.note(line)
        await asyncio.to_thread(gate.wait)
        return line

    async def run(self, line: str, *ways: str) -> int:
        return Restartable.run(self, line, *ways)  # type: ignore[arg-type]

    async def stream(self, gate: Gate, number: int) -> AsyncIterator[int]:
        self.journal.note("stream")
        for i in range(number):
            if i == 2 and self.journal.lines().count("stream") == 1:
                await asyncio.to_thread(gate.wait)
                end("os._exit(1)")
            yield i
