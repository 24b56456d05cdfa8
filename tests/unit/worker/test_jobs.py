"""A call in its worker: whoever takes it out of what waits decides about it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from nbactors.local.wire import ids, messages
from nbactors.local.worker.jobs.caller_jobs import CallerJobs
from nbactors.local.worker.jobs.hosted import MOST_NAMES, Hosted
from nbactors.local.worker.jobs.job import Job
from nbactors.local.worker.running import lookout
from nbactors.local.worker.running.lookout import Lookout
from nbactors.options.num_returns import DYNAMIC, STREAMING


class Connection:
    peer_id = b"p" * 16

    def __init__(self) -> None:
        self.jobs = CallerJobs()


def job_of(connection: Connection, number: int = 1, num_returns: int = 1) -> Job:
    """Return a call that waits."""
    message = messages.Call(number, "method", b"", num_returns)
    job = Job(connection, message, None, [])  # type: ignore[arg-type]
    connection.jobs.waiting[number] = job
    return job


class TestJob:
    def test_it_waits_then_runs_then_has_ended(self) -> None:
        connection = Connection()
        jobs, job = connection.jobs, job_of(connection)
        assert job.since == 0.0
        assert job.begin()
        assert (jobs.waiting, jobs.running) == ({}, {1: job})
        assert job.since > 0.0
        job.end()
        job.end()
        assert (jobs.waiting, jobs.running) == ({}, {})

    def test_one_that_was_taken_out_never_begins(self) -> None:
        connection = Connection()
        job = job_of(connection)
        del connection.jobs.waiting[1]
        assert not job.begin()
        assert connection.jobs.running == {}

    def test_whoever_looks_for_it_finds_it_at_every_moment(self) -> None:
        """It is in `running` before it leaves `waiting`, since a canceller looks there first."""
        connection = Connection()
        found: list[bool] = []

        class Waiting(dict[int, Any]):
            def pop(self, number: int, default: Any = None) -> Any:  # type: ignore[override]
                found.append(number in connection.jobs.running)
                return super().pop(number, default)

        connection.jobs.waiting = Waiting()
        assert job_of(connection).begin()
        assert found == [True]

    def test_its_task_id_is_that_of_its_results(self) -> None:
        assert job_of(Connection(), number=7).task_id == ids.task_id(b"p" * 16, 7)

    @pytest.mark.parametrize(("num_returns", "streams"), [(0, False), (1, False), (STREAMING, True), (DYNAMIC, True)])
    def test_a_generator_has_its_production_from_the_beginning(self, num_returns: int, streams: bool) -> None:
        assert (job_of(Connection(), num_returns=num_returns).production is not None) == streams

    def test_a_task_is_told_from_a_method(self) -> None:
        task = Job(Connection(), messages.Run(1, b"key", b"", name="named"), None, [])  # type: ignore[arg-type]
        assert task.is_task
        assert task.label == "named"
        assert not job_of(Connection()).is_task


class TestHosted:
    class Calls:
        main_ident: int | None = threading.get_ident()
        is_async = True

    def test_the_call_whose_code_runs_on_the_main_loop_is_what_an_interrupt_may_hit(self) -> None:
        hosted = Hosted()
        hosted.calls = self.Calls()  # type: ignore[assignment]
        job, other = job_of(Connection()), job_of(Connection())
        job.thread = threading.get_ident()
        hosted.enter(job)
        assert hosted.running is job
        hosted.leave(other)
        assert hosted.running is job
        hosted.leave(job)
        assert hosted.running is None

    def test_one_on_a_groups_loop_is_not(self) -> None:
        hosted = Hosted()
        hosted.calls = self.Calls()  # type: ignore[assignment]
        job = job_of(Connection())
        job.thread = 12345
        hosted.enter(job)
        assert hosted.running is None

    def test_a_worker_for_tasks_has_no_loop(self) -> None:
        hosted = Hosted()
        hosted.enter(job_of(Connection()))
        assert hosted.running is None
        assert not hosted.is_async
        hosted.calls = self.Calls()  # type: ignore[assignment]
        assert hosted.is_async

    def test_the_name_of_a_method_is_one_object_for_all_calls(self) -> None:
        hosted = Hosted()
        assert hosted.name_of("add") == ".add", "before the node has told the class"
        hosted.class_name = "Counter"
        first = hosted.name_of("".join(["a", "dd"]))
        assert (first, hosted.name_of("add") is first) == ("Counter.add", True)

    def test_names_of_methods_that_callers_invent_are_forgotten(self) -> None:
        hosted = Hosted()
        hosted.class_name = "Counter"
        for number in range(2 * MOST_NAMES):
            assert hosted.name_of(f"m{number}") == f"Counter.m{number}"
        assert len(hosted.names) <= MOST_NAMES


class TestLookout:
    """Between one call and the next of one thread."""

    class Looking:
        def __init__(self) -> None:
            self.looks = 0
            self.lookout = Lookout(self.look)

        def look(self) -> None:
            self.looks += 1

    @pytest.fixture
    def looking(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        made: Any = self.Looking()
        made.now = 100.0
        monkeypatch.setattr(lookout, "monotonic", lambda: made.now)
        return made

    def job(self, read_at: float, since: float = 100.0) -> Job:
        job = job_of(Connection())
        job.read_at, job.since = read_at, since
        return job

    def test_after_a_short_call_the_next_begins_at_once(self, looking: Any) -> None:
        looking.now += lookout.UNREAD_S / 2
        assert looking.lookout.after(self.job(0.0)) == pytest.approx(lookout.UNREAD_S / 2)
        looking.lookout.before(self.job(read_at=99.0))
        assert looking.looks == 0

    def test_after_a_long_one_what_has_come_is_read_first_but_once(self, looking: Any) -> None:
        looking.now += 2 * lookout.UNREAD_S
        looking.lookout.after(self.job(0.0))
        looking.lookout.before(self.job(read_at=100.0))
        looking.lookout.before(self.job(read_at=100.0))
        assert looking.looks == 1

    def test_a_call_that_was_read_afterwards_needs_no_look(self, looking: Any) -> None:
        looking.now += 2 * lookout.UNREAD_S
        looking.lookout.after(self.job(0.0))
        looking.lookout.before(self.job(read_at=looking.now))
        assert looking.looks == 0

    def test_when_it_is_told_to_distrust_it_looks_whenever_the_call_was_read(self, looking: Any) -> None:
        looking.lookout.distrust()
        looking.lookout.before(self.job(read_at=1e12))
        looking.lookout.before(self.job(read_at=1e12))
        assert looking.looks == 1
