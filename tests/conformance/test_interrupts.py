"""`cancel(ref, interrupt=True)`: stops a running synchronous method, and nothing else. nbactors's own."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from conformance.cancelling import LONG_S, Steady, loop
from conformance.latch import Latch
from conformance.subjects import Gate, Journal

pytestmark = pytest.mark.differs("Ray has no interrupts")

AT_MOST_S = 0.2
NOISE_S = 1.0
"""What a busy machine may add."""


class Stuck(Steady):
    """Runs or blocks in every way, for long."""

    def block(self, how: str) -> str:
        try:
            self.journal.note("blocks")
            getattr(self, f"_{how}")()
        finally:
            self.done.append("cleaned up")
        return "never stopped"

    def _sleep(self) -> None:
        time.sleep(LONG_S)

    def _socket(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.recv(1)

    def _python(self) -> None:
        end = time.monotonic() + LONG_S
        while time.monotonic() < end:
            pass

    def _lock(self) -> None:
        lock = threading.Lock()
        lock.acquire()
        lock.acquire(timeout=LONG_S)

    def _subprocess(self) -> None:
        subprocess.run(["sleep", str(LONG_S)], check=True)

    def _regex(self) -> None:
        # Native code that never lets go of the GIL, so that no other thread of the actor hears of the interrupt.
        re.search(r"(\w+\s*)+;;", "aaaaaaa bbbbbbb ccccccc " * 10)

    def _event(self) -> None:
        threading.Event().wait(LONG_S)

    def swallow(self, times: int) -> int:
        """Catch so many interrupts, and return how many there were."""
        caught = 0
        self.journal.note("swallows")
        while caught < times:
            try:
                time.sleep(LONG_S)
            except KeyboardInterrupt:
                caught += 1
                self.journal.note(f"caught {caught}")
        return caught

    def swallow_until(self, gate: Gate) -> str:
        """Catch every interrupt until the gate is open."""
        self.journal.note("swallows")
        while True:
            try:
                gate.wait()
            except KeyboardInterrupt:
                self.journal.note("caught")
                continue
            self.done.append("went on")
            return "passed"

    def change(self) -> None:
        self.journal.note("changes")
        try:
            time.sleep(LONG_S)
        except KeyboardInterrupt:
            raise ValueError("its own error") from None


@pytest.fixture
def stuck(ray: Any, journal: Journal) -> Any:
    return ray.remote(Stuck).remote(journal)


def interrupted(ray: Any, ref: Any) -> float:
    """Interrupt a call, check what it raises, and return how long that took."""
    begun = time.monotonic()
    ray.cancel(ref, interrupt=True)
    with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
        ray.get(ref, timeout=10)
    return time.monotonic() - begun


class TestRunning:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "how",
        [
            *("sleep", "socket", "python", "lock", "event"),
            pytest.param(
                "regex",
                marks=pytest.mark.differs_on_cluster(
                    "code in C that does not let go of Python's lock keeps the order from its own worker"
                ),
            ),
            "subprocess",
        ],
    )
    def test_an_interrupted_method_ends_and_the_actor_stays(self, ray: Any, stuck: Any, started: Any, how: str) -> None:
        ray.get(stuck.note.remote("before"))
        call = stuck.block.remote(how)
        started("blocks")
        assert interrupted(ray, call) < AT_MOST_S + NOISE_S
        assert ray.get(stuck.note.remote("after")) == "after"
        assert ray.get(stuck.state.remote()) == ["before", "cleaned up", "after"]

    def test_a_method_that_waits_in_get_is_interrupted(
        self, ray: Any, gate: Gate, journal: Journal, stuck: Any, started: Any
    ) -> None:
        other = ray.remote(Steady).remote(journal)

        class Getting(Stuck):
            def _get(self) -> None:
                ray.get(other.wait.remote(gate))

        getting = ray.remote(Getting).remote(journal)
        call = getting.block.remote("get")
        started("waits")
        assert interrupted(ray, call) < AT_MOST_S + NOISE_S
        assert ray.get(getting.state.remote()) == ["cleaned up"]

    def test_the_error_shows_the_interrupted_line(self, ray: Any, stuck: Any, started: Any) -> None:
        call = stuck.block.remote("sleep")
        started("blocks")
        ray.cancel(call, interrupt=True)
        with pytest.raises(ray.exceptions.RayTaskError, match=r"Stuck\.block\(\)[\s\S]*in _sleep\n") as raised:
            ray.get(call)
        assert isinstance(raised.value, ray.exceptions.TaskCancelledError)

    def test_a_function_of_ray_call_is_interrupted(self, ray: Any, stuck: Any, started: Any) -> None:
        call = stuck.__ray_call__.remote(lambda self: self.block("sleep"))
        started("blocks")
        interrupted(ray, call)
        assert ray.get(stuck.state.remote()) == ["cleaned up"]

    def test_a_generator_is_interrupted(self, ray: Any, stuck: Any, started: Any) -> None:
        generator = stuck.generate.remote()
        started("generator runs")
        assert ray.get(next(generator)) == 0
        ray.cancel(generator, interrupt=True)
        with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
            ray.get(next(generator))
        assert ray.get(stuck.state.remote()) == ["generator"]

    def test_a_task_is_interrupted(self, ray: Any, journal: Journal, started: Any) -> None:
        task = ray.remote(loop).remote(journal)
        started("task runs")
        interrupted(ray, task)
        assert journal.lines() == ["task runs", "task interrupted", "task cleaned up"]

    def test_a_borrower_can_interrupt(self, ray: Any, stuck: Any, started: Any) -> None:
        @ray.remote
        def cancel(refs: list[Any]) -> None:
            ray.cancel(refs[0], interrupt=True)

        call = stuck.block.remote("sleep")
        started("blocks")
        ray.get(cancel.remote([call]))
        with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
            ray.get(call)
        assert ray.get(stuck.state.remote()) == ["cleaned up"]

    def test_an_interrupt_works_after_a_plain_cancel(self, ray: Any, stuck: Any, started: Any) -> None:
        call = stuck.block.remote("sleep")
        started("blocks")
        ray.cancel(call)
        interrupted(ray, call)
        assert ray.get(stuck.state.remote()) == ["cleaned up"]


class TestItsCallAlone:
    def test_a_queued_call_never_runs(self, ray: Any, gate: Gate, stuck: Any, started: Any, journal: Journal) -> None:
        waiting = stuck.wait.remote(gate)
        started("waits")
        interrupted(ray, stuck.note.remote("queued"))
        gate.open()
        assert ray.get(waiting) == "passed"
        assert ray.get(stuck.state.remote()) == ["waited"]

    def test_calls_behind_an_interrupted_call_run(self, ray: Any, stuck: Any, started: Any) -> None:
        call = stuck.block.remote("sleep")
        behind = [stuck.note.remote(str(index)) for index in range(20)]
        started("blocks")
        interrupted(ray, call)
        assert ray.get(behind) == [str(index) for index in range(20)]

    def test_an_interrupt_of_a_finished_call_does_nothing(self, ray: Any, gate: Gate, stuck: Any, started: Any) -> None:
        finished = stuck.note.remote("finished")
        assert ray.get(finished) == "finished"
        waiting = stuck.wait.remote(gate)
        started("waits")
        ray.cancel(finished, interrupt=True)
        assert ray.wait([waiting], timeout=0.1) == ([], [waiting])
        gate.open()
        assert ray.get([finished, waiting]) == ["finished", "passed"]

    @pytest.mark.slow
    def test_many_calls_can_be_interrupted_in_turn(
        self, ray: Any, stuck: Any, journal: Journal, eventually: Any
    ) -> None:
        for index in range(20):
            call, behind = stuck.loop.remote(f"call {index}"), stuck.note.remote(f"behind {index}")
            eventually(lambda index=index: f"call {index} runs" in journal.lines())
            interrupted(ray, call)
            assert ray.get(behind) == f"behind {index}"
        expected = [line for index in range(20) for line in (f"call {index}", f"behind {index}")]
        assert ray.get(stuck.state.remote()) == expected


class TestSwallowed:
    @pytest.mark.slow
    def test_a_caught_interrupt_is_followed_by_a_second(
        self, ray: Any, stuck: Any, started: Any, journal: Journal
    ) -> None:
        call = stuck.swallow.remote(2)
        started("swallows")
        assert interrupted(ray, call) > 0.5
        assert journal.lines() == ["swallows", "caught 1", "caught 2"]
        assert ray.get(stuck.note.remote("after")) == "after"

    def test_the_result_of_a_method_that_caught_an_interrupt_is_lost(self, ray: Any, stuck: Any, started: Any) -> None:
        call = stuck.swallow.remote(1)
        started("swallows")
        interrupted(ray, call)
        assert ray.get(stuck.note.remote("after")) == "after"

    @pytest.mark.slow
    def test_two_caught_interrupts_lead_to_an_error_that_names_kill(
        self, ray: Any, gate: Gate, stuck: Any, started: Any, journal: Journal
    ) -> None:
        call = stuck.swallow_until.remote(gate)
        started("swallows")
        ray.cancel(call, interrupt=True)
        with pytest.raises(ray.exceptions.TaskCancelledError, match=r"ignored two interrupts[\s\S]*kill\(handle\)"):
            ray.get(call, timeout=10)
        behind = stuck.note.remote("behind")
        assert ray.wait([behind], timeout=0.1) == ([], [behind])
        gate.open()
        assert ray.get(behind) == "behind"
        assert ray.get(stuck.state.remote()) == ["went on", "behind"]
        assert journal.lines() == ["swallows", "caught", "caught", "behind"]

    def test_an_error_raised_instead_is_named_in_the_cancellation(self, ray: Any, stuck: Any, started: Any) -> None:
        call = stuck.change.remote()
        started("changes")
        ray.cancel(call, interrupt=True)
        with pytest.raises(ray.exceptions.TaskCancelledError, match="its own error"):
            ray.get(call)


class TestOtherActors:
    def test_python_code_in_a_threaded_actor_is_interrupted(self, ray: Any, journal: Journal, started: Any) -> None:
        actor = ray.remote(Stuck).options(max_concurrency=2).remote(journal)
        call = actor.block.remote("python")
        started("blocks")
        assert interrupted(ray, call) < AT_MOST_S + NOISE_S
        assert ray.get(actor.state.remote()) == ["cleaned up"]

    @pytest.mark.parametrize(
        "how",
        [
            *("one", "several", "wait"),
            pytest.param(
                "next",
                marks=pytest.mark.differs_on_cluster("the generator that only the ended method had is stopped with it"),
            ),
        ],
    )
    def test_a_wait_for_results_in_a_threaded_actor_is_interrupted(
        self, ray: Any, journal: Journal, started: Any, how: str
    ) -> None:
        class Following(Stuck):
            def follow(self, latch: Any, others: list[Any]) -> None:
                verbs = {
                    "one": lambda: ray.get(latch.hold.remote()),
                    "several": lambda: ray.get([*others, latch.hold.remote()]),
                    "wait": lambda: ray.wait([*others, latch.hold.remote()], num_returns=2),
                    "next": lambda: next(latch.stream.remote()),
                }
                try:
                    verbs[how]()
                finally:
                    self.done.append("cleaned up")

        class Streaming(Latch):
            async def stream(self) -> AsyncIterator[object]:
                yield await self.hold()

        latch = ray.remote(Streaming).remote()
        actor = ray.remote(Following).options(max_concurrency=2).remote(journal)
        call = actor.follow.remote(latch, [ray.put("there")])
        assert ray.get(latch.held.remote(1)) == 1
        # Not the calls that it waits for: their end would end the wait.
        ray.cancel(call, interrupt=True, recursive=False)
        with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
            ray.get(call, timeout=10)
        assert ray.get(actor.state.remote()) == ["cleaned up"]
        assert ray.get(latch.count.remote()) == 1

    @pytest.mark.slow
    def test_a_blocked_thread_leads_to_an_error_that_names_kill(
        self, ray: Any, gate: Gate, journal: Journal, started: Any
    ) -> None:
        actor = ray.remote(Stuck).options(max_concurrency=2).remote(journal)
        call = actor.wait.remote(gate)
        started("waits")
        ray.cancel(call, interrupt=True)
        with pytest.raises(ray.exceptions.TaskCancelledError, match=r"Python code and waits[\s\S]*kill\(handle\)"):
            ray.get(call, timeout=15)
        assert ray.get(actor.note.remote("other thread")) == "other thread"

    def test_other_threads_are_not_interrupted(self, ray: Any, gate: Gate, journal: Journal, started: Any) -> None:
        actor = ray.remote(Stuck).options(max_concurrency=3).remote(journal)
        waiting = actor.wait.remote(gate)
        call = actor.block.remote("python")
        started("waits")
        started("blocks")
        interrupted(ray, call)
        gate.open()
        assert ray.get(waiting) == "passed"

    def test_an_async_method_is_cancelled(self, ray: Any) -> None:
        actor = ray.remote(Latch).remote()
        held = actor.hold.remote()
        ray.get(actor.held.remote(1))
        interrupted(ray, held)
        assert ray.get(actor.open.remote()) == 1

    @pytest.mark.differs_on_cluster("Ray's event loops run on threads, where an interrupt reaches no sleep")
    def test_a_plain_method_of_an_async_actor_is_interrupted(self, ray: Any, journal: Journal, started: Any) -> None:
        class Mixed(Stuck):
            async def alive(self) -> str:
                return "alive"

        actor = ray.remote(Mixed).remote(journal)
        call = actor.block.remote("sleep")
        started("blocks")
        assert interrupted(ray, call) < AT_MOST_S + NOISE_S
        assert ray.get(actor.alive.remote()) == "alive"

    def test_a_plain_method_in_a_group_is_interrupted(self, ray: Any, journal: Journal, started: Any) -> None:
        class Mixed(Stuck):
            async def alive(self) -> str:
                return "alive"

        actor = ray.remote(concurrency_groups={"work": 1})(Mixed).remote(journal)
        call = actor.block.options(concurrency_group="work").remote("python")
        started("blocks")
        assert interrupted(ray, call) < AT_MOST_S + NOISE_S
        alive = [actor.alive.remote(), actor.alive.options(concurrency_group="work").remote()]
        assert ray.get(alive) == ["alive", "alive"]

    def test_a_paused_generator_is_cancelled(self, ray: Any, stuck: Any) -> None:
        @ray.remote
        class Counting:
            def count(self) -> Iterator[int]:
                yield from range(1000)

            def alive(self) -> str:
                return "alive"

        actor = Counting.remote()
        generator = actor.count.options(_generator_backpressure_num_objects=1).remote()
        ref = next(generator)
        ray.cancel(generator, interrupt=True)
        assert ray.get(ref) == 0
        assert ray.get(actor.alive.remote()) == "alive"
        with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
            ray.get(generator.completed())
