"""An asyncio actor's main loop hosts the reactor. When synchronous code blocks it, the rest of the process goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.subjects import Gate, Journal
from conformance.waiting import eventually

import nbactors

DOZE_S = 0.3
"""After this long without anything to do the background thread of an actor has gone to sleep."""


class Other:
    async def later(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "answered"

    def echo(self, value: Any) -> Any:
        return value


class Blocked:
    """Its default group's loop, on the main thread, is blocked by `block`; the group `io` must not notice."""

    def __init__(self) -> None:
        self.is_blocked = False

    async def block(self, gate: Gate) -> None:
        await asyncio.sleep(DOZE_S)
        self.is_blocked = True
        gate.wait()

    async def _until_blocked(self) -> None:
        while not self.is_blocked:  # noqa: ASYNC110 - it is set on another loop, and an event belongs to one
            await asyncio.sleep(0.02)

    @nbactors.method(concurrency_group="io")
    async def call(self, other: Any) -> Any:
        await self._until_blocked()
        return await other.echo.remote("answered")

    @nbactors.method(concurrency_group="io")
    async def wait_for(self, ref: list[Any]) -> Any:
        return await ref[0]

    @nbactors.method(concurrency_group="io")
    async def call_in_time(self, other: Any) -> str:
        await self._until_blocked()
        try:
            await other.later.options(timeout_s=0.1).remote(60)
        except TimeoutError as error:
            return error.phase  # type: ignore[attr-defined,no-any-return]
        return "in time"

    @nbactors.method(concurrency_group="io")
    async def ready(self) -> bool:
        return self.is_blocked


class Slow:
    async def values(self) -> AsyncIterator[int]:
        yield 1

    def collect(self, journal: Journal, gate: Gate) -> Any:
        journal.note("called")
        gate.wait()
        return self.values()

    async def echo(self, value: Any) -> Any:
        return value


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    nbactors.init(num_cpus=2)
    yield
    nbactors.shutdown()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate.closed(str(tmp_path / "gate"))
    yield gate
    gate.open()


@pytest.fixture
def actors() -> tuple[Any, Any]:
    blocked: Any = nbactors.remote(concurrency_groups={"io": 4})(Blocked).remote()
    other: Any = nbactors.remote(Other).remote()
    # With warm connections: making one is not what is tested.
    nbactors.get([blocked.wait_for.remote([other.echo.remote(1)]), blocked.ready.remote()], timeout=20)
    return blocked, other


@pytest.mark.slow
def test_another_loop_calls_while_the_main_loop_is_blocked(actors: tuple[Any, Any], gate: Gate) -> None:
    blocked, other = actors
    block = blocked.block.remote(gate)
    assert nbactors.get(blocked.call.remote(other), timeout=20) == "answered"
    gate.open()
    nbactors.get(block, timeout=20)


@pytest.mark.slow
def test_an_answer_is_read_while_the_loop_is_blocked(actors: tuple[Any, Any], gate: Gate) -> None:
    blocked, other = actors
    block = blocked.block.remote(gate)
    # Answered when the loop is blocked, for certain: nothing goes in or out of the actor between.
    waiting = blocked.wait_for.remote([other.later.remote(2 * DOZE_S)])
    assert nbactors.get(waiting, timeout=20) == "answered"
    gate.open()
    nbactors.get(block, timeout=20)


@pytest.mark.slow
def test_a_timeout_expires_while_the_loop_is_blocked(actors: tuple[Any, Any], gate: Gate) -> None:
    blocked, other = actors
    block = blocked.block.remote(gate)
    assert nbactors.get(blocked.call_in_time.remote(other), timeout=20) == "running"
    gate.open()
    nbactors.get(block, timeout=20)


@pytest.mark.slow
def test_a_call_that_is_cancelled_before_its_task_begins_is_answered(gate: Gate, tmp_path: Path) -> None:
    slow: Any = nbactors.remote(Slow).remote()
    journal = Journal(str(tmp_path / "journal"))
    ref = slow.collect.remote(journal, gate)
    eventually(journal.lines)
    # The method blocks the loop: it is cancelled before it has returned what a task is to run.
    nbactors.cancel(ref)
    assert not nbactors.wait([ref], timeout=DOZE_S)[0]
    gate.open()
    with pytest.raises(nbactors.exceptions.TaskCancelledError, match="was cancelled"):
        nbactors.get(ref, timeout=20)
    assert nbactors.get(slow.echo.remote("alive"), timeout=20) == "alive"
