"""`util.ActorPool`: calls of a list of values, shared among actors."""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from conformance.subjects import Counter, Echo, Gate, Journal, Mortal


def echo(actor: Any, value: Any) -> Any:
    return actor.echo.remote(value)


def fail(actor: Any, value: Any) -> Any:
    return actor.fail.remote(str(value))


def wait(actor: Any, gate: Gate) -> Any:
    return actor.wait.remote(gate)


@pytest.fixture
def actors(ray: Any) -> list[Any]:
    return [ray.remote(Echo).remote() for _ in range(2)]


@pytest.fixture
def pool(ray: Any, actors: list[Any]) -> Any:
    return ray.util.ActorPool(actors)


@pytest.fixture
def one(ray: Any, actors: list[Any]) -> Any:
    """A pool of one actor."""
    return ray.util.ActorPool(actors[:1])


class TestMap:
    def test_the_example_of_the_reference_page(self, ray: Any) -> None:
        @ray.remote
        class Actor:
            def double(self, v: int) -> int:
                return 2 * v

        pool = ray.util.ActorPool([Actor.remote(), Actor.remote()])
        assert list(pool.map(lambda a, v: a.double.remote(v), [1, 2, 3, 4])) == [2, 4, 6, 8]

    def test_the_results_come_in_order_of_the_values(self, pool: Any) -> None:
        assert list(pool.map(echo, range(20))) == list(range(20))

    def test_unordered_results_are_all_there(self, pool: Any) -> None:
        assert sorted(pool.map_unordered(echo, range(20))) == list(range(20))

    def test_unordered_results_come_when_they_are_ready(self, pool: Any, gate: Gate) -> None:
        def call(actor: Any, value: Any) -> Any:
            return actor.wait.remote(gate) if value == "slow" else actor.echo.remote(value)

        results = pool.map_unordered(call, ["slow", 1, 2, 3])
        assert {next(results) for _ in range(3)} == {1, 2, 3}
        gate.open()
        assert list(results) == ["passed"]

    def test_an_actor_has_one_call_at_a_time(self, ray: Any) -> None:
        pool = ray.util.ActorPool([ray.remote(Counter).remote()])
        seen = []

        def call(actor: Any, value: int) -> Any:
            seen.append(value)
            return actor.increment.remote()

        results = pool.map(call, range(4))
        assert [(result, len(seen)) for result in results] == [(1, 2), (2, 3), (3, 4), (4, 4)]

    def test_no_values_have_no_results(self, pool: Any) -> None:
        assert list(pool.map(echo, [])) == list(pool.map_unordered(echo, [])) == []

    @pytest.mark.parametrize("again", ["map", "map_unordered"])
    def test_unread_results_are_dropped_by_the_next_map(self, pool: Any, again: str) -> None:
        pool.submit(echo, "old")
        pool.map(echo, range(5))
        assert sorted(getattr(pool, again)(echo, [7, 8])) == [7, 8]

    @pytest.mark.differs("on Ray map raises the error of an earlier call that nobody has read")
    @pytest.mark.parametrize("again", ["map", "map_unordered"])
    def test_unread_errors_are_dropped_by_the_next_map(self, ray: Any, pool: Any, again: str) -> None:
        for value in range(4):
            pool.submit(fail, value)
        assert sorted(getattr(pool, again)(echo, [7, 8])) == [7, 8]

    def test_an_error_ends_the_iteration_and_the_pool_goes_on(self, ray: Any, one: Any) -> None:
        results = one.map(fail, [1, 2])
        with pytest.raises(ValueError, match="1"):
            next(results)
        with pytest.raises(ValueError, match="2"):
            one.get_next()
        assert list(one.map(echo, [3, 4])) == [3, 4]

    def test_a_call_may_return_a_list_of_references(self, pool: Any) -> None:
        def twice(actor: Any, value: int) -> Any:
            return [actor.echo.remote(value), actor.echo.remote(-value)]

        assert list(pool.map(twice, [1, 2, 3])) == [[1, -1], [2, -2], [3, -3]]

    @pytest.mark.differs("on Ray wait takes no list of references")
    def test_lists_of_references_come_unordered(self, pool: Any, gate: Gate) -> None:
        def twice(actor: Any, value: int) -> Any:
            return [actor.echo.remote(value), actor.echo.remote() if value else actor.wait.remote(gate)]

        results = pool.map_unordered(twice, [0, 1, 2])
        assert [next(results), next(results)] == [[1, None], [2, None]]
        with pytest.raises(TimeoutError, match="Timed out waiting for result"):
            pool.get_next_unordered(timeout=0.01)
        gate.open()
        assert list(results) == [[0, "passed"]]


