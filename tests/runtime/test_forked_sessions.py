"""What a child reads that was forked in a process with a session, and uses the session's verbs."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import nbactors as ray

FORKED = "this process was forked from one with a session"

LIMIT_S = 10
"""A child that hangs is ended by the system after so long."""


@ray.remote
class Echo:
    def say(self, word: Any) -> Any:
        return word


@ray.remote
class Sleeper:
    def sleep(self) -> None:
        threading.Event().wait()

    def count(self) -> Iterator[int]:
        yield 0
        threading.Event().wait()


@ray.remote
def double(number: int) -> int:
    return 2 * number


class Family:
    """A session with something of each kind, and children that are forked from it."""

    def __init__(self) -> None:
        self.echo = Echo.remote()
        assert ray.get(self.echo.say.remote("before")) == "before"
        self.ready = ray.put("kept")
        self.pending = Sleeper.remote().sleep.remote()
        self.items = Sleeper.remote().count.options(num_returns="streaming").remote()
        ray.get(next(self.items))

    async def _await(self) -> Any:
        return await self.pending

    def verbs(self) -> dict[str, Callable[[], Any]]:
        return {
            "get": lambda: ray.get(self.pending),
            "get of what is ready": lambda: ray.get(self.ready),
            "get of many": lambda: ray.get([self.ready, self.pending]),
            "put": lambda: ray.put(1),
            "wait": lambda: ray.wait([self.pending]),
            "call": lambda: self.echo.say.remote(1),
            "call with a reference": lambda: self.echo.say.remote(self.ready),
            "task": lambda: double.remote(1),
            "actor": lambda: Echo.remote(),
            "kill": lambda: ray.kill(self.echo),
            "cancel": lambda: ray.cancel(self.pending),
            "get_actor": lambda: ray.get_actor("somebody"),
            "await": lambda: asyncio.run(self._await()),
            "future": lambda: self.pending.future().result(),
            "next": lambda: next(self.items),
            "resources": lambda: ray.available_resources(),
            "context": lambda: ray.get_runtime_context().get_job_id(),
            "exit_actor": lambda: ray.actor.exit_actor(),
        }


@pytest.fixture(scope="module")
def family() -> Iterator[Family]:
    ray.init(num_cpus=8)
    yield Family()
    ray.shutdown()


def in_child(act: Callable[[], Any]) -> str:
    """Return what `act` returns or raises in a child that is forked here and now."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIMIT_S)
        try:
            said = f"returned {act()!r}"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said or "it hung"


def test_every_verb_says_that_the_process_was_forked(family: Family) -> None:
    said = {name: in_child(verb) for name, verb in family.verbs().items()}
    assert {name: text for name, text in said.items() if FORKED not in text} == {}
    assert ray.get(family.echo.say.remote("after")) == "after"


def test_every_verb_says_so_even_if_other_threads_held_locks_at_the_fork(family: Family) -> None:
    """They hold its locks at the moment of the fork, and are not in the child to let go."""
    stopped = threading.Event()

    def call() -> None:
        while not stopped.is_set():
            ray.get([family.echo.say.remote([number]) for number in range(50)])

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        said = {text for _ in range(3) for text in map(in_child, family.verbs().values())}
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert {text for text in said if FORKED not in text} == set()


def test_a_forked_child_may_start_a_session_of_its_own(family: Family) -> None:
    def start() -> tuple[int, Any]:
        ray.init(num_cpus=1)
        try:
            with pytest.raises(ray.exceptions.RaySystemError, match=FORKED):
                ray.wait([family.pending])
            return ray.get(double.remote(21)), ray.get(ray.put("own"))
        finally:
            ray.shutdown()

    assert in_child(start) == "returned (42, 'own')"
    assert ray.get(family.echo.say.remote("after")) == "after"
