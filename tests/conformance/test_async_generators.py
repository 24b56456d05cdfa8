"""Generators and event loops: reading with `async for`, and asynchronous generators on the actor's own loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from conformance.latch import Latch
from conformance.producers import KINDS, AsyncActor, SyncActor, caller
from conformance.subjects import Gate, Journal

ENDED = object()
BOUND = "_generator_backpressure_num_objects"


@pytest.fixture(params=KINDS)
def call(ray: Any, request: pytest.FixtureRequest) -> Any:
    """Calls a generator of each kind."""
    return caller(ray, request.param)


class TestReadingOnALoop:
    def test_async_for_reads_all_references(self, ray: Any, call: Any) -> None:
        async def read() -> list[int]:
            return [await ref async for ref in call("count", 4)]

        assert asyncio.run(read()) == [0, 1, 2, 3]

    def test_anext_returns_its_default_after_the_end(self, ray: Any, call: Any) -> None:
        async def read() -> list[Any]:
            generator = call("count", 1)
            return [await (await anext(generator)), await anext(generator, ENDED), await anext(generator, ENDED)]

        assert asyncio.run(read()) == [0, ENDED, ENDED]

    def test_an_error_is_the_last_reference(self, ray: Any, call: Any) -> None:
        async def read() -> None:
            generator = call("fail", 1, "no more")
            assert await (await anext(generator)) == 0
            last = await anext(generator)
            with pytest.raises(ValueError, match="no more"):
                await last
            for _ in range(2):
                with pytest.raises(StopAsyncIteration, match=r"^$"):
                    await anext(generator)

        asyncio.run(read())

    def test_the_event_loop_runs_while_a_reader_waits(self, ray: Any, call: Any, gate: Gate) -> None:
        async def read() -> None:
            generator = call("halt", gate)
            assert await (await anext(generator)) == "before"
            waiting = asyncio.ensure_future(generator.__anext__())
            for _ in range(5):
                await asyncio.sleep(0)
            assert not waiting.done()
            gate.open()
            assert await (await waiting) == "after"

        asyncio.run(read())

    def test_several_generators_can_be_read_at_once(self, ray: Any) -> None:
        async def read(generator: Any) -> list[int]:
            return [await ref async for ref in generator]

        async def read_all() -> list[list[int]]:
            generators = [ray.remote(SyncActor).remote().count.remote(number) for number in (2, 0, 30)]
            return await asyncio.gather(*map(read, generators))

        assert asyncio.run(read_all()) == [[0, 1], [], list(range(30))]

    def test_completed_can_be_awaited(self, ray: Any) -> None:
        async def read() -> Any:
            generator = ray.remote(SyncActor).remote().count.remote(2)
            return await generator.completed(), await (await anext(generator))

        assert asyncio.run(read()) == (None, 0)

    def test_a_cancelled_wait_takes_no_reference(self, ray: Any, gate: Gate) -> None:
        async def read() -> None:
            generator = ray.remote(SyncActor).remote().halt.remote(gate)
            await (await anext(generator))
            with pytest.raises(asyncio.TimeoutError, match=r"^$"):
                await asyncio.wait_for(generator.__anext__(), 0.05)
            gate.open()
            assert await (await anext(generator)) == "after"

        asyncio.run(read())

    def test_sync_and_async_reading_take_turns(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().count.remote(4)

        async def read() -> int:
            value: int = await (await anext(generator))
            return value

        assert [ray.get(next(generator)), asyncio.run(read()), ray.get(next(generator)), asyncio.run(read())] == [
            0,
            1,
            2,
            3,
        ]

    def test_an_async_actor_can_read_another_actors_generator(self, ray: Any) -> None:
        class Relay:
            async def relay(self, source: Any, number: int) -> AsyncIterator[int]:
                async for ref in source.count.remote(number):
                    yield 10 * await ref

        source = ray.remote(AsyncActor).remote()
        generator = ray.remote(Relay).remote().relay.remote(source, 3)
        assert ray.get(list(generator)) == [0, 10, 20]

    def test_backpressure_bounds_an_async_reader(self, ray: Any, call: Any, journal: Journal) -> None:
        async def read() -> None:
            generator = call("note", 4, journal, **{BOUND: 1})
            for i in range(4):
                assert await (await anext(generator)) == i
                assert len(journal.lines()) <= i + 3  # the next one, and the end
            assert await anext(generator, ENDED) is ENDED

        asyncio.run(read())


class Streams:
    """An actor of whose generators some wait for another call."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.running = self.peak = 0

    async def around(self) -> AsyncIterator[str]:
        yield "before"
        await self.event.wait()
        yield "after"

    async def open(self) -> None:
        self.event.set()

    async def crowd(self, number: int) -> AsyncIterator[int]:
        self.running += 1
        self.peak = max(self.peak, self.running)
        if self.running == number:
            self.event.set()
        await self.event.wait()
        yield self.peak
        self.running -= 1

    async def thread(self) -> AsyncIterator[tuple[int, int]]:
        for _ in range(2):
            yield threading.get_ident(), id(asyncio.get_running_loop())
            await asyncio.sleep(0)

    def plain(self, number: int) -> Iterator[int]:
        for i in range(number):  # noqa: UP028 - see producers.py
            yield i

    async def reference(self, ref: Any) -> AsyncIterator[Any]:
        yield await ref[0]

    async def interleave(self, name: str, journal: Journal, number: int) -> AsyncIterator[int]:
        for i in range(number):
            journal.note(f"{name}{i}")
            yield i
            await asyncio.sleep(0)

    async def delegate(self) -> AsyncIterator[int]:
        async for value in self.numbers():
            yield value

    async def numbers(self) -> AsyncIterator[int]:
        yield 1
        yield 2

    async def context(self) -> AsyncIterator[str]:
        import sys

        module = next(sys.modules[name] for name in ("nbactors", "ray") if name in sys.modules)
        yield module.get_runtime_context().get_task_id()
        await asyncio.sleep(0)
        yield module.get_runtime_context().get_task_id()


