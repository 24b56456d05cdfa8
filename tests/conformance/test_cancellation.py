"""Cancelling calls and tasks, as Ray does it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from conformance.cancelling import Steady, count_up, loop
from conformance.latch import Latch
from conformance.subjects import Gate, Journal, echo, get_pid


class Reacting(Latch):
    """What an async method may do when it is cancelled."""

    async def swallow(self) -> str:
        try:
            await self.hold()
        except asyncio.CancelledError:
            return "swallowed"
        return "not cancelled"

    async def change(self) -> None:
        try:
            await self.hold()
        except asyncio.CancelledError:
            raise ValueError("its own error") from None

    async def generate(self) -> AsyncIterator[int]:
        yield 0
        await self.hold()
        yield 1


class TestAsyncCalls:
    def test_an_async_method_gets_cancelled_error(self, ray: Any, is_cancelled: Any) -> None:
        actor = ray.remote(Latch).remote()
        held = actor.hold.remote()
        ray.get(actor.held.remote(1))
        ray.cancel(held)
        is_cancelled(held)
        assert ray.get(actor.open.remote()) == 1

    def test_the_error_of_an_async_call_is_also_a_task_error(self, ray: Any) -> None:
        actor = ray.remote(Latch).remote()
        held = actor.hold.remote()
        ray.get(actor.held.remote(1))
        ray.cancel(held)
        with pytest.raises(ray.exceptions.RayTaskError, match=r"Latch\.hold\(\)[\s\S]*was cancelled") as raised:
            ray.get(held)
        assert isinstance(raised.value, ray.exceptions.TaskCancelledError)
        assert type(raised.value.cause) is ray.exceptions.TaskCancelledError

    @pytest.mark.parametrize("method", ["swallow", "change"])
    def test_the_call_is_cancelled_whatever_its_method_does(self, ray: Any, is_cancelled: Any, method: str) -> None:
        actor = ray.remote(Reacting).remote()
        call = getattr(actor, method).remote()
        ray.get(actor.held.remote(1))
        ray.cancel(call)
        is_cancelled(call)

    def test_cancelling_some_of_many_calls_leaves_the_others(self, ray: Any, is_cancelled: Any) -> None:
        actor = ray.remote(Latch).remote()
        held = [actor.hold.remote(index) for index in range(100)]
        ray.get(actor.held.remote(100))
        for call in held[::2]:
            ray.cancel(call)
        for call in held[::2]:
            is_cancelled(call)
        assert ray.get(actor.open.remote()) == 50
        assert ray.get(held[1::2]) == list(range(1, 100, 2))

    def test_await_raises_the_cancellation(self, ray: Any) -> None:
        actor = ray.remote(Latch).remote()

        async def main() -> None:
            held = actor.hold.remote()
            await actor.held.remote(1)
            ray.cancel(held)
            with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
                await held

        asyncio.run(main())


class TestSynchronousCalls:
    @pytest.fixture
    def polling(self, ray: Any, journal: Journal) -> Any:
        class Polling(Steady):
            def poll(self) -> str:
                self.journal.note("polls")
                try:
                    while not ray.get_runtime_context().is_canceled():
                        pass
                except KeyboardInterrupt:
                    self.journal.note("interrupted")
                self.journal.note("saw it")
                self.done.append("saw it")
                return "result"

            def is_canceled(self) -> bool:
                return bool(ray.get_runtime_context().is_canceled())

        return ray.remote(Polling)

    @pytest.mark.parametrize("max_concurrency", [1, 3])
    def test_a_synchronous_method_sees_is_canceled_and_its_result_is_lost(
        self, ray: Any, polling: Any, journal: Journal, started: Any, is_cancelled: Any, max_concurrency: int
    ) -> None:
        actor = polling.options(max_concurrency=max_concurrency).remote(journal)
        call = actor.poll.remote()
        started("polls")
        ray.cancel(call)
        is_cancelled(call)
        assert ray.get(actor.state.remote()) == ["saw it"]
        assert ray.get(actor.is_canceled.remote()) is False
        assert "interrupted" not in journal.lines()

    def test_a_synchronous_method_is_not_interrupted(
        self, ray: Any, gate: Gate, journal: Journal, started: Any, is_cancelled: Any
    ) -> None:
        actor = ray.remote(Steady).remote(journal)
        call = actor.wait.remote(gate)
        started("waits")
        ray.cancel(call)
        assert ray.wait([call], timeout=0.1) == ([], [call])
        gate.open()
        is_cancelled(call)
        assert ray.get(actor.state.remote()) == ["waited"]

    def test_a_synchronous_method_may_raise_its_own_error(
        self, ray: Any, gate: Gate, journal: Journal, started: Any
    ) -> None:
        call = ray.remote(Steady).remote(journal).fail.remote(gate)
        started("waits")
        ray.cancel(call)
        gate.open()
        with pytest.raises(ValueError, match="its own error"):
            ray.get(call)


class TestTasks:
    def test_a_task_gets_keyboard_interrupt(self, ray: Any, journal: Journal, started: Any, is_cancelled: Any) -> None:
        task = ray.remote(loop).remote(journal)
        started("task runs")
        ray.cancel(task)
        is_cancelled(task)
        assert journal.lines() == ["task runs", "task interrupted", "task cleaned up"]

    def test_the_error_of_a_task_is_also_a_task_error(self, ray: Any, journal: Journal, started: Any) -> None:
        task = ray.remote(loop).remote(journal)
        started("task runs")
        ray.cancel(task)
        with pytest.raises(ray.exceptions.RayTaskError, match=r"ray::loop\(\)[\s\S]*was cancelled") as raised:
            ray.get(task)
        assert isinstance(raised.value, ray.exceptions.TaskCancelledError)

    def test_a_task_that_catches_the_interrupt_may_return_a_value(
        self, ray: Any, journal: Journal, started: Any
    ) -> None:
        @ray.remote
        def catch() -> str:
            try:
                return loop(journal)
            except KeyboardInterrupt:
                return "so far"

        task = catch.remote()
        started("task runs")
        ray.cancel(task)
        assert ray.get(task) == "so far"

    def test_a_task_may_raise_its_own_error(self, ray: Any, journal: Journal, started: Any) -> None:
        @ray.remote
        def change() -> None:
            try:
                loop(journal)
            except KeyboardInterrupt:
                raise ValueError("its own error") from None

        task = change.remote()
        started("task runs")
        ray.cancel(task)
        with pytest.raises(ValueError, match="its own error"):
            ray.get(task)

    def test_a_task_that_waits_in_get_is_interrupted(
        self, ray: Any, gate: Gate, journal: Journal, started: Any, is_cancelled: Any
    ) -> None:
        other = ray.remote(Steady).remote(journal)

        @ray.remote
        def get() -> Any:
            return ray.get(other.wait.remote(gate))

        task = get.remote()
        started("waits")
        ray.cancel(task, recursive=False)
        is_cancelled(task)

    @pytest.mark.slow
    def test_the_worker_of_a_cancelled_task_runs_other_tasks(
        self, ray: Any, journal: Journal, started: Any, is_cancelled: Any
    ) -> None:
        for index in range(5):
            task = ray.remote(loop).remote(journal, str(index))
            started(f"{index} runs")
            ray.cancel(task)
            is_cancelled(task)
            assert ray.get([ray.remote(echo).remote(i) for i in range(10)]) == list(range(10))

    @pytest.mark.parametrize("max_retries", [0, 3])
    def test_force_ends_the_process_of_a_task(
        self, ray: Any, journal: Journal, started: Any, is_cancelled: Any, max_retries: int
    ) -> None:
        task = ray.remote(loop).options(max_retries=max_retries).remote(journal)
        started("task runs")
        ray.cancel(task, force=True)
        is_cancelled(task)
        assert journal.lines() == ["task runs"]
        assert ray.get(ray.remote(get_pid).remote()) > 0

    def test_a_task_can_be_cancelled_twice(self, ray: Any, journal: Journal, started: Any, is_cancelled: Any) -> None:
        task = ray.remote(loop).remote(journal)
        started("task runs")
        ray.cancel(task)
        ray.cancel(task)
        is_cancelled(task)


class TestRecursive:
    """What a call has called is cancelled with it, unless asked otherwise."""

    @staticmethod
    def _parent(ray: Any, journal: Journal) -> Any:
        @ray.remote
        def parent(call: Any, *args: Any) -> Any:
            child = call.remote(*args)
            journal.note("parent waits")
            return ray.get(child)

        return parent

    def test_child_tasks_are_cancelled(
        self, ray: Any, journal: Journal, started: Any, is_cancelled: Any, eventually: Callable[..., Any]
    ) -> None:
        parent = self._parent(ray, journal).remote(ray.remote(loop), journal, "child")
        started("child runs")
        ray.cancel(parent)
        is_cancelled(parent)
        started("child interrupted")

    def test_child_tasks_go_on_without_recursive(
        self, ray: Any, gate: Gate, journal: Journal, started: Any, is_cancelled: Any
    ) -> None:
        @ray.remote
        def child() -> None:
            journal.note("child waits")
            gate.wait()
            journal.note("child passed")

        parent = self._parent(ray, journal).remote(child)
        started("child waits")
        started("parent waits")
        ray.cancel(parent, recursive=False)
        is_cancelled(parent)
        gate.open()
        started("child passed")

    def test_child_calls_are_cancelled(
        self, ray: Any, journal: Journal, is_cancelled: Any, eventually: Callable[..., Any]
    ) -> None:
        latch = ray.remote(Latch).remote()
        parent = self._hold(ray, latch)
        ray.get(latch.held.remote(1))
        ray.cancel(parent)
        is_cancelled(parent)
        eventually(lambda: ray.get(latch.count.remote()) == 0)
        assert ray.get(latch.open.remote()) == 1

    def test_child_calls_go_on_without_recursive(self, ray: Any, is_cancelled: Any) -> None:
        latch = ray.remote(Latch).remote()
        parent = self._hold(ray, latch)
        ray.get(latch.held.remote(1))
        ray.cancel(parent, recursive=False)
        is_cancelled(parent)
        assert ray.get(latch.count.remote()) == 1
        assert ray.get(latch.open.remote()) == 0

    def test_child_calls_of_one_async_call_are_cancelled(
        self, ray: Any, is_cancelled: Any, eventually: Callable[..., Any]
    ) -> None:
        @ray.remote
        class Relay:
            async def hold(self, latch: Any) -> Any:
                return await latch.hold.remote()

        latch, relay = ray.remote(Latch).remote(), Relay.remote()
        call, other = relay.hold.remote(latch), relay.hold.remote(latch)
        ray.get(latch.held.remote(2))
        ray.cancel(call)
        is_cancelled(call)
        eventually(lambda: ray.get(latch.count.remote()) == 1)
        assert ray.get(latch.open.remote()) == 1
        assert ray.get(other) == "passed"

    def test_child_calls_are_cancelled_though_nobody_has_their_references(
        self, ray: Any, is_cancelled: Any, eventually: Callable[..., Any]
    ) -> None:
        @ray.remote
        class Relay:
            async def hold(self, latch: Any) -> Any:
                latch.hold.remote()
                return await latch.hold.remote()

        latch, relay = ray.remote(Latch).remote(), Relay.remote()
        call = relay.hold.remote(latch)
        ray.get(latch.held.remote(2))
        ray.cancel(call)
        is_cancelled(call)
        eventually(lambda: ray.get(latch.count.remote()) == 0)
        assert ray.get(latch.open.remote()) == 2

    @staticmethod
    def _hold(ray: Any, latch: Any) -> Any:
        @ray.remote
        def parent() -> Any:
            return ray.get(latch.hold.remote())

        return parent.remote()


class TestDependents:
    def test_dependents_of_a_cancelled_task_fail(
        self, ray: Any, journal: Journal, started: Any, is_cancelled: Any
    ) -> None:
        actor = ray.remote(Steady).remote(journal)
        task = ray.remote(loop).remote(journal)
        call = actor.note.remote("ran", task)
        after = ray.remote(echo).remote(call)
        started("task runs")
        ray.cancel(task)
        for ref in (task, call, after):
            is_cancelled(ref)
        assert ray.get(actor.state.remote()) == []

    def test_dependents_of_a_cancelled_queued_call_fail(
        self, ray: Any, gate: Gate, journal: Journal, is_cancelled: Any
    ) -> None:
        actor = ray.remote(Steady).remote(journal)
        waiting = actor.wait.remote(gate)
        queued = actor.note.remote("queued")
        after = ray.remote(echo).remote(queued)
        ray.cancel(queued)
        gate.open()
        is_cancelled(queued)
        is_cancelled(after)
        assert ray.get(waiting) == "passed"


class TestForceOnActorCalls:
    def test_force_is_refused_for_an_actors_call(self, ray: Any, gate: Gate, journal: Journal, started: Any) -> None:
        actor = ray.remote(Steady).remote(journal)
        running, queued = actor.wait.remote(gate), actor.note.remote("queued")
        started("waits")
        for call in (running, queued):
            with pytest.raises(ValueError, match="force=True is not supported"):
                ray.cancel(call, force=True)
        gate.open()
        assert ray.get([running, queued]) == ["passed", "queued"]

    def test_force_is_refused_for_an_async_call(self, ray: Any) -> None:
        actor = ray.remote(Latch).remote()
        held = actor.hold.remote()
        ray.get(actor.held.remote(1))
        with pytest.raises(ValueError, match="force=True is not supported"):
            ray.cancel(held, force=True)
        assert ray.get(actor.open.remote()) == 0
        assert ray.get(held) == "passed"


class TestNothingToCancel:
    @pytest.mark.parametrize("force", [False, True])
    def test_a_finished_task_keeps_its_value(self, ray: Any, force: bool) -> None:
        task = ray.remote(echo).remote("done")
        assert ray.get(task) == "done"
        assert ray.cancel(task, force=force) is None
        assert ray.get(task) == "done"

    @pytest.mark.parametrize("force", [False, True])
    def test_a_finished_call_keeps_its_value(self, ray: Any, journal: Journal, force: bool) -> None:
        actor = ray.remote(Steady).remote(journal)
        call = actor.note.remote("done")
        assert ray.get(call) == "done"
        assert ray.cancel(call, force=force) is None
        assert ray.get([call, actor.note.remote("next")]) == ["done", "next"]

    @pytest.mark.parametrize("force", [False, True])
    def test_a_put_value_is_kept(self, ray: Any, force: bool) -> None:
        ref = ray.put(1)
        assert ray.cancel(ref, force=force) is None
        assert ray.get(ref) == 1

    def test_a_failed_call_keeps_its_error(self, ray: Any, gate: Gate, journal: Journal) -> None:
        gate.open()
        call = ray.remote(Steady).remote(journal).fail.remote(gate)
        ray.wait([call])
        ray.cancel(call)
        with pytest.raises(ValueError, match="its own error"):
            ray.get(call)


class TestBorrowers:
    def test_a_borrower_may_cancel_an_async_call(self, ray: Any, is_cancelled: Any) -> None:
        actor = ray.remote(Latch).remote()
        held = actor.hold.remote()
        ray.get(actor.held.remote(1))

        @ray.remote
        def cancel(refs: list[Any]) -> None:
            ray.cancel(refs[0])

        ray.get(cancel.remote([held]))
        is_cancelled(held)

    def test_a_borrower_may_cancel_a_task(self, ray: Any, journal: Journal, started: Any, is_cancelled: Any) -> None:
        task = ray.remote(loop).remote(journal)
        started("task runs")

        @ray.remote
        def cancel(refs: list[Any]) -> None:
            ray.cancel(refs[0])

        ray.get(cancel.remote([task]))
        is_cancelled(task)


class TestGenerators:
    @staticmethod
    def _ends_cancelled(ray: Any, generator: Any) -> None:
        # Ray has it raise in place of the next value, and for `completed()`.
        with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
            for ref in generator:
                assert ray.get(ref) == 0
        with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
            ray.get(generator.completed())

    def test_a_generator_task_is_interrupted(self, ray: Any, journal: Journal, started: Any) -> None:
        generator = ray.remote(count_up).remote(journal)
        started("generator runs")
        ray.cancel(generator)
        self._ends_cancelled(ray, generator)
        assert journal.lines() == ["generator runs", "generator interrupted", "generator cleaned up"]

    def test_an_async_generator_is_cancelled(self, ray: Any) -> None:
        actor = ray.remote(Reacting).remote()
        generator = actor.generate.remote()
        ray.get(actor.held.remote(1))
        ray.cancel(generator)
        self._ends_cancelled(ray, generator)
        assert ray.get(actor.open.remote()) == 1

    def test_a_generator_method_sees_is_canceled(self, ray: Any, journal: Journal, started: Any) -> None:
        @ray.remote
        class Generating(Steady):
            def until_told(self) -> Iterator[int]:
                yield 0
                self.journal.note("polls")
                while not ray.get_runtime_context().is_canceled():
                    pass

        actor = Generating.remote(journal)
        generator = actor.until_told.remote()
        assert ray.get(next(generator)) == 0
        started("polls")
        ray.cancel(generator)
        self._ends_cancelled(ray, generator)
        assert ray.get(actor.note.remote("next")) == "next"
