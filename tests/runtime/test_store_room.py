"""`init(object_store_memory=)` bounds what a session and its workers hold in memory, and no value is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

import nbactors as ray
from nbactors.local import current
from nbactors.testing import eventually

MIB = 1 << 20
LIMIT = 40 * MIB
SIZE = 5 * MIB
COUNT = 20


@pytest.fixture(scope="module", autouse=True)
def _session() -> Iterator[None]:
    ray.init(num_cpus=2, object_store_memory=LIMIT)
    yield
    ray.shutdown()


def held() -> tuple[int, int]:
    """Return the bytes in memory and on disk of this process's object store."""
    store = current.member().store
    return store.in_memory, store.spilled


class Actor:
    def make(self, number: int) -> bytes:
        return bytes([number]) * SIZE

    def check(self, number: int, value: bytes) -> bool:
        return value == bytes([number]) * SIZE

    def check_all(self, refs: list[Any]) -> bool:
        return all(value == bytes([number]) * SIZE for number, value in enumerate(ray.get(refs)))

    def held(self) -> tuple[int, int]:
        return held()


def test_a_session_and_its_actors_hold_their_share_in_memory_and_the_rest_on_disk() -> None:
    actors: list[Any] = [ray.remote(Actor).options(num_cpus=0).remote() for _ in range(2)]
    puts = [ray.put(bytes([number]) * SIZE) for number in range(COUNT)]
    results = [actor.make.remote(number) for actor in actors for number in range(COUNT)]
    ray.wait(results, num_returns=len(results))
    in_memory, on_disk = zip(held(), *ray.get([actor.held.remote() for actor in actors]), strict=True)
    assert 0 < sum(in_memory) <= LIMIT
    assert sum(in_memory) + sum(on_disk) >= 3 * COUNT * SIZE
    for number, value in enumerate(puts):
        assert ray.get(value) == bytes([number]) * SIZE
        assert ray.get(actors[0].check.remote(number, value))
    for index, value in enumerate(results):
        assert ray.get(value) == bytes([index % COUNT]) * SIZE


def test_values_are_fetched_while_all_memory_is_in_use() -> None:
    """The owner answers on the thread that leads, which must neither wait for room nor read files."""
    puts = [ray.put(bytes([number]) * SIZE) for number in range(COUNT)]
    pins = [ref._entry.stored.views() for ref in puts]
    actor: Any = ray.remote(Actor).options(num_cpus=0).remote()
    for _ in range(3):
        assert ray.get(actor.check_all.remote(puts), timeout=30)
    del pins
    assert ray.get(actor.check_all.remote(puts), timeout=30)


def test_a_process_gets_the_room_that_another_one_does_not_use_any_more() -> None:
    puts: list[Any] = []

    def has_all() -> bool:
        del puts[:-COUNT]
        puts.append(ray.put(bytes(SIZE)))
        return current.member().room.lent == LIMIT

    # The session asks once a second only, and actors that have just ended may have had room at the last time.
    eventually(has_all, timeout_s=20)
    puts.clear()
    actor: Any = ray.remote(Actor).options(num_cpus=0).remote()
    results: list[Any] = []

    def holds_half() -> bool:
        results.append(actor.make.remote(len(results)))
        ray.wait(results[-1:])
        in_memory, _ = ray.get(actor.held.remote())
        return bool(in_memory >= LIMIT // 2)

    # The node waits for the session for a moment only, so the first results may be spilled on a busy machine.
    eventually(holds_half, timeout_s=20)
    assert current.member().room.lent <= LIMIT // 2
    assert all(ray.get(value) == bytes([number]) * SIZE for number, value in enumerate(results))


def test_a_process_that_comes_late_gets_a_share_of_the_room_that_another_one_uses() -> None:
    puts: list[Any] = []

    def holds_most() -> bool:
        puts.append(ray.put(bytes([len(puts) % 256]) * SIZE))
        return held()[0] > LIMIT * 0.6

    eventually(holds_most, timeout_s=20)  # an actor of another test may have room for a moment
    actor: Any = ray.remote(Actor).options(num_cpus=0).remote()
    results: list[Any] = []

    def holds_a_quarter() -> bool:
        results.append(actor.make.remote(len(results) % 256))
        ray.wait(results[-1:])
        in_memory, _ = ray.get(actor.held.remote())
        return bool(in_memory >= LIMIT // 4)

    eventually(holds_a_quarter, timeout_s=20)
    assert held()[0] <= LIMIT * 3 // 4
    assert all(ray.get(value) == bytes([number % 256]) * SIZE for number, value in enumerate(puts))
    assert all(ray.get(value) == bytes([number % 256]) * SIZE for number, value in enumerate(results))


def test_a_forked_child_reads_spilled_values() -> None:
    puts = [ray.put(bytes([number]) * SIZE) for number in range(COUNT)]
    assert any(not ref._entry.stored.hold.block.arena.in_memory for ref in puts)
    child = os.fork()
    if not child:
        is_whole = False
        try:
            is_whole = all(ref.result() == bytes([number]) * SIZE for number, ref in enumerate(puts))
        finally:
            os._exit(0 if is_whole else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert all(ray.get(ref) == bytes([number]) * SIZE for number, ref in enumerate(puts))
