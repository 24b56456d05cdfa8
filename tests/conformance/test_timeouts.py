"""`options(timeout_s=)`: what a call may take. nbactors's own."""

from __future__ import annotations

import pickle
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from conformance.cancelling import LONG_S, Steady, count_up, loop
from conformance.latch import Latch
from conformance.subjects import Gate, Journal, echo

pytestmark = pytest.mark.differs("Ray has no time limits for calls")

SHORT_S = 0.1


class Sleeper(Steady):
    def sleep(self) -> str:
        try:
            time.sleep(LONG_S)
        except KeyboardInterrupt:
            self.done.append("interrupted")
            raise
        finally:
            self.done.append("cleaned up")
        return "never stopped"

    def hang_on(self, gate: Gate) -> None:
        while True:
            try:
                gate.wait()
            except KeyboardInterrupt:
                continue
            return


class Streaming(Latch):
    async def generate(self) -> AsyncIterator[int]:
        yield 0
        await self.hold()
        yield 1


@pytest.fixture
def steady(ray: Any, journal: Journal) -> Any:
    actor = ray.remote(Sleeper).remote(journal)
    ray.get(actor.__ray_ready__.remote())
    return actor


def timed_out(ray: Any, ref: Any, phase: str, match: str = "") -> Any:
    """Check that a call has timed out, and return the error."""
    text = match or {"queued": "still queued after the 0.1 s", "running": "still running after the 0.1 s"}[phase]
    with pytest.raises(ray.exceptions.CallTimeoutError, match=text) as raised:
        ray.get(ref, timeout=10)
    assert raised.value.phase == phase
    assert raised.value.timeout_s == SHORT_S
    return raised.value


class TestError:
    def test_the_error_is_a_timeout_error_and_can_be_pickled(self, ray: Any, steady: Any) -> None:
        error = timed_out(ray, steady.sleep.options(timeout_s=SHORT_S).remote(), "running")
        assert isinstance(error, ray.exceptions.TaskCancelledError)
        assert isinstance(error, TimeoutError)
        assert not isinstance(error, ray.exceptions.GetTimeoutError)
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.phase, str(again)) == (type(error), "running", str(error))


class TestQueued:
    def test_a_queued_call_beyond_its_limit_never_runs(self, ray: Any, gate: Gate, steady: Any) -> None:
        waiting = steady.wait.remote(gate)
        timed_out(ray, steady.note.options(timeout_s=SHORT_S).remote("late"), "queued")
        gate.open()
        assert ray.get([waiting, steady.note.remote("next")]) == ["passed", "next"]
        assert ray.get(steady.state.remote()) == ["waited", "next"]

    @pytest.mark.differs_on_cluster("calls behind it begin once the argument is there, as on Ray")
    def test_a_call_that_waits_for_an_argument_times_out(
        self, ray: Any, gate: Gate, journal: Journal, steady: Any
    ) -> None:
        argument = ray.remote(Steady).remote(journal).wait.remote(gate)
        timed_out(ray, steady.note.options(timeout_s=SHORT_S).remote("late", argument), "queued")
        assert ray.get(steady.note.remote("next")) == "next"
        gate.open()
        assert ray.get(argument) == "passed"
        assert ray.get(steady.state.remote()) == ["next"]

    def test_a_call_of_a_starting_actor_times_out(self, ray: Any, gate: Gate, journal: Journal) -> None:
        @ray.remote
        class Late(Steady):
            def __init__(self, journal: Journal, gate: Gate) -> None:
                super().__init__(journal)
                gate.wait()

        actor = Late.remote(journal, gate)
        timed_out(ray, actor.note.options(timeout_s=SHORT_S).remote("late"), "queued")
        gate.open()
        assert ray.get(actor.state.remote()) == []

    def test_an_async_call_beyond_max_concurrency_times_out(self, ray: Any) -> None:
        actor = ray.remote(concurrency_groups={"control": 1})(Latch).options(max_concurrency=1).remote()
        held = actor.hold.remote()
        timed_out(ray, actor.echo.options(timeout_s=SHORT_S).remote("late"), "queued")
        ray.cancel(held)
        assert ray.get(actor.echo.remote("next")) == "next"

    @pytest.mark.one_node("the first task fills it")
    def test_a_queued_task_times_out(self, ray: Any, gate: Gate, journal: Journal, started: Any) -> None:
        @ray.remote(num_cpus=4)
        def wait() -> None:
            journal.note("waits")
            gate.wait()

        waiting = wait.remote()
        started("waits")
        late = ray.remote(lambda: journal.note("late")).options(num_cpus=4, timeout_s=SHORT_S).remote()
        timed_out(ray, late, "queued")
        gate.open()
        ray.get(waiting)
        assert journal.lines() == ["waits"]

    @pytest.mark.differs_on_cluster("dependents fail when the turn of the call would have come")
    def test_dependents_of_a_timed_out_call_fail(self, ray: Any, gate: Gate, steady: Any) -> None:
        waiting = steady.wait.remote(gate)
        late = steady.note.options(timeout_s=SHORT_S).remote("late")
        timed_out(ray, ray.remote(echo).remote(late), "queued")
        gate.open()
        assert ray.get(waiting) == "passed"


