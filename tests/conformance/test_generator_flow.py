"""What bounds a generator, and what ends it early."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from conformance.drivers import Drivers
from conformance.producers import KINDS, SyncActor, caller, drain
from conformance.subjects import Gate, Journal

ENDED = object()
BOUND = "_generator_backpressure_num_objects"


@pytest.fixture(params=KINDS)
def call(ray: Any, request: pytest.FixtureRequest) -> Any:
    """Calls a generator of each kind."""
    return caller(ray, request.param)


class TestBackpressure:
    @pytest.mark.parametrize("bound", [1, 3])
    def test_a_generator_does_not_run_ahead_of_its_bound(
        self, ray: Any, call: Any, journal: Journal, eventually: Callable[..., Any], bound: int
    ) -> None:
        generator = call("note", 6, journal, **{BOUND: bound})
        for read in range(6):
            expected = [str(i) for i in range(min(read + bound, 6))]
            eventually(lambda expected=expected: journal.lines()[: len(expected)] == expected)
            assert set(journal.lines()) - {"finally"} == set(expected)
            assert ray.get(next(generator)) == read
        assert next(generator, ENDED) is ENDED
        assert journal.lines() == ["0", "1", "2", "3", "4", "5", "finally"]

    def test_a_generator_without_a_bound_runs_to_its_end(self, ray: Any, call: Any, journal: Journal) -> None:
        generator = call("note", 6, journal)
        ray.get(generator.completed())
        assert journal.lines()[-1] == "finally"
        assert ray.get(list(generator)) == list(range(6))

    def test_deletion_ends_a_paused_generator(
        self, ray: Any, call: Any, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        generator = call("note", 6, journal, **{BOUND: 1})
        ray.get(next(generator))
        eventually(lambda: len(journal.lines()) >= 2)
        del generator
        eventually(lambda: journal.lines()[-1] == "finally")

    def test_a_bound_can_be_set_on_the_method(self, ray: Any, journal: Journal, eventually: Callable[..., Any]) -> None:
        class Bounded(SyncActor):
            @ray.method(**{BOUND: 1})
            def note(self, number: int, journal: Journal) -> Any:
                for i in range(number):
                    journal.note(i)
                    yield i

        generator = ray.remote(Bounded).remote().note.remote(3, journal)
        eventually(journal.lines)
        assert not ray.wait([generator.completed()], timeout=0.1)[0]
        assert journal.lines() == ["0"]
        assert ray.get(list(generator)) == [0, 1, 2]

    def test_a_bound_can_be_set_on_the_task(self, ray: Any, journal: Journal, eventually: Callable[..., Any]) -> None:
        @ray.remote(**{BOUND: 1})
        def note() -> Any:
            for i in range(3):
                journal.note(i)
                yield i

        generator = note.remote()
        eventually(journal.lines)
        assert not ray.wait([generator.completed()], timeout=0.1)[0]
        assert journal.lines() == ["0"]
        assert ray.get(list(generator)) == [0, 1, 2]

    def test_wait_and_next_ready_read_no_value(self, ray: Any, journal: Journal) -> None:
        generator = caller(ray, "sync")("note", 3, journal, **{BOUND: 1})
        for _ in range(3):
            assert ray.wait([generator], timeout=10) == ([generator], [])
        assert generator.next_ready()
        assert journal.lines() == ["0"]

    @pytest.mark.parametrize("bound", [0, -2])
    @pytest.mark.differs("Ray refuses 0 alone")
    def test_a_bound_below_one_is_refused(self, ray: Any, bound: int) -> None:
        with pytest.raises(ValueError, match="Use a value > 0"):
            caller(ray, "task")("count", 1, **{BOUND: bound})

    def test_a_bound_of_minus_one_means_no_bound(self, ray: Any, journal: Journal) -> None:
        generator = caller(ray, "sync")("note", 3, journal, **{BOUND: -1})
        ray.get(generator.completed())
        assert journal.lines()[-1] == "finally"

    def test_a_paused_generator_does_not_block_other_threads(self, ray: Any, journal: Journal) -> None:
        call = caller(ray, "threaded")
        paused = call("note", 3, journal, **{BOUND: 1})
        ray.get(next(paused))
        assert ray.get(list(call("count", 200, **{BOUND: 2}))) == list(range(200))
        assert ray.get(list(paused)) == [1, 2]


class TestEndingEarly:
    @pytest.mark.differs("Ray's generator runs to its end")
    def test_deletion_stops_the_producer(
        self, ray: Any, call: Any, gate: Gate, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        generator = call("note", 10**9, journal, **{BOUND: 10_000})
        assert ray.get(next(generator)) == 0
        del generator
        eventually(lambda: journal.lines()[-1] == "finally")

    @pytest.mark.differs("Ray's generators cannot be closed")
    def test_close_ends_the_generator(
        self, ray: Any, call: Any, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        generator = call("note", 10**9, journal, **{BOUND: 2})
        assert ray.get(next(generator)) == 0
        generator.close()
        assert generator.is_finished()
        assert next(generator, ENDED) is ENDED
        generator.close()  # again
        eventually(lambda: journal.lines()[-1] == "finally")

    @pytest.mark.differs("Ray's generators cannot be closed")
    def test_aclosing_ends_the_generator(
        self, ray: Any, call: Any, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        async def read_one() -> Any:
            generator = call("note", 10**9, journal, **{BOUND: 2})
            async with contextlib.aclosing(generator):
                return await anext(generator)

        assert ray.get(asyncio.run(read_one())) == 0
        eventually(lambda: journal.lines()[-1] == "finally")

    @pytest.mark.parametrize("verb", ["send", "throw"])
    def test_send_and_throw_are_refused(self, ray: Any, call: Any, verb: str) -> None:
        generator = call("count", 1)
        with pytest.raises(NotImplementedError, match=f"`gen.{verb}` is not supported"):
            getattr(generator, verb)(ValueError())
        with pytest.raises(NotImplementedError, match=f"`gen.a{verb}` is not supported"):
            asyncio.run(getattr(generator, f"a{verb}")(ValueError()))
        assert ray.get(list(generator)) == [0]

    @pytest.mark.differs("Ray's generators cannot be closed")
    def test_close_wakes_waiting_readers(self, ray: Any, gate: Gate) -> None:
        generator = caller(ray, "sync")("halt", gate)
        ray.get(next(generator))
        ended: list[Any] = []
        thread = threading.Thread(target=lambda: ended.append(next(generator, ENDED)))
        thread.start()
        generator.close()
        thread.join(10)
        assert ended == [ENDED]

    @pytest.mark.differs("Ray's generators cannot be closed")
    @pytest.mark.parametrize("closer", ["task", "thread"])
    def test_close_wakes_waiting_readers_of_a_loop(self, ray: Any, gate: Gate, closer: str) -> None:
        generator = caller(ray, "sync")("halt", gate)

        async def read() -> list[Any]:
            values = [await anext(generator)]
            reading = asyncio.ensure_future(anext(generator, ENDED))
            for _ in range(10):
                await asyncio.sleep(0)
            if closer == "task":
                generator.close()
            else:
                await asyncio.to_thread(generator.close)
            return [*values, await asyncio.wait_for(reading, 10), await anext(generator, ENDED)]

        first, *others = asyncio.run(read())
        assert ray.get(first) == "before"
        assert others == [ENDED, ENDED]

    def test_a_cancelled_reader_of_a_loop_takes_no_value(self, ray: Any, gate: Gate) -> None:
        generator = caller(ray, "sync")("halt", gate)

        async def read() -> list[Any]:
            values = [await (await anext(generator))]
            reading = asyncio.ensure_future(anext(generator))
            for _ in range(10):
                await asyncio.sleep(0)
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            gate.open()
            return [*values, await (await anext(generator)), await anext(generator, ENDED)]

        assert asyncio.run(read()) == ["before", "after", ENDED]

    def test_the_actor_serves_after_a_generator_was_dropped(self, ray: Any, journal: Journal) -> None:
        actor = ray.remote(SyncActor).remote()
        generator = actor.note.options(**{BOUND: 1}).remote(5, journal)
        ray.get(next(generator))
        del generator
        assert ray.get(actor.ping.remote(), timeout=10) == "pong"

    def test_a_generator_dropped_before_its_start_never_runs(self, ray: Any, gate: Gate) -> None:
        actor = ray.remote(SyncActor).remote()
        first = actor.halt.remote(gate)
        second = actor.count.remote(10)
        del second
        gate.open()
        assert ray.get(list(first)) == ["before", "after"]
        assert ray.get(actor.ping.remote()) == "pong"

    def test_a_reference_does_not_keep_the_generator(
        self, ray: Any, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        first = next(caller(ray, "sync")("note", 5, journal, **{BOUND: 1}))
        eventually(lambda: journal.lines()[-1] == "finally")
        assert ray.get(first) == 0

    def test_completed_does_not_keep_the_generator(self, ray: Any, journal: Journal) -> None:
        generator = caller(ray, "sync")("note", 5, journal, **{BOUND: 1})
        ray.get(next(generator))
        completed = generator.completed()
        del generator
        assert ray.wait([completed], timeout=10) == ([completed], [])
        assert journal.lines()[-1] == "finally"

    def test_a_generator_dropped_at_once_completes(self, ray: Any) -> None:
        """Before its actor is there, and before its worker is."""
        for kind in ("sync", "task"):
            completed = caller(ray, kind)("count", 5, **{BOUND: 1}).completed()
            assert ray.wait([completed], timeout=10) == ([completed], [])

    def test_the_kill_of_the_actor_ends_its_generator(self, ray: Any, gate: Gate) -> None:
        actor = ray.remote(SyncActor).remote()
        generator = actor.halt.remote(gate)
        assert ray.get(next(generator)) == "before"
        ray.kill(actor)
        with pytest.raises(ray.exceptions.RayActorError, match="kill"):
            ray.get(next(generator))
        assert next(generator, ENDED) is ENDED
        assert generator.is_finished()
        with pytest.raises(ray.exceptions.RayActorError, match="kill"):
            ray.get(generator.completed())

    @pytest.mark.differs_on_cluster("as on Ray, unread values are lost when the news of the actor's death has come")
    def test_unread_values_can_be_read_after_the_kill_of_the_actor(self, ray: Any, gate: Gate) -> None:
        actor = ray.remote(SyncActor).remote()
        generator = actor.halt.remote(gate)
        assert ray.wait([generator], timeout=10)[0]
        ray.kill(actor)
        assert drain(ray, generator)[0] == "before"

    def test_a_generator_of_a_dead_actor_raises_its_error_and_ends(
        self, ray: Any, eventually: Callable[..., Any]
    ) -> None:
        actor = ray.remote(SyncActor).remote()
        ray.get(actor.ping.remote())
        ray.kill(actor)
        generator = actor.count.remote(2)
        with pytest.raises(ray.exceptions.RayActorError, match="kill"):
            ray.get(next(generator))
        assert next(generator, ENDED) is ENDED

    def test_a_generator_task_whose_worker_dies_is_retried(self, ray: Any, journal: Journal) -> None:
        @ray.remote(max_retries=1)
        def die_once() -> Any:
            import os

            again = bool(journal.lines())
            journal.note("run")
            for i in range(4):
                yield i
                if i == 1 and not again:
                    os._exit(1)

        generator = die_once.remote()
        # Values read before are not seen twice.
        assert ray.get(list(generator)) == [0, 1, 2, 3]
        assert journal.lines() == ["run", "run"]
        assert ray.get(generator.completed()) is None

    def test_the_second_run_has_the_bound_too(self, ray: Any, journal: Journal, eventually: Callable[..., Any]) -> None:
        @ray.remote(max_retries=1, **{BOUND: 1})
        def die_once() -> Any:
            import os

            again = bool(journal.lines())
            for i in range(4):
                journal.note(i)
                yield i
                if i == 1 and not again:
                    os._exit(1)

        generator = die_once.remote()
        assert [ray.get(next(generator)) for _ in range(2)] == [0, 1]
        assert ray.get(list(generator)) == [2, 3]

    def test_an_error_is_retried_with_retry_exceptions(self, ray: Any, journal: Journal) -> None:
        @ray.remote(max_retries=1, retry_exceptions=True)
        def fail_once() -> Any:
            again = bool(journal.lines())
            journal.note("run")
            yield 1
            if not again:
                raise ValueError("once")
            yield 2

        assert drain(ray, fail_once.remote()) == [1, 2]

    @pytest.mark.slow
    def test_a_generator_of_an_ended_session_can_be_deleted(self, init: Any, fresh: Any, gate: Gate) -> None:
        init()
        generator = fresh.remote(SyncActor).remote().halt.remote(gate)
        assert fresh.get(next(generator)) == "before"
        fresh.shutdown()
        # A second session does not mind what is left of the first one.
        init()
        del generator
        assert fresh.get(list(fresh.remote(SyncActor).remote().count.remote(2))) == [0, 1]

    @pytest.mark.slow
    @pytest.mark.differs("not tried: Ray's readers hold a core worker that is gone")
    def test_reading_after_the_end_of_the_session_raises_an_error(self, init: Any, fresh: Any, gate: Gate) -> None:
        init()
        generator = fresh.remote(SyncActor).remote().halt.remote(gate)
        assert fresh.get(next(generator)) == "before"
        fresh.shutdown()
        with pytest.raises(Exception, match=r"session|shut"):
            fresh.get(next(generator))


SCRIPT = """
    from conformance.producers import SyncActor

    ray.init(namespace="conformance")
    source = ray.remote(SyncActor).options(name="{name}", lifetime="detached", num_cpus=0).remote()
    generator = source.note.options({bound}=1).remote(6, Journal({path!r}))
    say(ray.get(next(generator)))
    pause()
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", ["finish", "kill"])
def test_the_end_of_a_driver_ends_its_generator(
    ray: Any, drivers: Drivers, name: str, journal: Journal, eventually: Callable[..., Any], end: str
) -> None:
    driver = drivers.start(SCRIPT.format(name=name, bound=BOUND, path=journal.path))
    assert driver.line() == "0"
    eventually(lambda: journal.lines() == ["0", "1"])
    if end == "kill":
        driver.kill()
    else:
        driver.go_on()
        driver.finish()
    eventually(lambda: journal.lines()[-1] == "finally")
    source = ray.get_actor(name)
    assert ray.get(source.ping.remote(), timeout=10) == "pong"
    ray.kill(source)


class Streamer:
    """Calls a generator from its own process, and reads only the first value."""

    def __init__(self) -> None:
        self.generator: Any = None

    def start(self, actor: Any, journal: Journal, bound: int) -> Any:
        self.generator = actor.note.options(**{BOUND: bound}).remote(6, journal)
        return [next(self.generator)]

    def rest(self) -> list[Any]:
        return list(self.generator)


class TestCallerInAnActor:
    def test_references_and_generator_can_be_passed_on(self, ray: Any, journal: Journal) -> None:
        streamer, source = ray.remote(Streamer).remote(), ray.remote(SyncActor).remote()
        first = ray.get(streamer.start.remote(source, journal, 1))
        assert ray.get(first) == [0]
        assert ray.get(ray.get(streamer.rest.remote())) == [1, 2, 3, 4, 5]

    def test_the_end_of_the_calling_actor_ends_the_generator(
        self, ray: Any, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        streamer, source = ray.remote(Streamer).remote(), ray.remote(SyncActor).remote()
        ray.get(streamer.start.remote(source, journal, 1))
        ray.kill(streamer)
        eventually(lambda: journal.lines()[-1] == "finally")
        assert ray.get(source.ping.remote(), timeout=10) == "pong"
