"""Who else may read a generator: other threads, and other processes than the caller's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from conformance.producers import KINDS, SyncActor, caller
from conformance.subjects import Echo, Gate, Journal, Keeper

ENDED = object()
BOUND = "_generator_backpressure_num_objects"


@pytest.fixture(params=KINDS)
def call(ray: Any, request: pytest.FixtureRequest) -> Any:
    """Calls a generator of each kind."""
    return caller(ray, request.param)


@pytest.mark.differs("Ray's generators are not safe to read from several threads")
class TestThreads:
    @pytest.mark.parametrize("bound", [-1, 1])
    def test_threads_share_one_sequence(self, ray: Any, bound: int) -> None:
        generator = caller(ray, "sync")("count", 200, **{BOUND: bound})
        shares: list[list[int]] = [[] for _ in range(4)]

        def read(share: list[int]) -> None:
            share.extend(ray.get(ref) for ref in generator)

        threads = [threading.Thread(target=read, args=(share,)) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert all(share == sorted(share) for share in shares)
        assert sorted(value for share in shares for value in share) == list(range(200))

    def test_all_waiting_threads_are_woken_at_the_end(self, ray: Any, gate: Gate) -> None:
        generator = caller(ray, "sync")("halt", gate)
        ray.get(next(generator))
        read: list[Any] = []
        threads = [threading.Thread(target=lambda: read.append(next(generator, ENDED))) for _ in range(4)]
        for thread in threads:
            thread.start()
        gate.open()
        for thread in threads:
            thread.join(10)
        assert len(read) == 4
        assert read.count(ENDED) == 3


class Reader:
    """Reads a generator that it is given."""

    def __init__(self) -> None:
        self.generator: Any = None

    def close(self) -> None:
        self.generator.close()

    def hold(self, wrapped: list[Any]) -> None:
        (self.generator,) = wrapped

    def read(self, count: int) -> list[Any]:
        import nbactors

        return [nbactors.get(next(self.generator)) for _ in range(count)]

    def read_all(self, generator: Any) -> list[Any]:
        import nbactors

        return [nbactors.get(ref) for ref in generator]

    async def read_async(self, generator: Any) -> list[Any]:
        return [await ref async for ref in generator]

    def poll(self, generator: Any) -> list[Any]:
        import nbactors

        read = []
        while not generator.is_finished():
            if generator.next_ready():
                read.append(nbactors.get(next(generator)))
            else:
                nbactors.wait([generator])
        return read

    def drop(self) -> None:
        self.generator = None

    def ask(self) -> bool:
        """Look whether there is something to read, which has it sent here."""
        return bool(self.generator.next_ready())


def read_on(ray: Any, generator: Any, count: int, eventually: Callable[..., Any]) -> list[Any]:
    """Read so many values: what others give back may come after the rest."""
    read: list[Any] = []

    def has_all() -> bool:
        read.extend(ray.get(list(generator)))
        return len(read) >= count

    eventually(has_all)
    return read


@pytest.mark.differs("Ray's generators stay in the process of the call")
@pytest.mark.differs_on_cluster("as on Ray, only the process that has made the call can read its generator")
class TestOtherProcess:
    def test_a_generator_can_be_an_argument(self, ray: Any, call: Any) -> None:
        assert ray.get(ray.remote(Reader).remote().read_all.remote(call("count", 20))) == list(range(20))

    def test_a_task_can_read_a_generator(self, ray: Any) -> None:
        generator = caller(ray, "sync")("count", 3)
        assert ray.get(ray.remote(total).remote(generator)) == 3

    def test_an_async_actor_can_read_a_generator(self, ray: Any) -> None:
        generator = caller(ray, "sync")("count", 3)
        assert ray.get(ray.remote(Reader).remote().read_async.remote(generator)) == [0, 1, 2]

    def test_another_process_can_poll_a_generator(self, ray: Any) -> None:
        generator = caller(ray, "sync")("count", 3)
        assert ray.get(ray.remote(Reader).remote().poll.remote(generator), timeout=10) == [0, 1, 2]

    @pytest.mark.parametrize("leave", ["close", "drop"])
    def test_a_leaving_reader_loses_no_requested_value(
        self, ray: Any, call: Any, eventually: Callable[..., Any], leave: str
    ) -> None:
        generator = call("count", 20)
        reader = ray.remote(Reader).remote()
        ray.get(reader.hold.remote([generator]))
        eventually(lambda: ray.get(reader.ask.remote()))
        ray.get(getattr(reader, leave).remote())
        assert sorted(read_on(ray, generator, 20, eventually)) == list(range(20))

    @pytest.mark.parametrize("leave", ["close", "drop"])
    def test_a_value_for_a_reader_that_has_left_goes_to_others(
        self, ray: Any, gate: Gate, eventually: Callable[..., Any], leave: str
    ) -> None:
        generator = caller(ray, "sync")("halt", gate)
        reader = ray.remote(Reader).remote()
        ray.get(reader.hold.remote([generator]))
        ray.get(reader.read.remote(1))
        assert ray.get(reader.ask.remote()) is False
        ray.get(getattr(reader, leave).remote())
        gate.open()
        assert read_on(ray, generator, 1, eventually) == ["after"]

    def test_another_process_reads_a_value_as_soon_as_it_is_yielded(self, ray: Any, gate: Gate) -> None:
        reader = ray.remote(Reader).remote()
        reader.hold.remote([caller(ray, "sync")("halt", gate)])
        assert ray.get(reader.read.remote(1)) == ["before"]
        rest = reader.read.remote(1)
        assert ray.wait([rest], timeout=0.1) == ([], [rest])
        gate.open()
        assert ray.get(rest) == ["after"]

    def test_readers_in_two_processes_share_one_sequence(self, ray: Any) -> None:
        generator = caller(ray, "sync")("count", 100)
        readers = [ray.remote(Reader).remote() for _ in range(2)]
        shares = [reader.read_all.remote(generator) for reader in readers]
        own = ray.get(list(generator))
        first, second = ray.get(shares)
        assert first == sorted(first)
        assert second == sorted(second)
        assert sorted(own + first + second) == list(range(100))

    def test_another_process_reads_the_error(self, ray: Any) -> None:
        generator = caller(ray, "sync")("fail", 2, "afar")
        with pytest.raises(ValueError, match="afar"):
            ray.get(ray.remote(Reader).remote().read_all.remote(generator))

    def test_another_process_reads_large_items(self, ray: Any) -> None:
        items = [bytes([i]) * (1 << 20) for i in range(3)]
        generator = caller(ray, "sync")("give", items)
        assert ray.get(ray.remote(Reader).remote().read_all.remote(generator)) == items

    def test_a_generator_can_be_passed_on_several_times(self, ray: Any) -> None:
        keeper = ray.remote(Keeper).remote([caller(ray, "sync")("count", 3)])
        (generator,) = ray.get(keeper.give.remote())
        assert ray.get(list(generator)) == [0, 1, 2]

    def test_a_generator_that_comes_back_shares_its_sequence(self, ray: Any) -> None:
        generator = caller(ray, "sync")("count", 3)
        (back,) = ray.get(ray.remote(Echo).remote().echo.remote([generator]))
        assert ray.get(next(back)) == 0
        assert ray.get(next(generator)) == 1
        assert ray.get(next(back)) == 2

    def test_a_reader_in_another_process_keeps_the_bound(self, ray: Any, journal: Journal) -> None:
        reader = ray.remote(Reader).remote()
        ray.get(reader.hold.remote([caller(ray, "sync")("note", 6, journal, **{BOUND: 1})]))
        assert ray.get(reader.read.remote(2)) == [0, 1]
        assert set(journal.lines()) <= {"0", "1", "2"}
        assert ray.get(reader.read.remote(4)) == [2, 3, 4, 5]

    def test_deleting_the_last_copy_ends_the_generator(
        self, ray: Any, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        reader = ray.remote(Reader).remote()
        generator = caller(ray, "sync")("note", 10**9, journal, **{BOUND: 2})
        ray.get(reader.hold.remote([generator]))
        del generator
        assert ray.get(reader.read.remote(3)) == [0, 1, 2]
        assert "finally" not in journal.lines()
        ray.get(reader.drop.remote())
        eventually(lambda: journal.lines()[-1] == "finally")

    def test_the_death_of_the_last_reader_ends_the_generator(
        self, ray: Any, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        reader = ray.remote(Reader).remote()
        generator = caller(ray, "sync")("note", 10**9, journal, **{BOUND: 2})
        ray.get(reader.hold.remote([generator]))
        del generator
        assert ray.get(reader.read.remote(1)) == [0]
        ray.kill(reader)
        eventually(lambda: journal.lines()[-1] == "finally")

    def test_the_death_of_the_caller_raises_owner_died_error(self, ray: Any, journal: Journal) -> None:
        streamer, source = ray.remote(Giver).remote(), ray.remote(SyncActor).remote()
        (generator,) = ray.get(streamer.start.remote(source, journal))
        assert ray.get(next(generator)) == 0
        ray.kill(streamer)
        with pytest.raises(ray.exceptions.OwnerDiedError, match="owner"):
            for ref in generator:
                ray.get(ref)
        assert next(generator, ENDED) is ENDED


class Giver:
    """Calls a generator, and gives it away."""

    def start(self, actor: Any, journal: Journal) -> list[Any]:
        return [actor.note.options(**{BOUND: 1}).remote(6, journal)]


def total(generator: Any) -> int:
    """Return the sum of what is yielded."""
    import nbactors

    return sum(nbactors.get(ref) for ref in generator)
