"""The verbs: init, shutdown, get, put, wait, and what tells of the session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conformance.subjects import Counter, Echo, Gate, echo


class TestInit:
    def test_a_session_runs_between_init_and_shutdown(self, fresh: Any, init: Callable[..., Any]) -> None:
        assert not fresh.is_initialized()
        init()
        assert fresh.is_initialized()
        fresh.shutdown()
        assert not fresh.is_initialized()

    def test_shutdown_without_a_session_does_nothing(self, fresh: Any) -> None:
        fresh.shutdown()
        fresh.shutdown()
        assert not fresh.is_initialized()

    def test_a_session_can_follow_another(self, fresh: Any, init: Callable[..., Any]) -> None:
        init()
        assert fresh.get(fresh.put(1)) == 1
        fresh.shutdown()
        init()
        assert fresh.get(fresh.put(2)) == 2

    def test_a_second_init_is_refused(self, ray: Any) -> None:
        with pytest.raises(RuntimeError, match="ignore_reinit_error"):
            ray.init()

    def test_a_second_init_can_be_allowed(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote(3)
        ray.init(ignore_reinit_error=True)
        assert ray.get(counter.get_counter.remote()) == 3

    def test_an_unknown_option_is_named(self, fresh: Any) -> None:
        with pytest.raises(RuntimeError, match="nonsense"):
            fresh.init(nonsense=3)
        assert not fresh.is_initialized()

    @pytest.mark.differs("Ray names the unknown option alone")
    def test_an_unknown_option_shows_the_valid_ones(self, fresh: Any) -> None:
        with pytest.raises(RuntimeError, match="num_cpus"):
            fresh.init(nonsense=3)

    def test_the_context_has_a_text_and_html(self, ray: Any) -> None:
        context = ray.init(ignore_reinit_error=True)
        assert "Context" in repr(context)
        assert "<" in context._repr_html_()

    def test_the_context_has_versions_and_addresses(self, ray: Any) -> None:
        context = ray.init(ignore_reinit_error=True)
        assert context.python_version.startswith("3.")
        assert "node_id" in context.address_info

    def test_the_context_is_a_context_manager(self, fresh: Any, init: Callable[..., Any]) -> None:
        with init():
            assert fresh.is_initialized()
        assert not fresh.is_initialized()

    def test_the_context_can_disconnect(self, fresh: Any, init: Callable[..., Any]) -> None:
        init().disconnect()
        assert not fresh.is_initialized()

    def test_declared_resources_are_in_the_cluster(self, fresh: Any, init: Callable[..., Any]) -> None:
        init(num_cpus=3, num_gpus=1, resources={"widget": 5})
        resources = fresh.cluster_resources()
        assert (resources["CPU"], resources["GPU"], resources["widget"]) == (3.0, 1.0, 5.0)
        assert resources["memory"] > 0
        assert resources["object_store_memory"] > 0

    def test_the_session_has_the_given_namespace(self, fresh: Any, init: Callable[..., Any]) -> None:
        init(namespace="somewhere")
        assert fresh.get_runtime_context().namespace == "somewhere"

    def test_each_session_without_a_namespace_gets_its_own_namespace(
        self, fresh: Any, init: Callable[..., Any]
    ) -> None:
        init()
        first = fresh.get_runtime_context().namespace
        fresh.shutdown()
        init()
        second = fresh.get_runtime_context().namespace
        assert first
        assert first != second

    def test_a_namespace_that_is_not_a_string_is_refused(self, fresh: Any) -> None:
        with pytest.raises(TypeError, match="namespace must be None or a string"):
            fresh.init(namespace=3)

    def test_an_empty_namespace_is_refused(self, fresh: Any) -> None:
        with pytest.raises(ValueError, match="is not a valid namespace"):
            fresh.init(namespace="")

    def test_a_negative_num_cpus_is_refused(self, fresh: Any) -> None:
        with pytest.raises(ValueError, match=r"(?i)nonnegative|negative"):
            fresh.init(num_cpus=-1)
        assert not fresh.is_initialized()


class TestFirstUse:
    """The first use starts a session by itself."""

    def test_put_starts_a_session(self, fresh: Any) -> None:
        assert fresh.get(fresh.put(1)) == 1
        assert fresh.is_initialized()

    def test_a_task_starts_a_session(self, fresh: Any) -> None:
        assert fresh.get(fresh.remote(echo).remote(1)) == 1

    def test_an_actor_starts_a_session(self, fresh: Any) -> None:
        assert fresh.get(fresh.remote(Counter).remote().increment.remote()) == 1

    def test_the_runtime_context_starts_a_session(self, fresh: Any) -> None:
        assert fresh.get_runtime_context().get_node_id()
        assert fresh.is_initialized()

    def test_decorating_starts_nothing(self, fresh: Any) -> None:
        fresh.remote(Counter)
        fresh.remote(echo)
        assert not fresh.is_initialized()


class TestGet:
    def test_get_returns_a_value(self, ray: Any) -> None:
        assert ray.get(ray.put("value")) == "value"

    def test_get_returns_the_values_of_a_list_in_order(self, ray: Any) -> None:
        refs = [ray.put(i) for i in range(20)]
        assert ray.get(refs[::-1]) == list(range(20))[::-1]

    def test_get_of_an_empty_list_returns_an_empty_list(self, ray: Any) -> None:
        assert ray.get([]) == []

    def test_get_takes_the_same_reference_twice(self, ray: Any) -> None:
        ref = ray.put(1)
        assert ray.get([ref, ref]) == [1, 1]
        assert ray.get(ref) == 1

    def test_get_returns_a_value_within_its_timeout(self, ray: Any) -> None:
        assert ray.get(ray.remote(echo).remote(1), timeout=30) == 1

    @pytest.mark.parametrize("timeout", [0, 0.05])
    def test_get_raises_get_timeout_error_after_its_timeout(self, ray: Any, gate: Gate, timeout: float) -> None:
        waiting = ray.remote(Echo).remote().wait.remote(gate)
        with pytest.raises(ray.exceptions.GetTimeoutError, match=r"(?i)timed out"):
            ray.get(waiting, timeout=timeout)
        gate.open()
        assert ray.get(waiting) == "passed"

    def test_get_timeout_error_is_a_timeout_error(self, ray: Any, gate: Gate) -> None:
        waiting = ray.remote(Echo).remote().wait.remote(gate)
        with pytest.raises(TimeoutError, match=r"(?i)timed out"):
            ray.get([ray.put(1), waiting], timeout=0.01)

    def test_get_with_timeout_0_returns_a_ready_value(self, ray: Any) -> None:
        assert ray.get(ray.put(1), timeout=0) == 1

    def test_the_first_error_of_a_list_is_raised(self, ray: Any) -> None:
        actor = ray.remote(Echo).remote()
        with pytest.raises(ValueError, match="mine"):
            ray.get([ray.put(1), actor.fail.remote("mine"), ray.put(2)])

    def test_an_error_ends_the_get_of_several_though_an_earlier_call_runs(self, ray: Any, gate: Gate) -> None:
        waiting = ray.remote(Echo).remote().wait.remote(gate)
        with pytest.raises(ValueError, match="mine"):
            ray.get([waiting, ray.remote(Echo).remote().fail.remote("mine")], timeout=30)

    @pytest.mark.parametrize("threads", [1, 2])
    def test_the_time_out_of_a_get_inside_a_call_is_the_error_of_the_call(
        self, ray: Any, gate: Gate, threads: int
    ) -> None:
        @ray.remote(num_cpus=0, max_concurrency=threads)
        class Reader:
            def read(self, refs: list[Any], timeout: float | None) -> Any:
                return ray.get(refs, timeout=timeout)

        waiting = ray.remote(Echo).remote().wait.remote(gate)
        reader, outer = Reader.remote(), Reader.remote()
        inner = reader.read.remote([waiting], 0.05)
        for call in (inner, outer.read.remote([inner], None)):
            with pytest.raises(ray.exceptions.RayTaskError, match=r"(?i)timed out"):
                ray.get(call, timeout=30)

    @pytest.mark.differs("Ray's process aborts")
    def test_a_negative_timeout_is_refused(self, ray: Any) -> None:
        with pytest.raises(ValueError, match="timeout"):
            ray.get(ray.put(1), timeout=-3)


class TestWait:
    def test_wait_separates_ready_and_pending_references(self, ray: Any, gate: Gate) -> None:
        ready = ray.put(1)
        waiting = ray.remote(Echo).remote().wait.remote(gate)
        assert ray.wait([waiting, ready]) == ([ready], [waiting])

    def test_wait_can_wait_for_all(self, ray: Any) -> None:
        refs = [ray.remote(echo).remote(i) for i in range(5)]
        ready, rest = ray.wait(refs, num_returns=5)
        assert (set(ready), rest) == (set(refs), [])

    def test_wait_returns_at_most_num_returns_ready_references(self, ray: Any) -> None:
        refs = [ray.put(i) for i in range(5)]
        ready, rest = ray.wait(refs, num_returns=2)
        assert (len(ready), len(rest)) == (2, 3)
        assert {*ready, *rest} == set(refs)

    def test_wait_returns_fewer_after_its_timeout(self, ray: Any, gate: Gate) -> None:
        ready = ray.put(1)
        waiting = ray.remote(Echo).remote().wait.remote(gate)
        assert ray.wait([ready, waiting], num_returns=2, timeout=0.05) == ([ready], [waiting])

    def test_wait_with_timeout_0_does_not_block(self, ray: Any, gate: Gate) -> None:
        waiting = ray.remote(Echo).remote().wait.remote(gate)
        assert ray.wait([waiting], timeout=0) == ([], [waiting])

    def test_wait_of_an_empty_list_returns_empty_lists(self, ray: Any) -> None:
        assert ray.wait([]) == ([], [])

    def test_a_failed_call_is_ready_for_wait(self, ray: Any) -> None:
        failing = ray.remote(Echo).remote().fail.remote("mine")
        assert ray.wait([failing], timeout=30) == ([failing], [])

    def test_wait_keeps_the_given_order(self, ray: Any, gate: Gate) -> None:
        slow = ray.remote(Echo).remote().wait.remote(gate)
        refs = [ray.put(0), slow, ray.put(2)]
        ready, rest = ray.wait(refs, num_returns=2)
        assert (ready, rest) == ([refs[0], refs[2]], [slow])

    def test_wait_works_without_fetch_local(self, ray: Any) -> None:
        ref = ray.remote(echo).remote(1)
        assert ray.wait([ref], fetch_local=False, timeout=30) == ([ref], [])

    def test_wait_can_return_references_one_by_one(self, ray: Any) -> None:
        rest = [ray.remote(echo).remote(i) for i in range(10)]
        seen = []
        while rest:
            (ready,), rest = ray.wait(rest)
            seen.append(ray.get(ready))
        assert sorted(seen) == list(range(10))


class TestSession:
    """What tells of the session."""

    @pytest.mark.one_node("it is about its row")
    def test_there_is_one_node(self, ray: Any) -> None:
        (node,) = ray.nodes()
        assert node["Alive"] is True
        assert node["NodeID"] == ray.get_runtime_context().get_node_id()
        assert node["Resources"]["CPU"] == 4.0
        assert {"NodeManagerAddress", "NodeManagerHostname", "Resources"} <= node.keys()

    def test_the_runtime_context_of_a_driver_has_no_task_and_no_actor(self, ray: Any) -> None:
        context = ray.get_runtime_context()
        assert context.get_actor_id() is None
        assert context.get_task_id() is None
        assert int(context.get_job_id(), 16)
        assert int(context.get_worker_id(), 16)
        assert context.namespace == "conformance"

    def test_there_is_no_current_actor_in_a_driver(self, ray: Any) -> None:
        with pytest.raises(RuntimeError, match=r"(?i)only available in an actor|actor"):
            _ = ray.get_runtime_context().current_actor

    @pytest.mark.one_node("the actor is on the driver's")
    def test_the_runtime_context_of_an_actor_has_its_ids(self, ray: Any, name: str) -> None:
        class Teller:
            def tell(self) -> dict[str, Any]:
                context = ray.get_runtime_context()
                return {
                    "actor": context.get_actor_id(),
                    "name": context.get_actor_name(),
                    "task": context.get_task_id(),
                    "task_name": context.get_task_name(),
                    "job": context.get_job_id(),
                    "node": context.get_node_id(),
                    "namespace": context.namespace,
                    "resources": context.get_assigned_resources(),
                }

        teller = ray.remote(Teller).options(name=name).remote()
        told = ray.get(teller.tell.remote())
        here = ray.get_runtime_context()
        assert told["actor"] in repr(teller)
        assert told["name"] == name
        assert int(told["task"], 16)
        assert told["task_name"] == "Teller.tell"
        assert told["job"] == here.get_job_id()
        assert told["node"] == here.get_node_id()
        assert told["namespace"] == "conformance"
        assert told["resources"] == {}

    def test_the_runtime_context_of_a_task_has_its_name_and_resources(self, ray: Any) -> None:
        @ray.remote(num_cpus=2)
        def tell() -> tuple[Any, ...]:
            context = ray.get_runtime_context()
            return context.get_actor_id(), context.get_task_name(), context.get_assigned_resources()

        assert ray.get(tell.remote()) == (None, "tell", {"CPU": 2.0})

    def test_an_actor_gets_a_handle_to_itself(self, ray: Any) -> None:
        @ray.remote
        class Selfish:
            def me(self) -> Any:
                return ray.get_runtime_context().current_actor

            def ping(self) -> str:
                return "pong"

        selfish = Selfish.remote()
        me = ray.get(selfish.me.remote())
        assert me == selfish
        assert ray.get(me.ping.remote()) == "pong"

    def test_each_call_has_its_own_task_id(self, ray: Any) -> None:
        @ray.remote
        def task_id() -> str:
            return str(ray.get_runtime_context().get_task_id())

        first, second = ray.get([task_id.remote(), task_id.remote()])
        assert first != second
