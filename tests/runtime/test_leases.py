"""A session's leases of task workers: what it remembers of them, and what it says where it gets none."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
import pytest
from raw_session import home

import nbactors as ray
from nbactors import engine
from nbactors.local.connections.node_link import NodeLink
from nbactors.local.connections.peers import Peers
from nbactors.local.worker.running.executor import LEASE_S
from nbactors.testing import eventually
from nbactors.testing.leaks import node_pid


@ray.remote
def square(number: int) -> int:
    return number * number


@ray.remote
class Place:
    def path(self) -> str:
        return os.getcwd()


@pytest.fixture
def session(own_directory: Path) -> Iterator[None]:
    ray.init(num_cpus=1)
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("session")
def test_requests_that_were_cancelled_are_forgotten() -> None:
    """Eight are made for many tasks, and with one CPU most of them are cancelled when the tasks are done."""
    kinds = [square.options(name=f"square {number}") for number in range(10)]
    for kind in kinds:
        assert ray.get([kind.remote(number) for number in range(20)], timeout=20)[-1] == 361
    tasks = engine.current().process.tasks  # type: ignore[attr-defined]
    eventually(lambda: not tasks.expected)


@pytest.mark.usefixtures("session")
def test_a_runtime_env_that_cannot_be_applied_is_the_stated_cause(tmp_path: Path) -> None:
    env = {"working_dir": str(tmp_path / "work")}
    (tmp_path / "work").mkdir()
    task, actor = square.options(runtime_env=env), Place.options(runtime_env=env)
    (tmp_path / "work").rmdir()
    with pytest.raises(ray.exceptions.RuntimeEnvSetupError, match=r"(?s)could not apply its runtime_env.*/work'"):
        ray.get(task.remote(1), timeout=20)
    with pytest.raises(ray.exceptions.RuntimeEnvSetupError, match=r"(?s)could not apply its runtime_env.*/work'"):
        ray.get(actor.remote().path.remote(), timeout=20)


@pytest.mark.usefixtures("session")
def test_a_worker_that_cannot_be_started_is_no_failure_of_the_runtime_env(own_directory: Path) -> None:
    shutil.rmtree(home(own_directory) / "logs")
    (home(own_directory) / "logs").touch()
    (forkserver,) = eventually(lambda: psutil.Process(node_pid()).children())
    os.kill(forkserver.pid, signal.SIGKILL)
    with pytest.raises(ray.exceptions.WorkerCrashedError, match="no process that forks workers can be started"):
        ray.get(square.remote(1), timeout=20)


@ray.remote
def double(number: int) -> int:
    return 2 * number


def run_once_in(monkeypatch: pytest.MonkeyPatch, kind: type, name: str, handle: Callable[[], None]) -> list[None]:
    """Run a handler once at the end of a method, as a signal handler would. Return a list that is empty before."""
    method, ran = getattr(kind, name), []

    def interrupted(self: Any, *args: Any) -> Any:
        result = method(self, *args)
        if not ran:
            ran.append(None)
            handle()
        return result

    monkeypatch.setattr(kind, name, interrupted)
    return ran


def warm_up() -> None:
    """Have the worker know both functions, and no kind of task have a lease but that of `square`."""
    assert ray.get([square.remote(1), double.remote(1)], timeout=20) == [1, 2]
    tasks = engine.current().process.tasks  # type: ignore[attr-defined]
    eventually(lambda: not any(queue._leases for queue in tasks._all_queues()))
    assert ray.get(square.remote(2), timeout=20) == 4


@pytest.mark.usefixtures("session")
def test_a_handler_that_interrupts_the_return_of_a_lease_does_not_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    warm_up()
    took: list[float] = []

    def handle() -> None:
        began = monotonic()
        assert ray.get(square.remote(3), timeout=20) == 9
        took.append(monotonic() - began)

    ran = run_once_in(monkeypatch, NodeLink, "send_counted", handle)
    assert ray.get(double.remote(2), timeout=20) == 4  # there is one CPU, so the lease of `square` is returned
    assert ran
    assert took[0] < LEASE_S


@pytest.mark.usefixtures("session")
def test_a_lease_that_a_handler_has_used_and_returned_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    warm_up()
    tasks = engine.current().process.tasks  # type: ignore[attr-defined]
    eventually(lambda: not any(queue._leases for queue in tasks._all_queues()))

    def handle() -> None:
        assert ray.get(square.remote(3), timeout=20) == 9
        assert ray.get(double.remote(3), timeout=20) == 6

    ran = run_once_in(monkeypatch, Peers, "connect", handle)
    began = monotonic()
    assert ray.get(square.remote(4), timeout=20) == 16
    for kind, expected in [(double, 10), (square, 25)] * 2:
        assert ray.get(kind.remote(5), timeout=20) == expected
    assert ran
    assert monotonic() - began < LEASE_S
