"""Cancelling calls and tasks that have not begun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.cancelling import Slow, Steady
from conformance.latch import Latch
from conformance.subjects import Gate, Journal, echo

SESSION_MAY_DIE = (
    "on Ray the session may die once the argument is there: a check in its core fails (reference_counter.cc)"
)


_ANY_ORDER = pytest.mark.differs_on_cluster(
    "Ray keeps no order in actors with threads or coroutines: calls made before such an actor was up begin in any order"
)

ORDER_WAITS = pytest.mark.differs_on_cluster(
    "Ray holds a lock while it unpickles arguments, and the order to cancel waits for it: the call may run all the same"
)


class Suspending(Steady):
    """Runs its calls on an event loop."""

    async def suspend(self, gate: Gate) -> str:
        return await asyncio.to_thread(self.wait, gate)

    async def block(self, gate: Gate) -> str:
        passed = self.wait(gate)
        await asyncio.sleep(0.01)  # goes on for a while, so that no call's end lets the next one begin
        return passed


class TestQueued:
    def test_a_queued_call_is_cancelled(
        self, ray: Any, gate: Gate, journal: Journal, started: Any, is_cancelled: Any
    ) -> None:
        actor = ray.remote(Steady).remote(journal)
        waiting = actor.wait.remote(gate)
        started("waits")
        before, queued = actor.note.remote("before"), actor.note.remote("queued")
        ray.cancel(queued)
        gate.open()
        is_cancelled(queued)
        assert ray.get([waiting, before]) == ["passed", "before"]

    @pytest.mark.differs("on Ray a call behind a cancelled one may be lost, and the session with it")
    def test_calls_around_a_cancelled_call_run(
        self, ray: Any, gate: Gate, journal: Journal, started: Any, is_cancelled: Any
    ) -> None:
        actor = ray.remote(Steady).remote(journal)
        waiting = actor.wait.remote(gate)
        started("waits")
        before, queued, after = (actor.note.remote(line) for line in ("before", "queued", "after"))
        ray.cancel(queued)
        gate.open()
        is_cancelled(queued)
        assert ray.get([waiting, before, after]) == ["passed", "before", "after"]

    @pytest.mark.differs("on Ray it may run all the same, its result lost")
    def test_a_queued_call_never_runs(self, ray: Any, gate: Gate, journal: Journal, started: Any) -> None:
        actor = ray.remote(Steady).remote(journal)
        actor.wait.remote(gate)
        started("waits")
        queued, _ = actor.note.remote("queued"), actor.note.remote("after")
        ray.cancel(queued)
        gate.open()
        assert ray.get(actor.state.remote()) == ["waited", "after"]

    @pytest.mark.slow
    @pytest.mark.differs("on Ray it may run all the same, its result lost")
    @pytest.mark.parametrize(
        ("cls", "method", "max_concurrency"),
        [
            (Steady, "wait", 1),
            pytest.param(Steady, "wait", 2, marks=_ANY_ORDER),
            pytest.param(Suspending, "wait", 1, marks=_ANY_ORDER),
            pytest.param(Suspending, "suspend", 1, marks=_ANY_ORDER),
        ],
        ids=["one-thread", "two-threads", "blocked-loop", "suspended"],
    )
    def test_cancelled_calls_never_run_however_soon_their_turn_comes(
        self,
        ray: Any,
        journal: Journal,
        tmp_path: Path,
        eventually: Callable[..., Any],
        cls: type[Steady],
        method: str,
        max_concurrency: int,
    ) -> None:
        actor = ray.remote(cls).options(max_concurrency=max_concurrency).remote(journal)
        for index in range(20):
            gate = Gate.closed(str(tmp_path / str(index)))
            waiting = [getattr(actor, method).remote(gate) for _ in range(max_concurrency)]
            queued = actor.note.remote(f"ran {index}")
            running = (index + 1) * max_concurrency
            eventually(lambda running=running: journal.lines().count("waits") == running)
            ray.cancel(queued)
            gate.open()
            assert ray.get(waiting) == ["passed"] * max_concurrency
            with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
                ray.get(queued)
        assert set(journal.lines()) == {"waits"}

    @pytest.mark.slow
    @pytest.mark.differs("on Ray it may run all the same, its result lost")
    def test_cancelled_calls_never_run_after_a_coroutine_blocked_the_loop(
        self, ray: Any, journal: Journal, tmp_path: Path, eventually: Callable[..., Any]
    ) -> None:
        actor = ray.remote(Suspending).remote(journal)
        for index in range(20):
            gate = Gate.closed(str(tmp_path / str(index)))
            blocking = actor.block.remote(gate)
            eventually(lambda running=index + 1: journal.lines().count("waits") == running)
            queued = actor.note.remote(f"ran {index}")
            assert not ray.wait([queued], timeout=0)[0], "and now it has been sent"
            ray.cancel(queued)
            gate.open()
            assert ray.get(blocking) == "passed"
            with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
                ray.get(queued)
        assert set(journal.lines()) == {"waits"}

    def test_cancelling_a_queued_call_leaves_the_running_call_alone(
        self, ray: Any, gate: Gate, journal: Journal, started: Any
    ) -> None:
        @ray.remote
        class Watching(Steady):
            def wait(self, gate: Gate) -> Any:
                super().wait(gate)
                return ray.get_runtime_context().is_canceled()

        actor = Watching.remote(journal)
        waiting = actor.wait.remote(gate)
        started("waits")
        ray.cancel(actor.note.remote("queued"))
        gate.open()
        assert ray.get(waiting) is False

    def test_every_other_one_of_many_calls_can_be_cancelled(
        self, ray: Any, gate: Gate, journal: Journal, started: Any
    ) -> None:
        actor = ray.remote(Steady).remote(journal)
        waiting = actor.wait.remote(gate)
        started("waits")
        calls = [actor.note.remote(str(index)) for index in range(200)]
        for call in calls[::2]:
            ray.cancel(call)
        gate.open()
        assert ray.get(waiting) == "passed"
        for call in calls[::2]:
            with pytest.raises(ray.exceptions.TaskCancelledError, match=r"cancell?ed"):
                ray.get(call)
        assert ray.get(calls[1::2]) == [str(index) for index in range(1, 200, 2)]

    def test_a_call_of_a_starting_actor_can_be_cancelled(
        self, ray: Any, gate: Gate, journal: Journal, is_cancelled: Any
    ) -> None:
        @ray.remote
        class Late(Steady):
            def __init__(self, journal: Journal, gate: Gate) -> None:
                super().__init__(journal)
                gate.wait()

        actor = Late.remote(journal, gate)
        call = actor.note.remote("ran")
        ray.cancel(call)
        gate.open()
        is_cancelled(call)
        assert ray.get(actor.state.remote()) == []

    @pytest.mark.differs(SESSION_MAY_DIE)
    def test_a_call_that_waits_for_an_argument_can_be_cancelled(
        self, ray: Any, gate: Gate, journal: Journal, started: Any, is_cancelled: Any
    ) -> None:
        source, actor = ray.remote(Steady).remote(journal), ray.remote(Steady).remote(journal)
        argument = source.wait.remote(gate)
        started("waits")
        call = actor.note.remote("ran", argument)
        ray.cancel(call)
        is_cancelled(call)
        gate.open()
        assert ray.get(argument) == "passed"
        assert ray.get(actor.state.remote()) == []

    @pytest.mark.differs(SESSION_MAY_DIE)
    @pytest.mark.differs_on_cluster("calls behind it begin once the argument is there, as on Ray")
    def test_calls_behind_a_cancelled_call_with_an_unready_argument_run(
        self, ray: Any, gate: Gate, journal: Journal, started: Any, is_cancelled: Any
    ) -> None:
        source, actor = ray.remote(Steady).remote(journal), ray.remote(Steady).remote(journal)
        argument = source.wait.remote(gate)
        started("waits")
        call, behind = actor.note.remote("ran", argument), actor.note.remote("behind")
        ray.cancel(call)
        is_cancelled(call)
        # Nothing else is called, and the argument is still not there.
        assert ray.get(behind, timeout=10) == "behind"

    @pytest.mark.differs(SESSION_MAY_DIE)
    def test_a_task_that_waits_for_an_argument_can_be_cancelled(
        self, ray: Any, gate: Gate, journal: Journal, started: Any, is_cancelled: Any
    ) -> None:
        source = ray.remote(Steady).remote(journal)
        argument = source.wait.remote(gate)
        task = ray.remote(lambda _: journal.note("ran")).remote(argument)
        ray.cancel(task)
        is_cancelled(task)
        gate.open()
        assert ray.get(argument) == "passed"
        assert "ran" not in journal.lines()

    def test_a_task_that_waits_for_a_worker_can_be_cancelled(
        self, ray: Any, gate: Gate, journal: Journal, started: Any, is_cancelled: Any
    ) -> None:
        @ray.remote(num_cpus=4)
        def wait() -> None:
            journal.note("waits")
            gate.wait()

        @ray.remote(num_cpus=4)
        def note() -> None:
            journal.note("ran")

        holding = wait.remote()
        started("waits")
        queued = note.remote()
        ray.cancel(queued)
        is_cancelled(queued)
        gate.open()
        ray.get(holding)
        assert "ran" not in journal.lines()

    @pytest.mark.parametrize(
        "at_once", [False, pytest.param(True, marks=pytest.mark.differs("Ray's call is cancelled when its turn comes"))]
    )
    def test_an_async_call_beyond_the_limit_can_be_cancelled(
        self, ray: Any, is_cancelled: Any, eventually: Callable[..., Any], at_once: bool
    ) -> None:
        actor = ray.remote(concurrency_groups={"control": 1})(Latch).options(max_concurrency=1).remote()
        held = actor.hold.remote()
        eventually(lambda: ray.get(actor.count.options(concurrency_group="control").remote()) == 1)
        queued = actor.echo.remote("ran")
        ray.cancel(queued)
        if at_once:
            is_cancelled(queued)
        ray.cancel(held)
        is_cancelled(held)
        is_cancelled(queued)

    @pytest.mark.slow
    @pytest.mark.parametrize("is_actor", [pytest.param(True, marks=ORDER_WAITS), False])
    def test_a_call_whose_arguments_are_being_unpickled_can_be_cancelled(
        self, ray: Any, gate: Gate, journal: Journal, started: Any, is_cancelled: Any, is_actor: bool
    ) -> None:
        slow = Slow(gate, journal)
        call = (
            ray.remote(Steady).remote(journal).note.remote("ran", slow) if is_actor else ray.remote(echo).remote(slow)
        )
        started("unpickling")
        ray.cancel(call)
        assert ray.wait([call], timeout=0.5) == ([], [call])
        gate.open()
        is_cancelled(call)

    @pytest.mark.slow
    @ORDER_WAITS
    def test_an_async_call_whose_arguments_are_being_unpickled_can_be_cancelled(
        self, ray: Any, gate: Gate, journal: Journal, started: Any, is_cancelled: Any
    ) -> None:
        actor = ray.remote(Latch).remote()
        call = actor.echo.remote(Slow(gate, journal))
        started("unpickling")
        ray.cancel(call)
        assert ray.wait([call], timeout=0.5) == ([], [call])
        gate.open()
        is_cancelled(call)
        assert ray.get(actor.echo.remote("alive")) == "alive"
