"""A thread of a threaded actor: by the compiled part, it runs the calls that wait in one step of the lane."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from nbactors import speedups
from nbactors.local.wire import messages
from nbactors.local.worker.jobs.caller_jobs import CallerJobs
from nbactors.local.worker.jobs.job import Job, current
from nbactors.local.worker.running.lookout import Lookout
from nbactors.local.worker.running.thread_lane import ThreadLane

pytestmark = pytest.mark.skipif(speedups.compiled is None, reason=f"no compiled part: {speedups.why_not}")

IDENT = 12345


class Pool:
    """A lane whose threads are the test."""

    def __init__(self) -> None:
        self.ran: list[Any] = []
        self.looks: list[str] = []
        self.on_run: Callable[[Job], None] = lambda job: None
        self.lane: Any = ThreadLane("", 2, self.run, lambda *_: None, lambda: None)
        self.lookout = Lookout(lambda: self.looks.append("look"))
        self.lookout._unread_s = math.inf
        self.caller: Any = SimpleNamespace(jobs=CallerJobs(None), peer_id=b"p" * 16)

    def run(self, job: Job) -> None:
        self.ran.append((job.message.number, current.get() is job, job.thread, IDENT in self.lane._active))
        self.on_run(job)

    def put(self, *numbers: int) -> list[Job]:
        jobs = [Job(self.caller, messages.Call(number, "method", b""), None, []) for number in numbers]
        self.caller.jobs.waiting.update((job.message.number, job) for job in jobs)
        self.lane._jobs.extend(jobs)
        return jobs

    def serve(self) -> None:
        self.lane._serve_quickly(self.lookout, IDENT)

    @property
    def numbers(self) -> list[int]:
        return [number for number, *_ in self.ran]


@pytest.fixture
def pool() -> Pool:
    return Pool()


def test_all_calls_that_wait_are_run_in_their_order(pool: Pool) -> None:
    jobs = pool.put(1, 2, 3)
    pool.serve()
    assert pool.ran == [(number, True, IDENT, True) for number in (1, 2, 3)]
    assert (current.get(), pool.lane._taken, pool.lane._is_short) == (None, 3, True)
    assert (pool.caller.jobs.waiting, pool.caller.jobs.running) == ({}, {})
    assert all(job.since for job in jobs)
    assert pool.lane.runs, "the thread notes itself that it runs none any more"


def test_a_call_that_comes_meanwhile_is_run_too(pool: Pool) -> None:
    more = [2, 3]
    pool.on_run = lambda job: more and pool.put(more.pop(0))  # type: ignore[assignment,return-value]
    pool.put(1)
    pool.serve()
    assert pool.numbers == [1, 2, 3]


def test_a_paused_lane_runs_none(pool: Pool) -> None:
    pool.on_run = lambda job: pool.lane.pause()
    pool.put(1, 2)
    pool.serve()
    pool.serve()
    assert pool.numbers == [1]


def test_a_call_that_needs_a_look_is_left_to_the_steps_in_python(pool: Pool) -> None:
    pool.lookout.distrust()
    pool.put(1)
    pool.serve()
    assert (pool.ran, pool.looks, len(pool.lane._jobs)) == ([], [], 1)


def test_a_long_call_is_noted(pool: Pool) -> None:
    def last(job: Job) -> None:
        job.since -= 1.0

    pool.on_run = last
    pool.put(1)
    pool.serve()
    assert not pool.lane._is_short


def test_a_call_that_has_failed_ends_by_the_steps_in_python(pool: Pool) -> None:
    ended: list[Job] = []
    pool.caller.jobs.events = SimpleNamespace(ended=ended.append, recorder=SimpleNamespace(count_fast=ended.append))

    def fail(job: Job) -> None:
        job.failure = ("LookupError", "no such key")

    pool.on_run = fail
    (job,) = pool.put(1)
    job.message = messages.Call(1, "method", b"", submitted=1.0)
    pool.serve()
    assert (ended, pool.caller.jobs.running) == ([job], {})


def test_what_a_call_raises_ends_the_step(pool: Pool) -> None:
    def fails(job: Job) -> None:
        raise LookupError("of the runtime")

    pool.on_run = fails
    pool.put(1, 2)
    with pytest.raises(LookupError, match="of the runtime"):
        pool.serve()
    assert pool.numbers == [1]


@pytest.mark.parametrize("name", ["_jobs", "_active", "_run", "_current"])
def test_a_lane_that_has_lost_an_attribute_runs_none(pool: Pool, name: str) -> None:
    pool.put(1)
    kept = getattr(pool.lane, name)
    delattr(pool.lane, name)
    pool.serve()
    setattr(pool.lane, name, kept)
    assert pool.ran == []
    pool.serve()
    assert pool.numbers == [1]


def test_it_takes_a_lookout_and_an_identifier(pool: Pool) -> None:
    for args in [(), (pool.lookout,), (pool.lookout, "text")]:
        with pytest.raises(TypeError, match="a lookout and an identifier"):
            pool.lane._serve_quickly(*args)
    pool.put(1)
    pool.lane._serve_quickly(None, IDENT)
    assert pool.ran == []


def test_calls_leave_no_object_behind(pool: Pool) -> None:
    def calls(count: int) -> None:
        for _ in range(count):
            pool.put(1, 2, 3)
            pool.serve()
            pool.ran.clear()

    calls(100)
    gc.collect()
    before = sys.getallocatedblocks()
    calls(1000)
    gc.collect()
    assert sys.getallocatedblocks() - before < 200
