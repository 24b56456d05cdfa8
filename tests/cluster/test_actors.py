"""Actors on a Ray cluster: calls, errors, generators, names, nesting."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.subjects import counter


@pytest.fixture
def actor(ray: Any) -> Any:
    return ray.remote(counter()).remote(5)


def test_calls_keep_their_order_and_the_state(ray: Any, actor: Any) -> None:
    refs = [actor.add.remote() for _ in range(20)]
    assert ray.get(refs) == list(range(6, 26))
    assert ray.get(actor.add.remote(2, times=3)) == 31


def test_a_reference_is_replaced_by_its_value_and_one_inside_a_list_is_not(ray: Any, actor: Any) -> None:
    ref = ray.put(10)
    assert ray.get(actor.add.remote(ref)) == 15

    @ray.remote
    def kind(values: list[Any]) -> tuple[str, int]:
        return type(values[0]).__module__, ray.get(values[0])

    assert ray.get(kind.remote([ref])) == ("nbactors.object_ref", 10)


def test_an_error_is_of_the_users_type_and_shows_the_users_frames_only(ray: Any, actor: Any) -> None:
    with pytest.raises(ValueError, match="no") as caught:
        ray.get(actor.fail.remote())
    text = str(caught.value)
    assert isinstance(caught.value, ray.exceptions.RayTaskError)
    assert text.startswith("ray::Counter.fail() (pid=")
    assert text.count("File ") == 1


def test_the_error_of_a_constructor_is_that_of_its_calls(ray: Any) -> None:
    @ray.remote
    class Broken:
        def __init__(self) -> None:
            raise KeyError("gone")

        def get(self) -> None:
            pass

    with pytest.raises(ray.exceptions.ActorDiedError, match="KeyError: 'gone'"):
        ray.get(Broken.remote().get.remote())


def test_a_generator_streams(ray: Any, actor: Any) -> None:
    assert [ray.get(ref) for ref in actor.count_to.remote(3)] == [0, 1, 2]
    assert ray.get(actor.count_to.options(num_returns=2).remote(2)) == [0, 1]


def test_a_named_actor_is_found_again_with_its_methods(ray: Any) -> None:
    kept = ray.remote(counter()).options(name="found").remote()
    found = ray.get_actor("found")
    assert ray.get(found.add.remote(times=2)) == 2
    assert found == kept
    with pytest.raises(AttributeError, match="has no attribute 'ad'"):
        found.ad.remote()


def test_user_code_in_a_worker_uses_nbactors(ray: Any, actor: Any) -> None:
    @ray.remote
    class Caller:
        def call(self, handle: Any) -> tuple[int, bool]:
            import nbactors

            return nbactors.get(handle.add.remote()), nbactors.get_runtime_context().current_actor is not None

    assert ray.get(Caller.remote().call.remote(actor)) == (6, True)


def test_an_asyncio_actor_runs_calls_at_the_same_time(ray: Any) -> None:
    @ray.remote
    class Meeting:
        def __init__(self) -> None:
            import asyncio

            self.count = 0
            self.all = asyncio.Event()

        async def join(self) -> int:
            self.count += 1
            if self.count == 3:
                self.all.set()
            await self.all.wait()
            return self.count

    meeting = Meeting.remote()
    assert ray.get([meeting.join.remote() for _ in range(3)], timeout=30) == [3, 3, 3]


def test_a_living_actor_gets_a_changed_class_and_keeps_its_state(ray: Any) -> None:
    @ray.remote
    class Counter:
        def __init__(self) -> None:
            self.value = 1

        def get(self) -> int:
            return self.value

    changed = Counter
    actor = Counter.remote()
    assert ray.get(actor.get.remote()) == 1

    @ray.remote
    class Counter:
        def get(self) -> int:
            return self.value * 100

        def more(self) -> str:
            return "more"

    from nbactors.upkeep import living

    assert actor in living(changed)
    ray.update(actor, Counter)
    assert ray.get([actor.get.remote(), actor.more.remote()], timeout=60) == [100, "more"]


def test_calls_that_have_ended_leave_nothing_in_their_worker(ray: Any) -> None:
    @ray.remote
    def one() -> int:
        return 1

    @ray.remote
    class Caller:
        def call(self) -> int:
            return int(ray.get(one.remote()))

        def kept(self) -> int:
            from nbactors import engine

            return len(engine.current().calls._things())

    caller = Caller.remote()
    assert ray.get([caller.call.remote() for _ in range(3)], timeout=60) == [1, 1, 1]
    assert ray.get(caller.kept.remote(), timeout=60) == 0


def test_a_dead_actor_says_so(ray: Any, actor: Any) -> None:
    assert ray.get(actor.add.remote()) == 6
    ray.kill(actor)
    with pytest.raises(ray.exceptions.ActorDiedError, match="dead"):
        ray.get(actor.add.remote(), timeout=30)


def test_a_generator_that_is_sent_is_refused_with_what_to_do(ray: Any, actor: Any) -> None:
    with pytest.raises(TypeError, match=r"^the ObjectRefGenerator \w+ cannot be sent .*Send the references"):
        actor.add.remote(actor.count_to.remote(3))


def test_sys_exit_ends_an_actor_with_an_event_loop(ray: Any) -> None:
    @ray.remote
    class Leaver:
        async def leave(self) -> None:
            raise SystemExit(3)

    leaver = Leaver.remote()
    for _ in range(2):
        with pytest.raises(ray.exceptions.ActorDiedError, match=r"died|dead"):
            ray.get(leaver.leave.remote(), timeout=30)
