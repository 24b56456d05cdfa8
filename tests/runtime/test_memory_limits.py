"""`memory_limit` of actors and tasks, in real processes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import nbactors as ray

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux applies RLIMIT_DATA to mappings"),
]

MIB = 1 << 20


class Grower:
    def __init__(self, size: int = 0) -> None:
        self.left: list[Any] = [bytearray(size)]

    def grow(self, size: int) -> int:
        self.left.append(bytearray(size))
        return len(self.left)

    def grow_by_small_steps(self, catches: bool) -> str:
        try:
            while True:
                self.left.append(os.urandom(1000))
        except MemoryError:
            if not catches:
                raise
        return "caught"

    def drop(self) -> int:
        count = len(self.left)
        self.left = []
        return count

    def swell(self) -> None:
        while True:
            self.left.append(bytearray(os.urandom(1000)) * 1000)

    def swell_stubbornly(self) -> None:
        while True:
            try:
                self.swell()
            except KeyboardInterrupt:
                pass


class AsyncGrower(Grower):
    async def grow_later(self, size: int) -> int:
        await asyncio.sleep(0)
        return self.grow(size)


@pytest.fixture(autouse=True, scope="module")
def _session() -> Iterator[None]:
    ray.init(num_cpus=4, num_gpus=1)
    yield
    ray.shutdown()


KINDS: dict[str, tuple[type, dict[str, Any], str]] = {
    "plain": (Grower, {}, "grow"),
    "threaded": (Grower, {"max_concurrency": 3}, "grow"),
    "asyncio": (AsyncGrower, {}, "grow_later"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_allocation_beyond_the_limit_raises_in_the_method_and_the_actor_lives_on(kind: str) -> None:
    cls, options, method = KINDS[kind]
    actor = ray.remote(memory_limit="200MiB", **options)(cls).remote()
    grow = getattr(actor, method)
    assert ray.get(grow.remote(100 * MIB)) == 2
    with pytest.raises(
        MemoryError, match=rf"{cls.__name__}.{method} has reached its memory_limit of 200.0 MiB.* uses 1"
    ):
        ray.get(grow.remote(150 * MIB))
    assert ray.get(actor.drop.remote()) == 2
    assert ray.get(grow.remote(150 * MIB)) == 1


@pytest.mark.parametrize("catches", [False, True])
def test_an_actor_that_is_full_still_answers_and_can_be_emptied(catches: bool) -> None:
    actor = ray.remote(memory_limit="100MiB")(Grower).remote()
    refs = [actor.grow_by_small_steps.remote(catches), *(actor.drop.remote() for _ in range(100))]
    if catches:
        assert ray.get(refs[0]) == "caught"
    else:
        with pytest.raises(MemoryError, match="grow_by_small_steps has reached"):
            ray.get(refs[0])
    assert ray.get(refs[1]) > 1000
    assert ray.get(actor.grow.remote(60 * MIB)) == 1


def test_a_constructor_beyond_the_limit_ends_the_actor_with_the_reason() -> None:
    actor = ray.remote(memory_limit="100MiB")(Grower).remote(200 * MIB)
    with pytest.raises(
        ray.exceptions.ActorDiedError, match=r"Grower.__init__ has reached its memory_limit of 100.0 MiB"
    ):
        ray.get(actor.drop.remote())


def test_tasks_with_and_without_a_limit_do_not_share_a_worker() -> None:
    @ray.remote
    def allocate(size: int) -> int:
        return len(bytearray(size))

    limited = allocate.options(memory_limit=100 * MIB)
    assert ray.get(limited.remote(10 * MIB)) == 10 * MIB
    with pytest.raises(MemoryError, match=r"allocate has reached its memory_limit of 100.0 MiB"):
        ray.get(limited.remote(200 * MIB))
    assert ray.get(allocate.remote(200 * MIB)) == 200 * MIB


def test_values_in_shared_memory_are_not_counted() -> None:
    numpy = pytest.importorskip("numpy")

    @ray.remote(memory_limit="150MiB")
    def total(array: Any) -> int:
        return int(array.sum())

    assert ray.get(total.remote(numpy.ones(300 * MIB, dtype=numpy.uint8))) == 300 * MIB


def test_with_a_gpu_a_watch_interrupts_the_method_and_the_actor_lives_on() -> None:
    actor = ray.remote(memory_limit="200MiB", num_gpus=1)(Grower).remote()
    with pytest.raises(ray.exceptions.OutOfMemoryError, match=r"(?s)in swell.*was interrupted, since .*the last looks"):
        ray.get(actor.swell.remote())
    assert ray.get(actor.drop.remote()) > 1
    ray.kill(actor)
    del actor


def test_with_a_gpu_a_worker_whose_task_goes_on_is_ended() -> None:
    @ray.remote(memory_limit="100MiB", num_gpus=1, max_retries=0)
    def swell() -> None:
        left = [os.urandom(1 << 20) * 120]
        while left:
            try:
                while True:
                    pass
            except KeyboardInterrupt:
                pass

    with pytest.raises(ray.exceptions.OutOfMemoryError, match=r"was ended, since .*has not ended within 3 s"):
        ray.get(swell.remote())
