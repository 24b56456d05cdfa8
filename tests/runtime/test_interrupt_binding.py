"""An interrupt belongs to one call: thousands of them at random times, and none hits anything else."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

import nbactors as ray

ROUND = 4
"""Calls in flight at a time."""

LARGE = 200_000
KINDS = ("nothing", "spin", "sleep", "put", "call", "large")


class Other:
    def echo(self, value: int) -> int:
        return value


class Ledger:
    """Writes down which calls have begun, been hit, and come to their end."""

    def __init__(self, other: Any) -> None:
        self.other = other
        self.begun: list[int] = []
        self.hit: list[int] = []
        self.finished: list[int] = []

    def work(self, number: int, kind: str) -> tuple[int, bytes]:
        try:
            self.begun.append(number)
            payload = self.do(number, kind)
            self.finished.append(number)
        except KeyboardInterrupt:
            self.hit.append(number)
            raise
        return number, payload

    def do(self, number: int, kind: str) -> bytes:
        if kind == "spin":
            for _ in range(100):
                sum(range(500))
        elif kind == "sleep":
            time.sleep(0.002)
        elif kind == "put":
            stored = ray.put(bytes([number % 256]) * LARGE)
            assert ray.get(stored)[:1] == bytes([number % 256])
        elif kind == "call":
            assert ray.get(self.other.echo.remote(number)) == number
        elif kind == "large":
            return bytes([number % 256]) * LARGE
        return b""

    def report(self) -> tuple[int, list[int], list[int], list[int]]:
        return os.getpid(), self.begun, self.hit, self.finished


@pytest.fixture
def session() -> Iterator[None]:
    ray.init(num_cpus=2)
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(("max_concurrency", "interrupts"), [(1, 10_000), (3, 3_000)])
def test_an_interrupt_hits_only_the_call_that_it_is_meant_for(max_concurrency: int, interrupts: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    choose = random.Random(seed)
    ledger = ray.remote(Ledger).options(max_concurrency=max_concurrency).remote(ray.remote(Other).remote())
    pid = ray.get(ledger.report.remote())[0]
    made: dict[int, str] = {}
    interrupted: set[int] = set()
    returned: set[int] = set()
    while len(interrupted) < interrupts:
        calls = {}
        for _ in range(ROUND):
            number = len(made)
            made[number] = choose.choice(KINDS)
            calls[number] = ledger.work.remote(number, made[number])
        for number in sorted(choose.sample(sorted(calls), choose.randrange(1, ROUND))):
            if choose.random() < 0.4:
                # Most of these find it running: the one before it has ended.
                if number - 1 in calls:
                    ray.wait([calls[number - 1]])
                ray.wait([calls[number]], timeout=choose.random() / 500)
            ray.cancel(calls[number], interrupt=True)
            interrupted.add(number)
        for number, call in calls.items():
            try:
                value = ray.get(call, timeout=30)
            except ray.exceptions.TaskCancelledError:
                assert number in interrupted, f"call {number}, {made[number]}, was hit though nobody wanted that"
            else:
                expected = bytes([number % 256]) * LARGE if made[number] == "large" else b""
                assert value == (number, expected)
                returned.add(number)
    same_pid, begun, hit, finished = ray.get(ledger.report.remote())
    print(f"{len(made)} calls, {len(begun)} begun, {len(returned)} returned")
    print(f"{len(interrupted)} interrupts, {len(hit)} hits")
    assert same_pid == pid
    assert len(begun) == len(set(begun)), "a call ran twice"
    assert max_concurrency > 1 or begun == sorted(begun), "a call ran out of turn"
    assert set(hit) <= interrupted
    assert len(hit) == len(set(hit)), "a call was hit twice"
    assert set(made) - interrupted <= returned
    assert returned <= set(finished) <= set(begun)
    assert returned.isdisjoint(hit)
    assert len(hit) > interrupts / 100, "hardly any interrupt has met a running call: this proves nothing"
