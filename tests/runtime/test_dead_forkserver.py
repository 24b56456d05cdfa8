"""A forkserver that dies ends no worker, and the next actor gets another forkserver."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil
import pytest
from raw_session import is_gone

import nbactors as ray
from nbactors import engine
from nbactors.testing import eventually


@pytest.fixture
def node_pid() -> Iterator[int]:
    ray.init(num_cpus=2)
    running = engine.running()
    assert running is not None
    yield running.describe()["node_pid"]
    ray.shutdown()


@ray.remote
class Sleeper:
    def pid(self) -> int:
        return os.getpid()


def test_a_forkserver_s_death_ends_no_worker_and_the_next_actor_gets_a_new_one(node_pid: int) -> None:
    sleeper = Sleeper.remote()
    pid = ray.get(sleeper.pid.remote())
    forkserver = psutil.Process(psutil.Process(pid).ppid())
    forkserver.kill()
    eventually(lambda: is_gone(forkserver.pid), timeout_s=5)

    def is_forked_again() -> bool:
        try:
            return bool(ray.get(Sleeper.remote().pid.remote()))
        except ray.exceptions.ActorDiedError:  # it was asked for before the node had noticed
            return False

    eventually(is_forked_again, timeout_s=10)
    assert ray.get(sleeper.pid.remote()) == pid
