"""Cancellation: how far it reaches, what still runs on the way out, and who is told."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from conformance.cancelling import Steady, loop
from conformance.latch import Latch
from conformance.subjects import Gate, Journal, echo


@pytest.fixture
def started(journal: Journal, eventually: Callable[..., Any]) -> Callable[[str], None]:
    """Wait until the journal has a line."""
    return lambda line: eventually(lambda: line in journal.lines())


def raises_cancelled(ray: Any) -> Any:
    return pytest.raises(ray.exceptions.TaskCancelledError, match=r"was cancelled|is canceled|^$")


@pytest.fixture
def held(ray: Any) -> tuple[Any, Any]:
    """A latch, and a call that it holds."""
    latch = ray.remote(Latch).remote()
    call = latch.hold.remote()
    ray.get(latch.held.remote(1))
    return latch, call


class Tidying(Latch):
    """What an async method may do on its way out."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self.journal = journal

    async def __aenter__(self) -> None:
        self.journal.note("enter")

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await asyncio.sleep(0)
        self.journal.note(f"exit {kind and kind.__name__}")

    async def manage(self) -> None:
        async with self:
            await self.hold()

    async def finish(self) -> None:
        try:
            await self.hold()
        finally:
            await asyncio.sleep(0)
            self.journal.note("finished")

    async def shield(self) -> None:
        await asyncio.shield(asyncio.ensure_future(self.inner()))

    async def inner(self) -> None:
        await self.hold()
        self.journal.note("inner passed")

    async def gather(self) -> None:
        await asyncio.gather(self.hold(), self.hold())

    async def limit(self) -> None:
        await asyncio.wait_for(self.hold(), 60)


class TestOnTheWayOut:
    @pytest.fixture
    def actor(self, ray: Any, journal: Journal) -> Any:
        return ray.remote(Tidying).remote(journal)

    def test_context_managers_of_a_cancelled_call_exit(self, ray: Any, actor: Any, journal: Journal) -> None:
        call = actor.manage.remote()
        ray.get(actor.held.remote(1))
        ray.cancel(call)
        with raises_cancelled(ray):
            ray.get(call)
        assert journal.lines() == ["enter", "exit CancelledError"]

    def test_a_finally_block_may_await(self, ray: Any, actor: Any, journal: Journal) -> None:
        call = actor.finish.remote()
        ray.get(actor.held.remote(1))
        ray.cancel(call)
        with raises_cancelled(ray):
            ray.get(call)
        assert journal.lines() == ["finished"]

    @pytest.mark.parametrize(("method", "number"), [("gather", 2), ("limit", 1)])
    def test_the_awaited_call_is_cancelled(self, ray: Any, actor: Any, method: str, number: int) -> None:
        call = getattr(actor, method).remote()
        ray.get(actor.held.remote(number))
        ray.cancel(call)
        with raises_cancelled(ray):
            ray.get(call)
        assert ray.get(actor.open.remote()) == number

    def test_a_shielded_call_goes_on(self, ray: Any, actor: Any, started: Any) -> None:
        call = actor.shield.remote()
        ray.get(actor.held.remote(1))
        ray.cancel(call)
        with raises_cancelled(ray):
            ray.get(call)
        assert ray.get(actor.open.remote()) == 0
        started("inner passed")

    def test_context_managers_of_a_cancelled_task_exit(self, ray: Any, journal: Journal, started: Any) -> None:
        @ray.remote
        def manage() -> None:
            import contextlib

            with contextlib.ExitStack() as stack:
                stack.push(lambda kind, *_: journal.note(f"exit {kind.__name__}"))
                loop(journal)

        task = manage.remote()
        started("task runs")
        ray.cancel(task)
        with raises_cancelled(ray):
            ray.get(task)
        assert journal.lines()[-1] == "exit KeyboardInterrupt"

    def test_except_exception_does_not_catch_a_cancellation(self, ray: Any, journal: Journal, started: Any) -> None:
        @ray.remote
        def catch() -> str:
            try:
                return loop(journal)
            except Exception:
                return "caught"

        task = catch.remote()
        started("task runs")
        ray.cancel(task)
        with raises_cancelled(ray):
            ray.get(task)


class TestRetries:
    def test_a_cancelled_task_is_not_retried(self, ray: Any, journal: Journal, started: Any) -> None:
        task = ray.remote(loop).options(max_retries=-1, retry_exceptions=True).remote(journal)
        started("task runs")
        ray.cancel(task)
        with raises_cancelled(ray):
            ray.get(task)
        # Whatever comes after it on the same worker finds nothing of it.
        assert ray.get([ray.remote(echo).remote(i) for i in range(8)]) == list(range(8))
        assert journal.lines() == ["task runs", "task interrupted", "task cleaned up"]


