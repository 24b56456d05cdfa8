"""AsyncIO actors: many calls at once on one event loop."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import time
from typing import Any

import pytest

from conformance.latch import Latch, thread_and_loop
from conformance.subjects import Counter, Gate, Journal, echo

variable = contextvars.ContextVar("variable", default="unset")


def own_title() -> str:
    return subprocess.check_output(["ps", "-o", "args=", "-p", str(os.getpid())], text=True).strip()


class TestReference:
    """The examples of the reference page."""

    def test_async_calls_wait_for_each_other(self, ray: Any) -> None:
        @ray.remote
        class AsyncActor:
            def __init__(self, expected_num_tasks: int) -> None:
                self._event = asyncio.Event()
                self._curr_num_tasks = 0
                self._expected_num_tasks = expected_num_tasks

            async def run_concurrent(self) -> str:
                self._curr_num_tasks += 1
                if self._curr_num_tasks == self._expected_num_tasks:
                    self._event.set()
                    return "unblocking"
                await self._event.wait()
                return "waited"

        actor = AsyncActor.remote(4)
        refs = [actor.run_concurrent.remote() for _ in range(4)]
        assert sorted(ray.get(refs)) == ["unblocking", "waited", "waited", "waited"]

    def test_max_concurrency_limits_async_calls(self, ray: Any) -> None:
        @ray.remote
        class AsyncActor:
            def __init__(self, batch_size: int) -> None:
                self._event = asyncio.Event()
                self._curr_tasks = 0
                self._batch_size = batch_size
                self.running = self.peak = 0

            async def run_task(self) -> None:
                self.running += 1
                self.peak = max(self.peak, self.running)
                self._curr_tasks += 1
                if self._curr_tasks == self._batch_size:
                    self._event.set()
                else:
                    await self._event.wait()
                    self._event.clear()
                    self._curr_tasks = 0
                self.running -= 1

            async def get_peak(self) -> int:
                return self.peak

        actor = AsyncActor.options(max_concurrency=2).remote(2)
        ray.get([actor.run_task.remote() for _ in range(8)])
        assert ray.get(actor.get_peak.remote()) == 2


class OnlyInherited(Latch):
    def where(self) -> Any:
        return thread_and_loop()


class OnlyGenerator:
    async def values(self) -> Any:
        yield 1

    def where(self) -> Any:
        return thread_and_loop()


class OnlyPrivate:
    async def _rest(self) -> None:
        pass

    def where(self) -> Any:
        return thread_and_loop()


class OnlyDunder:
    async def __aenter__(self) -> None:
        pass

    def where(self) -> Any:
        return thread_and_loop()


class OnlyStatic:
    @staticmethod
    async def rest() -> None:
        pass

    def where(self) -> Any:
        return thread_and_loop()


class OnlyClassMethod:
    @classmethod
    async def rest(cls) -> None:
        pass

    def where(self) -> Any:
        return thread_and_loop()


class OnlyConstructor:
    async def __init__(self) -> None:  # type: ignore[misc]
        pass

    def where(self) -> Any:
        return thread_and_loop()


class OnlyOnInstance:
    def __init__(self) -> None:
        async def rest() -> None:
            pass

        self.rest = rest

    def where(self) -> Any:
        return thread_and_loop()


class TestWhatMakesOne:
    @pytest.mark.parametrize(
        "subject",
        [OnlyInherited, OnlyGenerator, OnlyPrivate, OnlyDunder, OnlyStatic, OnlyClassMethod, OnlyConstructor],
    )
    def test_one_async_method_of_the_class_makes_the_actor_async(self, ray: Any, subject: type) -> None:
        _, loop = ray.get(ray.remote(subject).remote().where.remote())
        assert loop is not None

    def test_an_async_function_on_the_instance_does_not_make_the_actor_async(self, ray: Any) -> None:
        _, loop = ray.get(ray.remote(OnlyOnInstance).remote().where.remote())
        assert loop is None

    def test_max_concurrency_of_an_async_actor_starts_no_threads(self, ray: Any) -> None:
        actor = ray.remote(OnlyInherited).options(max_concurrency=4).remote()
        places = ray.get([actor.where.remote() for _ in range(8)])
        assert len(set(places)) == 1
        assert places[0][1] is not None


class Places:
    """Says where each of its methods runs."""

    def __init__(self) -> None:
        self.made_at = thread_and_loop()
        self.started = asyncio.ensure_future(self._at_once())

    async def _at_once(self) -> Any:
        return thread_and_loop()

    def made(self) -> Any:
        return self.made_at

    async def background(self) -> Any:
        return await self.started

    def sync(self) -> Any:
        return thread_and_loop()

    async def suspended(self) -> Any:
        await asyncio.sleep(0)
        return thread_and_loop()

    @staticmethod
    async def static() -> Any:
        return thread_and_loop()


class TestLoop:
    def test_the_constructor_and_all_methods_run_on_one_loop(self, ray: Any) -> None:
        actor = ray.remote(Places).remote()
        methods = [actor.made, actor.background, actor.sync, actor.suspended, actor.static]
        places = ray.get([method.remote() for method in methods])
        assert len(set(places)) == 1
        assert places[0][1] is not None

    def test_a_synchronous_method_blocks_other_calls(
        self, ray: Any, gate: Gate, journal: Journal, eventually: Any
    ) -> None:
        @ray.remote
        class Blocking:
            def block(self) -> None:
                journal.note("blocked")
                gate.wait()
                journal.note("unblocked")

            async def note(self) -> None:
                journal.note("ran")

        actor = Blocking.remote()
        blocked = actor.block.remote()
        eventually(journal.lines)
        noted = actor.note.remote()
        assert ray.wait([noted], timeout=0.1) == ([], [noted])
        gate.open()
        ray.get([blocked, noted])
        assert journal.lines() == ["blocked", "unblocked", "ran"]

    def test_an_async_constructor_is_awaited_before_the_first_call(self, ray: Any) -> None:
        @ray.remote
        class Made:
            async def __init__(self, value: int) -> None:  # type: ignore[misc]
                await asyncio.sleep(0)
                self.value = value

            async def get(self) -> int:
                return self.value

        assert ray.get(Made.remote(3).get.remote()) == 3

    def test_an_asyncio_task_outlives_the_method_that_started_it(self, ray: Any) -> None:
        @ray.remote
        class Background:
            async def start(self) -> str:
                self.go = asyncio.Event()
                self.task = asyncio.ensure_future(self.work())
                return "started"

            async def work(self) -> str:
                await self.go.wait()
                return "worked"

            async def finish(self) -> str:
                self.go.set()
                return await self.task

        actor = Background.remote()
        assert ray.get(actor.start.remote()) == "started"
        assert ray.get(actor.finish.remote()) == "worked"

    def test_each_call_is_an_asyncio_task(self, ray: Any) -> None:
        @ray.remote
        class Tasks:
            async def task(self) -> int:
                await asyncio.sleep(0)
                return id(asyncio.current_task())

            async def both(self) -> int:
                me = ray.get_runtime_context().current_actor
                other, mine = await asyncio.gather(me.task.remote(), self.task())
                return other != mine

        assert ray.get(Tasks.remote().both.remote())

    def test_each_call_has_its_own_context_variables(self, ray: Any) -> None:
        actor = ray.remote(Contexts).remote()
        first, second = actor.set.remote("first"), actor.set.remote("second")
        assert ray.get([first, second]) == ["first", "second"]
        assert ray.get(actor.get.remote()) == "unset"

    def test_ray_call_runs_a_plain_function_in_an_async_actor(self, ray: Any) -> None:
        actor = ray.remote(Latch).remote()
        assert ray.get(actor.__ray_call__.remote(lambda self, x: self.holding + x, 2)) == 2

    def test_ray_ready_returns_when_the_actor_is_ready(self, ray: Any) -> None:
        assert ray.get(ray.remote(Latch).remote().__ray_ready__.remote())

    def test_the_process_title_shows_the_running_call(self, ray: Any) -> None:
        @ray.remote
        class Titled:
            async def title(self) -> str:
                await asyncio.sleep(0)
                return own_title()

        method = Titled.remote().title
        assert ray.get(method.remote()) == "ray::Titled.title"
        assert ray.get(method.options(name="fetch").remote()) == "ray::fetch"


def watched(ray: Any, **options: Any) -> Any:
    """Return a latch whose count can be asked for although the default group is full."""
    return ray.remote(concurrency_groups={"watch": 1})(Latch).options(**options).remote()


def count(ray: Any, latch: Any) -> int:
    return int(ray.get(latch.count.options(concurrency_group="watch").remote()))


class TestLimit:
    @pytest.mark.slow
    @pytest.mark.parametrize("options", [{}, {"max_concurrency": None}, {"max_concurrency": 1000}])
    def test_a_thousand_calls_run_at_once_by_default(self, ray: Any, options: dict[str, Any], eventually: Any) -> None:
        latch = watched(ray, **options)
        holds = [latch.hold.remote() for _ in range(1000)]
        eventually(lambda: count(ray, latch) == 1000)
        opened = latch.open.remote()
        assert ray.wait([opened], timeout=0.1) == ([], [opened])
        assert count(ray, latch) == 1000
        ray.kill(latch)
        with pytest.raises(ray.exceptions.RayActorError, match="kill"):
            ray.get(holds)

    def test_as_many_calls_run_at_once_as_max_concurrency(self, ray: Any, eventually: Any) -> None:
        latch = watched(ray, max_concurrency=2)
        holds = [latch.hold.remote() for _ in range(3)]
        eventually(lambda: count(ray, latch) == 2)
        assert ray.wait(holds, timeout=0.1)[0] == []
        assert count(ray, latch) == 2
        ray.kill(latch)

    def test_max_concurrency_1_runs_one_call_at_a_time(self, ray: Any) -> None:
        @ray.remote(max_concurrency=1)
        class Alone:
            def __init__(self) -> None:
                self.running = 0

            async def run(self) -> int:
                self.running += 1
                for _ in range(3):
                    await asyncio.sleep(0)
                self.running -= 1
                return self.running

        alone = Alone.remote()
        assert set(ray.get([alone.run.remote() for _ in range(20)])) == {0}

    def test_calls_of_synchronous_methods_count_for_the_limit(self, ray: Any, eventually: Any) -> None:
        latch = ray.remote(concurrency_groups={"watch": 1}, max_concurrency=1)(OnlyInherited).remote()
        latch.hold.remote()
        eventually(lambda: count(ray, latch) == 1)
        where = latch.where.remote()
        assert ray.wait([where], timeout=0.1) == ([], [where])
        ray.kill(latch)

    @pytest.mark.slow
    def test_max_concurrency_may_be_more_than_a_thousand(self, ray: Any) -> None:
        latch = ray.remote(Latch).options(max_concurrency=5000).remote()
        holds = [latch.hold.remote(i) for i in range(3000)]
        assert ray.get(latch.held.remote(3000)) == 3000
        latch.open.remote()
        assert ray.get(holds) == list(range(3000))

    def test_a_large_max_concurrency_starts_no_threads(self, ray: Any) -> None:
        @ray.remote(max_concurrency=100_000)
        class Many(Latch):
            async def threads(self) -> int:
                import threading

                return threading.active_count()

        assert ray.get(Many.remote().threads.remote()) < 10


class Log:
    """Notes the order in which its calls begin."""

    def __init__(self) -> None:
        self.log: list[int] = []

    async def block(self) -> None:
        time.sleep(0.02)  # noqa: ASYNC251 - the loop is blocked on purpose

    async def note(self, number: int) -> None:
        self.log.append(number)

    async def take(self) -> list[int]:
        log, self.log = self.log, []
        return log


class TestCalls:
    def test_calls_begin_in_their_order_also_behind_one_that_blocks_the_loop(self, ray: Any) -> None:
        log = ray.remote(Log).remote()
        ray.get(log.take.remote())
        for blocks in [True, False] * 5:
            first = [log.block.remote()] if blocks else []
            ray.get([*first, *[log.note.remote(number) for number in range(10)]])
            assert ray.get(log.take.remote()) == list(range(10))
        for _ in range(100):
            assert ray.get([log.note.remote(1), log.note.remote(2), log.take.remote()])[2] == [1, 2]

    def test_a_waiting_call_lets_others_run(self, ray: Any) -> None:
        latch = ray.remote(Latch).remote()
        held = latch.hold.remote()
        assert ray.get(latch.held.remote(1)) == 1
        assert ray.get([latch.echo.remote(i) for i in range(20)]) == list(range(20))
        assert ray.wait([held], timeout=0) == ([], [held])
        ray.get(latch.open.remote())
        assert ray.get(held) == "passed"

    def test_a_method_can_await_another_actors_call(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote()

        @ray.remote
        class Relay:
            async def add(self, counter: Any, value: int) -> Any:
                return await counter.add.remote(value)

            async def add_all(self, counter: Any, values: list[int]) -> list[int]:
                return list(await asyncio.gather(*[counter.add.remote(value) for value in values]))

        relay = Relay.remote()
        assert ray.get(relay.add.remote(counter, 2)) == 2
        assert ray.get(relay.add_all.remote(counter, [1, 1, 1])) == [3, 4, 5]

    def test_a_method_can_await_a_call_of_its_own_actor(self, ray: Any) -> None:
        @ray.remote
        class Recursive:
            async def sum_to(self, value: int) -> int:
                if value == 0:
                    return 0
                me = ray.get_runtime_context().current_actor
                return int(value + await me.sum_to.remote(value - 1))

        assert ray.get(Recursive.remote().sum_to.remote(20)) == 210

    def test_two_actors_can_await_each_other(self, ray: Any) -> None:
        @ray.remote
        class Player:
            async def play(self, other: Any, rounds: int) -> int:
                me = ray.get_runtime_context().current_actor
                return 0 if rounds == 0 else int(1 + await other.play.remote(me, rounds - 1))

        assert ray.get(Player.remote().play.remote(Player.remote(), 10)) == 10

    def test_a_method_can_await_tasks(self, ray: Any) -> None:
        task = ray.remote(echo)

        @ray.remote
        class Caller:
            async def call(self) -> list[int]:
                return list(await asyncio.gather(*[task.remote(i) for i in range(4)]))

        assert ray.get(Caller.remote().call.remote()) == [0, 1, 2, 3]

    def test_a_method_can_await_a_reference_inside_an_argument(self, ray: Any, gate: Gate) -> None:
        @ray.remote
        class Awaiting:
            async def first(self, references: list[Any]) -> Any:
                return await references[0]

        passed = ray.remote(Gate.wait).remote(gate)
        first = Awaiting.remote().first.remote([passed])
        assert ray.wait([first], timeout=0) == ([], [first])
        gate.open()
        assert ray.get(first) is None

    def test_an_async_method_can_return_several_results(self, ray: Any) -> None:
        @ray.remote
        class Pairs:
            @ray.method(num_returns=2)
            async def pair(self) -> tuple[int, int]:
                return 1, 2

        assert ray.get(list(Pairs.remote().pair.remote())) == [1, 2]

    def test_calls_share_the_actors_state(self, ray: Any) -> None:
        @ray.remote
        class AsyncCounter:
            def __init__(self) -> None:
                self.value = 0

            async def increment(self) -> int:
                self.value += 1
                return self.value

        actor = AsyncCounter.remote()
        assert sorted(ray.get([actor.increment.remote() for _ in range(50)])) == list(range(1, 51))


class Contexts:
    def __init__(self) -> None:
        self.calls = 0
        self.both = asyncio.Event()

    async def set(self, value: str) -> str:
        variable.set(value)
        self.calls += 1
        if self.calls == 2:
            self.both.set()
        await self.both.wait()
        return variable.get()

    async def get(self) -> str:
        return variable.get()