class TestRunning:
    def test_a_synchronous_method_is_interrupted(self, ray: Any, steady: Any) -> None:
        timed_out(ray, steady.sleep.options(timeout_s=SHORT_S).remote(), "running")
        assert ray.get(steady.state.remote()) == ["interrupted", "cleaned up"]

    @pytest.mark.slow
    def test_a_method_that_goes_on_leads_to_an_error_that_names_kill(self, ray: Any, gate: Gate, steady: Any) -> None:
        call = steady.hang_on.options(timeout_s=SHORT_S).remote(gate)
        timed_out(ray, call, "running", r"still running after the 0\.1 s[\s\S]*kill\(handle\)")
        gate.open()
        assert ray.get(steady.note.remote("next")) == "next"

    def test_python_code_of_a_threaded_actor_is_interrupted(self, ray: Any, journal: Journal) -> None:
        actor = ray.remote(Sleeper).options(max_concurrency=2).remote(journal)
        ray.get(actor.__ray_ready__.remote())
        timed_out(ray, actor.loop.options(timeout_s=SHORT_S).remote(), "running")
        assert ray.get(actor.state.remote()) == ["method"]

    def test_an_async_method_is_cancelled(self, ray: Any) -> None:
        actor = ray.remote(Latch).remote()
        ray.get(actor.echo.remote())
        timed_out(ray, actor.hold.options(timeout_s=SHORT_S).remote(), "running")
        assert ray.get(actor.open.remote()) == 1

    def test_a_generator_is_interrupted(self, ray: Any, steady: Any) -> None:
        generator = steady.generate.options(timeout_s=SHORT_S).remote()
        assert ray.get(next(generator)) == 0
        timed_out(ray, next(generator), "running")
        timed_out(ray, generator.completed(), "running")
        assert ray.get(steady.state.remote()) == ["generator"]

    def test_an_async_generator_is_cancelled(self, ray: Any) -> None:
        actor = ray.remote(Streaming).remote()
        ray.get(actor.echo.remote())
        generator = actor.generate.options(timeout_s=SHORT_S).remote()
        assert ray.get(next(generator)) == 0
        timed_out(ray, next(generator), "running")
        assert ray.get(actor.open.remote()) == 1

    def test_a_generator_task_is_interrupted(self, ray: Any, journal: Journal) -> None:
        generator = ray.remote(count_up).options(timeout_s=1).remote(journal)
        assert ray.get(next(generator)) == 0
        with pytest.raises(ray.exceptions.CallTimeoutError, match="still running after the 1 s"):
            ray.get(next(generator))
        assert journal.lines() == ["generator runs", "generator interrupted", "generator cleaned up"]

    @pytest.mark.slow
    def test_a_task_is_interrupted(self, ray: Any, journal: Journal, started: Any) -> None:
        task = ray.remote(loop).options(timeout_s=1).remote(journal)
        started("task runs")
        with pytest.raises(ray.exceptions.CallTimeoutError, match="still running after the 1 s") as raised:
            ray.get(task)
        assert raised.value.phase == "running"
        assert journal.lines() == ["task runs", "task interrupted", "task cleaned up"]

    def test_children_of_a_timed_out_call_are_cancelled(self, ray: Any, eventually: Callable[..., Any]) -> None:
        @ray.remote
        class Relay:
            async def hold(self, latch: Any) -> Any:
                return await latch.hold.remote()

        latch, relay = ray.remote(Latch).remote(), Relay.remote()
        ray.get([latch.echo.remote(), relay.__ray_ready__.remote()])
        call = relay.hold.options(timeout_s=SHORT_S).remote(latch)
        timed_out(ray, call, "running")
        eventually(lambda: ray.get(latch.count.remote()) == 0)
        assert ray.get(latch.open.remote()) == 1

    def test_a_limit_works_after_a_plain_cancel(self, ray: Any, steady: Any, started: Any) -> None:
        call = steady.loop.options(timeout_s=1).remote()
        started("method runs")
        ray.cancel(call)
        with pytest.raises(ray.exceptions.CallTimeoutError, match="still running after the 1 s"):
            ray.get(call)


class TestInTime:
    def test_calls_in_time_return_their_results(self, ray: Any, gate: Gate, steady: Any) -> None:
        calls = [steady.note.options(timeout_s=SHORT_S + 60).remote(str(index)) for index in range(50)]
        assert ray.get(calls) == [str(index) for index in range(50)]

    def test_a_limit_may_be_of_any_size(self, ray: Any, steady: Any) -> None:
        call = steady.note.options(timeout_s=1e300).remote("first")
        assert ray.get(call, timeout=1e300) == "first"
        assert ray.get(steady.note.remote("second"), timeout=10) == "second"

    def test_a_limit_does_not_interrupt_the_next_call(self, ray: Any, gate: Gate, steady: Any) -> None:
        assert ray.get(steady.note.options(timeout_s=SHORT_S).remote("quick")) == "quick"
        waiting = steady.wait.remote(gate)
        assert ray.wait([waiting], timeout=3 * SHORT_S) == ([], [waiting])
        gate.open()
        assert ray.get(waiting) == "passed"

    def test_a_call_in_time_may_raise_its_own_error(self, ray: Any, gate: Gate, steady: Any) -> None:
        gate.open()
        with pytest.raises(ValueError, match="its own error"):
            ray.get(steady.fail.options(timeout_s=60).remote(gate))

    def test_a_task_in_time_returns_its_result(self, ray: Any) -> None:
        assert ray.get(ray.remote(echo).options(timeout_s=60).remote(3)) == 3