class TestDescendants:
    def test_grandchildren_are_cancelled(self, ray: Any, journal: Journal, started: Any) -> None:
        @ray.remote
        def child() -> Any:
            return ray.get(ray.remote(loop).remote(journal, "grandchild"))

        @ray.remote
        def parent() -> Any:
            return ray.get(child.remote())

        task = parent.remote()
        started("grandchild runs")
        ray.cancel(task)
        with raises_cancelled(ray):
            ray.get(task)
        started("grandchild interrupted")

    def test_child_tasks_of_an_async_call_are_cancelled(self, ray: Any, journal: Journal, started: Any) -> None:
        @ray.remote
        class Relay:
            async def relay(self) -> Any:
                return await ray.remote(loop).remote(journal, "child")

        call = Relay.remote().relay.remote()
        started("child runs")
        ray.cancel(call)
        with raises_cancelled(ray):
            ray.get(call)
        started("child interrupted")

    @pytest.mark.differs("on Ray it may run all the same, its result lost")
    def test_queued_children_never_run(self, ray: Any, gate: Gate, journal: Journal, started: Any) -> None:
        steady = ray.remote(Steady).remote(journal)
        waiting = steady.wait.remote(gate)
        started("waits")

        @ray.remote
        class Relay:
            async def relay(self) -> Any:
                child = steady.note.remote("child ran")
                journal.note("called")
                return await child

        call = Relay.remote().relay.remote()
        started("called")
        ray.cancel(call)
        with raises_cancelled(ray):
            ray.get(call)
        gate.open()
        assert ray.get(waiting) == "passed"
        assert ray.get(steady.note.remote("after")) == "after"
        assert "child ran" not in journal.lines()

    def test_a_finished_child_keeps_its_value(self, ray: Any, journal: Journal, started: Any) -> None:
        latch = ray.remote(Latch).remote()

        @ray.remote
        class Relay:
            def __init__(self) -> None:
                self.done: Any = None

            async def relay(self) -> Any:
                self.done = ray.remote(echo).remote("kept")
                await self.done
                return await latch.hold.remote()

            async def kept(self) -> Any:
                return await self.done

        relay = Relay.remote()
        call = relay.relay.remote()
        ray.get(latch.held.remote(1))
        ray.cancel(call)
        with raises_cancelled(ray):
            ray.get(call)
        assert ray.get(relay.kept.remote()) == "kept"

    def test_a_parent_gets_the_error_of_its_cancelled_child(self, ray: Any, held: Any) -> None:
        _, call = held

        @ray.remote
        def parent(refs: list[Any]) -> str:
            try:
                ray.get(refs[0])
            except ray.exceptions.TaskCancelledError:
                return "my child was cancelled"
            return "no"

        task = parent.remote([call])
        ray.cancel(call)
        assert ray.get(task) == "my child was cancelled"

    def test_an_actor_that_a_cancelled_task_has_made_ends_with_it(
        self, ray: Any, journal: Journal, started: Any, eventually: Callable[..., Any]
    ) -> None:
        from conformance.subjects import Echo, is_running

        @ray.remote
        def parent() -> None:
            actor = ray.remote(Echo).remote()
            journal.note(ray.get(actor.pid.remote()))
            loop(journal)

        task = parent.remote()
        started("task runs")
        pid = int(journal.lines()[0])
        assert is_running(pid)
        ray.cancel(task)
        with raises_cancelled(ray):
            ray.get(task)
        eventually(lambda: not is_running(pid))


