"""Endings that would never end: after a limit the process is killed, and what it has started with it."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import nbactors as ray
from nbactors.testing import eventually

GRACE_S = 0.5


def for_ever() -> None:
    threading.Event().wait()


def is_running(pid: int) -> bool:
    """Return whether a process does anything any more; one that nobody has collected does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Hanging:
    """An actor that something keeps from ending."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.children: list[int] = []
        if what == "child":
            self._child = multiprocessing.get_context("fork").Process(target=for_ever)
            self._child.start()
            self.children = [self._child.pid or 0]
        elif what == "pool":
            self._pool = multiprocessing.get_context("fork").Pool(2)
            self.children = self._pool.map(_pid, range(2))
        elif what == "thread":
            threading.Thread(target=for_ever).start()
        elif what == "atexit":
            atexit.register(for_ever)

    def __ray_shutdown__(self) -> None:
        if self.what == "__ray_shutdown__":
            for_ever()

    def pids(self) -> list[int]:
        return [os.getpid(), *self.children]

    def leave(self, way: str) -> None:
        if way == "exit_actor":
            ray.actor.exit_actor()
        sys.exit(0 if way == "sys.exit(0)" else 1)


def _pid(_: int) -> int:
    return os.getpid()


@pytest.fixture(scope="module", autouse=True)
def _session() -> Iterator[None]:
    ray.init(num_cpus=8, graceful_shutdown_s=GRACE_S)
    yield
    ray.shutdown()


def end(actor: Any, way: str) -> Any:
    if way == "__ray_terminate__":
        return actor.__ray_terminate__.remote()
    return actor.leave.remote(way)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["child", "pool", "thread", "atexit", "__ray_shutdown__"])
@pytest.mark.parametrize("way", ["exit_actor", "sys.exit(0)", "sys.exit(1)", "__ray_terminate__"])
@pytest.mark.parametrize("concurrency", [1, 2])
def test_an_actor_whose_ending_hangs_is_killed_with_its_children(what: str, way: str, concurrency: int) -> None:
    actor = ray.remote(Hanging).options(max_concurrency=concurrency).remote(what)
    pids = ray.get(actor.pids.remote())
    # The caller does not wait for the end: it is told at once, and so is whoever calls afterwards.
    for call in (lambda: end(actor, way), actor.pids.remote):
        with pytest.raises(ray.exceptions.ActorDiedError, match=r"exit_actor\(\)|sys\.exit\([01]\)"):
            ray.get(call(), timeout=GRACE_S / 2)
    eventually(lambda: not any(map(is_running, pids)), timeout_s=GRACE_S + 3)


@pytest.mark.slow
def test_calls_that_never_return_do_not_keep_an_actor() -> None:
    @ray.remote(max_concurrency=2)
    class Stuck:
        def pid(self) -> int:
            return os.getpid()

        def hang(self) -> None:
            for_ever()

        def leave(self) -> None:
            ray.actor.exit_actor()

    actor = Stuck.remote()
    pid = ray.get(actor.pid.remote())
    stuck = actor.hang.remote()
    for ref in (actor.leave.remote(), stuck):
        with pytest.raises(ray.exceptions.ActorDiedError, match=r"exit_actor\(\)"):
            ray.get(ref, timeout=GRACE_S + 3)
    eventually(lambda: not is_running(pid))


@pytest.mark.slow
def test_a_task_that_exits_with_a_living_child_fails_at_once() -> None:
    @ray.remote(max_retries=0)
    def leave() -> None:
        multiprocessing.get_context("fork").Process(target=for_ever).start()
        sys.exit(0)

    with pytest.raises(ray.exceptions.WorkerCrashedError, match="died"):
        ray.get(leave.remote(), timeout=10)
