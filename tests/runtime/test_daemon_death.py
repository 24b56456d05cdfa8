"""What a session sees when the node or a forkserver dies under it: errors with the cause, soon, and a way on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from raw_session import home, is_gone

import nbactors as ray
from nbactors import engine
from nbactors.testing import eventually

SOON_S = 2.0


@pytest.fixture
def node_pid() -> Iterator[int]:
    ray.init(num_cpus=2)
    running = engine.running()
    assert running is not None
    yield running.describe()["node_pid"]
    ray.shutdown()


@ray.remote
class Sleeper:
    def sleep(self) -> None:
        time.sleep(60)  # what is interrupted; nothing waits for its end

    def pid(self) -> int:
        return os.getpid()


@ray.remote
def sleep(started: str) -> None:
    open(started, "w").close()
    time.sleep(60)  # as above


def test_every_wait_ends_when_the_node_dies(node_pid: int, tmp_path: Any) -> None:
    sleeper = Sleeper.remote()
    worker = ray.get(sleeper.pid.remote())
    started = tmp_path / "started"
    call, task = sleeper.sleep.remote(), sleep.remote(str(started))
    queued = [sleep.remote(str(started)) for _ in range(5)]
    eventually(started.exists, timeout_s=10)
    os.kill(node_pid, signal.SIGKILL)
    begin = time.monotonic()
    with pytest.raises(ray.exceptions.ActorDiedError, match=r"The actor Sleeper, id .*node daemon has ended"):
        ray.get(call)
    for ref in [task, *queued]:
        with pytest.raises(ray.exceptions.WorkerCrashedError, match="node daemon has ended"):
            ray.get(ref)
    assert time.monotonic() - begin < SOON_S
    for verb in (Sleeper.remote, lambda: ray.get_actor("nobody"), lambda: sleep.remote("x"), ray.cluster_resources):
        with pytest.raises(ray.exceptions.RaySystemError, match=r"Call shutdown\(\) and then init\(\)"):
            verb()
    eventually(lambda: is_gone(worker), timeout_s=5)


def test_after_the_node_s_death_a_new_session_works(node_pid: int, runtime_directory: Any) -> None:
    sleeper = Sleeper.remote()
    assert ray.get(sleeper.pid.remote())
    os.kill(node_pid, signal.SIGKILL)
    eventually(lambda: is_gone(node_pid), timeout_s=5)
    ray.shutdown()
    ray.init(num_cpus=2)
    assert ray.get(Sleeper.remote().pid.remote())
    assert len(os.listdir(home(runtime_directory) / "p")) <= 2, "no socket of the dead ones is left"


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
