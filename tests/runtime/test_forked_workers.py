"""What becomes of a child that a method forks with `os.fork`, or with multiprocessing."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from raw_session import is_gone

import nbactors as ray
from nbactors.testing import eventually

GRACE_S = 5.0


@pytest.fixture(scope="module", autouse=True)
def _session() -> Iterator[None]:
    ray.init(num_cpus=8, graceful_shutdown_s=GRACE_S)
    yield
    ray.shutdown()


def status_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Forking:
    """Forks in every way."""

    def __init__(self, when: str = "") -> None:
        self.status: int | None = None
        self.runs = 0
        if when == "__init__":
            self.status = self.fork("return")

    def fork(self, then: str) -> int:
        """Return how a child ended that goes on like this: it is in the middle of a call of its own."""
        pid = os.fork()
        if pid:
            return status_of(pid)
        if then == "raise":
            raise ValueError("in the child")
        if then == "exit":
            sys.exit(3)
        if then == "exit_actor":
            ray.actor.exit_actor()
        if then == "SIGTERM":
            os.kill(os.getpid(), signal.SIGTERM)
        return 0

    def items(self) -> Iterator[int]:
        yield self.fork("return")
        yield 2

    def count(self) -> int:
        self.runs += 1
        return self.runs

    def status_at_start(self) -> int | None:
        return self.status

    def pool(self) -> list[int]:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(abs, [-1, -2])

    def queue(self) -> Any:
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        child = context.Process(target=queue.put, args=("from the child",))
        child.start()
        said = queue.get(timeout=10)
        child.join()
        return said, child.exitcode

    def end_child_by(self, number: int) -> int | None:
        child = multiprocessing.get_context("fork").Process(target=threading.Event().wait)
        child.start()
        assert child.pid is not None
        os.kill(child.pid, number)
        child.join()
        return child.exitcode


class AsyncForking:
    """Forks in coroutines."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def fork(self, then: str) -> int:
        if then == "return":
            return Forking.fork(self, "return")  # type: ignore[arg-type] # it takes any object
        others = asyncio.create_task(self._step())
        pid = os.fork()
        if pid:
            await others
            return status_of(pid)
        if then == "run":
            return asyncio.run(_nothing())
        await asyncio.sleep(0)
        return 0

    async def _step(self) -> None:
        with self.path.open("a") as file:
            file.write(f"{os.getpid()}\n")

    async def pid(self) -> int:
        return os.getpid()

    async def block(self) -> None:
        time.sleep(0.2)  # noqa: ASYNC251 - the loop is blocked on purpose

    async def note(self) -> int:
        await self._step()
        return os.getpid()

    def note_plainly(self) -> int:
        with self.path.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return os.getpid()


async def _nothing() -> int:
    await asyncio.sleep(0)
    return 0


STATUS = {"return": 0, "raise": 1, "exit": 3, "exit_actor": 1, "SIGTERM": -signal.SIGTERM}


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("then", STATUS)
def test_the_child_exits_with_its_return_and_runs_no_further_call(then: str, concurrency: int) -> None:
    actor = ray.remote(Forking).options(max_concurrency=concurrency).remote()
    forked = actor.fork.remote(then)
    counts = [actor.count.remote() for _ in range(5)]
    assert ray.get(forked, timeout=10) == STATUS[then]
    assert sorted(ray.get(counts, timeout=10)) == [1, 2, 3, 4, 5]


def test_a_child_of_a_constructor_exits_at_its_return() -> None:
    actor = ray.remote(Forking).remote("__init__")
    assert ray.get(actor.status_at_start.remote(), timeout=10) == 0
    assert ray.get(actor.count.remote(), timeout=10) == 1


def test_a_child_of_a_generator_exits_at_its_next_yield() -> None:
    items = ray.remote(Forking).remote().items.options(num_returns="streaming").remote()
    assert [ray.get(item, timeout=10) for item in items] == [0, 2]


def test_a_child_of_a_task_exits_as_its_function_ends() -> None:
    @ray.remote
    def fork(then: str) -> int:
        return Forking().fork(then)

    assert ray.get([fork.remote(then) for then in ("return", "raise", "exit")], timeout=10) == [0, 1, 3]


@pytest.mark.parametrize(("then", "status"), [("return", 0), ("run", 0), ("await", 1)])
def test_a_child_of_a_coroutine_exits_as_its_method_ends(then: str, status: int, tmp_path: Path) -> None:
    path = tmp_path / "steps"
    actor = ray.remote(AsyncForking).remote(path)
    assert ray.get(actor.fork.remote(then), timeout=10) == status
    pid = ray.get(actor.pid.remote(), timeout=10)
    # What else runs on the loop goes on in the actor alone.
    assert then == "return" or path.read_text() == f"{pid}\n"


@pytest.mark.parametrize("then", ["return", "await"])
def test_a_child_of_a_coroutine_runs_no_call_that_waits(then: str, tmp_path: Path) -> None:
    path = tmp_path / "steps"
    actor = ray.remote(AsyncForking).remote(path)
    pid = ray.get(actor.pid.remote(), timeout=10)
    blocked = actor.block.remote()  # the others are there when it ends, and begin together
    others = [actor.note.remote()]
    forked = actor.fork.remote(then)
    others += [actor.note.remote() for _ in range(3)] + [actor.note_plainly.remote() for _ in range(2)]
    assert ray.get(others, timeout=10) == [pid] * 6
    assert ray.get(forked, timeout=10) == (0 if then == "return" else 1)
    ray.get(blocked)
    assert path.read_text().split() == [str(pid)] * (6 + (then == "await"))


@pytest.mark.parametrize("concurrency", [1, 2])
def test_multiprocessing_works_in_an_actor(concurrency: int) -> None:
    actor = ray.remote(Forking).options(max_concurrency=concurrency).remote()
    assert ray.get(actor.pool.remote(), timeout=10) == [1, 2]
    assert ray.get(actor.queue.remote(), timeout=10) == ("from the child", 0)
    for number in (signal.SIGTERM, signal.SIGKILL):
        assert ray.get(actor.end_child_by.remote(number), timeout=10) == -number


def test_a_verb_in_the_child_says_that_it_was_forked() -> None:
    @ray.remote
    def fork() -> str:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                ray.put(1)
            except ray.exceptions.RaySystemError as error:
                os.write(writer, str(error).encode())
            return ""
        os.close(writer)
        status_of(pid)
        return os.read(reader, 1000).decode()

    assert "this process was forked from one with a session" in ray.get(fork.remote(), timeout=10)


class Leaving:
    """Leaves a child behind, in a process group of its own."""

    def leave(self, path: str) -> int:
        pid = os.fork()
        if pid:
            return pid
        os.setsid()
        try:
            while True:
                os.write(1, b"x" * 1000 + b"\n")
        except OSError as error:
            Path(path).write_text(type(error).__name__)
        os._exit(0)


def test_a_child_that_prints_after_the_end_of_its_worker_is_told_that_nobody_reads(tmp_path: Path) -> None:
    actor = ray.remote(Leaving).remote()
    pid = ray.get(actor.leave.remote(str(tmp_path / "error")))
    try:
        # Before, the child is in the worker's group, and is killed with it.
        eventually(lambda: os.getpgid(pid) == pid)
        ray.kill(actor)
        eventually(lambda: is_gone(pid), timeout_s=10)
        assert (tmp_path / "error").read_text() == "BrokenPipeError"
    finally:
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)
