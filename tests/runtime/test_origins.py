"""Calls carry the number of the cell that made them, and hand it on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import nbactors
from nbactors.frontend import calling_cell
from nbactors.local import current


def seen() -> int:
    """Return the number of the cell that this call comes from."""
    return current.member().origin() & 0xFFFF_FFFF


class Seeing:
    def __init__(self) -> None:
        self.made_by = seen()

    def see(self) -> int:
        return seen()

    def born(self) -> int:
        return self.made_by

    def ask(self, other: list[Any]) -> int:
        return nbactors.get(other[0].see.remote())

    def task(self) -> int:
        return nbactors.get(nbactors.remote(seen).remote())


class AsyncSeeing(Seeing):
    async def both(self, other: list[Any]) -> list[int]:
        await asyncio.sleep(0)
        return [seen(), await other[0].see.remote()]


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    nbactors.init(num_cpus=2)
    yield
    nbactors.shutdown()


@pytest.fixture(autouse=True)
def no_cell() -> Iterator[None]:
    yield
    calling_cell.enter(0)


def make(cls: type) -> Any:
    return nbactors.remote(cls).remote()


def test_without_cells_calls_carry_zero() -> None:
    actor = make(Seeing)
    assert nbactors.get([actor.see.remote(), nbactors.remote(seen).remote()]) == [0, 0]


def test_each_call_carries_the_number_of_its_cell() -> None:
    calling_cell.enter(1)
    actor = make(Seeing)
    refs = [actor.see.remote()]
    calling_cell.enter(2)
    refs += [actor.see.remote(), actor.born.remote(), nbactors.remote(seen).remote()]
    assert nbactors.get(refs) == [1, 2, 1, 2]


def test_a_call_that_waits_for_an_argument_keeps_its_number() -> None:
    class Taking(Seeing):
        def take(self, _: Any) -> int:
            return seen()

    calling_cell.enter(3)
    actor = make(Taking)
    ref = actor.take.remote(make(Seeing).see.remote())
    calling_cell.enter(4)
    assert nbactors.get(ref) == 3


def test_a_call_hands_its_number_on_to_the_calls_that_it_makes() -> None:
    calling_cell.enter(5)
    first, second = make(Seeing), make(AsyncSeeing)
    refs = [first.ask.remote([second]), first.task.remote()]
    calling_cell.enter(6)
    assert nbactors.get([*refs, second.both.remote([first])]) == [5, 5, [6, 6]]


def test_an_asyncio_task_keeps_the_number_of_the_cell_that_started_the_task() -> None:
    actor = make(Seeing)
    go_on = asyncio.Event()

    async def later() -> int:
        await go_on.wait()
        return await actor.see.remote()

    async def cells() -> int:
        calling_cell.enter(7)
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
        calling_cell.enter(8)
        go_on.set()
        return await task

    assert asyncio.run(cells()) == 7


def test_a_thread_has_the_number_of_the_latest_cell() -> None:
    actor = make(Seeing)
    calling_cell.enter(9)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(nbactors.get(actor.see.remote())))
    thread.start()
    thread.join()
    assert found == [9]


def test_the_upper_half_of_the_number_is_the_session() -> None:
    calling_cell.enter(10)
    job = int(nbactors.get_runtime_context().get_job_id(), 16).to_bytes(4, "big")
    value = nbactors.get(nbactors.remote(lambda: current.member().origin()).remote())
    assert value == int.from_bytes(job, "little") << 32 | 10
