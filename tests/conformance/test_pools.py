"""`util.multiprocessing.Pool`: the standard library's pool on actors."""

from __future__ import annotations

import importlib
import itertools
import multiprocessing
import os
import pickle
import threading
from collections import Counter as Counted
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from conformance.subjects import Gate, Journal, is_running

LIMIT_S = 30
"""Seconds for a result of a fresh process, which takes seconds in Ray."""


def square(x: int) -> int:
    return x * x


def refuse_two(x: int) -> int:
    if x == 2:
        raise KeyError("two")
    return x


def wait_at(gate: Gate) -> str:
    gate.wait()
    return "passed"


def wait_if_first(x: int, gate: Gate) -> int:
    if x == 0:
        gate.wait()
    return x


def unpicklable() -> Any:
    return (x for x in ())


def failing_after(count: int) -> Iterator[int]:
    yield from range(count)
    raise LookupError("no more items")


@pytest.fixture(scope="module")
def pools(_module: Any, module_name: str) -> Any:
    return importlib.import_module(f"{module_name}.util.multiprocessing")


@pytest.fixture
def make(ray: Any, pools: Any) -> Iterator[Callable[..., Any]]:
    """Make a pool that ends with the test."""
    made: list[Any] = []

    def make(*args: Any, **options: Any) -> Any:
        made.append(pools.Pool(*args, **options))
        return made[-1]

    yield make
    for pool in made:
        pool.terminate()
        pool.join()


@pytest.fixture
def pool(make: Callable[..., Any]) -> Any:
    return make(2)


class TestCalls:
    def test_apply_calls_a_function_in_another_process(self, pool: Any) -> None:
        assert pool.apply(os.getpid) != os.getpid()
        assert pool.apply(divmod, (17, 5)) == (3, 2)
        assert pool.apply(dict, (), {"a": 1}) == {"a": 1}

    @pytest.mark.differs("Ray has its own name for kwds only")
    def test_keywords_have_both_names(self, pool: Any) -> None:
        assert pool.apply(dict, kwargs={"a": 1}) == pool.apply(dict, kwds={"a": 1}) == {"a": 1}

    def test_map_keeps_the_order(self, pool: Any) -> None:
        assert pool.map(square, range(100)) == [x * x for x in range(100)]
        assert pool.map(square, iter(range(10)), chunksize=3) == [x * x for x in range(10)]
        assert pool.map(square, []) == []

    def test_starmap_unpacks_the_items(self, pool: Any) -> None:
        assert pool.starmap(pow, [(2, 3), [3, 2]]) == [8, 9]
        assert pool.starmap_async(pow, iter([(2, 3)])).get(LIMIT_S) == [8]

    def test_threads_share_a_pool(self, pool: Any) -> None:
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda _: pool.map(square, range(20)), range(8)))
        assert found == [[x * x for x in range(20)]] * 8

    def test_closures_are_called(self, pool: Any) -> None:
        offset = 10
        assert pool.map(lambda x: x + offset, range(3)) == [10, 11, 12]

    def test_calls_run_at_the_same_time(self, pool: Any, gate: Gate) -> None:
        waiting = pool.apply_async(wait_at, (gate,))
        assert pool.apply(square, (3,)) == 9
        gate.open()
        assert waiting.get(LIMIT_S) == "passed"

    @pytest.mark.differs("Ray gives every second call to the process that is busy")
    def test_a_call_goes_to_the_process_with_the_fewest_calls(self, pool: Any, gate: Gate) -> None:
        waiting = pool.apply_async(wait_at, (gate,))
        assert [pool.apply(square, (x,)) for x in range(4)] == [0, 1, 4, 9]
        gate.open()
        assert waiting.get(LIMIT_S) == "passed"

    def test_an_exception_is_raised_with_its_own_class(self, pool: Any) -> None:
        for call in (lambda: pool.apply(refuse_two, (2,)), lambda: pool.map(refuse_two, range(5))):
            with pytest.raises(KeyError, match="two") as caught:
                call()
            assert type(caught.value) is KeyError

    @pytest.mark.differs("Ray's exceptions have no cause")
    def test_the_cause_of_an_exception_has_the_traceback(self, pool: Any) -> None:
        with pytest.raises(KeyError, match="two") as caught:
            pool.apply(refuse_two, (2,))
        text = str(caught.value.__cause__)
        assert 'raise KeyError("two")' in text
        assert "pool_actor.py" not in text

    def test_a_result_that_cannot_be_pickled_is_an_error(self, pool: Any) -> None:
        with pytest.raises(TypeError, match="generator"):
            pool.apply(unpicklable)
        assert pool.apply(square, (3,)) == 9

    @pytest.mark.differs("in Ray it is an AssertionError without a text, or a ZeroDivisionError")
    def test_a_size_below_one_is_refused(self, pool: Any) -> None:
        for method in (pool.map, pool.starmap, pool.imap, pool.imap_unordered):
            with pytest.raises(ValueError, match=r"1\+"):
                method(square, [], chunksize=0)


