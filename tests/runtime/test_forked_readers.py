"""A child that is forked from a process with large values reads them unchanged, however long it lives."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import pytest
from conformance.waiting import eventually

import nbactors as ray
from nbactors.local import current

LENGTH = 1_000_000
OLD, NEW = b"o", b"n"


class Buffer:
    """A value whose bytes are read where they lie, as those of an array."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        import pickle

        return Buffer, (pickle.PickleBuffer(self.data),)


def counted(value: Buffer, asked: Any, answers: Any) -> None:
    """In a child: answer how many bytes of the value are the old ones, each time when asked."""
    while asked.recv():
        answers.send(bytes(value.data).count(OLD))


class Child:
    """A child of multiprocessing that has inherited a value."""

    def __init__(self, value: Buffer) -> None:
        context = multiprocessing.get_context("fork")
        asked, self._ask = context.Pipe(False)
        self._answers, answers = context.Pipe(False)
        self._process = context.Process(target=counted, args=(value, asked, answers), daemon=True)
        self._process.start()

    def count(self) -> int:
        self._ask.send(True)
        assert self._answers.poll(20)
        return int(self._answers.recv())

    def end(self) -> None:
        self._ask.send(False)
        self._process.join()


class Actor:
    """Stores, reads and forks."""

    def put(self, byte: bytes) -> Any:
        return Buffer(bytearray(byte) * LENGTH)

    def fork(self, refs: list[Any]) -> None:
        self._child = Child(ray.get(refs[0]))

    def count(self) -> int:
        return self._child.count()

    def end(self) -> None:
        self._child.end()


@pytest.fixture(scope="module", autouse=True)
def _session() -> Iterator[None]:
    ray.init(num_cpus=2)
    yield
    ray.shutdown()


def value(byte: bytes) -> Buffer:
    return Buffer(bytearray(byte) * LENGTH)


def is_reused(make: Any) -> bool:
    """Whether one of the next values comes to the place of an old one."""
    stored = make()._entry.stored
    return stored is None or bytes(stored.views()[1][0][:1]) != NEW


def used() -> int:
    """Return how many units of this process's own arenas are in use."""
    current.member().store.allocator._cool()
    arenas = current.member().store.allocator._arenas.values()
    return sum(arena.map.used for some in arenas for arena in some)


def test_a_child_of_the_session_reads_what_the_session_has_put() -> None:
    before = used()
    child = Child(ray.get(ray.put(value(OLD))))
    gc.collect()
    later = [ray.put(value(NEW)) for _ in range(5)]
    assert child.count() == LENGTH
    del later
    child.end()
    eventually(lambda: current.member().store._drop_discarded() or used() == before)


def test_a_child_of_the_session_reads_what_an_actor_has_returned() -> None:
    actor: Any = ray.remote(Actor).remote()
    child = Child(ray.get(actor.put.remote(OLD)))
    later = [ray.get(actor.put.remote(NEW)) for _ in range(5)]
    assert all(bytes(each.data[:1]) == NEW for each in later)
    assert child.count() == LENGTH
    child.end()


def test_a_child_of_an_actor_reads_what_the_session_has_put() -> None:
    actor: Any = ray.remote(Actor).remote()
    before = used()
    ref = ray.put(value(OLD))
    ray.get(actor.fork.remote([ref]))
    del ref
    later = [ray.put(value(NEW)) for _ in range(5)]
    assert ray.get(actor.count.remote()) == LENGTH
    del later
    ray.get(actor.end.remote())
    eventually(lambda: current.member().store._drop_discarded() or used() == before)


def test_a_grandchild_counts_and_another_program_does_not() -> None:
    before = used()
    held = ray.get(ray.put(value(OLD)))
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            if not os.fork():
                os.read(reader, 1)
                os._exit(0)
            os.execv("/bin/sleep", ["sleep", "60"])
        finally:
            os._exit(1)
    os.close(reader)
    del held
    later = [ray.put(value(NEW)) for _ in range(5)]
    del later
    gc.collect()
    eventually(lambda: current.member().store._drop_discarded() or used() > before)
    os.write(writer, b"x")
    os.close(writer)
    eventually(lambda: current.member().store._drop_discarded() or used() == before)
    os.kill(child, 9)
    os.waitpid(child, 0)
