"""Weak handles: those of `get_actor` and `current_actor`, and copies of them, keep no actor alive."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from conformance.subjects import Echo, Gate, Keeper, is_running


class Self:
    """Gives a handle to itself."""

    def me(self) -> Any:
        import importlib
        import sys

        module = importlib.import_module("nbactors" if "nbactors" in sys.modules else "ray")
        return module.get_runtime_context().current_actor

    def pid(self) -> int:
        import os

        return os.getpid()


@pytest.fixture
def actor(ray: Any, name: str) -> list[Any]:
    """A list of the only strong handle to a named actor, which is up."""
    handle = ray.remote(Echo).options(name=name).remote()
    ray.get(handle.pid.remote())
    return [handle]


@pytest.fixture
def has_ended(ray: Any, name: str, eventually: Callable[..., Any]) -> Callable[[], None]:
    """Wait until the actor's name is free."""

    def is_free() -> bool:
        try:
            ray.get_actor(name)
        except ValueError:
            return True
        return False

    return lambda: eventually(is_free)


def is_dead(ray: Any, handle: Any) -> None:
    for _ in range(2):
        with pytest.raises(ray.exceptions.ActorDiedError, match="dead"):
            ray.get(handle.echo.remote(1), timeout=20)


def test_an_actor_ends_although_a_handle_of_get_actor_is_there(
    ray: Any, name: str, actor: list[Any], has_ended: Callable[[], None]
) -> None:
    weak = ray.get_actor(name)
    assert weak == actor[0]
    assert hash(weak) == hash(actor[0])
    assert ray.get(weak.echo.remote(5)) == 5
    actor.clear()
    gc.collect()
    has_ended()
    is_dead(ray, weak)


def test_an_actor_ends_although_its_own_handle_is_elsewhere(ray: Any, eventually: Any) -> None:
    actor = ray.remote(Self).remote()
    pid = ray.get(actor.pid.remote())
    weak = ray.get(actor.me.remote())
    assert ray.get(weak.pid.remote()) == pid
    del actor
    gc.collect()
    eventually(lambda: not is_running(pid), 30)
    with pytest.raises(ray.exceptions.ActorDiedError, match="dead"):
        ray.get(weak.pid.remote(), timeout=20)


def test_a_copy_that_an_actor_keeps_is_weak(
    ray: Any, name: str, actor: list[Any], has_ended: Callable[[], None]
) -> None:
    keeper = ray.remote(Keeper).remote([ray.get_actor(name)])
    ray.get(keeper.__ray_ready__.remote())
    actor.clear()
    gc.collect()
    has_ended()
    (weak,) = ray.get(keeper.give.remote())
    is_dead(ray, weak)


def test_a_copy_in_a_value_is_weak(ray: Any, name: str, actor: list[Any], has_ended: Callable[[], None]) -> None:
    ref = ray.put([ray.get_actor(name)])
    actor.clear()
    gc.collect()
    has_ended()
    is_dead(ray, ray.get(ref)[0])


def test_a_task_with_a_weak_handle_does_not_keep_the_actor(
    ray: Any, name: str, actor: list[Any], gate: Gate, has_ended: Callable[[], None]
) -> None:
    @ray.remote(num_cpus=0)
    def call(handle: Any, gate: Gate) -> str:
        gate.wait()
        try:
            return str(ray.get(handle.echo.remote("alive"), timeout=20))
        except ray.exceptions.ActorDiedError:
            return "dead"

    ref = call.remote(ray.get_actor(name), gate)
    actor.clear()
    gc.collect()
    has_ended()
    gate.open()
    assert ray.get(ref) == "dead"


def test_a_method_of_a_weak_handle_is_weak(
    ray: Any, name: str, actor: list[Any], has_ended: Callable[[], None]
) -> None:
    method = ray.get_actor(name).echo
    actor.clear()
    gc.collect()
    has_ended()
    with pytest.raises(ray.exceptions.ActorDiedError, match="dead"):
        ray.get(method.remote(1), timeout=20)


def test_calls_of_the_creator_through_a_weak_handle_are_run_before_the_end(
    ray: Any, name: str, actor: list[Any], gate: Gate, has_ended: Callable[[], None]
) -> None:
    weak = ray.get_actor(name)
    refs = [weak.wait.remote(gate), weak.echo.remote("last")]
    del weak
    actor.clear()
    gc.collect()
    gate.open()
    assert ray.get(refs, timeout=20) == ["passed", "last"]
    has_ended()


def test_a_call_whose_argument_comes_after_the_last_strong_handle_has_gone_is_run(
    ray: Any, name: str, actor: list[Any], gate: Gate, has_ended: Callable[[], None]
) -> None:
    @ray.remote(num_cpus=0)
    def late(gate: Gate) -> str:
        gate.wait()
        return "late"

    ref = ray.get_actor(name).echo.remote(late.remote(gate))
    actor.clear()
    gc.collect()
    gate.open()
    assert ray.get(ref, timeout=20) == "late"
    has_ended()


