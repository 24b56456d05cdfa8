"""Subjects that run until they are cancelled, and say so in a journal."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from conformance.subjects import Gate, Journal

LONG_S = 20.0
"""Longer than any test waits; whatever runs that long was not stopped."""


def loop(journal: Journal, name: str = "task") -> str:
    """Run in Python code, with short system calls in between, until interrupted."""
    end = time.monotonic() + LONG_S
    try:
        journal.note(f"{name} runs")
        while time.monotonic() < end:
            time.sleep(0.01)
    except KeyboardInterrupt:
        journal.note(f"{name} interrupted")
        raise
    finally:
        journal.note(f"{name} cleaned up")
    return "never stopped"


def count_up(journal: Journal) -> Iterator[int]:
    """Yield a first value, then nothing until interrupted."""
    yield 0
    loop(journal, "generator")
    yield 1


class Slow:
    """Is unpickled only once the gate is open."""

    def __init__(self, gate: Gate, journal: Journal) -> None:
        self.gate, self.journal = gate, journal

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.journal.note("unpickling")
        self.gate.wait()


class Sticky:
    """Is never pickled, or never unpickled.

    Args:
        verb: "pickling" or "unpickling".
    """

    def __init__(self, journal: Journal, verb: str) -> None:
        self.journal, self.verb = journal, verb

    def __reduce__(self) -> tuple[Any, ...]:
        if self.verb == "unpickling":
            return loop, (self.journal, "unpickling")
        loop(self.journal, "pickling")
        return Sticky, (self.journal, "none")


class Steady:
    """A synchronous actor, whose state tells what was done to it."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.done: list[str] = []

    def loop(self, name: str = "method") -> str:
        try:
            return loop(self.journal, name)
        finally:
            self.done.append(name)

    def wait(self, gate: Gate) -> str:
        time.sleep(0.001)  # its work: no call as short as those after which nobody looks who was cancelled
        self.journal.note("waits")
        gate.wait()
        self.done.append("waited")
        return "passed"

    def note(self, line: str, *_: Any) -> str:
        self.journal.note(line)
        self.done.append(line)
        return line

    def fail(self, gate: Gate) -> None:
        self.wait(gate)
        raise ValueError("its own error")

    def state(self) -> list[str]:
        return self.done

    def thread(self) -> int:
        return threading.get_ident()

    def generate(self) -> Iterator[int]:
        yield 0
        self.loop("generator")
        yield 1
