"""Streaming generators: what they yield is there at once, errors come last, and nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from conformance.producers import KINDS, AsyncActor, Producer, SyncActor, caller, drain
from conformance.subjects import Gate, Keeper, echo

ENDED = object()


@pytest.fixture(params=KINDS)
def call(ray: Any, request: pytest.FixtureRequest) -> Any:
    """Calls a generator of each kind."""
    return caller(ray, request.param)


class TestEveryKind:
    def test_a_for_loop_reads_all_references(self, ray: Any, call: Any) -> None:
        generator = call("count", 4)
        assert isinstance(generator, ray.ObjectRefGenerator)
        assert [ray.get(ref) for ref in generator] == [0, 1, 2, 3]

    def test_a_yielded_value_can_be_read_at_once(self, ray: Any, call: Any, gate: Gate) -> None:
        generator = call("halt", gate)
        assert ray.get(next(generator)) == "before"
        assert not generator.next_ready()
        assert not generator.is_finished()
        assert ray.wait([generator, generator.completed()], num_returns=2, timeout=0) == (
            [],
            [generator, generator.completed()],
        )
        gate.open()
        assert ray.get(next(generator)) == "after"
        with pytest.raises(StopIteration, match=r"^$"):
            next(generator)

    def test_an_error_is_the_last_reference(self, ray: Any, call: Any) -> None:
        generator = call("fail", 2, "no more")
        assert [ray.get(next(generator)) for _ in range(2)] == [0, 1]
        last = next(generator)
        with pytest.raises(ValueError, match="no more"):
            ray.get(last)
        for _ in range(3):
            with pytest.raises(StopIteration, match=r"^$"):
                next(generator)
        assert ray.get(generator.completed()) is None

    def test_an_error_before_the_first_value_is_the_only_reference(self, ray: Any, call: Any) -> None:
        assert drain(ray, call("fail", 0, "none")) == [ValueError]

    def test_an_exception_that_is_yielded_is_a_value(self, ray: Any, call: Any) -> None:
        first, second = (ray.get(ref) for ref in call("give", [KeyError("a value"), 2]))
        assert isinstance(first, KeyError)
        assert first.args == ("a value",)
        assert second == 2

    def test_a_generator_without_values_ends_at_once(self, ray: Any, call: Any) -> None:
        generator = call("count", 0)
        assert next(generator, ENDED) is ENDED
        assert generator.is_finished()

    def test_none_and_references_are_yielded(self, ray: Any, call: Any) -> None:
        none, inner = (ray.get(ref) for ref in call("give", [None, [ray.put("inside")]]))
        assert none is None
        assert ray.get(inner[0]) == "inside"

    def test_a_value_that_cannot_be_pickled_is_the_last(self, ray: Any, call: Any) -> None:
        # Made there, since it cannot be sent either.
        generator = call("give", Unpicklable())
        assert ray.get(next(generator)) == 1
        with pytest.raises(TypeError, match="pickle"):
            ray.get(next(generator))
        assert next(generator, ENDED) is ENDED

    def test_the_death_of_the_process_ends_the_generator(self, ray: Any, call: Any, gate: Gate) -> None:
        generator = call("die", 2, gate)
        assert [ray.get(next(generator)) for _ in range(2)] == [0, 1]
        gate.open()
        with pytest.raises(ray.exceptions.RayError, match=r"die|crash|unexpected|exit"):
            ray.get(next(generator))
        for _ in range(2):
            assert next(generator, ENDED) is ENDED
        assert generator.is_finished()
        with pytest.raises(ray.exceptions.RayError, match=r"die|crash|unexpected|exit"):
            ray.get(generator.completed())

    def test_many_values_are_read_in_order(self, ray: Any, call: Any) -> None:
        assert ray.get(list(call("count", 300))) == list(range(300))


class Unpicklable:
    """A list with something that cannot be pickled, made where it is iterated over."""

    def __iter__(self) -> Any:
        import threading

        return iter([1, threading.Lock(), 3])


class Burst:
    """Yields several at once, then nothing until the gate is open."""

    def burst(self, gate: Gate) -> Iterator[int]:
        for i in range(10):  # noqa: UP028 - see producers.py
            yield i
        gate.wait()
        yield 10

    def ping(self) -> None:
        pass


class TestReading:
    def test_values_are_sent_although_calls_wait_behind(self, ray: Any, gate: Gate) -> None:
        actor = ray.remote(Burst).remote()
        generator = actor.burst.remote(gate)
        behind = [actor.ping.remote() for _ in range(20)]
        assert ray.get([next(generator) for _ in range(10)], timeout=10) == list(range(10))
        gate.open()
        assert ray.get(list(generator)) == [10]
        ray.get(behind)

    def test_completed_is_ready_before_all_values_are_read(self, ray: Any, gate: Gate) -> None:
        generator = ray.remote(SyncActor).remote().halt.remote(gate)
        completed = generator.completed()
        assert isinstance(completed, ray.ObjectRef)
        assert completed == generator.completed()
        next(generator)
        assert ray.wait([completed], timeout=0) == ([], [completed])
        gate.open()
        # Done, though nobody has read the rest.
        assert ray.get(completed) is None
        assert ray.get(next(generator)) == "after"

    def test_next_ready_and_is_finished_describe_the_sequence(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().count.remote(1)
        ray.get(generator.completed())
        assert (generator.next_ready(), generator.is_finished()) == (True, False)
        ray.get(next(generator))
        assert next(generator, ENDED) is ENDED
        # Nothing will come: it is not ready, it is finished.
        assert (generator.next_ready(), generator.is_finished()) == (False, True)

    def test_an_error_is_ready_and_not_the_end(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().fail.remote(1, "late")
        next(generator)
        assert ray.wait([generator], timeout=10) == ([generator], [])
        assert not generator.is_finished()
        with pytest.raises(ValueError, match="late"):
            ray.get(next(generator))
        assert next(generator, ENDED) is ENDED
        assert generator.is_finished()

    def test_get_returns_the_generator_unchanged(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().count.remote(1)
        assert ray.get(generator) is generator

    def test_get_refuses_a_list_with_a_generator(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().count.remote(1)
        with pytest.raises(TypeError, match="not an"):
            ray.get([generator])

    def test_references_outlive_the_generator(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().count.remote(3)
        refs = list(generator)
        del generator
        assert ray.get(refs) == [0, 1, 2]

    def test_a_yielded_reference_can_be_an_argument(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().count.remote(3)
        assert ray.get([ray.remote(echo).remote(ref) for ref in generator]) == [0, 1, 2]

    def test_the_references_have_the_id_of_the_task(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().count.remote(2)
        first, second = generator
        assert first.task_id() == second.task_id() == generator.completed().task_id()
        assert first != second

    def test_large_items_are_read_unchanged(self, ray: Any) -> None:
        numpy = pytest.importorskip("numpy")
        items = [numpy.full(131_072, i, dtype=numpy.int64) for i in range(4)]  # 1 MiB each
        for i, ref in enumerate(ray.remote(SyncActor).remote().give.remote(items)):
            item = ray.get(ref)
            assert item.shape == (131_072,)
            assert (item == i).all()

    def test_the_return_value_of_a_generator_is_dropped(self, ray: Any) -> None:
        @ray.remote
        def returning() -> Any:
            yield 1
            return 2

        generator = returning.remote()
        assert ray.get(list(generator)) == [1]
        assert ray.get(generator.completed()) is None

    def test_generators_of_one_actor_take_turns(self, ray: Any, gate: Gate) -> None:
        actor = ray.remote(SyncActor).remote()
        first, second = actor.halt.remote(gate), actor.count.remote(1)
        ray.get(next(first))
        assert ray.wait([second], timeout=0.1) == ([], [second])
        gate.open()
        assert ray.get(list(second)) == [0]

    @pytest.mark.parametrize("kind", ["threaded", "async", "grouped", "async-grouped"])
    def test_generators_of_a_concurrent_actor_run_side_by_side(self, ray: Any, gate: Gate, kind: str) -> None:
        call = caller(ray, kind)
        first = call("halt", gate)
        ray.get(next(first))
        assert ray.get(list(call("count", 2))) == [0, 1]
        gate.open()
        assert ray.get(list(first)) == ["after"]

    def test_the_actor_serves_on_after_an_error(self, ray: Any) -> None:
        actor = ray.remote(SyncActor).remote()
        assert drain(ray, actor.fail.remote(1, "once")) == [0, ValueError]
        assert ray.get(actor.ping.remote()) == "pong"

    def test_indexing_and_len_are_refused(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().count.remote(1)
        with pytest.raises(TypeError, match="not subscriptable"):
            generator[0]
        with pytest.raises(TypeError, match="len"):
            len(generator)

    def test_a_waiting_next_is_woken(self, ray: Any, gate: Gate) -> None:
        import threading

        generator = ray.remote(SyncActor).remote().halt.remote(gate)
        ray.get(next(generator))
        read: list[Any] = []
        thread = threading.Thread(target=lambda: read.extend(ray.get(list(generator))))
        thread.start()
        gate.open()
        thread.join(10)
        assert read == ["after"]

    def test_a_failed_argument_is_the_only_reference(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().count.remote(ray.remote(broken).remote())
        with pytest.raises(ValueError, match="no argument"):
            ray.get(next(generator))
        assert next(generator, ENDED) is ENDED

    @pytest.mark.slow
    def test_thousands_of_values_are_read(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().count.remote(5000)
        assert ray.get(list(generator)) == list(range(5000))


def broken() -> None:
    raise ValueError("no argument")


class TestWait:
    def test_wait_returns_a_generator_when_a_value_can_be_read(self, ray: Any, gate: Gate) -> None:
        generator = ray.remote(SyncActor).remote().halt.remote(gate)
        assert ray.wait([generator], timeout=10) == ([generator], [])
        assert ray.wait([generator], timeout=10) == ([generator], [])  # it takes nothing
        ray.get(next(generator))
        assert ray.wait([generator], timeout=0) == ([], [generator])
        gate.open()
        assert ray.wait([generator], timeout=10) == ([generator], [])
        assert ray.get(next(generator)) == "after"

    def test_an_exhausted_generator_is_ready(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().count.remote(1)
        assert drain(ray, generator) == [0]
        assert ray.wait([generator], timeout=0) == ([generator], [])

    def test_wait_takes_generators_and_references_together(self, ray: Any, gate: Gate) -> None:
        halted = ray.remote(SyncActor).remote().halt.remote(gate)
        ray.get(next(halted))
        ready = ray.remote(SyncActor).remote().count.remote(2)
        pending = ray.remote(Keeper).remote().give.remote()
        waited = [halted, ready, ray.put(1), pending]
        assert ray.wait(waited, num_returns=3, timeout=10) == ([ready, waited[2], pending], [halted])
        gate.open()
        assert ray.wait(waited, num_returns=4, timeout=10) == (waited, [])

    def test_wait_serves_several_generators_in_a_loop(self, ray: Any) -> None:
        generators = [ray.remote(AsyncActor).remote().count.remote(n) for n in (3, 0, 5)]
        read: dict[int, list[int]] = {0: [], 1: [], 2: []}
        open_ones = {generator: i for i, generator in enumerate(generators)}
        while open_ones:
            (generator,), _ = ray.wait(list(open_ones), timeout=10)
            try:
                read[open_ones[generator]].append(ray.get(next(generator)))
            except StopIteration:
                del open_ones[generator]
        assert read == {0: [0, 1, 2], 1: [], 2: [0, 1, 2, 3, 4]}

    def test_the_same_generator_twice_is_refused(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().count.remote(1)
        with pytest.raises(ValueError, match="unique"):
            ray.wait([generator, generator])

    def test_a_generator_that_is_not_in_a_list_is_refused(self, ray: Any) -> None:
        generator = ray.remote(SyncActor).remote().count.remote(1)
        with pytest.raises(TypeError, match="list of"):
            ray.wait(generator)


class TestReturns:
    """`num_returns` of a generator."""

    @pytest.fixture(params=["task", "method"])
    def counting(self, ray: Any, request: pytest.FixtureRequest) -> Any:
        return caller(ray, {"task": "task", "method": "sync"}[request.param])

    def test_streaming_is_the_default(self, ray: Any, counting: Any) -> None:
        assert ray.get(list(counting("count", 2, num_returns="streaming"))) == [0, 1]

    def test_a_number_returns_that_many_references(self, ray: Any, counting: Any) -> None:
        refs = counting("count", 3, num_returns=3)
        assert [type(ref) for ref in refs] == [ray.ObjectRef] * 3
        assert ray.get(refs) == [0, 1, 2]

    def test_one_returns_a_single_reference(self, ray: Any, counting: Any) -> None:
        assert ray.get(counting("count", 1, num_returns=1)) == 0

    def test_zero_returns_none(self, ray: Any, counting: Any) -> None:
        assert counting("count", 2, num_returns=0) is None

    def test_too_few_values_raise_an_error(self, ray: Any, counting: Any) -> None:
        *first, last = counting("count", 2, num_returns=3)
        assert ray.get(first) == [0, 1]
        with pytest.raises(ValueError, match=r"Task returned 2 objects, but num_returns=3\."):
            ray.get(last)

    def test_no_value_for_num_returns_1_raises_an_error(self, ray: Any, counting: Any) -> None:
        with pytest.raises(ValueError, match=r"Task returned 0 objects, but num_returns=1\."):
            ray.get(counting("count", 0, num_returns=1))

    @pytest.mark.parametrize("number", [1, 2])
    def test_of_too_many_values_the_first_ones_are_given(self, ray: Any, counting: Any, number: int) -> None:
        refs = counting("count", 1000, num_returns=number)
        assert ray.get(refs) == (0 if number == 1 else [0, 1])

    def test_the_values_before_an_error_are_given(self, ray: Any, counting: Any) -> None:
        *first, third, fourth = counting("fail", 2, "amid", num_returns=4)
        assert ray.get(first) == [0, 1]
        for ref in (third, fourth):
            with pytest.raises(ValueError, match="amid"):
                ray.get(ref)

    @pytest.mark.parametrize("number", [1, 2])
    def test_an_error_after_all_values_has_no_reference(self, ray: Any, counting: Any, number: int) -> None:
        refs = counting("fail", number, "late", num_returns=number)
        assert ray.get(refs) == (0 if number == 1 else [0, 1])

    def test_dynamic_returns_one_iterable_of_references(self, ray: Any, counting: Any) -> None:
        ref = counting("count", 3, num_returns="dynamic")
        assert isinstance(ref, ray.ObjectRef)
        value = ray.get(ref)
        assert len(value) == 3
        assert [ray.get(inner) for inner in value] == [0, 1, 2]

    def test_a_failing_dynamic_generator_has_the_error_last(self, ray: Any, counting: Any) -> None:
        first, second, last = ray.get(counting("fail", 2, "amid", num_returns="dynamic"))
        assert ray.get([first, second]) == [0, 1]
        with pytest.raises(ValueError, match="amid"):
            ray.get(last)

    def test_dynamic_is_not_bounded(self, ray: Any, counting: Any) -> None:
        options = {"num_returns": "dynamic", "_generator_backpressure_num_objects": 1}
        assert len(ray.get(counting("count", 3, **options), timeout=10)) == 3

    def test_the_death_of_the_process_fails_a_dynamic_generator(self, ray: Any, counting: Any, gate: Gate) -> None:
        gate.open()
        with pytest.raises(ray.exceptions.RayError, match=r"die|crash|unexpected|exit"):
            ray.get(counting("die", 2, gate, num_returns="dynamic"))

    def test_a_dynamic_generator_may_yield_nothing(self, ray: Any, counting: Any) -> None:
        assert list(ray.get(counting("count", 0, num_returns="dynamic"))) == []

    def test_a_task_can_take_a_dynamic_result(self, ray: Any, counting: Any) -> None:
        ref = counting("count", 3, num_returns="dynamic")
        assert ray.get(ray.remote(total).remote(ref)) == 3

    def test_streaming_is_refused_for_a_plain_method(self, ray: Any) -> None:
        with pytest.raises(ValueError, match="can only be used with generator functions"):
            ray.remote(SyncActor).remote().ping.options(num_returns="streaming").remote()

    @pytest.mark.differs("Ray takes it, and the task fails of its own")
    def test_an_async_generator_is_refused_as_a_task(self, ray: Any) -> None:
        async def values() -> Any:
            yield 1

        with pytest.raises(ValueError, match="'async def' should not be used for remote tasks"):
            ray.remote(values)


def total(refs: Any) -> int:
    """Return the sum of what a dynamic generator has yielded, in the process that did not call it."""
    import sys

    module = next(sys.modules[name] for name in ("nbactors", "ray") if name in sys.modules)
    return sum(module.get(ref) for ref in refs)


def test_the_subjects_are_generators() -> None:
    """What `caller` tells apart by kind has the same methods."""
    assert [name for name in vars(Producer) if not name.startswith("_")] == [
        name for name in vars(AsyncActor.__mro__[1]) if not name.startswith("_")
    ]
