"""The runtime context in methods of every kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from conformance.subjects import Gate


def facts(ray: Any) -> dict[str, Any]:
    context = ray.get_runtime_context()
    return {
        "actor_id": context.get_actor_id(),
        "task_id": context.get_task_id(),
        "task_name": context.get_task_name(),
        "function": context.get_task_function_name(),
        "actor_name": context.get_actor_name(),
        "namespace": context.namespace,
        "resources": context.get_assigned_resources(),
        "me": context.current_actor,
    }


def synchronous(ray: Any) -> Any:
    @ray.remote(num_cpus=1, resources={"widget": 1})
    class Asked:
        def __init__(self) -> None:
            self.made = facts(ray)

        def ask(self) -> Any:
            return facts(ray)

        def get_made(self) -> Any:
            return self.made

    return Asked


def threaded(ray: Any) -> Any:
    class_ = synchronous(ray)
    return class_.options(max_concurrency=4, num_cpus=1, resources={"widget": 1})


def async_(ray: Any) -> Any:
    @ray.remote(num_cpus=1, resources={"widget": 1})
    class Asked:
        def __init__(self) -> None:
            self.made = facts(ray)

        async def ask(self) -> Any:
            return facts(ray)

        def get_made(self) -> Any:
            return self.made

    return Asked


def in_a_group(ray: Any) -> Any:
    @ray.remote(num_cpus=1, resources={"widget": 1}, concurrency_groups={"io": 2})
    class Asked:
        def __init__(self) -> None:
            self.made = facts(ray)

        @ray.method(concurrency_group="io")
        async def ask(self) -> Any:
            return facts(ray)

        def get_made(self) -> Any:
            return self.made

    return Asked


def in_a_threaded_group(ray: Any) -> Any:
    @ray.remote(num_cpus=1, resources={"widget": 1}, concurrency_groups={"io": 2})
    class Asked:
        def __init__(self) -> None:
            self.made = facts(ray)

        @ray.method(concurrency_group="io")
        def ask(self) -> Any:
            return facts(ray)

        def get_made(self) -> Any:
            return self.made

    return Asked


@pytest.fixture(params=[synchronous, threaded, async_, in_a_group, in_a_threaded_group], ids=lambda each: each.__name__)
def make(ray: Any, request: pytest.FixtureRequest) -> Callable[..., Any]:
    asked = request.param(ray)
    kept = []

    def remote(**options: Any) -> Any:
        made = asked.options(**options).remote() if options else asked.remote()
        kept.append(made)
        return made

    return remote


class TestInAMethod:
    def test_the_ids_are_those_of_the_actor_and_the_call(self, ray: Any, make: Any) -> None:
        actor = make()
        asked = [actor.ask.remote() for _ in range(4)]
        answers = ray.get(asked)
        assert {answer["actor_id"] for answer in answers} == {actor._actor_id.hex()}
        assert [answer["task_id"] for answer in answers] == [reference.task_id().hex() for reference in asked]
        assert len({answer["task_id"] for answer in answers}) == 4

    def test_the_names_are_those_of_the_call(self, ray: Any, make: Any) -> None:
        actor = make()
        answer = ray.get(actor.ask.remote())
        assert answer["task_name"] == "Asked.ask"
        assert answer["function"].endswith("Asked.ask")
        assert answer["namespace"] == "conformance"
        assert ray.get(actor.ask.options(name="mine").remote())["task_name"] == "mine"

    def test_the_resources_are_those_of_the_actor(self, ray: Any, make: Any) -> None:
        assert ray.get(make().ask.remote())["resources"] == {"CPU": 1.0, "widget": 1.0}

    def test_current_actor_is_a_handle_to_the_actor(self, ray: Any, make: Any) -> None:
        actor = make()
        answer = ray.get(actor.ask.remote())
        assert answer["me"] == actor
        assert ray.get(answer["me"].ask.remote())["actor_id"] == answer["actor_id"]

    def test_the_constructor_has_its_own_task(self, ray: Any, make: Any) -> None:
        actor = make()
        made = ray.get(actor.get_made.remote())
        assert made["actor_id"] == actor._actor_id.hex()
        assert made["task_id"] not in (None, made["actor_id"])
        assert made["task_name"].endswith("Asked.__init__")
        assert made["resources"] == {"CPU": 1.0, "widget": 1.0}
        assert made["me"] == actor


class TestWhileSuspended:
    def test_the_task_stays_the_same_across_suspensions(self, ray: Any) -> None:
        @ray.remote
        class Suspending:
            def __init__(self) -> None:
                self.calls = 0
                self.both = asyncio.Event()

            async def ask(self) -> list[str]:
                before = ray.get_runtime_context().get_task_id()
                self.calls += 1
                if self.calls == 2:
                    self.both.set()
                await self.both.wait()
                child = await asyncio.ensure_future(self._ask())
                return [before, ray.get_runtime_context().get_task_id(), child]

            async def _ask(self) -> str:
                return str(ray.get_runtime_context().get_task_id())

        actor = Suspending.remote()
        asked = [actor.ask.remote(), actor.ask.remote()]
        assert ray.get(asked) == [[reference.task_id().hex()] * 3 for reference in asked]

    def test_concurrent_threads_each_see_their_own_task(self, ray: Any, gate: Gate) -> None:
        @ray.remote(max_concurrency=2)
        class Waiting:
            def ask(self, gate: Gate) -> list[str]:
                before = ray.get_runtime_context().get_task_id()
                gate.wait()
                return [before, ray.get_runtime_context().get_task_id()]

        actor = Waiting.remote()
        asked = [actor.ask.remote(gate), actor.ask.remote(gate)]
        assert ray.wait(asked, timeout=0.05)[0] == []
        gate.open()
        assert ray.get(asked) == [[reference.task_id().hex()] * 2 for reference in asked]

    def test_an_async_actor_cannot_ask_whether_it_is_cancelled(self, ray: Any) -> None:
        @ray.remote
        class Asking:
            async def ask(self) -> bool:
                return bool(ray.get_runtime_context().is_canceled())

        with pytest.raises(RuntimeError, match="async"):
            ray.get(Asking.remote().ask.remote())


class TestActorName:
    @pytest.mark.parametrize("kind", [synchronous, threaded, async_, in_a_group, in_a_threaded_group])
    def test_only_a_named_actor_has_an_actor_name(self, ray: Any, kind: Any, name: str) -> None:
        asked = synchronous(ray).options(max_concurrency=4, name=name)
        named = asked if kind is threaded else kind(ray).options(name=name)
        assert ray.get(named.remote().ask.remote())["actor_name"] == name
        assert not ray.get(kind(ray).remote().ask.remote())["actor_name"]
