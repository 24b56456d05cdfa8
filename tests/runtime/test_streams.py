"""Streams under pressure: dropped, closed and read at random, and what they leave in shared memory."""

from __future__ import annotations

import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from conformance.waiting import eventually

from nbactors.local import current

SIZE = 1 << 20
BOUND = "_generator_backpressure_num_objects"


class Source:
    """Counts the generators that run."""

    def __init__(self) -> None:
        self.running = 0

    def blobs(self, number: int) -> Iterator[bytes]:
        self.running += 1
        try:
            for i in range(number):
                yield bytes([i % 256]) * SIZE
        finally:
            self.running -= 1

    def count(self, number: int) -> Iterator[int]:
        self.running += 1
        try:
            yield from range(number)
        finally:
            self.running -= 1

    def now(self) -> int:
        return self.running


class AsyncSource(Source):
    async def count(self, number: int) -> AsyncIterator[int]:  # type: ignore[override]
        self.running += 1
        try:
            for i in range(number):
                yield i
        finally:
            self.running -= 1


def drop_half_read(generator: Any) -> None:
    for _ in range(5):
        next(generator)


def drop_unread(generator: Any) -> None:
    from nbactors import get

    get(generator.completed())


def close_half_read(generator: Any) -> None:
    drop_half_read(generator)
    generator.close()


@pytest.fixture
def ray() -> Iterator[Any]:
    import nbactors

    nbactors.init(num_cpus=4)
    yield nbactors
    nbactors.shutdown()


def segments() -> int:
    """Return how many values in shared memory this process has from others."""
    peers = current.member().peers
    connections = [*peers.outgoing(), *peers.incoming()]
    received = [arena for connection in connections for arena in connection.claims.received.values()]
    return sum(arena.live for arena in set(received)) - len(received)


@pytest.mark.slow
@pytest.mark.parametrize("use", [drop_half_read, drop_unread, close_half_read])
def test_unread_items_are_freed(ray: Any, use: Callable[[Any], None]) -> None:
    source = ray.remote(Source).remote()
    before = segments()
    generator = source.blobs.remote(20)
    use(generator)
    if use is not close_half_read:
        del generator
    eventually(lambda: segments() == before)
    assert ray.get(source.now.remote()) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync", "threaded", "async"])
def test_generators_read_dropped_and_closed_at_random_leave_nothing(ray: Any, kind: str) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    actor_class = ray.remote(AsyncSource if kind == "async" else Source)
    source = (actor_class.options(max_concurrency=4) if kind == "threaded" else actor_class).remote()
    completed: list[Any] = []
    wrong: list[Any] = []

    def use_some(rng: random.Random) -> None:
        for _ in range(40):
            number, bound, read = rng.choice([0, 1, 3, 50]), rng.choice([-1, 1, 2, 10]), rng.randrange(60)
            generator = source.count.options(**{BOUND: bound}).remote(number)
            completed.append(generator.completed())
            values = [ray.get(ref) for _, ref in zip(range(read), generator, strict=False)]
            if values != list(range(min(read, number))):
                wrong.append((number, bound, read, values))
            if rng.random() < 0.3:
                generator.close()
            del generator

    threads = [threading.Thread(target=use_some, args=(random.Random(seed + i),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong
    assert ray.get(completed, timeout=20) == [None] * 160
    assert ray.get(source.now.remote(), timeout=10) == 0
