"""Owners, readers and spilling processes are killed at random: every value that is read is whole, and none is lost
whose owner lives."""

from __future__ import annotations

import os
import pickle
import random
import signal
from collections.abc import Iterator
from typing import Any

import pytest

import nbactors as ray
from nbactors.local import current
from nbactors.testing import eventually
from stress.test_mixed_calls import SEED

MIB = 1 << 20
LIMIT = 30 * MIB
SIZES = [110_000, MIB, 6 * MIB]
STEPS = 80
LOST = (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError)


class Buffer:
    """A value whose bytes are read where they lie, as those of an array."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return Buffer, (pickle.PickleBuffer(self.data),)


def value(number: int, size: int) -> Buffer:
    return Buffer(bytearray([number % 256]) * size)


def is_whole(read: Buffer, number: int) -> bool:
    data = bytes(read.data)
    return data.count(number % 256) == len(data)


class Actor:
    """Owns values, reads those of others, and passes them on."""

    def __init__(self) -> None:
        self._kept: list[tuple[Buffer, int]] = []

    def pid(self) -> int:
        return os.getpid()

    def make(self, number: int, size: int) -> Buffer:
        return value(number, size)

    def own(self, number: int, size: int) -> list[Any]:
        return [ray.put(value(number, size))]

    def read(self, refs: list[Any], number: int) -> bool:
        read = ray.get(refs[0])
        self._kept = [*self._kept[-3:], (read, number)]
        return all(is_whole(each, of) for each, of in self._kept)

    def pass_on(self, refs: list[Any], other: Any, number: int) -> Any:
        return ray.get(other.read.remote(refs, number))


@pytest.fixture(autouse=True)
def _session() -> Iterator[None]:
    ray.init(num_cpus=4, object_store_memory=LIMIT)
    yield
    ray.shutdown()


class Play:
    """One game of a seed."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._actors: list[Any] = []
        self._mine: dict[int, Any] = {}
        self._theirs: dict[int, Any] = {}
        self._views: list[tuple[Buffer, int]] = []

    def actor(self) -> Any:
        while len(self._actors) < 3:
            actor = ray.remote(Actor).options(num_cpus=0).remote()
            self._actors.append((actor, ray.get(actor.pid.remote())))
        return self._draw.choice(self._actors)[0]

    def kill(self) -> None:
        self.actor()
        actor = self._actors.pop(self._draw.randrange(len(self._actors)))
        os.kill(actor[1], signal.SIGKILL)

    def run(self) -> None:
        for number in range(STEPS):
            action = self._draw.choice(["put", "make", "own", "read", "send", "pass on", "drop", "kill", "kill later"])
            size = self._draw.choice(SIZES)
            try:
                self._act(action, number, size)
            except LOST:
                pass
            assert all(is_whole(read, of) for read, of in self._views)
            self._views = self._views[-3:]
        for number, ref in self._mine.items():
            assert is_whole(ray.get(ref), number), "the session's own values are there, whoever was killed"

    def _act(self, action: str, number: int, size: int) -> None:
        actor = self.actor()
        known = {**self._mine, **self._theirs}
        some = self._draw.choice(list(known)) if known else None
        if action == "put":
            self._mine[number] = ray.put(value(number, size))
        elif action == "make":
            self._mine[number] = ref = actor.make.remote(number, size)
            try:
                ray.get(ref)
            except LOST:
                del self._mine[number]
        elif action == "own":
            [self._theirs[number]] = ray.get(actor.own.remote(number, size))
        elif action == "kill":
            self.kill()
        elif some is None:
            return
        elif action == "drop":
            self._mine.pop(some, None)
            self._theirs.pop(some, None)
        elif action == "read":
            try:
                self._views.append((ray.get(known[some]), some))
            except LOST:
                assert some not in self._mine
                del self._theirs[some]
        elif action == "send":
            assert ray.get(actor.read.remote([known[some]], some))
        else:
            other = next(each for each, _ in self._actors if each is not actor)
            answer = actor.pass_on.remote([known[some]], other, some)
            if action == "kill later":
                self.kill()
            assert ray.get(answer)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, SEED])
def test_values_are_whole_whoever_is_killed(seed: int) -> None:
    print(f"seed {seed}")
    play = Play(seed)
    play.run()
    del play
    store = current.member().store
    eventually(lambda: store._drop_discarded() or not store._given)
