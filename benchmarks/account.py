"""What a call executes, by room: bytecodes, and calls of functions in Python and in C.

    python -m benchmarks.account            a plain actor's call; `async` for an asyncio actor's

These counts do not depend on the machine or its load, unlike times. They are different with each version of Python.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import click

import nbactors
from nbactors.local.task_events.recorder import BUSY, LISTED

CALLS = 200
"""Calls that are counted together."""

WARM_CALLS = LISTED + BUSY + 50
"""Calls before: the interpreter has specialised its bytecodes then, and connections are made.

They are also the first ones of this half second, to each of which task events give more work than to later ones. So the
counted calls are later ones, unless another half second begins among them.
"""

LONG_S = 60.0
"""Seconds for which a counted thread keeps the GIL, unless it makes a system call."""

PACKAGE = str(Path(nbactors.__file__).parent)


class Work(NamedTuple):
    """How often something is executed per call, by room.

    Attributes:
        bytecodes: Bytecodes.
        python, c: Functions that are called, written in Python and in C.
    """

    bytecodes: dict[str, float]
    python: dict[str, float]
    c: dict[str, float]


def room_of(file: str) -> str:
    """Return the room of a source file, such as "local/reactor"; "elsewhere" for a file that is not in the package."""
    if not file.startswith(PACKAGE):
        return "elsewhere"
    return "/".join(Path(file).relative_to(PACKAGE).parts[:-1]) or "api"


class Count:
    """Counts what one thread executes, between `begin` and `end`."""

    def __init__(self) -> None:
        self.bytecodes: Counter[str] = Counter()
        self.python: Counter[str] = Counter()
        self.c: Counter[str] = Counter()
        self._interval = 0.0

    def begin(self, *, by_bytecode: bool) -> None:
        """Count the calling thread's bytecodes, or the functions that it calls."""
        # A trace function lets other threads run where the runtime relies on that none does, see `local/reactor`.
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(LONG_S)
        if not by_bytecode:
            sys.setprofile(self._called)
            return
        frame: FrameType | None = sys._getframe()
        while frame is not None:  # those of the runtime's loop have begun already
            frame.f_trace = self._traced
            frame.f_trace_opcodes = True
            frame = frame.f_back
        sys.settrace(self._traced)

    def end(self) -> None:
        """Stop counting."""
        sys.settrace(None)
        sys.setprofile(None)
        sys.setswitchinterval(self._interval)

    def per_call(self) -> Work:
        """Return the counts divided by `CALLS`."""

        def divided(counts: Counter[str]) -> dict[str, float]:
            return {room: count / CALLS for room, count in counts.items()}

        return Work(divided(self.bytecodes), divided(self.python), divided(self.c))

    def _traced(self, frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            self.bytecodes[room_of(frame.f_code.co_filename)] += 1
        return self._traced

    def _called(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            self.python[room_of(frame.f_code.co_filename)] += 1
        elif event == "c_call":
            self.c[room_of(frame.f_code.co_filename)] += 1


class Echo:
    """The actor whose calls are counted."""

    def __init__(self) -> None:
        self._count = Count()

    def small(self) -> bytes:
        """Return a small reply."""
        return b"ok"

    def begin(self, by_bytecode: bool) -> None:
        """Count what this thread executes from now on."""
        self._count.begin(by_bytecode=by_bytecode)

    def end(self) -> Work:
        """Return what this thread has executed per call."""
        self._count.end()
        return self._count.per_call()


class AsyncEcho(Echo):
    """The same as an asyncio actor."""

    async def small(self) -> bytes:  # type: ignore[override] # asynchronous
        """Return a small reply."""
        return b"ok"


def account(kind: str = "plain") -> tuple[Work, Work]:
    """Return what a call executes in its caller, and in its worker. Needs a session.

    Args:
        kind: "plain", or "async" for an asyncio actor.
    """
    actor: Any = nbactors.remote(AsyncEcho if kind == "async" else Echo).remote()
    get, method = nbactors.get, actor.small
    count = Count()

    def call(times: int) -> None:
        for _ in range(times):
            get(method.remote())

    for by_bytecode in (True, False):
        call(WARM_CALLS)
        get(actor.begin.remote(by_bytecode))
        call(CALLS)
        there = get(actor.end.remote())
    for by_bytecode in (True, False):
        call(WARM_CALLS)
        count.begin(by_bytecode=by_bytecode)
        try:
            call(CALLS)
        finally:
            count.end()
    return count.per_call(), there


@click.command()
@click.argument("kind", type=click.Choice(["plain", "async"]), default="plain")
def main(kind: str) -> None:
    """Print what a call executes, by room."""
    nbactors.init(log_to_driver=False)
    for side, work in zip(("caller", "worker"), account(kind), strict=True):
        click.echo(f"{side:32}{'bytecodes':>10}{'Python':>8}{'C':>8}")
        for room in sorted(work.bytecodes, key=work.bytecodes.__getitem__, reverse=True):
            row = [counts.get(room, 0.0) for counts in work]
            click.echo(f"  {room:30}{row[0]:10.0f}{row[1]:8.1f}{row[2]:8.1f}")
        total = [sum(counts.values()) for counts in work]
        click.echo(f"  {'together':30}{total[0]:10.0f}{total[1]:8.1f}{total[2]:8.1f}\n")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.account")
