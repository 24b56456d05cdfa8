"""Names: namespaces, get-or-create, detached actors, and when a name is free again."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from conformance.drivers import Drivers
from conformance.subjects import Counter, Echo, Gate, Keeper, is_running

MISSING = "Failed to look up actor with name"


def crash(actor: Any) -> Any:
    return actor.__ray_call__.remote(lambda self: os._exit(1))


def terminate(actor: Any) -> Any:
    return actor.__ray_terminate__.remote()


class TestReference:
    """The examples of the reference page."""

    def test_a_named_actor_is_found(self, ray: Any, name: str) -> None:
        counter = ray.remote(Counter).options(name=name).remote()
        found = ray.get_actor(name)
        assert ray.get(counter.increment.remote()) == 1
        assert ray.get(found.increment.remote()) == 2

    def test_get_if_exists_returns_the_living_actor(self, ray: Any, name: str) -> None:
        @ray.remote
        class Greeter:
            def __init__(self, value: str) -> None:
                self.value = value

            def say_hello(self) -> str:
                return self.value

        a = Greeter.options(name=name, get_if_exists=True).remote("Old Greeting")
        assert ray.get(a.say_hello.remote()) == "Old Greeting"
        b = Greeter.options(name=name, get_if_exists=True).remote("New Greeting")
        assert ray.get(b.say_hello.remote()) == "Old Greeting"
        assert a == b

    def test_a_detached_actor_outlives_its_driver(self, ray: Any, drivers: Drivers, name: str) -> None:
        drivers.run(f"""
            ray.init(namespace="conformance")
            counter = ray.remote(Counter).options(name="{name}", lifetime="detached").remote(5)
            ray.get(counter.increment.remote())
        """)
        counter = ray.get_actor(name)
        assert ray.get(counter.increment.remote()) == 7
        ray.kill(counter)

    def test_any_driver_finds_a_named_actor(self, ray: Any, drivers: Drivers, name: str) -> None:
        counter = ray.remote(Counter).options(name=name).remote()
        stdout, _ = drivers.run(f"""
            ray.init(namespace="conformance")
            say(ray.get(ray.get_actor("{name}").increment.remote()))
        """)
        assert "say: 1" in stdout
        assert ray.get(counter.increment.remote()) == 2


class TestFinding:
    def test_a_missing_name_raises_value_error(self, ray: Any, name: str) -> None:
        with pytest.raises(ValueError, match=f"{MISSING} '{name}'"):
            ray.get_actor(name)

    def test_a_named_actor_is_found_in_tasks_and_actors(self, ray: Any, name: str) -> None:
        counter = ray.remote(Counter).options(name=name).remote()

        @ray.remote
        def use() -> int:
            return int(ray.get(ray.get_actor(name).increment.remote()))

        keeper = ray.remote(Keeper).remote()
        assert ray.get(use.remote()) == 1
        assert ray.get(keeper.__ray_call__.remote(lambda self: ray.get_actor(name))) == counter

    def test_a_named_actor_is_found_while_its_constructor_runs(self, ray: Any, name: str, gate: Gate) -> None:
        @ray.remote
        class Slow:
            def __init__(self, gate: Gate) -> None:
                gate.wait()

            def ping(self) -> str:
                return "pong"

        slow = Slow.options(name=name).remote(gate)
        ping = ray.get_actor(name).ping.remote()
        gate.open()
        assert ray.get(ping) == "pong"
        assert ray.get(slow.ping.remote()) == "pong"

    def test_the_actor_knows_its_name(self, ray: Any, name: str) -> None:
        actor = ray.remote(Echo).options(name=name).remote()
        told = actor.__ray_call__.remote(lambda self: ray.get_runtime_context().get_actor_name())
        assert ray.get(told) == name

    @pytest.mark.parametrize("odd", ["with space", "ünï/çødé", "a" * 300, "../up", "new\nline"])
    def test_any_text_can_be_a_name(self, ray: Any, name: str, odd: str) -> None:
        counter = ray.remote(Counter).options(name=name + odd).remote()
        assert ray.get_actor(name + odd) == counter

    def test_named_actors_are_listed(self, ray: Any, name: str) -> None:
        kept = [ray.remote(Counter).options(name=name + suffix).remote() for suffix in "ab"]
        assert {name + "a", name + "b"} <= set(ray.util.list_named_actors())
        everywhere = ray.util.list_named_actors(all_namespaces=True)
        assert {"name": name + "a", "namespace": "conformance"} in everywhere
        assert len(kept) == 2

    def test_a_dead_actor_is_not_listed(self, ray: Any, name: str, eventually: Any) -> None:
        counter = ray.remote(Counter).options(name=name).remote()
        ray.get(counter.increment.remote())
        ray.kill(counter)
        eventually(lambda: name not in ray.util.list_named_actors())


class TestDuplicates:
    def test_a_taken_name_is_refused(self, ray: Any, name: str) -> None:
        first = ray.remote(Counter).options(name=name).remote()
        with pytest.raises(ValueError, match=f"{name}.*already taken") as caught:
            ray.remote(Counter).options(name=name).remote()
        assert isinstance(caught.value, ray.exceptions.ActorAlreadyExistsError)
        assert isinstance(caught.value, ray.exceptions.RayError)
        assert ray.get(first.increment.remote()) == 1

    def test_a_taken_name_is_refused_for_another_class(self, ray: Any, name: str) -> None:
        first = ray.remote(Counter).options(name=name).remote()
        with pytest.raises(ray.exceptions.ActorAlreadyExistsError, match="already taken"):
            ray.remote(Echo).options(name=name).remote()
        assert ray.get_actor(name) == first

    def test_many_drivers_get_or_create_one_actor(self, ray: Any, drivers: Drivers, name: str) -> None:
        source = f"""
            ray.init(namespace="conformance")
            counter = ray.remote(Counter).options(name="{name}", get_if_exists=True, lifetime="detached").remote()
            say("value", ray.get(counter.increment.remote()))
        """
        started = [drivers.start(source) for _ in range(4)]
        values = sorted(driver.line() for driver in started)
        assert values == [f"value {i}" for i in range(1, 5)]
        for driver in started:
            driver.finish()
        ray.kill(ray.get_actor(name))

    def test_many_tasks_get_or_create_one_actor(self, ray: Any, name: str) -> None:
        counter_class = ray.remote(Counter).options(name=name, get_if_exists=True, lifetime="detached", num_cpus=0)

        @ray.remote(num_cpus=0.1)
        def use() -> int:
            return int(ray.get(counter_class.remote().increment.remote()))

        assert sorted(ray.get([use.remote() for _ in range(8)])) == list(range(1, 9))
        ray.kill(ray.get_actor(name))


class TestFreeing:
    def test_kill_frees_the_name_at_once(self, ray: Any, name: str) -> None:
        for _ in range(5):
            counter = ray.remote(Counter).options(name=name).remote()
            ray.get(counter.increment.remote())
            ray.kill(counter)
            with pytest.raises(ValueError, match=MISSING):
                ray.get_actor(name)

    @pytest.mark.parametrize("end", [crash, terminate])
    def test_every_end_frees_the_name(self, ray: Any, name: str, eventually: Any, end: Callable[[Any], Any]) -> None:
        ending = ray.remote(Counter).options(name=name).remote()
        with pytest.raises(ray.exceptions.RayActorError, match="Counter"):
            ray.get(end(ending))
        del ending

        def is_missing() -> bool:
            try:
                ray.get_actor(name)
            except ValueError:
                return True
            return False

        eventually(is_missing)
        again = ray.remote(Counter).options(name=name).remote()
        assert ray.get(again.increment.remote()) == 1

    @pytest.mark.differs("Ray keeps the name of an actor that crashed or left taken while there is a handle")
    @pytest.mark.parametrize("end", [crash, terminate])
    def test_a_name_is_free_after_the_error_of_the_end(self, ray: Any, name: str, end: Callable[[Any], Any]) -> None:
        ending = ray.remote(Counter).options(name=name).remote()
        with pytest.raises(ray.exceptions.RayActorError, match="Counter"):
            ray.get(end(ending))
        again = ray.remote(Counter).options(name=name).remote()
        assert again != ending
        assert ray.get(again.increment.remote()) == 1

    @pytest.mark.differs("Ray keeps the name of an actor that crashed or left taken while there is a handle")
    def test_a_failed_constructor_frees_the_name(self, ray: Any, name: str) -> None:
        class Failing:
            def __init__(self) -> None:
                raise ValueError("mine")

            def ping(self) -> None: ...

        failing = ray.remote(Failing).options(name=name).remote()
        with pytest.raises(ray.exceptions.RayActorError, match="mine"):
            ray.get(failing.ping.remote())
        again = ray.remote(Counter).options(name=name).remote()
        assert ray.get(again.increment.remote()) == 1

    def test_the_end_of_its_session_frees_the_name(
        self, ray: Any, drivers: Drivers, name: str, eventually: Any
    ) -> None:
        drivers.run(f"""
            ray.init(namespace="conformance")
            counter = ray.remote(Counter).options(name="{name}").remote()
            ray.get(counter.increment.remote())
        """)
        eventually(lambda: name not in ray.util.list_named_actors())


class TestNamespaces:
    def test_the_same_name_can_be_used_in_two_namespaces(self, ray: Any, name: str) -> None:
        here = ray.remote(Counter).options(name=name).remote()
        there = ray.remote(Counter).options(name=name, namespace="elsewhere").remote()
        assert ray.get_actor(name) == here
        assert ray.get_actor(name, namespace="elsewhere") == there
        assert here != there

    def test_an_actor_is_not_found_from_another_namespace(self, ray: Any, name: str) -> None:
        there = ray.remote(Counter).options(name=name, namespace="elsewhere").remote()
        with pytest.raises(ValueError, match=MISSING):
            ray.get_actor(name)
        with pytest.raises(ValueError, match=MISSING):
            ray.get_actor(name, namespace="nowhere")
        assert ray.get(there.increment.remote()) == 1

    def test_the_list_contains_the_sessions_namespace(self, ray: Any, name: str) -> None:
        there = ray.remote(Counter).options(name=name, namespace="elsewhere").remote()
        assert name not in ray.util.list_named_actors()
        assert {"name": name, "namespace": "elsewhere"} in ray.util.list_named_actors(all_namespaces=True)
        assert ray.get(there.increment.remote()) == 1

    def test_workers_live_in_their_sessions_namespace(self, ray: Any, name: str) -> None:
        counter_class = ray.remote(Counter)

        @ray.remote
        def make() -> Any:
            return counter_class.options(name=name).remote()

        made = ray.get(make.remote())
        assert ray.get_actor(name) == made

    def test_drivers_without_a_namespace_have_separate_names(self, drivers: Drivers, name: str) -> None:
        source = f"""
            ray.init()
            counter = ray.remote(Counter).options(name="{name}").remote()
            say(ray.get(counter.increment.remote()))
            pause()
        """
        first, second = drivers.start(source), drivers.start(source)
        assert (first.line(), second.line()) == ("1", "1")
        for driver in (first, second):
            driver.go_on()
            driver.finish()

    def test_a_detached_actor_is_found_by_its_namespace(self, ray: Any, drivers: Drivers, name: str) -> None:
        drivers.run(f"""
            ray.init(namespace="elsewhere")
            keeper = ray.remote(Keeper).options(name="{name}", lifetime="detached").remote("kept")
            ray.get(keeper.give.remote())
        """)
        keeper = ray.get_actor(name, namespace="elsewhere")
        assert ray.get(keeper.give.remote()) == "kept"
        ray.kill(keeper)


class TestDetached:
    def test_a_detached_actor_outlives_its_handle(self, ray: Any, name: str) -> None:
        keeper = ray.remote(Keeper).options(name=name, lifetime="detached").remote("kept")
        pid = ray.get(keeper.pid.remote())
        del keeper
        found = ray.get_actor(name)
        assert ray.get(found.give.remote()) == "kept"
        assert is_running(pid)
        ray.kill(found)

    def test_a_detached_actor_outlives_a_killed_driver(self, ray: Any, drivers: Drivers, name: str) -> None:
        driver = drivers.start(f"""
            ray.init(namespace="conformance")
            keeper = ray.remote(Keeper).options(name="{name}", lifetime="detached").remote([1])
            say(ray.get(keeper.pid.remote()))
            pause()
        """)
        pid = int(driver.line())
        driver.kill()
        keeper = ray.get_actor(name)
        assert ray.get(keeper.give.remote()) == [1]
        assert is_running(pid)
        ray.kill(keeper)

    def test_a_detached_actor_outlives_the_actor_that_created_it(self, ray: Any, name: str, eventually: Any) -> None:
        keeper_class = ray.remote(Keeper)

        @ray.remote
        class Maker:
            def make(self) -> int:
                detached = keeper_class.options(name=name, lifetime="detached").remote("kept")
                ray.get(detached.give.remote())
                return os.getpid()

        maker = Maker.remote()
        pid = ray.get(maker.make.remote())
        ray.kill(maker)
        eventually(lambda: not is_running(pid))
        keeper = ray.get_actor(name)
        assert ray.get(keeper.give.remote()) == "kept"
        ray.kill(keeper)

    def test_kill_ends_a_detached_actor(self, ray: Any, name: str, eventually: Any) -> None:
        keeper = ray.remote(Keeper).options(name=name, lifetime="detached").remote()
        pid = ray.get(keeper.pid.remote())
        ray.kill(keeper)
        eventually(lambda: not is_running(pid))

    def test_lifetime_non_detached_is_the_default(self, ray: Any, name: str, eventually: Any) -> None:
        keeper = ray.remote(Keeper).options(name=name, lifetime="non_detached").remote()
        pid = ray.get(keeper.pid.remote())
        del keeper
        eventually(lambda: not is_running(pid))