class TestSubmit:
    def test_results_are_read_in_order(self, pool: Any) -> None:
        for value in range(5):
            pool.submit(echo, value)
        assert [pool.get_next() for _ in range(5)] == list(range(5))
        assert not pool.has_next()

    @pytest.mark.parametrize("read", ["get_next", "get_next_unordered"])
    def test_nothing_left_is_a_stop_of_the_iteration(self, pool: Any, read: str) -> None:
        with pytest.raises(StopIteration, match="No more results to get"):
            getattr(pool, read)()

    def test_get_next_after_a_later_result_is_refused(self, pool: Any, gate: Gate) -> None:
        pool.submit(wait, gate)
        pool.submit(echo, 2)
        assert pool.get_next_unordered() == 2
        with pytest.raises(ValueError, match=r"It is not allowed to call get_next\(\) after get_next_unordered"):
            pool.get_next()
        gate.open()
        assert pool.get_next_unordered() == "passed"

    def test_free_actors(self, one: Any, actors: list[Any]) -> None:
        assert one.has_free()
        one.submit(echo, 1)
        assert not one.has_free()
        assert one.pop_idle() is None
        assert one.get_next() == 1
        assert one.pop_idle() == actors[0]
        assert not one.has_free()

    def test_a_pushed_actor_takes_the_value_that_waits(self, ray: Any, one: Any, actors: list[Any], gate: Gate) -> None:
        one.submit(wait, gate)
        one.submit(echo, 2)
        one.push(actors[1])
        assert one.get_next_unordered(timeout=30) == 2
        gate.open()
        assert one.get_next_unordered() == "passed"

    @pytest.mark.parametrize("is_busy", [False, True])
    def test_an_actor_is_pushed_once(self, one: Any, actors: list[Any], is_busy: bool) -> None:
        if is_busy:
            one.submit(echo, 1)
        with pytest.raises(ValueError, match="Actor already belongs to current ActorPool"):
            one.push(actors[0])


class TestTimeouts:
    @pytest.mark.parametrize("read", ["get_next", "get_next_unordered"])
    def test_a_result_that_is_late_can_be_read_later(self, one: Any, gate: Gate, read: str) -> None:
        one.submit(wait, gate)
        with pytest.raises(TimeoutError, match=r"Timed out waiting for result$"):
            getattr(one, read)(timeout=0.01)
        assert one.has_next()
        gate.open()
        assert getattr(one, read)(timeout=30) == "passed"

    def test_an_ignored_result_is_given_up(self, one: Any, gate: Gate) -> None:
        one.submit(wait, gate)
        with pytest.raises(TimeoutError, match=r"Timed out waiting for result. The task .* has been ignored."):
            one.get_next(timeout=0.01, ignore_if_timedout=True)
        assert not one.has_next()
        assert one.has_free()
        gate.open()
        assert list(one.map(echo, [1])) == [1]

    @pytest.mark.differs("on Ray this is an UnboundLocalError")
    def test_of_unordered_results_the_oldest_is_given_up(self, pool: Any, gate: Gate) -> None:
        pool.submit(wait, gate)
        pool.submit(lambda actor, value: actor.all.remote(value, actor.wait.remote(gate)), "second")
        with pytest.raises(TimeoutError, match=r"The task .* has been ignored."):
            pool.get_next_unordered(timeout=0.01, ignore_if_timedout=True)
        gate.open()
        assert pool.get_next_unordered() == (("second", "passed"), {})
        assert not pool.has_next()


