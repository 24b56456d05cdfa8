"""An asyncio actor under all that can happen to its reactor at once: blocked loops, waiting threads, many leaders."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import nbactors
from stress.test_mixed_calls import SEED

ROUNDS = 40


class Other:
    async def double(self, value: int) -> int:
        await asyncio.sleep(0)
        return 2 * value


class Hosted:
    """Its main loop hosts the reactor."""

    def __init__(self, other: Any) -> None:
        self.other = other

    def block(self, seconds: float) -> float:
        threading.Event().wait(seconds)
        return seconds

    async def relay(self, values: list[int]) -> list[int]:
        return list(await asyncio.gather(*(self.other.double.remote(value) for value in values)))

    @nbactors.method(concurrency_group="io")
    async def relay_aside(self, values: list[int]) -> list[int]:
        return list(await asyncio.gather(*(self.other.double.remote(value) for value in values)))

    @nbactors.method(concurrency_group="io")
    async def relay_in_threads(self, values: list[int]) -> list[int]:
        def get(value: int) -> int:
            doubled: int = nbactors.get(self.other.double.remote(value), timeout=30)
            return doubled

        return list(await asyncio.gather(*(asyncio.to_thread(get, value) for value in values)))

    @nbactors.method(concurrency_group="work")
    def relay_blocking(self, values: list[int]) -> list[int]:
        doubled: list[int] = nbactors.get([self.other.double.remote(value) for value in values], timeout=30)
        return doubled


@pytest.fixture
def hosted() -> Iterator[Any]:
    nbactors.init(num_cpus=2)
    other: Any = nbactors.remote(Other).remote()
    yield nbactors.remote(concurrency_groups={"io": 50, "work": 1})(Hosted).remote(other)
    nbactors.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore")
def test_every_loop_and_thread_gets_its_answers(hosted: Any) -> None:
    print(f"NBACTORS_STRESS_SEED={SEED}")
    wrong: list[str] = []

    def call(index: int) -> None:
        rng = random.Random(f"{SEED}-{index}")
        methods = [hosted.relay, hosted.relay_aside, hosted.relay_in_threads, hosted.relay_blocking]
        try:
            for _ in range(ROUNDS):
                values = [rng.randrange(1000) for _ in range(rng.choice([1, 3, 20]))]
                block = hosted.block.remote(rng.choice([0, 0.001, 0.02]))
                ref = rng.choice(methods).remote(values)
                if nbactors.get(ref, timeout=30) != [2 * value for value in values]:
                    wrong.append(f"{values} gave {nbactors.get(ref)}")
                nbactors.get(block, timeout=30)
        except Exception as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=call, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not wrong, f"seed {SEED}: {wrong[:3]}"
    assert not any(thread.is_alive() for thread in threads), f"seed {SEED}"
