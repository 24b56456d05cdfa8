"""kill -9 of the forkserver at every moment: what is asked for comes all the same."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import nbactors as ray
from nbactors.testing import eventually
from nbactors.testing.leaks import node_pid

DELAYS_S = [0.0, 0.002, 0.004, 0.007, 0.012, 0.02]
"""After the request. A fork takes some milliseconds, so these fall before, into and after it."""

pytestmark = pytest.mark.slow


@ray.remote
def square(number: int) -> int:
    return number * number


@ray.remote
class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count


def kill_forkserver(after_s: float = 0.0) -> None:
    """Kill the node's only forkserver. Of the moments that are tried there is no event to wait for."""
    (forkserver,) = eventually(lambda: psutil.Process(node_pid()).children())
    killer = threading.Timer(after_s, os.kill, (forkserver.pid, signal.SIGKILL))
    killer.start()
    killer.join()


@pytest.fixture
def session(own_directory: Path) -> Iterator[None]:
    ray.init(num_cpus=2)
    yield
    ray.shutdown()


@pytest.mark.parametrize("delay_s", DELAYS_S)
@pytest.mark.usefixtures("session")
class TestKilled:
    def test_tasks_run_after_the_forkserver_is_killed(self, delay_s: float) -> None:
        first = square.remote(3)
        kill_forkserver(delay_s)
        assert ray.get(first, timeout=20) == 9
        assert ray.get([square.remote(number) for number in range(10)], timeout=20)[-1] == 81

    def test_actors_start_although_the_forkserver_is_killed_meanwhile(self, delay_s: float) -> None:
        counters = [Counter.remote() for _ in range(2)]
        kill_forkserver(delay_s)
        assert ray.get([counter.add.remote() for counter in counters], timeout=20) == [1, 1]

    def test_an_actor_starts_right_after_the_forkserver_is_killed(self, delay_s: float) -> None:
        assert ray.get(square.remote(2), timeout=20) == 4
        kill_forkserver()
        threading.Event().wait(delay_s)
        assert ray.get(Counter.remote().add.remote(), timeout=20) == 1