class TestOnTheActorsLoop:
    def test_other_calls_run_between_two_values(self, ray: Any) -> None:
        actor = ray.remote(Streams).remote()
        generator = actor.around.remote()
        assert ray.get(next(generator)) == "before"
        ray.get(actor.open.remote())
        assert ray.get(list(generator)) == ["after"]

    def test_many_generators_run_at_once(self, ray: Any) -> None:
        actor = ray.remote(Streams).remote()
        generators = [actor.crowd.remote(20) for _ in range(20)]
        assert ray.get([ref for generator in generators for ref in generator]) == [20] * 20

    def test_at_most_max_concurrency_generators_run_at_once(self, ray: Any) -> None:
        actor = ray.remote(Streams).options(max_concurrency=2).remote()
        generators = [actor.crowd.remote(2) for _ in range(6)]
        assert max(ray.get([ref for generator in generators for ref in generator])) == 2

    def test_all_generators_run_on_one_loop(self, ray: Any) -> None:
        actor = ray.remote(Streams).remote()
        seen = ray.get([*actor.thread.remote(), *actor.thread.remote()])
        assert len({loop for _, loop in seen}) == 1

    def test_an_async_actor_can_have_a_plain_generator(self, ray: Any) -> None:
        actor = ray.remote(Streams).remote()
        assert ray.get(list(actor.plain.remote(3))) == [0, 1, 2]

    def test_a_generator_can_await_references(self, ray: Any) -> None:
        actor = ray.remote(Streams).remote()
        assert ray.get(next(actor.reference.remote([ray.put(5)]))) == 5

    def test_a_generator_can_delegate_to_another(self, ray: Any) -> None:
        assert ray.get(list(ray.remote(Streams).remote().delegate.remote())) == [1, 2]

    def test_each_generator_has_its_own_runtime_context(self, ray: Any) -> None:
        generator = ray.remote(Streams).remote().context.remote()
        expected = generator.completed().task_id().hex()
        assert ray.get(list(generator)) == [expected, expected]

    def test_two_generators_run_side_by_side(self, ray: Any, journal: Journal) -> None:
        actor = ray.remote(Streams).remote()
        first, second = (actor.interleave.remote(name, journal, 50) for name in "ab")
        assert ray.get([*first, *second]) == [*range(50), *range(50)]
        notes = journal.lines()
        for name in "ab":
            assert [note for note in notes if note.startswith(name)] == [f"{name}{i}" for i in range(50)]

    def test_a_paused_generator_does_not_block_others(self, ray: Any, journal: Journal) -> None:
        actor = ray.remote(AsyncActor).remote()
        paused = actor.note.options(**{BOUND: 1}).remote(3, journal)
        assert ray.get(next(paused)) == 0
        assert ray.get(actor.ping.remote(), timeout=10) == "pong"
        assert ray.get(list(actor.count.remote(10))) == list(range(10))
        assert ray.get(list(paused)) == [1, 2]

    @pytest.mark.differs("Ray's generator runs to its end")
    def test_a_dropped_generator_stops_at_its_next_value(self, ray: Any) -> None:
        actor = ray.remote(Streams).remote()
        generator = actor.around.remote()
        ray.get(next(generator))
        completed = generator.completed()
        del generator
        ray.get(actor.open.remote())
        assert ray.get(completed, timeout=10) is None

    def test_a_dropped_generator_frees_its_place_in_max_concurrency(
        self, ray: Any, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        actor = ray.remote(AsyncActor).options(max_concurrency=1).remote()
        generator = actor.note.options(**{BOUND: 1}).remote(5, journal)
        ray.get(next(generator))
        pong = actor.ping.remote()
        assert ray.wait([pong], timeout=0.1) == ([], [pong])
        del generator
        assert ray.get(pong, timeout=10) == "pong"
        assert journal.lines()[-1] == "finally"

    @pytest.mark.differs("Ray's asynchronous generators only stream")
    @pytest.mark.parametrize("number", [1, 3])
    def test_num_returns_of_a_number_returns_that_many_references(self, ray: Any, number: int) -> None:
        actor = ray.remote(AsyncActor).remote()
        given = actor.count.options(num_returns=number).remote(number)
        assert ray.get(given) == (0 if number == 1 else [0, 1, 2])

    @pytest.mark.parametrize("number", [1, 2])
    @pytest.mark.differs("Ray's asynchronous generators only stream")
    def test_of_too_many_values_the_first_ones_are_given(self, ray: Any, number: int, journal: Journal) -> None:
        given = ray.remote(AsyncActor).remote().note.options(num_returns=number).remote(1000, journal)
        assert ray.get(given) == (0 if number == 1 else [0, 1])
        assert len(journal.lines()) == number + 2

    @pytest.mark.differs("Ray's asynchronous generators only stream")
    def test_dynamic_returns_one_iterable_of_references(self, ray: Any) -> None:
        value = ray.get(ray.remote(AsyncActor).remote().count.options(num_returns="dynamic").remote(3))
        assert [ray.get(ref) for ref in value] == [0, 1, 2]

    def test_a_generator_runs_beside_waiting_calls(self, ray: Any) -> None:
        class Both(Latch):
            async def count(self, number: int) -> Any:  # type: ignore[override]
                for i in range(number):
                    yield i

        actor = ray.remote(Both).remote()
        held = actor.hold.remote("held")
        assert ray.get(list(actor.count.remote(3))) == [0, 1, 2]
        ray.get(actor.open.remote())
        assert ray.get(held) == "held"

    @pytest.mark.slow
    def test_thousands_of_values_are_read(self, ray: Any) -> None:
        async def read() -> int:
            total = 0
            async for ref in ray.remote(AsyncActor).remote().count.remote(3000):
                total += await ref
            return total

        assert asyncio.run(read()) == sum(range(3000))
