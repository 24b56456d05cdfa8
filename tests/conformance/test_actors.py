"""Actors: classes become processes with state."""

from __future__ import annotations

import os
from typing import Any

import pytest

from conformance.subjects import Counter, Echo, Gate, echo


class TestReference:
    """The examples of the reference page."""

    def test_a_method_changes_the_actors_state(self, ray: Any) -> None:
        @ray.remote
        class Counter:
            def __init__(self) -> None:
                self.value = 0

            def increment(self) -> int:
                self.value += 1
                return self.value

        counter = Counter.remote()
        assert ray.get(counter.increment.remote()) == 1

    def test_actors_keep_separate_state_and_each_runs_its_calls_in_order(self, ray: Any) -> None:
        counters = [ray.remote(Counter).remote() for _ in range(10)]
        assert ray.get([c.increment.remote() for c in counters]) == [1] * 10
        assert ray.get([counters[0].increment.remote() for _ in range(5)]) == [2, 3, 4, 5, 6]

    def test_calls_of_one_submitter_run_in_their_order(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote()
        value0 = counter.add.remote(1)
        value1 = counter.add.remote(2)
        assert ray.get(value0) == 1
        assert ray.get(value1) == 3

    def test_an_actor_class_can_be_made_without_the_decorator(self, ray: Any) -> None:
        from importlib import import_module

        actor_module = import_module(f"{ray.__name__}.actor")
        assert actor_module.ActorClass[Counter]
        assert actor_module.ActorProxy[Counter]
        assert ray.ObjectRef[int]

        class Typed:
            def __init__(self) -> None:
                self.value = 0

            @ray.method
            def increment(self) -> int:
                self.value += 1
                return self.value

        counter = ray.remote(Typed).remote()
        assert ray.get(counter.increment.remote()) == 1

    def test_an_actor_holds_the_resources_of_its_decorator(self, ray: Any) -> None:
        @ray.remote(num_cpus=2, num_gpus=0.5)
        class Actor:
            def resources(self) -> Any:
                return ray.get_runtime_context().get_assigned_resources()

        assert ray.get(Actor.remote().resources.remote()) == {"CPU": 2.0, "GPU": 0.5}


class TestClass:
    """The decorated class itself."""

    def test_class_attributes_and_static_methods_work_on_the_actor_class(self, ray: Any) -> None:
        @ray.remote
        class Tool:
            size = 3

            @classmethod
            def double(cls) -> int:
                return 2 * cls.size

            @staticmethod
            def half(n: int) -> float:
                return n / 2

            def size_here(self) -> tuple[int, int, float]:
                return self.size, self.double(), self.half(5)

        assert (Tool.size, Tool.double(), Tool.half(5)) == (3, 6, 2.5)
        assert ray.get(Tool.remote().size_here.remote()) == (3, 6, 2.5)

    def test_class_and_static_methods_work_on_a_handle(self, ray: Any) -> None:
        @ray.remote
        class Tool:
            size = 3

            @classmethod
            def double(cls, times: int = 2) -> int:
                return times * cls.size

            @staticmethod
            def half(n: int) -> float:
                return n / 2

        tool = Tool.remote()
        assert ray.get(tool.double.remote()) == 6
        assert ray.get(tool.double.remote(times=5)) == 15
        assert ray.get(tool.half.remote(5)) == 2.5

    def test_inherited_methods_can_be_called(self, ray: Any) -> None:
        class Base:
            def __init__(self, start: int) -> None:
                self.value = start

            def base(self) -> str:
                return f"base {self.value}"

            def both(self) -> str:
                return "base"

        @ray.remote
        class Derived(Base):
            def __init__(self) -> None:
                super().__init__(7)

            def both(self) -> str:
                return "derived of " + super().both()

        derived = Derived.remote()
        assert ray.get([derived.base.remote(), derived.both.remote()]) == ["base 7", "derived of base"]

    def test_a_base_class_may_come_from_a_module(self, ray: Any) -> None:
        @ray.remote
        class Twice(Counter):
            def increment(self) -> int:
                super().increment()
                return super().increment()

        assert ray.get(Twice.remote(10).increment.remote()) == 12

    def test_the_plain_class_is_unchanged(self, ray: Any) -> None:
        ray.remote(Counter)
        assert Counter(3).increment() == 4

    def test_the_actor_class_keeps_the_name(self, ray: Any) -> None:
        assert "Counter" in repr(ray.remote(Counter))

    @pytest.mark.differs("Ray's actor classes have no docstring")
    def test_the_actor_class_keeps_the_docstring(self, ray: Any) -> None:
        assert "reference page" in str(ray.remote(Counter).__doc__)

    def test_a_class_without_a_constructor_can_be_an_actor(self, ray: Any) -> None:
        @ray.remote
        class Bare:
            def answer(self) -> int:
                return 42

        assert ray.get(Bare.remote().answer.remote()) == 42

    def test_a_class_made_by_a_function_closes_over_its_arguments(self, ray: Any) -> None:
        def make(factor: int) -> Any:
            @ray.remote
            class Multiplier:
                def times(self, n: int) -> int:
                    return factor * n

            return Multiplier

        assert ray.get(make(3).remote().times.remote(4)) == 12

    def test_options_leave_the_actor_class_unchanged(self, ray: Any, name: str) -> None:
        actor_class = ray.remote(Counter)
        named = actor_class.options(name=name)
        unnamed = actor_class.remote()
        kept = named.remote()
        assert ray.get_actor(name) == kept
        assert kept != unnamed

    def test_options_of_the_call_replace_those_of_the_decorator(self, ray: Any) -> None:
        @ray.remote(num_cpus=2)
        class Teller:
            def cpus(self) -> Any:
                return ray.get_runtime_context().get_assigned_resources()

        assert ray.get(Teller.remote().cpus.remote()) == {"CPU": 2.0}
        assert ray.get(Teller.options(num_cpus=3).remote().cpus.remote()) == {"CPU": 3.0}

    def test_the_constructor_gets_its_arguments(self, ray: Any) -> None:
        made = ray.remote(Echo).remote(1, ray.put(2), three=3, four=ray.put(4)).made.remote()
        assert ray.get(made) == ((1, 2), {"three": 3, "four": 4})

    def test_an_actor_class_can_be_used_in_a_task(self, ray: Any) -> None:
        actor_class = ray.remote(Counter)

        @ray.remote
        def use() -> int:
            return int(ray.get(actor_class.remote(5).increment.remote()))

        assert ray.get(use.remote()) == 6


class TestMethods:
    def test_arguments_may_have_any_name(self, ray: Any) -> None:
        @ray.remote
        class Named:
            def __init__(self, name: str, args: int) -> None:
                self.given = (name, args)

            def call(self, task_id: int, args: int, kwargs: int, name: int, method: int, options: int) -> Any:
                return self.given, task_id, args, kwargs, name, method, options

        actor = Named.remote(name="n", args=0)
        call = actor.call.remote(task_id=1, args=2, kwargs=3, name=4, method=5, options=6)
        assert ray.get(call) == (("n", 0), 1, 2, 3, 4, 5, 6)

    def test_arguments_are_passed_as_in_python(self, ray: Any) -> None:
        @ray.remote
        class Shapes:
            def call(self, a: int, /, b: int, c: int = 3, *args: int, d: int = 4, **kwargs: int) -> Any:
                return a, b, c, args, d, kwargs

        shapes = Shapes.remote()
        assert ray.get(shapes.call.remote(1, 2)) == (1, 2, 3, (), 4, {})
        assert ray.get(shapes.call.remote(1, b=2, d=5, e=6)) == (1, 2, 3, (), 5, {"e": 6})
        assert ray.get(shapes.call.remote(1, 2, 3, 4, 5)) == (1, 2, 3, (4, 5), 4, {})

    def test_a_method_without_a_result_returns_none(self, ray: Any) -> None:
        assert ray.get(ray.remote(Echo).remote().echo.remote()) is None

    def test_private_methods_can_be_called(self, ray: Any) -> None:
        @ray.remote
        class Private:
            def _secret(self) -> str:
                return "known"

        assert ray.get(Private.remote()._secret.remote()) == "known"

    def test_num_returns_of_the_call_gives_several_references(self, ray: Any) -> None:
        actor = ray.remote(Echo).remote()
        first, second = actor.echo.options(num_returns=2).remote((1, 2))
        assert ray.get([second, first]) == [2, 1]

    def test_num_returns_of_the_method_gives_several_references(self, ray: Any) -> None:
        @ray.remote
        class Pairs:
            @ray.method(num_returns=2)
            def pair(self) -> tuple[int, int]:
                return 1, 2

        pairs = Pairs.remote()
        assert ray.get(list(pairs.pair.remote())) == [1, 2]
        assert ray.get(pairs.pair.options(num_returns=1).remote()) == (1, 2)

    def test_a_call_with_num_returns_0_returns_none_and_runs(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote()
        assert counter.increment.options(num_returns=0).remote() is None
        assert ray.get(counter.get_counter.remote()) == 1

    def test_a_method_of_a_handle_can_be_kept(self, ray: Any) -> None:
        increment = ray.remote(Counter).remote().increment
        assert ray.get([increment.remote(), increment.remote()]) == [1, 2]

    def test_ray_ready_returns_when_the_actor_is_ready(self, ray: Any) -> None:
        assert ray.get(ray.remote(Counter).remote().__ray_ready__.remote()) is True

    def test_ray_call_runs_a_function_in_the_actor(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote(5)
        assert ray.get(counter.__ray_call__.remote(lambda self, x: self.value + x, x=2)) == 7
        assert ray.get(counter.__ray_call__.remote(lambda self, x, y: (x, y), 1, 2)) == (1, 2)

    def test_a_class_may_have_a_property(self, ray: Any) -> None:
        @ray.remote
        class Gauge:
            @property
            def level(self) -> int:
                return 3

            def read(self) -> int:
                return self.level

        assert ray.get(Gauge.remote().read.remote()) == 3

    def test_task_events_can_be_disabled(self, ray: Any) -> None:
        @ray.remote(enable_task_events=False)
        class Quiet:
            @ray.method(enable_task_events=False)
            def foo(self) -> int:
                return 1

        assert ray.get(Quiet.remote().foo.remote()) == 1


class TestProcess:
    def test_each_actor_has_its_own_process(self, ray: Any) -> None:
        first, second = ray.remote(Echo).remote(), ray.remote(Echo).remote()
        pids = ray.get([first.pid.remote(), second.pid.remote(), first.pid.remote()])
        assert pids[0] == pids[2]
        assert len({*pids, os.getpid()}) == 3

    @pytest.mark.parametrize(("name", "title"), [(None, "ray::Titled.title"), ("fetch", "ray::fetch")])
    def test_the_process_title_shows_the_running_call(self, ray: Any, name: str | None, title: str) -> None:
        @ray.remote
        class Titled:
            def title(self) -> str:
                import subprocess

                return subprocess.check_output(["ps", "-o", "args=", "-p", str(os.getpid())], text=True).strip()

        method = Titled.remote().title
        assert ray.get((method.options(name=name) if name else method).remote()) == title

    def test_the_process_title_shows_the_constructor(self, ray: Any) -> None:
        @ray.remote
        class Titled:
            def __init__(self) -> None:
                import subprocess

                shown = ["ps", "-o", "args=", "-p", str(os.getpid())]
                self.title = subprocess.check_output(shown, text=True).strip()

            def get(self) -> str:
                return self.title

        assert ray.get(Titled.remote().get.remote()) == "ray::Titled.__init__"

    def test_the_process_title_of_an_idle_actor_shows_the_class(self, ray: Any, eventually: Any) -> None:
        import subprocess

        idle = ray.remote(Echo).remote()
        pid = ray.get(idle.pid.remote())
        shown = ["ps", "-o", "args=", "-p", str(pid)]
        eventually(lambda: subprocess.check_output(shown, text=True).strip() == "ray::Echo")

    def test_globals_belong_to_the_process(self, ray: Any) -> None:
        @ray.remote
        class Setter:
            def set(self, value: str) -> None:
                os.environ["NB_CONFORMANCE"] = value

            def get(self) -> str | None:
                return os.environ.get("NB_CONFORMANCE")

        first, second = Setter.remote(), Setter.remote()
        ray.get(first.set.remote("mine"))
        assert ray.get([first.get.remote(), second.get.remote()]) == ["mine", None]
        assert "NB_CONFORMANCE" not in os.environ


class TestOrder:
    def test_many_calls_run_in_their_order(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote()
        assert ray.get([counter.increment.remote() for _ in range(200)]) == list(range(1, 201))

    def test_a_call_waits_for_an_earlier_call_whose_argument_is_not_ready(self, ray: Any, gate: Gate) -> None:
        slow = ray.remote(Echo).remote().wait.remote(gate)

        @ray.remote
        class Log:
            def __init__(self) -> None:
                self.seen: list[Any] = []

            def add(self, value: Any) -> list[Any]:
                self.seen.append(value)
                return list(self.seen)

        log = Log.remote()
        log.add.remote(slow)
        last = log.add.remote("second")
        assert ray.wait([last], timeout=0.2) == ([], [last])
        gate.open()
        assert ray.get(last) == ["passed", "second"]

    def test_an_unready_argument_does_not_delay_another_submitter(self, ray: Any, gate: Gate) -> None:
        slow = ray.remote(Echo).remote().wait.remote(gate)
        counter = ray.remote(Counter).remote()
        held_up = counter.add.remote(ray.remote(echo).remote(slow))

        @ray.remote
        def other(counter: Any) -> int:
            return int(ray.get(counter.increment.remote()))

        assert ray.get(other.remote(counter)) == 1
        assert ray.wait([held_up], timeout=0) == ([], [held_up])
        gate.open()
        with pytest.raises(TypeError, match="unsupported operand"):
            ray.get(held_up)

    def test_every_call_waits_for_the_constructor(self, ray: Any, gate: Gate) -> None:
        @ray.remote
        class Slow:
            def __init__(self, gate: Gate) -> None:
                gate.wait()
                self.made = True

            def is_made(self) -> bool:
                return self.made

        slow = Slow.remote(gate)
        is_made = slow.is_made.remote()
        assert ray.wait([is_made], timeout=0.1) == ([], [is_made])
        gate.open()
        assert ray.get(is_made) is True


class TestNesting:
    def test_an_actor_makes_actors(self, ray: Any) -> None:
        counter_class = ray.remote(Counter)

        @ray.remote
        class Parent:
            def __init__(self) -> None:
                self.children = [counter_class.remote(i) for i in range(2)]

            def values(self) -> list[int]:
                return list(ray.get([child.increment.remote() for child in self.children]))

        assert ray.get(Parent.remote().values.remote()) == [1, 2]

    def test_an_actor_calls_tasks(self, ray: Any) -> None:
        task = ray.remote(echo)

        @ray.remote
        class Caller:
            def call(self) -> int:
                return sum(ray.get([task.remote(i) for i in range(4)]))

        assert ray.get(Caller.remote().call.remote()) == 6

    def test_actors_call_each_other_in_a_chain(self, ray: Any) -> None:
        @ray.remote
        class Link:
            def __init__(self, following: Any = None) -> None:
                self.following = following

            def length(self) -> int:
                return 1 + (ray.get(self.following.length.remote()) if self.following else 0)

        assert ray.get(Link.remote(Link.remote(Link.remote())).length.remote()) == 3

    def test_an_actor_submits_to_itself_without_waiting(self, ray: Any, eventually: Any) -> None:
        @ray.remote
        class Looping:
            def __init__(self) -> None:
                self.rounds = 0

            def go(self, rounds: int) -> None:
                self.rounds += 1
                if rounds > 1:
                    ray.get_runtime_context().current_actor.go.remote(rounds - 1)

            def count(self) -> int:
                return self.rounds

        looping = Looping.remote()
        looping.go.remote(3)
        eventually(lambda: ray.get(looping.count.remote()) == 3)