class TestWhoIsTold:
    def test_a_cancelled_call_is_ready_for_wait(self, ray: Any, held: Any) -> None:
        _, call = held
        assert ray.wait([call], timeout=0) == ([], [call])
        ray.cancel(call)
        assert ray.wait([call], timeout=10) == ([call], [])

    def test_all_threads_that_wait_in_get_get_the_error(self, ray: Any, held: Any) -> None:
        _, call = held
        errors: list[BaseException] = []

        def get() -> None:
            try:
                ray.get(call)
            except ray.exceptions.TaskCancelledError as error:
                errors.append(error)

        threads = [threading.Thread(target=get) for _ in range(3)]
        for thread in threads:
            thread.start()
        ray.cancel(call)
        for thread in threads:
            thread.join(10)
        assert len(errors) == 3

    def test_the_future_of_a_cancelled_call_has_the_error(self, ray: Any, held: Any) -> None:
        _, call = held
        future = call.future()
        ray.cancel(call)
        with raises_cancelled(ray):
            future.result(10)
        assert not future.cancelled()

    def test_gather_returns_the_error_of_a_cancelled_call(self, ray: Any, held: Any) -> None:
        latch, call = held

        async def main() -> list[Any]:
            gathered = asyncio.gather(call, latch.echo.remote(1), return_exceptions=True)
            ray.cancel(call)
            return await gathered

        error, one = asyncio.run(main())
        assert isinstance(error, ray.exceptions.TaskCancelledError)
        assert one == 1

    def test_get_of_several_raises_the_error(self, ray: Any, held: Any) -> None:
        latch, call = held
        ray.cancel(call)
        with raises_cancelled(ray):
            ray.get([latch.echo.remote(1), call, latch.echo.remote(2)])

    def test_several_threads_can_cancel_at_once(self, ray: Any, held: Any) -> None:
        latch, call = held
        threads = [threading.Thread(target=lambda: ray.cancel(call)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        with raises_cancelled(ray):
            ray.get(call)
        assert ray.get(latch.open.remote()) == 1

    def test_the_error_can_be_pickled(self, ray: Any, held: Any) -> None:
        _, call = held
        ray.cancel(call)
        with raises_cancelled(ray) as raised:
            ray.get(call)
        cause = raised.value.cause
        again = pickle.loads(pickle.dumps(cause))
        assert type(again) is ray.exceptions.TaskCancelledError
        assert str(again) == str(cause)
        assert call.task_id().hex() in str(again)

    def test_every_reference_of_a_cancelled_call_has_the_error(
        self, ray: Any, gate: Gate, journal: Journal, started: Any
    ) -> None:
        @ray.remote(num_returns=2)
        def two() -> Any:
            return loop(journal), 2

        first, second = two.remote()
        started("task runs")
        ray.cancel(second)
        for ref in (first, second):
            with raises_cancelled(ray):
                ray.get(ref)


class TestBesideOthers:
    @pytest.mark.differs("on Ray a call behind a cancelled one may be lost, and the session with it")
    def test_cancelling_a_queued_call_leaves_a_full_group_alone(self, ray: Any) -> None:
        actor = ray.remote(concurrency_groups={"narrow": 1})(Latch).remote()
        narrow = actor.echo.options(concurrency_group="narrow")
        blocking = actor.hold.options(concurrency_group="narrow").remote()
        queued, after = narrow.remote("queued"), narrow.remote("after")
        ray.cancel(queued)
        with raises_cancelled(ray):
            ray.get(queued)
        assert ray.get(actor.echo.remote("other group")) == "other group"
        ray.cancel(blocking)
        assert ray.get(after) == "after"

    @pytest.mark.differs("on Ray a call behind a cancelled one may be lost, and the session with it")
    def test_cancelling_a_queued_call_leaves_a_full_threaded_actor_alone(
        self, ray: Any, gate: Gate, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        actor = ray.remote(Steady).options(max_concurrency=2).remote(journal)
        waiting = [actor.wait.remote(gate) for _ in range(2)]
        eventually(lambda: journal.lines().count("waits") == 2)
        queued, after = actor.note.remote("queued"), actor.note.remote("after")
        ray.cancel(queued)
        with raises_cancelled(ray):
            ray.get(queued)
        gate.open()
        assert ray.get([*waiting, after]) == ["passed", "passed", "after"]

    def test_is_canceled_is_true_on_the_cancelled_calls_thread_only(
        self, ray: Any, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        @ray.remote(max_concurrency=2)
        class Watching(Steady):
            def watch(self) -> Any:
                self.journal.note("watches")
                while not (is_canceled := ray.get_runtime_context().is_canceled()):
                    if self.is_told:
                        break
                self.is_told = True
                return is_canceled

            def start(self) -> None:
                self.is_told = False

        actor = Watching.remote(journal)
        ray.get(actor.start.remote())
        told, other = actor.watch.remote(), actor.watch.remote()
        eventually(lambda: len(journal.lines()) == 2)
        ray.cancel(told)
        assert ray.get(other) is False
        with raises_cancelled(ray):
            ray.get(told)

    def test_the_death_of_the_caller_ends_the_wait_of_a_borrower(
        self, ray: Any, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        @ray.remote
        class Caller:
            def call(self, latch: Any) -> list[Any]:
                return [latch.hold.remote()]

        latch, caller = ray.remote(Latch).remote(), Caller.remote()
        (call,) = ray.get(caller.call.remote(latch))
        ray.get(latch.held.remote(1))
        ray.kill(caller)
        ray.cancel(call)
        with pytest.raises(ray.exceptions.RayError, match=r"owner|cancel"):
            ray.get(call, timeout=20)
        assert ray.get(latch.echo.remote("alive")) == "alive"
        ray.get(latch.open.remote())
