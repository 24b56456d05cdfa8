"""A forkserver that dies ends no worker, and the next actor gets another forkserver."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil
import pytest
from raw_session import is_gone

import nbactors as ray
from nbactors.testing import eventually


@pytest.fixture(autouse=True)
def session() -> Iterator[None]:
    ray.init(num_cpus=2)
    yield
    ray.shutdown()


@ray.remote
class Sleeper:
    def pid(self) -> int:
        return os.getpid()


def test_the_workers_of_a_dead_forkserver_go_on() -> None:
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