class TestFailures:
    @pytest.mark.parametrize("read", ["get_next", "get_next_unordered"])
    def test_a_failed_call_leaves_its_actor_in_the_pool(self, one: Any, read: str) -> None:
        one.submit(fail, "broken")
        one.submit(echo, 2)
        with pytest.raises(ValueError, match="broken"):
            getattr(one, read)()
        assert getattr(one, read)() == 2
        assert one.has_free()

    @pytest.mark.differs("on Ray the actor is lost")
    def test_a_function_that_fails_leaves_its_actor_in_the_pool(self, one: Any) -> None:
        with pytest.raises(AttributeError, match="no_such"):
            one.submit(lambda actor, value: actor.no_such.remote(), 1)
        assert one.has_free()
        assert list(one.map(echo, [1])) == [1]

    @pytest.mark.differs("on Ray the error comes with an earlier value, whose result is lost")
    def test_a_function_that_fails_later_does_so_at_its_value(self, one: Any) -> None:
        def call(actor: Any, value: Any) -> Any:
            if value == "bad":
                raise KeyError(value)
            return actor.echo.remote(value)

        for value in (1, "bad", "bad", 2):
            one.submit(call, value)
        assert one.get_next() == 1
        for _ in range(2):
            with pytest.raises(KeyError, match="bad"):
                one.get_next()
        assert one.get_next() == 2
        assert one.has_free()

    @pytest.mark.differs("on Ray the result is lost")
    @pytest.mark.parametrize("read", ["get_next", "get_next_unordered"])
    def test_an_interrupted_wait_loses_no_result(
        self, ray: Any, gate: Gate, journal: Journal, started: Callable[[str], None], read: str
    ) -> None:
        def interrupt() -> None:
            started("waiting")
            os.kill(os.getpid(), signal.SIGINT)

        pool = ray.util.ActorPool([ray.remote(Mortal).remote(journal)])
        pool.submit(lambda actor, gate: actor.wait.remote(gate), gate)
        thread = threading.Thread(target=interrupt)
        with pytest.raises(KeyboardInterrupt, match="waited for 1 call"):
            thread.start()
            getattr(pool, read)()
        thread.join()
        gate.open()
        assert getattr(pool, read)() == "passed"
        assert pool.has_free()

    def test_a_dead_actor_leaves_the_pool(self, ray: Any, actors: list[Any]) -> None:
        pool = ray.util.ActorPool(actors)
        ray.kill(actors[0])
        values = list(range(6))
        for value in values:
            pool.submit(echo, value)
        results, errors = [], 0
        while pool.has_next():
            try:
                results.append(pool.get_next())
            except ray.exceptions.ActorDiedError:
                errors += 1
        assert errors == 1
        assert len(results) == 5
        assert pool.pop_idle() == actors[1]
        assert pool.pop_idle() is None

    def test_an_actor_that_dies_during_its_call(self, ray: Any, journal: Journal) -> None:
        pool = ray.util.ActorPool([ray.remote(Mortal).remote(journal) for _ in range(2)])
        pool.submit(lambda actor, value: actor.exit_process.remote(value), 1)
        pool.submit(lambda actor, value: actor.note.remote(value), "alive")
        with pytest.raises(ray.exceptions.ActorDiedError, match="Mortal"):
            pool.get_next()
        assert pool.get_next() == "alive"
        assert list(pool.map(lambda actor, value: actor.note.remote(value), ["a", "b"])) == ["a", "b"]


def test_the_name_is_also_in_its_module(module_name: str) -> None:
    module = importlib.import_module(f"{module_name}.util.actor_pool")
    assert module.ActorPool is importlib.import_module(f"{module_name}.util").ActorPool