class TestAsyncResult:
    def test_it_tells_its_state(self, pool: Any, pools: Any, gate: Gate) -> None:
        result = pool.apply_async(wait_at, (gate,))
        assert not result.ready()
        result.wait(0.01)
        with pytest.raises(ValueError, match="not ready"):
            result.successful()
        with pytest.raises(pools.TimeoutError):
            result.get(timeout=0.01)
        gate.open()
        assert result.get(LIMIT_S) == "passed"
        assert (result.ready(), result.successful(), result.get(0)) == (True, True, "passed")

    def test_an_exception_is_no_success(self, pool: Any) -> None:
        result = pool.map_async(refuse_two, range(5))
        result.wait(LIMIT_S)
        assert (result.ready(), result.successful()) == (True, False)

    def test_the_timeout_is_the_standard_one(self, pools: Any) -> None:
        assert pools.TimeoutError is multiprocessing.TimeoutError

    def test_callbacks_get_the_value(self, pool: Any) -> None:
        got: list[Any] = []
        called = threading.Semaphore(0)

        def note(value: Any) -> None:
            got.append(value)
            called.release()

        calls = [
            lambda: pool.apply_async(square, (3,), callback=note, error_callback=note),
            lambda: pool.map_async(square, [2, 2], callback=note),
            lambda: pool.starmap_async(pow, [(2, 3)], callback=note),
        ]
        for call in calls:
            call()
            assert called.acquire(timeout=LIMIT_S)
        assert got == [9, [4, 4], [8]]

    @pytest.mark.differs("Ray gives it an object that holds the exception")
    def test_error_callbacks_get_the_exception(self, pool: Any) -> None:
        values: list[Any] = []
        errors: list[Any] = []
        for result in (
            pool.apply_async(refuse_two, (2,), callback=values.append, error_callback=errors.append),
            pool.map_async(refuse_two, range(5), callback=values.append, error_callback=errors.append),
        ):
            result.wait(LIMIT_S)
        assert (values, [type(error) for error in errors]) == ([], [KeyError, KeyError])

    def test_a_result_is_ready_after_its_callback(self, pool: Any) -> None:
        may_go_on = threading.Event()
        result = pool.apply_async(square, (3,), callback=lambda _: may_go_on.wait(LIMIT_S))
        with pytest.raises(multiprocessing.TimeoutError, match=r"no result after|^$"):
            result.get(0.05)
        may_go_on.set()
        assert result.get(LIMIT_S) == 9

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_an_error_of_a_callback_holds_up_no_other(self, pool: Any) -> None:
        first = pool.apply_async(square, (3,), callback=lambda value: value / 0)
        second: list[int] = []
        pool.apply_async(square, (4,), callback=second.append).wait(LIMIT_S)
        assert (first.get(LIMIT_S), second) == (9, [16])

    def test_join_waits_for_callbacks(self, pool: Any) -> None:
        got: list[int] = []
        for x in range(20):
            pool.apply_async(square, (x,), callback=got.append)
        pool.close()
        pool.join()
        if "nbactors" in type(pool).__module__:  # Ray's join does not wait for them
            assert sorted(got) == [x * x for x in range(20)]


