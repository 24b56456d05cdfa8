"""Cancelling calls and interrupting actors from any process of the user, whatever the caller's main thread does."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import nbactors as ray
from nbactors.exceptions import NodeMissingError, TaskCancelledError, WorkerCrashedError
from nbactors.testing.polling import eventually
from nbactors.util import state
from nbactors.util.calls import cancel_call, interrupt_actor

pytestmark = pytest.mark.slow

LIMIT_S = 30.0


@ray.remote
class Actor:
    def spin(self, mark: str = "") -> None:
        if mark:
            Path(mark).touch()
        pause = threading.Event()
        while True:
            pause.wait(0.01)

    def match(self, mark: str) -> None:
        import re

        Path(mark).touch()
        re.match(r"(a+)+$", "a" * 60 + "b")

    def stream(self, mark: str) -> Iterator[int]:
        yield 1
        self.spin(mark)

    def add(self, amount: int) -> int:
        return amount + 1


@ray.remote
class Async:
    async def sleep(self, mark: str) -> None:
        import asyncio

        Path(mark).touch()  # noqa: ASYNC240 - takes no time
        await asyncio.sleep(1000)


@ray.remote
def spin(mark: str) -> None:
    Path(mark).touch()
    pause = threading.Event()
    while True:
        pause.wait(0.01)


@ray.remote
def call_another(mark: str) -> Any:
    return ray.get(spin.remote(mark))


@pytest.fixture
def _session() -> Iterator[None]:
    ray.init(num_cpus=4)
    yield
    ray.shutdown()


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "begun"


def begun(path: Path) -> None:
    eventually(path.exists, LIMIT_S, "the call has begun")


def fails_as_cancelled(ref: Any) -> None:
    with pytest.raises(TaskCancelledError, match="cancelled"):
        ray.get(ref, timeout=LIMIT_S)


def running(name: str) -> str:
    """Return the id of the running call of a name, when the node has been told of it."""
    filters = [("name", "=", name), ("state", "=", "RUNNING")]
    (row,) = eventually(lambda: state.list_tasks(filters=filters), LIMIT_S, f"{name} runs")
    return str(row.task_id)


def is_in(task_id: str, *states: str) -> bool:
    row = state.get_task(task_id)
    return row is not None and row.state in states


@pytest.mark.usefixtures("_session")
class TestOwnCalls:
    """Calls of this process. The verbs use no session of it."""

    @pytest.mark.parametrize("options", [{}, {"max_concurrency": 2}])
    def test_a_running_method_ends_by_an_interrupt_alone(self, mark: Path, options: dict[str, int]) -> None:
        actor = Actor.options(**options).remote()
        ref = actor.spin.remote(str(mark))
        begun(mark)
        assert cancel_call(ref) == "CANCELLED"
        assert ray.wait([ref], timeout=0) == ([], [ref])
        assert cancel_call(ref.task_id().hex(), interrupt=True) == "CANCELLED"
        fails_as_cancelled(ref)
        assert ray.get(actor.add.remote(1)) == 2

    def test_a_running_coroutine_is_cancelled(self, mark: Path) -> None:
        ref = Async.remote().sleep.remote(str(mark))
        begun(mark)
        assert cancel_call(ref) == "CANCELLED"
        fails_as_cancelled(ref)

    @pytest.mark.parametrize("force", [False, True])
    def test_a_running_task_is_cancelled(self, mark: Path, force: bool) -> None:
        ref = spin.remote(str(mark))
        begun(mark)
        assert cancel_call(ref, force=force) == "CANCELLED"
        with pytest.raises((TaskCancelledError, WorkerCrashedError), match=r"cancelled|died"):
            ray.get(ref, timeout=LIMIT_S)
        eventually(lambda: cancel_call(ref) == "ENDED", LIMIT_S)

    def test_a_queued_call_never_runs(self, mark: Path, tmp_path: Path) -> None:
        actor = Actor.remote()
        first = actor.spin.remote(str(mark))
        second = actor.spin.remote(str(tmp_path / "second"))
        begun(mark)
        assert cancel_call(second) == "CANCELLED"
        fails_as_cancelled(second)
        cancel_call(first, interrupt=True)
        assert ray.get(actor.add.remote(1)) == 2
        assert not (tmp_path / "second").exists()

    def test_a_call_that_waits_for_its_argument_is_cancelled(self, mark: Path) -> None:
        actor, other = Actor.remote(), Actor.remote()
        waiting = actor.add.remote(other.spin.remote(str(mark)))
        assert cancel_call(waiting) == "CANCELLED"
        fails_as_cancelled(waiting)

    def test_a_generator_is_cancelled(self, mark: Path) -> None:
        stream = Actor.remote().stream.options(num_returns="streaming").remote(str(mark))
        assert ray.get(next(stream)) == 1
        begun(mark)
        assert cancel_call(stream, interrupt=True) == "CANCELLED"
        fails_as_cancelled(next(stream))

    def test_a_call_that_a_task_has_made_is_cancelled_by_its_short_id(self, mark: Path) -> None:
        ref = call_another.remote(str(mark))
        begun(mark)
        task_id = running("spin")
        short = f"{task_id[:6]}-{int(task_id[32:], 16)}"
        assert cancel_call(short) == "CANCELLED"
        fails_as_cancelled(ref)

    def test_the_main_thread_of_the_caller_may_be_busy(self, mark: Path) -> None:
        ref = Actor.remote().spin.remote(str(mark))
        begun(mark)
        done: list[tuple[str, float]] = []

        def cancel() -> None:
            begin = time.monotonic()
            done.append((cancel_call(ref, interrupt=True), time.monotonic() - begin))

        thread = threading.Thread(target=cancel)
        thread.start()
        while thread.is_alive():
            sum(range(1000))
        assert done[0][0] == "CANCELLED"
        fails_as_cancelled(ref)

    def test_an_ended_call_and_a_put_value_have_ended(self) -> None:
        ref = Actor.remote().add.remote(1)
        ray.get(ref)
        assert cancel_call(ref) == "ENDED"
        assert cancel_call(ray.put(1)) == "ENDED"

    def test_force_is_not_for_actors(self, mark: Path) -> None:
        ref = Actor.remote().spin.remote(str(mark))
        begun(mark)
        with pytest.raises(ValueError, match="force=True is not supported for actor tasks"):
            cancel_call(ref, force=True)

    def test_an_unknown_call_and_a_construction_are_refused(self) -> None:
        with pytest.raises(ValueError, match="no call with the id"):
            cancel_call("ab" * 24)
        with pytest.raises(ValueError, match="there is no call abcd-17"):
            cancel_call("abcd-17")
        with pytest.raises(ValueError, match="construction of an actor"):
            cancel_call("ff" * 8 + "ab" * 16)

    def test_both_verbs_return_at_once(self, mark: Path) -> None:
        actor = Actor.remote()
        ref = actor.spin.remote(str(mark))
        begun(mark)

        def fastest(act: Callable[[], Any]) -> float:
            took = []
            for _ in range(5):
                begin = time.monotonic()
                act()
                took.append(time.monotonic() - begin)
            return min(took)

        assert fastest(lambda: cancel_call(ref)) < 0.1
        assert fastest(lambda: interrupt_actor(actor)) < 0.1


@pytest.mark.usefixtures("_session")
class TestActors:
    """Interrupting what runs in an actor."""

    @pytest.mark.parametrize("count", [1, 2])
    def test_all_running_methods_end_and_queued_calls_run(self, tmp_path: Path, count: int) -> None:
        actor = Actor.options(max_concurrency=count).remote()
        refs = [actor.spin.remote(str(tmp_path / str(index))) for index in range(count)]
        queued = actor.add.remote(1)
        for index in range(count):
            begun(tmp_path / str(index))
        assert interrupt_actor(actor) == count
        for ref in refs:
            fails_as_cancelled(ref)
        assert ray.get(queued, timeout=LIMIT_S) == 2

    def test_coroutines_end(self, mark: Path) -> None:
        actor = Async.options(name="sleeper").remote()
        ref = actor.sleep.remote(str(mark))
        begun(mark)
        assert interrupt_actor("sleeper") == 1
        fails_as_cancelled(ref)

    def test_a_generator_ends(self, mark: Path) -> None:
        actor = Actor.remote()
        stream = actor.stream.options(num_returns="streaming").remote(str(mark))
        assert ray.get(next(stream)) == 1
        begun(mark)
        assert interrupt_actor(actor._actor_id.hex()) == 1
        fails_as_cancelled(next(stream))

    def test_native_code_that_keeps_the_gil_ends(self, mark: Path) -> None:
        actor = Actor.remote()
        ref = actor.match.remote(str(mark))
        begun(mark)
        assert interrupt_actor(actor) == 1
        fails_as_cancelled(ref)

    def test_an_idle_actor_is_not_interrupted(self) -> None:
        actor = Actor.remote()
        ray.get(actor.add.remote(1))
        eventually(lambda: interrupt_actor(actor) == 0, LIMIT_S)
        assert ray.get(actor.add.remote(1)) == 2

    def test_a_dead_an_unknown_and_no_actor_are_refused(self) -> None:
        actor = Actor.remote()
        ray.get(actor.add.remote(1))
        ray.kill(actor)
        with pytest.raises(ray.exceptions.RayActorError, match="is dead, so it has no running calls"):
            interrupt_actor(actor)
        with pytest.raises(ValueError, match="no actor with the id or name 'nobody'"):
            interrupt_actor("nobody")
        with pytest.raises(TypeError, match=r"interrupt_actor\(\) takes a handle"):
            interrupt_actor(5)

    def test_an_actor_that_waits_for_resources_is_refused(self) -> None:
        actor = Actor.options(num_cpus=100).remote()
        with pytest.raises(ValueError, match="has no process yet"):
            interrupt_actor(actor)


DRIVER = """
import sys, threading
from pathlib import Path
import nbactors as ray

