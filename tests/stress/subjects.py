"""The actors that are called. Each notes the id of every call that it begins, so that the calls can be counted."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import nbactors

CHILD = 1 << 40
"""Added to the id of a call that makes another: the id of that one."""


class Noting:
    """What all have in common. `begun` holds ids in the order in which their calls began."""

    def __init__(self) -> None:
        self.begun: list[int] = []


def left_behind() -> list[str]:
    """Return what this process holds of calls that have ended: descriptions, none if nothing. In an actor or driver."""
    from nbactors.local import current
    from nbactors.local.objects.entry import Entry
    from nbactors.local.objects.stream_inbox import Inbox
    from nbactors.local.objects.streams import RemoteReader
    from nbactors.local.submitting.pending_call import PendingCall
    from nbactors.local.worker.jobs.job import Job

    gc.collect()
    current_call = current.member().current_call
    own = current_call() if current_call is not None else None
    kinds = (PendingCall, Entry, Inbox, RemoteReader, Job)
    # Asking by type: `isinstance` would make proxies of the user's load what they stand for.
    found = [thing for thing in gc.get_objects() if issubclass(type(thing), kinds) and thing is not own]
    lines = [f"{type(thing).__name__} {getattr(thing, 'message', getattr(thing, 'number', ''))}" for thing in found]
    # What was counted with an actor's constructor stays counted as long as it lives.
    return [line for line in lines if "method='__init__'" not in line]


class Plain(Noting):
    """One call at a time."""

    def add(self, number: int, value: int) -> int:
        self.begun.append(number)
        return value + 1

    def slow(self, number: int, seconds: float) -> int:
        self.begun.append(number)
        threading.Event().wait(seconds)
        return number

    def length(self, number: int, blob: bytes) -> int:
        self.begun.append(number)
        return len(blob)

    def blob(self, number: int, size: int) -> bytes:
        self.begun.append(number)
        return bytes(size)

    def stream(self, number: int, count: int) -> Iterator[int]:
        self.begun.append(number)
        yield from range(count)

    def report(self) -> list[int]:
        return self.begun

    def left_behind(self) -> list[str]:
        return left_behind()


class Threaded(Plain):
    """Several calls at a time, on threads."""

    def relay(self, number: int, other: list[Any]) -> int:
        self.begun.append(number)
        value: int = nbactors.get(other[0].add.remote(number + CHILD, 1), timeout=60)
        return value


class Asynchronous(Noting):
    """Many calls at a time, on a loop."""

    async def add(self, number: int, value: int) -> int:
        self.begun.append(number)
        await asyncio.sleep(0)
        return value + 1

    async def slow(self, number: int, seconds: float) -> int:
        self.begun.append(number)
        await asyncio.sleep(seconds)
        return number

    def length(self, number: int, blob: bytes) -> int:
        self.begun.append(number)
        return len(blob)

    async def blob(self, number: int, size: int) -> bytes:
        self.begun.append(number)
        return bytes(size)

    async def stream(self, number: int, count: int) -> AsyncIterator[int]:
        self.begun.append(number)
        for index in range(count):
            if not index % 4:
                await asyncio.sleep(0)
            yield index

    async def relay(self, number: int, other: list[Any]) -> int:
        self.begun.append(number)
        value: int = await other[0].add.remote(number + CHILD, 1)
        return value

    async def report(self) -> list[int]:
        return self.begun

    async def left_behind(self) -> list[str]:
        return left_behind()


class Grouped(Asynchronous):
    """The same, with two more loops. `slow` blocks that of its group."""

    @nbactors.method(concurrency_group="io")
    async def add(self, number: int, value: int) -> int:
        return await super().add(number, value)

    @nbactors.method(concurrency_group="work")
    def slow(self, number: int, seconds: float) -> int:  # type: ignore[override]
        self.begun.append(number)
        threading.Event().wait(seconds)
        return number

    @nbactors.method(concurrency_group="io")
    async def stream(self, number: int, count: int) -> AsyncIterator[int]:
        self.begun.append(number)
        for index in range(count):
            yield index


class Link:
    """One of a chain."""

    def __init__(self, following: Any = None) -> None:
        self.following = following

    async def depth(self) -> int:
        if self.following is None:
            return 1
        deeper: int = await self.following.depth.remote()
        return 1 + deeper


def start(namespace_prefix: str) -> dict[str, Any]:
    """Start one of each, named with the prefix."""
    kinds: dict[str, Any] = {
        "plain": nbactors.remote(Plain),
        "threaded": nbactors.remote(max_concurrency=4)(Threaded),
        "async": nbactors.remote(Asynchronous),
        "grouped": nbactors.remote(concurrency_groups={"io": 8, "work": 2})(Grouped),
    }
    return {kind: cls.options(name=f"{namespace_prefix}-{kind}").remote() for kind, cls in kinds.items()}
