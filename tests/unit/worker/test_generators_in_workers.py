"""Generators: in all kinds of actors and in tasks, paused while nobody reads, and closed when nobody will."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from serving import Scene, stage

from nbactors.local.wire import messages
from nbactors.options.num_returns import DYNAMIC, STREAMING
from nbactors.testing import eventually


class Counting:
    def count(self, number: int) -> Iterator[int]:
        try:
            for index in range(number):
                stage.log.append(index)
                yield index
        finally:
            stage.log.append("closed")

    async def count_async(self, number: int) -> AsyncIterator[int]:
        try:
            for index in range(number):
                stage.log.append(index)
                yield index
                await asyncio.sleep(0)
        finally:
            stage.log.append("closed")

    def fail(self) -> Iterator[int]:
        yield 0
        raise LookupError("no such thing")

    def arrays(self, number: int, size: int) -> Iterator[Any]:
        for index in range(number):
            yield np.full(size, index)

    def iterate(self) -> Any:
        return iter([1, 2, 3])

    def nothing(self) -> int:
        return 5

    def locks(self) -> Iterator[Any]:
        yield 1
        yield threading.Lock()

    def note(self, what: Any) -> Any:
        return what


def count_in_task(number: int) -> Iterator[int]:
    yield from range(number)


METHODS = ["count", "count_async"]


def methods_of(scene: Scene) -> list[str]:
    """Return the generators that this kind of actor can run."""
    return METHODS if scene.worker.concurrency.is_async else METHODS[:1]


def test_what_is_yielded_arrives_in_order(each: Scene) -> None:
    def body(scene: Scene) -> None:
        for method in methods_of(scene):
            assert scene.read(scene.call(method, 20, num_returns=STREAMING)) == list(range(20))
        assert scene.read(scene.call("count", 0, num_returns=STREAMING)) == []
        assert scene.read(scene.call("iterate", num_returns=STREAMING)) == [1, 2, 3]

    each.play(body, Counting)


@pytest.mark.parametrize("size", [10, 200_000])
def test_arrays_of_any_size_may_be_yielded(each: Scene, size: int) -> None:
    def body(scene: Scene) -> list[int]:
        return [int(array.sum()) for array in scene.read(scene.call("arrays", 4, size, num_returns=STREAMING))]

    assert each.play(body, Counting) == [0, size, 2 * size, 3 * size]


def test_dynamic_results_are_one_object(each: Scene) -> None:
    def body(scene: Scene) -> None:
        for method in methods_of(scene):
            assert scene.read(scene.get(scene.call(method, 3, num_returns=DYNAMIC))) == [0, 1, 2]

    each.play(body, Counting)


def test_a_fixed_number_of_results_may_be_yielded(each: Scene) -> None:
    def body(scene: Scene) -> None:
        for method in methods_of(scene):
            assert [scene.get(ref) for ref in scene.call(method, 2, num_returns=2)] == [0, 1]
            assert [scene.get(ref) for ref in scene.call(method, 3, num_returns=2)] == [0, 1]
            first, second = scene.call(method, 1, num_returns=2)
            assert scene.get(first) == 0
            with pytest.raises(ValueError, match=r"Task returned 1 objects, but num_returns=2\."):
                scene.get(second)

    each.play(body, Counting)


def test_an_error_is_the_last_reference(each: Scene) -> None:
    def body(scene: Scene) -> None:
        stream = scene.call("fail", num_returns=STREAMING)
        assert scene.get(next(stream)) == 0
        with pytest.raises(LookupError, match="no such thing"):
            scene.get(next(stream))
        assert list(stream) == []

    each.play(body, Counting)


def test_a_value_that_cannot_be_pickled_ends_the_stream_with_its_error(each: Scene) -> None:
    def body(scene: Scene) -> None:
        stream = scene.call("locks", num_returns=STREAMING)
        assert scene.get(next(stream)) == 1
        with pytest.raises(TypeError, match=r"cannot pickle .*lock"):
            scene.get(next(stream))

    each.play(body, Counting)


@pytest.mark.parametrize("num_returns", [STREAMING, DYNAMIC])
def test_what_is_no_generator_cannot_stream(each: Scene, num_returns: int) -> None:
    def body(scene: Scene) -> None:
        result = scene.call("nothing", num_returns=num_returns)
        refs = result if num_returns == STREAMING else iter(scene.get(result))
        with pytest.raises(TypeError, match=r"Counting\.nothing .*it must be a generator; it returned int"):
            scene.get(next(refs))

    each.play(body, Counting)


def test_a_generator_pauses_until_its_values_are_read(each: Scene) -> None:
    def body(scene: Scene) -> None:
        for method in methods_of(scene):
            stage.log.clear()
            stream = scene.call(method, 6, num_returns=STREAMING, backpressure=2)
            eventually(lambda: len(stage.log) == 2)
            scene.get(next(stream))
            eventually(lambda: len(stage.log) == 3)
            if not scene.worker.concurrency.is_async or method == "count_async":
                assert stage.log == [0, 1, 2]
            assert scene.read(stream) == [1, 2, 3, 4, 5]
            assert stage.log[-1] == "closed"

    each.play(body, Counting)


def test_a_generator_that_nobody_reads_any_more_is_closed(each: Scene) -> None:
    def body(scene: Scene) -> None:
        for method in methods_of(scene):
            stage.log.clear()
            stream = scene.call(method, 10**9, num_returns=STREAMING, backpressure=2)
            scene.get(next(stream))
            stream.close()
            eventually(lambda: stage.log[-1] == "closed")
            assert len(stage.log) <= 4
        assert scene.ask("note", 1) == 1

    each.play(body, Counting)


def test_a_generator_that_nobody_reads_never_begins(scene: Scene) -> None:
    def body(scene: Scene) -> None:
        running = scene.call("count", 10**9, num_returns=STREAMING, backpressure=1)
        eventually(lambda: stage.log)
        scene.call("count", 3, num_returns=STREAMING).close()
        connection = next(iter(scene.worker.peers.incoming()))
        eventually(lambda: not connection.jobs.waiting)
        running.close()
        scene.ask("note", 1)

    scene.play(body, Counting)
    assert stage.log == [0, "closed"]


def test_the_end_of_the_caller_closes_its_generators(each: Scene) -> None:
    def body(scene: Scene) -> None:
        scene.stream = scene.call("count", 10**9, num_returns=STREAMING, backpressure=2)  # type: ignore[attr-defined]
        scene.call("note", 1)
        eventually(lambda: stage.log)
        connection = next(iter(scene.worker.peers.incoming()))
        scene.worker.reactor.discard(lambda: scene.worker.executor.on_caller_gone(connection))
        eventually(lambda: stage.log[-1] == "closed")

    each.play(body, Counting)


def test_word_of_reading_may_come_before_the_call_begins_and_after_its_end(scene: Scene) -> None:
    def body(scene: Scene) -> Any:
        stream = scene.call("count", 3, num_returns=STREAMING, backpressure=2)
        assert scene.read(stream) == [0, 1, 2]
        connection = next(iter(scene.worker.peers.incoming()))
        for late in (messages.Consumed(1, 1), messages.Consumed(99, 1)):
            scene.worker.executor.on_consumed(connection, late)
        for late in (messages.StopStream(1), messages.StopStream(99)):
            scene.worker.executor.on_stop_stream(connection, late)
        return scene.ask("note", 1)

    assert scene.play(body, Counting) == 1


def test_a_task_may_yield(scene: Scene) -> None:
    def body(scene: Scene) -> list[Any]:
        stream = scene.task(count_in_task, 5, num_returns=STREAMING)
        scene.worker.grant(scene.session)
        return scene.read(stream)

    assert scene.play(body) == [0, 1, 2, 3, 4]
