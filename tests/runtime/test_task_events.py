"""Which calls wait, run and have ended, as the node tells a reader."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import nbactors as ray
from nbactors.local.access.control import ControlClient
from nbactors.local.wire import messages
from nbactors.testing import eventually
from nbactors.util import state


@pytest.fixture(autouse=True)
def session() -> Iterator[None]:
    ray.init(num_cpus=4)
    yield
    ray.shutdown()


@ray.remote
class Sleeper:
    def pid(self) -> int:
        return os.getpid()

    def until(self, path: str) -> None:
        with open(path) as pipe:
            pipe.read()

    def fail_after(self, path: str) -> None:
        self.until(path)
        raise ValueError("no sleep")

    @ray.method(enable_task_events=False)
    def quiet(self) -> None:
        pass


def node_pid() -> int:
    status = state.node_status()
    assert status is not None
    return int(status["pid"])


def tasks(name: str) -> list[messages.TaskRow]:
    with ControlClient.find() as client:
        news = client.request(messages.Follow(client.next_rid(), b"", 0, 0.0))
    assert isinstance(news, messages.TaskNews)
    job = ray.get_runtime_context().get_job_id()
    return [row for row in news.tasks if row.name == name and row.job.hex() == job]


def states(name: str) -> Callable[[], list[str]]:
    return lambda: sorted(row.state for row in tasks(name))


@pytest.fixture
def gate(tmp_path: Path) -> str:
    """A pipe: reading calls wait until a writer has opened and closed it."""
    path = str(tmp_path / "gate")
    os.mkfifo(path)
    return path


def open_gate(path: str) -> None:
    with open(path, "w"):
        pass


def test_calls_are_seen_while_they_run_and_wait(gate: str) -> None:
    sleeper = Sleeper.remote()
    first = sleeper.until.remote(gate)
    second = sleeper.pid.remote()
    eventually(lambda: states("Sleeper.until")() == ["RUNNING"])
    eventually(lambda: states("Sleeper.pid")() == ["PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY"])
    open_gate(gate)
    ray.get(first)
    ray.get(second)
    eventually(lambda: states("Sleeper.until")() == ["FINISHED"])
    eventually(lambda: states("Sleeper.pid")() == ["FINISHED"])


def test_a_call_waits_for_an_argument_or_for_resources(gate: str) -> None:
    @ray.remote(num_cpus=1000)
    def large() -> None:
        pass

    @ray.remote
    def dependent(_: object) -> None:
        pass

    refs = [large.remote(), dependent.remote(Sleeper.remote().until.remote(gate))]
    eventually(lambda: [row.awaited for row in tasks("large")] == ["CPU: 1000"])
    eventually(lambda: states("dependent")() == ["PENDING_ARGS_AVAIL"])
    open_gate(gate)
    ray.get(refs[1])
    ray.cancel(refs[0])
    eventually(lambda: [row.error_type for row in tasks("large")] == ["TASK_CANCELLED"])


def end_of(name: str) -> list[tuple[str, str]]:
    return [(row.state, row.error_type) for row in tasks(name)]


def totals_of(actor: object) -> list[tuple[int, int]]:
    """Return how many calls of an actor have finished and failed, as the node knows."""
    with ControlClient.find() as client:
        news = client.request(messages.Follow(client.next_rid(), b"", 0, 0.0))
    assert isinstance(news, messages.TaskNews)
    return [(each.finished, each.failed) for each in news.totals if each.actor_id == actor._actor_id.binary()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("seen", [["RUNNING"], ["SUBMITTED_TO_WORKER", "RUNNING"]])
def test_a_call_that_has_returned_before_its_actor_is_killed_has_finished(gate: str, seen: list[str]) -> None:
    sleeper = Sleeper.remote()
    ray.get(sleeper.pid.remote())
    eventually(lambda: totals_of(sleeper) == [(1, 0)])
    ref = sleeper.until.remote(gate)
    eventually(lambda: any(end_of("Sleeper.until") == [(state, "")] for state in seen))
    open_gate(gate)
    ray.get(ref)
    ray.kill(sleeper)
    eventually(lambda: end_of("Sleeper.until") == [("FINISHED", "")])
    eventually(lambda: totals_of(sleeper) == [(2, 0)])


def test_a_call_that_has_raised_before_its_actor_is_killed_tells_its_error(gate: str) -> None:
    sleeper = Sleeper.remote()
    ref = sleeper.fail_after.remote(gate)
    eventually(lambda: end_of("Sleeper.fail_after") == [("RUNNING", "")])
    open_gate(gate)
    with pytest.raises(ValueError, match="no sleep"):
        ray.get(ref)
    ray.kill(sleeper)
    eventually(lambda: end_of("Sleeper.fail_after") == [("FAILED", "TASK_EXECUTION_EXCEPTION")])
    assert "no sleep" in tasks("Sleeper.fail_after")[0].error


def test_a_task_that_has_returned_before_its_worker_is_killed_has_finished(gate: str) -> None:
    @ray.remote
    def until(path: str) -> int:
        with open(path) as pipe:
            pipe.read()
        return os.getpid()

    ref = until.remote(gate)
    eventually(lambda: end_of("until") == [("RUNNING", "")])
    open_gate(gate)
    os.kill(ray.get(ref), signal.SIGKILL)
    eventually(lambda: end_of("until") == [("FINISHED", "")])


def test_the_call_that_a_crash_has_ended_has_failed(gate: str) -> None:
    sleeper = Sleeper.remote()
    pid = ray.get(sleeper.pid.remote())
    ref = sleeper.until.remote(gate)
    eventually(lambda: states("Sleeper.until")() == ["RUNNING"])
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ray.exceptions.ActorDiedError, match="SIGKILL"):
        ray.get(ref)
    eventually(lambda: [(row.state, row.error_type) for row in tasks("Sleeper.until")] == [("FAILED", "ACTOR_DIED")])


def test_a_call_names_the_call_that_has_made_it() -> None:
    @ray.remote
    def child() -> None:
        pass

    @ray.remote
    def parent() -> None:
        ray.get(child.remote())

    ray.get(parent.remote())
    eventually(lambda: states("child")() == states("parent")() == ["FINISHED"])
    (made,), (making,) = tasks("child"), tasks("parent")
    assert made.parent == making.task_id


def test_a_method_without_events_is_not_listed() -> None:
    sleeper = Sleeper.remote()
    ray.get([sleeper.quiet.remote(), sleeper.pid.remote()])
    eventually(lambda: states("Sleeper.pid")() == ["FINISHED"])
    assert tasks("Sleeper.quiet") == []


def test_the_next_node_is_told_of_the_calls_that_run(gate: str) -> None:
    sleeper = Sleeper.remote()
    ref = sleeper.until.remote(gate)
    eventually(lambda: states("Sleeper.until")() == ["RUNNING"])
    changes = state.follow()
    try:
        assert changes.next(timeout=5) is not None
        os.kill(node_pid(), signal.SIGKILL)
        news = eventually(lambda: changes.next(timeout=1), 10)
        assert news.is_snapshot
        eventually(lambda: changes.next(timeout=0.1) is None)  # there is a node, which has all the reports
    finally:
        changes.close()
    eventually(lambda: states("Sleeper.until")() == ["RUNNING"], 10)
    open_gate(gate)
    ray.get(ref)
    eventually(lambda: states("Sleeper.until")() == ["FINISHED"])


@ray.remote(max_calls=1)
def once(number: int) -> int:
    return number


@ray.remote
class Leaver:
    def work(self) -> None:
        pass

    def leave(self) -> None:
        ray.actor.exit_actor()


def test_a_worker_that_ends_in_order_reports_its_last_calls_first() -> None:
    assert ray.get([once.remote(number) for number in range(3)]) == [0, 1, 2]
    eventually(lambda: states("once")() == ["FINISHED"] * 3, what=lambda: str(tasks("once")))
    leaver, dropped = Leaver.remote(), Leaver.remote()
    ray.get([leaver.work.remote(), dropped.work.remote()])
    leaver.leave.remote()
    del dropped
    eventually(lambda: states("Leaver.work")() == ["FINISHED"] * 2, what=lambda: str(tasks("Leaver.work")))
    assert states("Leaver.__init__")() == ["FINISHED"] * 2