def test_a_strong_handle_elsewhere_keeps_the_actor_for_weak_ones(
    ray: Any, name: str, actor: list[Any], has_ended: Callable[[], None]
) -> None:
    keeper = ray.remote(Keeper).remote([actor[0]])
    ray.get(keeper.__ray_ready__.remote())
    weak = ray.get_actor(name)
    actor.clear()
    gc.collect()
    assert ray.get(weak.echo.remote("kept")) == "kept"
    (strong,) = ray.get(keeper.give.remote())
    ray.get(keeper.drop.remote())
    assert ray.get(weak.echo.remote("kept here")) == "kept here"
    del strong
    gc.collect()
    has_ended()
    is_dead(ray, weak)


def test_a_strong_handle_that_comes_after_a_weak_one_keeps_the_actor(
    ray: Any, name: str, actor: list[Any], has_ended: Callable[[], None]
) -> None:
    @ray.remote(num_cpus=0)
    class Holder:
        def find(self, name: str) -> None:
            self.weak = ray.get_actor(name)

        def keep(self, handles: list[Any]) -> None:
            self.strong = handles

        def call(self) -> Any:
            return ray.get(self.weak.echo.remote("through the weak one"))

        def drop(self) -> None:
            self.strong = []

    holder = Holder.remote()
    ray.get(holder.find.remote(name))
    ray.get(holder.keep.remote([actor[0]]))
    actor.clear()
    gc.collect()
    assert ray.get(holder.call.remote()) == "through the weak one"
    ray.get(holder.drop.remote())
    has_ended()
    with pytest.raises(ray.exceptions.RayTaskError, match="dead"):
        ray.get(holder.call.remote(), timeout=20)


def test_a_name_is_free_when_only_a_weak_handle_is_left(
    ray: Any, name: str, actor: list[Any], has_ended: Callable[[], None]
) -> None:
    weak = ray.get_actor(name)
    actor.clear()
    gc.collect()
    has_ended()
    again = ray.remote(Echo).options(name=name).remote()
    assert ray.get(again.echo.remote(2)) == 2
    assert ray.get_actor(name) == again
    assert weak != again


def test_a_weak_handle_of_a_detached_actor_works_when_all_others_are_gone(ray: Any, name: str) -> None:
    actor = ray.remote(Echo).options(name=name, lifetime="detached").remote()
    ray.get(actor.pid.remote())
    del actor
    gc.collect()
    assert ray.get(ray.get_actor(name).echo.remote(3)) == 3
    ray.kill(ray.get_actor(name))


def test_a_weak_handle_survives_a_restart(ray: Any, name: str, eventually: Any) -> None:
    actor = ray.remote(Echo).options(name=name, max_restarts=1, max_task_retries=1).remote()
    pid = ray.get(actor.pid.remote())
    weak = ray.get_actor(name)
    ray.kill(actor, no_restart=False)
    eventually(lambda: not is_running(pid))
    assert ray.get(weak.pid.remote(), timeout=20) != pid
    del actor


@pytest.mark.differs(
    "a notebook's cell that gets or creates an actor may run twice, so `get_if_exists` keeps the actor"
)
def test_a_handle_of_get_if_exists_keeps_an_actor_that_exists(ray: Any, name: str, actor: list[Any]) -> None:
    again = ray.remote(Echo).options(name=name, get_if_exists=True).remote()
    pid = ray.get(again.pid.remote())
    actor.clear()
    gc.collect()
    assert ray.get(again.pid.remote()) == pid
    assert ray.get_actor(name) == again


class Getter:
    """Gets or creates an actor in a worker."""

    def take(self, name: str) -> int:
        import importlib
        import sys

        ray = importlib.import_module("nbactors" if "nbactors" in sys.modules else "ray")
        self.handle = ray.remote(Echo).options(name=name, get_if_exists=True).remote()
        return int(ray.get(self.handle.pid.remote()))


@pytest.mark.differs(
    "a notebook's cell that gets or creates an actor may run twice, so `get_if_exists` keeps the actor"
)
@pytest.mark.differs_on_cluster("as on Ray, in another process than that of a handle `get_if_exists` keeps no actor")
def test_a_handle_of_get_if_exists_keeps_an_actor_of_another_process(ray: Any, name: str, actor: list[Any]) -> None:
    getter = ray.remote(Getter).remote()
    pid = ray.get(getter.take.remote(name))
    actor.clear()
    gc.collect()
    assert ray.get(getter.take.remote(name)) == pid
    assert ray.get(ray.get_actor(name).pid.remote()) == pid


@pytest.mark.differs(
    "a notebook's cell that gets or creates an actor may run twice, so `get_if_exists` keeps the actor"
)
def test_a_cell_that_gets_or_creates_an_actor_keeps_it_when_it_runs_again(ray: Any, name: str) -> None:
    pids = set()
    for _ in range(3):
        cell = ray.remote(Echo).options(name=name, get_if_exists=True).remote()
        gc.collect()
        pids.add(ray.get(cell.pid.remote()))
    assert len(pids) == 1


def test_a_weak_handle_that_the_user_pickles_is_weak(
    ray: Any, name: str, actor: list[Any], has_ended: Callable[[], None]
) -> None:
    weak = pickle.loads(pickle.dumps(ray.get_actor(name)))
    assert ray.get(weak.echo.remote(1)) == 1
    actor.clear()
    gc.collect()
    has_ended()
    is_dead(ray, weak)