class TestIMap:
    @pytest.mark.parametrize("size", [1, 3, 100])
    def test_it_yields_all_in_order(self, pool: Any, size: int) -> None:
        assert list(pool.imap(square, iter(range(20)), chunksize=size)) == [x * x for x in range(20)]

    @pytest.mark.parametrize("size", [1, 3, 100])
    def test_unordered_yields_all(self, pool: Any, size: int) -> None:
        assert sorted(pool.imap_unordered(square, iter(range(20)), chunksize=size)) == [x * x for x in range(20)]

    def test_unordered_yields_what_is_ready(self, pool: Any, gate: Gate) -> None:
        results = pool.imap_unordered(partial(wait_if_first, gate=gate), range(2))
        assert next(results) == 1
        gate.open()
        assert list(results) == [0]

    def test_next_takes_a_timeout(self, pool: Any, pools: Any, gate: Gate) -> None:
        for method in (pool.imap, pool.imap_unordered):
            results = method(wait_at, [gate])
            with pytest.raises(pools.TimeoutError):
                results.next(timeout=0.01)
        gate.open()
        assert results.next(timeout=LIMIT_S) == "passed"
        assert list(results) == []

    def test_the_iterable_may_be_endless(self, pool: Any) -> None:
        for method in (pool.imap, pool.imap_unordered):
            assert len(list(itertools.islice(method(square, itertools.count()), 20))) == 20

    @pytest.mark.differs("Ray yields the exception, or an object that holds it")
    def test_an_exception_is_raised_in_its_place(self, pool: Any) -> None:
        results = pool.imap(refuse_two, range(4), chunksize=2)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(KeyError, match="two"):
            next(results)
        assert list(results) == [3]

    @pytest.mark.differs("Ray raises it where it takes the item, and then waits without an end")
    @pytest.mark.parametrize(("size", "count"), [(1, 5), (2, 4), (4, 4)])
    def test_an_exception_of_the_iterable_ends_the_results(self, pool: Any, size: int, count: int) -> None:
        results = pool.imap(square, failing_after(5), chunksize=size)
        assert [next(results) for _ in range(count)] == [x * x for x in range(count)]
        with pytest.raises(LookupError, match="no more items"):
            next(results)
        assert list(results) == []

    @pytest.mark.differs("Ray loses the results of calls that it has not submitted")
    def test_results_can_be_read_after_close(self, pool: Any) -> None:
        ordered, unordered = pool.imap(square, range(50)), pool.imap_unordered(square, iter(range(50)))
        pool.close()
        assert list(ordered) == sorted(unordered) == [x * x for x in range(50)]
        pool.join()

    def test_what_is_not_iterable_is_refused(self, pool: Any) -> None:
        for method in (pool.map, pool.imap):
            with pytest.raises(TypeError, match="not iterable"):
                method(square, 5)


