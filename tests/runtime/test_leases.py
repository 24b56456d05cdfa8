"""A session's leases of task workers: what it remembers of them, and what it says where it gets none."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from raw_session import home

import nbactors as ray
from nbactors import engine
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
