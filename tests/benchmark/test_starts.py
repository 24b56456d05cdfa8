"""What the start of a worker touches, which does not depend on the machine's speed or load."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from statistics import median

import psutil
import pytest

import nbactors

MOST_MB = 5.4
"""The private memory of such an actor on Python 3.11 is 4.6 MB, and 4.7 without the compiled part. It was 5.8 when each
child made its own worker after the fork."""

FEW_FAULTS = 1400
"""A start causes 1,181 page faults on Python 3.11, and 1,206 without the compiled part."""


@pytest.fixture
def session() -> Iterator[None]:
    nbactors.init(log_to_driver=False)
    yield
    nbactors.shutdown()


def idle() -> type:
    """Return a class that travels by value: a worker imports no module for it."""

    class Idle:
        def pid(self) -> int:
            return os.getpid()

        def faults(self) -> int:
            import resource

            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    return Idle


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the private memory of a process so")
def test_an_idle_actor_shares_most_of_its_memory(session: None) -> None:
    """So what a child does after the fork, and could find done, is noticed."""
    cls = nbactors.remote(num_cpus=0)(idle())
    actors = [cls.remote() for _ in range(5)]
    pids = nbactors.get([actor.pid.remote() for actor in actors])
    private = median(psutil.Process(pid).memory_full_info().uss for pid in pids) / 1e6
    faults = median(nbactors.get([actor.faults.remote() for actor in actors]))
    assert 1 < private < MOST_MB
    assert 300 < faults < FEW_FAULTS