class TestProcesses:
    def test_there_are_as_many_as_the_session_has_cpus(self, make: Callable[..., Any], tmp_path: Any) -> None:
        gate = Gate.closed(str(tmp_path / "all"))
        pool = make()
        waiting = [pool.apply_async(_pid_after, (gate,)) for _ in range(4)]
        gate.open()
        assert len({result.get(LIMIT_S) for result in waiting}) == 4

    def test_an_initializer_runs_first_in_each(self, make: Callable[..., Any], journal: Journal) -> None:
        pool = make(2, initializer=journal.note, initargs=("started",))
        pool.map(square, range(4), chunksize=1)
        assert journal.lines() == ["started"] * 2

    def test_a_failed_initializer_fails_the_calls(self, ray: Any, make: Callable[..., Any]) -> None:
        with pytest.raises(ray.exceptions.RayActorError, match="two"):
            make(1, initializer=refuse_two, initargs=[2]).apply(square, (3,))

    def test_a_process_is_replaced_after_its_tasks(self, make: Callable[..., Any]) -> None:
        pool = make(2, maxtasksperchild=2)
        results = [pool.apply_async(os.getpid) for _ in range(8)]
        assert max(Counted(result.get(LIMIT_S) for result in results).values()) <= 2

    @pytest.mark.differs("Ray's pool stays without the process")
    def test_a_process_that_has_crashed_is_replaced(self, ray: Any, pool: Any) -> None:
        for _ in range(2):
            with pytest.raises(ray.exceptions.RayActorError, match="dead"):
                pool.apply(os._exit, (1,))
        assert pool.map(square, range(10)) == [x * x for x in range(10)]

    def test_options_of_the_actors_hold(self, ray: Any, make: Callable[..., Any], name: str) -> None:
        pool = make(1, ray_remote_args={"name": name, "num_cpus": 1})
        assert pool.apply(square, (3,)) == 9
        assert ray.get_actor(name)

    @pytest.mark.one_node("5 CPUs are more than it has")
    def test_more_cpus_than_there_are_are_refused(self, make: Callable[..., Any]) -> None:
        with pytest.raises(ValueError, match="CPUs"):
            make(5, ray_remote_args={"num_cpus": 1})

    @pytest.mark.differs("Ray refuses more processes than CPUs")
    def test_there_may_be_more_processes_than_cpus(self, make: Callable[..., Any]) -> None:
        assert make(6).map(square, range(6)) == [0, 1, 4, 9, 16, 25]

    @pytest.mark.parametrize("count", [0, -1])
    def test_fewer_than_one_is_refused(self, make: Callable[..., Any], count: int) -> None:
        with pytest.raises(ValueError, match=">0"):
            make(count)

    @pytest.mark.differs("Ray refuses it with another error, or takes it")
    def test_wrong_options_are_refused(self, make: Callable[..., Any]) -> None:
        with pytest.raises(TypeError, match="must be an int"):
            make("2")
        with pytest.raises(TypeError, match="callable"):
            make(1, initializer=5)
        for value in (0, -1, 0.5, "12"):
            with pytest.raises(ValueError, match="positive int"):
                make(1, maxtasksperchild=value)
        with pytest.warns(UserWarning, match="context"):
            make(1, context=multiprocessing.get_context("spawn"))


def _pid_after(gate: Gate) -> int:
    gate.wait()
    return os.getpid()


class TestEnds:
    def test_a_closed_pool_finishes_its_calls(self, pool: Any, gate: Gate) -> None:
        results = [pool.apply_async(wait_at, (gate,)) for _ in range(4)]
        pool.close()
        pool.close()
        for method in (pool.apply_async, pool.map, pool.imap):
            with pytest.raises(ValueError, match="not running"):
                method(square, [3])
        gate.open()
        pool.join()
        assert [result.get(0) for result in results] == ["passed"] * 4

    def test_join_of_a_running_pool_is_refused(self, pool: Any) -> None:
        with pytest.raises(ValueError, match="still running"):
            pool.join()

    def test_terminate_ends_calls(self, ray: Any, pool: Any, gate: Gate) -> None:
        result = pool.apply_async(wait_at, (gate,))
        pool.terminate()
        pool.terminate()
        pool.join()
        with pytest.raises(ray.exceptions.RayActorError, match=r"dead|died"):
            result.get(LIMIT_S)

    def test_a_with_block_terminates(self, make: Callable[..., Any]) -> None:
        with make(1) as pool:
            assert pool.apply(square, (3,)) == 9
        with pytest.raises(ValueError, match="not running"), pool:
            pass
        pool.join()

    @pytest.mark.differs("Ray's own pickle takes it")
    def test_a_pool_cannot_be_pickled(self, pool: Any) -> None:
        with pytest.raises(NotImplementedError, match="cannot be passed"):
            pickle.dumps(pool)

    def test_processes_end_with_the_last_reference(self, ray: Any, pools: Any, eventually: Callable[..., Any]) -> None:
        pool = pools.Pool(1)
        pid = pool.apply(os.getpid)
        del pool
        eventually(lambda: not is_running(pid))
        assert not is_running(pid)

    def test_a_task_can_have_a_pool(self, ray: Any, pools: Any) -> None:
        @ray.remote
        def run() -> Any:
            with pools.Pool(2) as pool:
                return pool.map(square, range(3))

        assert ray.get(run.remote()) == [0, 1, 4]

    def test_a_pool_starts_the_runtime(self, fresh: Any, pools: Any, engine: str) -> None:
        if engine == "ray":
            fresh.init(num_cpus=2, include_dashboard=False)
        with pools.Pool(2) as pool:
            assert pool.map(square, range(3)) == [0, 1, 4]
        assert fresh.is_initialized()
