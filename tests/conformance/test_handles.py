"""Handles: passed around, compared, and what their going means."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any

import pytest

from conformance.subjects import Counter, Echo, Gate, Keeper, Mortal, echo, is_running


def test_a_handle_tells_the_id_of_its_actor(ray: Any) -> None:
    counter, other = ray.remote(Counter).remote(), ray.remote(Counter).remote()
    assert isinstance(counter._actor_id, ray.ActorID)
    assert counter._actor_id == counter._ray_actor_id == ray.ActorID.from_hex(counter._actor_id.hex())
    assert counter._actor_id != other._actor_id
    copied = ray.get(ray.remote(echo).remote({"handle": counter}))["handle"]
    assert copied._actor_id.binary() == counter._actor_id.binary()


class TestPassing:
    def test_tasks_can_call_a_passed_handle(self, ray: Any) -> None:
        @ray.remote
        def add(counter: Any) -> None:
            ray.get([counter.increment.remote() for _ in range(10)])

        counter = ray.remote(Counter).remote()
        ray.get([add.remote(counter) for _ in range(3)])
        assert ray.get(counter.get_counter.remote()) == 30

    def test_an_actor_can_keep_a_handle_inside_a_value(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote()
        keeper = ray.remote(Keeper).remote({"counters": [counter]})

        @ray.remote
        def use(kept: Any) -> int:
            return int(ray.get(kept["counters"][0].increment.remote()))

        assert ray.get(use.remote(keeper.give.remote())) == 1
        assert ray.get(counter.get_counter.remote()) == 1

    def test_a_task_can_return_a_handle(self, ray: Any) -> None:
        counter_class = ray.remote(Counter)

        @ray.remote
        def make() -> Any:
            return counter_class.remote(5)

        counter = ray.get(make.remote())
        # The maker has no handle any more: the one here keeps it alive.
        assert ray.get([counter.increment.remote(), counter.increment.remote()]) == [6, 7]

    def test_a_put_value_can_contain_a_handle(self, ray: Any) -> None:
        ref = ray.put([ray.remote(Counter).remote(5)])
        gc.collect()
        (counter,) = ray.get(ref)
        assert ray.get(counter.increment.remote()) == 6

    def test_a_closure_can_contain_a_handle(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote()

        @ray.remote
        def use() -> int:
            return int(ray.get(counter.increment.remote()))

        assert ray.get(use.remote()) == 1

    def test_a_handle_can_be_passed_through_actors(self, ray: Any) -> None:
        first, second = ray.remote(Keeper).remote(), ray.remote(Keeper).remote()
        ray.get(first.keep.remote([ray.remote(Counter).remote(5)]))
        ray.get(second.keep.remote(first.give.remote()))
        ray.get(first.drop.remote())
        (counter,) = ray.get(second.give.remote())
        assert ray.get(counter.increment.remote()) == 6

    def test_a_handle_can_be_passed_before_its_actor_is_ready(self, ray: Any, gate: Gate) -> None:
        @ray.remote
        class Slow:
            def __init__(self, gate: Gate) -> None:
                gate.wait()

            def ping(self) -> str:
                return "pong"

        slow = Slow.remote(gate)

        @ray.remote
        def call(handle: Any) -> str:
            return str(ray.get(handle.ping.remote()))

        called = call.remote(slow)
        gate.open()
        assert ray.get(called) == "pong"

    def test_a_passed_handle_knows_the_options_of_methods(self, ray: Any) -> None:
        @ray.remote
        class Pairs:
            @ray.method(num_returns=2)
            def pair(self) -> tuple[int, int]:
                return 1, 2

        @ray.remote
        def use(pairs: Any) -> Any:
            return ray.get(list(pairs.pair.remote()))

        assert ray.get(use.remote(Pairs.remote())) == [1, 2]


class TestIdentity:
    def test_handles_are_equal_after_any_round_trip(self, ray: Any, name: str) -> None:
        counter = ray.remote(Counter).options(name=name).remote()
        others = [
            ray.get(ray.put(counter)),
            ray.get(ray.remote(echo).remote(counter)),
            ray.get(ray.remote(echo).remote([counter]))[0],
            ray.get_actor(name),
            copy.copy(counter),
            copy.deepcopy(counter),
        ]
        assert all(other == counter for other in others)
        assert {hash(other) for other in others} == {hash(counter)}

    def test_handles_to_different_actors_differ(self, ray: Any) -> None:
        actor_class = ray.remote(Counter)
        first, second = actor_class.remote(), actor_class.remote()
        assert first != second
        assert first != 3
        assert len({first, second}) == 2

    def test_the_text_of_a_handle_shows_class_and_id(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote()
        assert repr(counter).startswith("Actor(Counter, ")
        assert str(counter) == repr(counter)

    def test_a_handle_is_an_actor_handle(self, ray: Any) -> None:
        assert isinstance(ray.remote(Counter).remote(), ray.actor.ActorHandle)

    def test_dir_lists_the_methods(self, ray: Any) -> None:
        assert {"increment", "add", "get_counter"} <= set(dir(ray.remote(Counter).remote()))

    def test_a_handle_can_be_pickled_by_hand_within_a_session(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote()
        assert pickle.loads(pickle.dumps(counter)) == counter


class TestLifetime:
    def test_a_call_finishes_although_its_handle_is_gone(self, ray: Any) -> None:
        assert ray.get(ray.remote(Echo).remote().echo.remote("done")) == "done"

    def test_every_earlier_call_finishes_after_the_handle_is_gone(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote()
        refs = [counter.increment.remote() for _ in range(20)]
        del counter
        assert ray.get(refs) == list(range(1, 21))

    def test_the_process_ends_with_the_last_handle(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(Echo).remote()
        pid = ray.get(actor.pid.remote())
        del actor
        eventually(lambda: not is_running(pid))

    def test_a_copy_of_a_handle_keeps_the_actor(self, ray: Any) -> None:
        actor = ray.remote(Counter).remote()
        another = copy.copy(actor)
        del actor
        assert ray.get(another.increment.remote()) == 1

    def test_a_bound_method_keeps_the_actor(self, ray: Any) -> None:
        increment = ray.remote(Counter).remote().increment
        gc.collect()
        assert ray.get(increment.remote()) == 1

    def test_a_reference_to_a_result_does_not_keep_the_actor(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(Echo).remote()
        ref = actor.pid.remote()
        pid = ray.get(ref)
        del actor
        eventually(lambda: not is_running(pid))
        assert ray.get(ref) == pid

    def test_a_collected_cycle_ends_the_actor(self, ray: Any, eventually: Any) -> None:
        cycle: dict[str, Any] = {"actor": ray.remote(Echo).remote()}
        cycle["self"] = cycle
        pid = ray.get(cycle["actor"].pid.remote())
        del cycle
        gc.collect()
        eventually(lambda: not is_running(pid))

    def test_a_queued_task_keeps_the_actor(self, ray: Any, gate: Gate, eventually: Any) -> None:
        slow = ray.remote(Echo).remote().wait.remote(gate)
        actor = ray.remote(Echo).remote()
        pid = ray.get(actor.pid.remote())

        @ray.remote
        def use(actor: Any, after: Any) -> str:
            return str(ray.get(actor.echo.remote("used")))

        used = use.remote(actor, slow)
        del actor
        gc.collect()
        gate.open()
        assert ray.get(used) == "used"
        eventually(lambda: not is_running(pid))

    def test_a_put_value_keeps_the_actor_until_it_is_freed(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(Echo).remote()
        pid = ray.get(actor.pid.remote())
        ref = ray.put([actor])
        del actor
        gc.collect()
        assert ray.get(ray.get(ref)[0].echo.remote(1)) == 1
        del ref
        gc.collect()
        eventually(lambda: not is_running(pid))

    def test_another_actor_keeps_the_actor_until_it_drops_the_handle(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(Echo).remote()
        pid = ray.get(actor.pid.remote())
        keeper = ray.remote(Keeper).remote(actor)
        ray.get(keeper.__ray_ready__.remote())
        del actor
        gc.collect()
        assert is_running(pid)
        ray.get(keeper.drop.remote())
        eventually(lambda: not is_running(pid))

    def test_the_kill_of_the_keeping_actor_ends_the_actor(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(Echo).remote()
        pid = ray.get(actor.pid.remote())
        keeper = ray.remote(Keeper).remote(actor)
        ray.get(keeper.__ray_ready__.remote())
        del actor
        gc.collect()
        ray.kill(keeper)
        eventually(lambda: not is_running(pid))

    def test_a_queued_call_of_the_actor_itself_is_run_before_the_end(
        self, ray: Any, gate: Gate, journal: Any, eventually: Any
    ) -> None:
        actor = ray.remote(Mortal).remote(journal)
        actor.wait.remote(gate, "first")
        actor.note.remote("second")
        del actor
        gc.collect()
        gate.open()
        eventually(lambda: journal.lines() == ["waiting", "first", "second", "shutdown", "atexit"])


def test_a_weak_name_does_not_keep_an_actor(ray: Any, name: str, eventually: Any) -> None:
    actor = ray.remote(Echo).options(name=name).remote()
    pid = ray.get(actor.pid.remote())
    del actor
    eventually(lambda: not is_running(pid))
    with pytest.raises(ValueError, match="Failed to look up actor with name"):
        ray.get_actor(name)


@pytest.mark.slow
def test_a_handle_can_be_used_elsewhere_before_its_actor_exists(ray: Any) -> None:
    """The calls of others may arrive before the class and the constructor's arguments do."""

    @ray.remote
    class Caller:
        def call(self, other: Any) -> Any:
            return ray.get([other.get_counter.remote() for _ in range(5)])

    callers = [Caller.remote() for _ in range(3)]
    ray.get([caller.__ray_ready__.remote() for caller in callers])
    for value in range(15):
        counter = ray.remote(Counter).options(num_cpus=0).remote(value)
        assert ray.get([caller.call.remote(counter) for caller in callers]) == [[value] * 5] * 3
