"""Generators to stream from: tasks, and actors of each kind."""

# ruff: noqa: UP028 - Ray sends into a generator what `yield from` would send on, and iterators take nothing.

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

from conformance.subjects import Gate, Journal

KINDS = ("task", "sync", "threaded", "async", "grouped", "async-grouped")
"""What a generator can be of; `caller` makes each."""


class Producer:
    """Generator methods. Each is a task, too: its `self` is used by none."""

    def count(self, number: int) -> Iterator[int]:
        for i in range(number):
            yield i

    def halt(self, gate: Gate) -> Iterator[str]:
        """Yield once before the gate is open, and once after."""
        yield "before"
        gate.wait()
        yield "after"

    def fail(self, number: int, message: str) -> Iterator[int]:
        for i in range(number):
            yield i
        raise ValueError(message)

    def give(self, values: list[Any]) -> Iterator[Any]:
        for value in values:
            yield value

    def note(self, number: int, journal: Journal) -> Iterator[int]:
        """Note each value before it is yielded, and the end."""
        try:
            for i in range(number):
                journal.note(i)
                yield i
        finally:
            journal.note("finally")

    def die(self, number: int, gate: Gate) -> Iterator[int]:
        for i in range(number):
            yield i
        gate.wait()
        os._exit(3)


class AsyncProducer:
    """The same as asynchronous generators."""

    async def count(self, number: int) -> AsyncIterator[int]:
        for i in range(number):
            yield i

    async def halt(self, gate: Gate) -> AsyncIterator[str]:
        import asyncio

        yield "before"
        await asyncio.get_running_loop().run_in_executor(None, gate.wait)
        yield "after"

    async def fail(self, number: int, message: str) -> AsyncIterator[int]:
        for i in range(number):
            yield i
        raise ValueError(message)

    async def give(self, values: list[Any]) -> AsyncIterator[Any]:
        for value in values:
            yield value

    async def note(self, number: int, journal: Journal) -> AsyncIterator[int]:
        try:
            for i in range(number):
                journal.note(i)
                yield i
        finally:
            journal.note("finally")

    async def die(self, number: int, gate: Gate) -> AsyncIterator[int]:
        import asyncio

        for i in range(number):
            yield i
        await asyncio.get_running_loop().run_in_executor(None, gate.wait)
        os._exit(3)


class Ponger:
    """Whether an actor still serves."""

    def ping(self) -> str:
        return "pong"


class SyncActor(Producer, Ponger):
    pass


class AsyncActor(AsyncProducer, Ponger):
    pass


def caller(ray: Any, kind: str) -> Callable[..., Any]:
    """Return a function that calls the generator of a name: `call(name, *args, **options)`."""
    if kind == "task":
        return partial(_call_task, ray)
    subject = AsyncActor if kind.startswith("async") else SyncActor
    options: dict[str, Any] = {"max_concurrency": 2} if kind == "threaded" else {}
    call_options: dict[str, Any] = {}
    if kind.endswith("grouped"):
        options["concurrency_groups"] = {"streams": 2}
        call_options["concurrency_group"] = "streams"
    actor = ray.remote(**options)(subject).remote() if options else ray.remote(subject).remote()
    return partial(_call_method, actor, call_options)


def _call_task(ray: Any, name: str, *args: Any, **options: Any) -> Any:
    task = ray.remote(max_retries=0)(getattr(Producer, name))
    return (task.options(**options) if options else task).remote(None, *args)


def _call_method(actor: Any, own: dict[str, Any], name: str, *args: Any, **options: Any) -> Any:
    options = {**own, **options}
    method = getattr(actor, name)
    return (method.options(**options) if options else method).remote(*args)


def drain(ray: Any, generator: Any) -> list[Any]:
    """Read to the end: each value, or the type of its error's cause."""
    return [_outcome(ray, ref) for ref in generator]


def _outcome(ray: Any, ref: Any) -> Any:
    try:
        return ray.get(ref, timeout=10)
    except Exception as error:
        return type(getattr(error, "cause", error))
