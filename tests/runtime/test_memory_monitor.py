"""The memory monitor in real processes: the threshold lies a little above what the machine uses now."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbactors as ray
from nbactors.local.node.shell.memory_sampler import MemorySampler

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

ROOM = 400 << 20
STEP = 16 << 20
STEPS = 150
"""Steps that fill the room several times, although other programs may free memory meanwhile."""


@ray.remote
class Eater:
    def __init__(self) -> None:
        self.left: list[bytes] = []

    def eat(self) -> None:
        for _ in range(STEPS):
            self.left.append(os.urandom(STEP))

    def ping(self) -> int:
        return 1


@pytest.fixture(autouse=True)
def _session(own_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    seen = MemorySampler().sample({})
    monkeypatch.setenv("NBACTORS_MEMORY_THRESHOLD", f"{(seen.used + ROOM) / seen.total:.5f}")
    ray.init(num_cpus=3)
    yield
    ray.shutdown()


def test_the_actor_that_fills_the_memory_ends_and_the_other_one_lives_on() -> None:
    other, eater = Eater.remote(), Eater.remote()
    assert ray.get(other.ping.remote()) == 1
    with pytest.raises(ray.exceptions.OutOfMemoryError, match=r"Eater.* memory was nearly full.*session \(pid"):
        ray.get(eater.eat.remote())
    assert ray.get(other.ping.remote()) == 1


def test_a_task_that_fills_the_memory_is_retried(tmp_path: Path) -> None:
    @ray.remote(max_retries=1)
    def eat(runs: Path) -> str:
        if runs.exists():
            return "run again"
        runs.touch()
        left = [os.urandom(STEP) for _ in range(STEPS)]
        return f"{len(left)} steps"

    with pytest.warns(UserWarning, match="newest task that can be retried"):
        assert ray.get(eat.remote(tmp_path / "runs")) == "run again"