@ray.remote
class Keeper:
    def spin(self, mark):
        Path(mark).touch()
        pause = threading.Event()
        while True:
            pause.wait(0.01)

    def add(self, amount):
        return amount + 1

ray.init(num_cpus=4, namespace="outside", log_to_driver=False)
keeper = Keeper.options(name="keeper", lifetime="detached", max_concurrency=int(sys.argv[2])).remote()
ref = keeper.spin.remote(sys.argv[1])
queued = keeper.add.remote(1)
print(ref.task_id().hex(), queued.task_id().hex(), flush=True)
"""
WAITS = "ray.wait([ref]); print('ended', flush=True); sys.stdin.readline()"
LOOPS = "while True: pass"


class Driver:
    """A session whose call runs in a detached actor, and whose second call waits behind it if `threads` is 1."""

    def __init__(self, mark: Path, source: str, threads: int) -> None:
        command = [sys.executable, "-c", source, str(mark), str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.running, self.queued = self.read().strip("\n").split(" ")
        begun(mark)
        eventually(lambda: is_in(self.running, "RUNNING"), LIMIT_S, "the node knows of the call")

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def driver(mark: Path, source: str = DRIVER + LOOPS, threads: int = 1) -> Iterator[Driver]:
    found = Driver(mark, source, threads)
    try:
        yield found
    finally:
        found.end()


@pytest.fixture
def _no_actor_left() -> Iterator[None]:
    yield
    ray.init(namespace="outside")
    try:
        ray.kill(ray.get_actor("keeper"))
    finally:
        ray.shutdown()


@pytest.mark.usefixtures("_no_actor_left")
class TestCallsOfAnotherProcess:
    """The caller is another session, which loops on its main thread, is stopped by a signal, or has ended."""

    def test_a_call_of_a_session_whose_main_thread_loops_is_cancelled(self, mark: Path) -> None:
        with driver(mark) as other:
            assert cancel_call(other.running, interrupt=True) == "CANCELLED"
            eventually(lambda: is_in(other.running, "FAILED"), LIMIT_S)

    def test_an_actor_is_interrupted_while_its_caller_is_stopped(self, mark: Path) -> None:
        with driver(mark) as other:
            other.stop()
            assert interrupt_actor("keeper") == 1
            eventually(lambda: interrupt_actor("keeper") == 0, LIMIT_S)

    def test_the_worker_cancels_a_call_whose_caller_is_stopped(self, mark: Path) -> None:
        with driver(mark, DRIVER + WAITS) as other:
            other.stop()
            assert cancel_call(other.running, interrupt=True) == "CANCELLED"
            eventually(lambda: is_in(other.running, "FAILED"), LIMIT_S)
            other.process.send_signal(signal.SIGCONT)
            assert other.read() == "ended\n"

    def test_the_worker_refuses_a_queued_call_whose_caller_is_stopped(self, mark: Path) -> None:
        with driver(mark) as other:
            queued = "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY"
            eventually(lambda: is_in(other.queued, queued), LIMIT_S, "the node knows of the call")
            other.stop()
            assert cancel_call(other.queued) == "CANCELLED"
            eventually(lambda: is_in(other.queued, "FAILED"), LIMIT_S)
            assert is_in(other.running, "RUNNING")

    @pytest.mark.parametrize("threads", [1, 2])
    def test_a_call_whose_caller_has_ended_is_interrupted(self, mark: Path, threads: int) -> None:
        with driver(mark, threads=threads) as other:
            other.end()
            assert cancel_call(other.running, interrupt=True) == "CANCELLED"
            eventually(lambda: interrupt_actor("keeper") == 0, LIMIT_S)


FORCED = """
import sys
from pathlib import Path
import nbactors as ray

@ray.remote(max_retries=3)
def spin(mark):
    Path(mark).touch()
    import threading
    while True:
        threading.Event().wait(0.01)

ray.init(num_cpus=4, log_to_driver=False)
ref = spin.remote(sys.argv[1])
print(ref.task_id().hex(), "", flush=True)
ready, _ = ray.wait([ref])
print("ended", flush=True)
sys.stdin.readline()
"""


def test_a_stopped_caller_ends_a_task_s_process_when_it_goes_on(mark: Path) -> None:
    """The process is not ended before: the caller would try the task again."""
    with driver(mark, source=FORCED) as other:
        other.stop()
        with pytest.raises(TimeoutError, match="It cancels the call when it goes on"):
            cancel_call(other.running, force=True, timeout=0.1)
        assert is_in(other.running, "RUNNING")
        other.process.send_signal(signal.SIGCONT)
        assert other.read() == "ended\n"


def test_without_a_node_both_verbs_say_so() -> None:
    state.stop_node(force=True)
    for act in (lambda: cancel_call("abcd-1"), lambda: cancel_call("ab" * 24), lambda: interrupt_actor("nobody")):
        with pytest.raises(NodeMissingError, match="no node runs"):
            act()
