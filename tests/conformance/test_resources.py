"""Resources: what calls and actors hold, and what waits for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from conformance.subjects import Counter, Echo, Gate, echo, is_running

pytestmark = pytest.mark.one_node("the tests count the amounts of one")


@pytest.fixture(autouse=True)
def _nothing_is_held(ray: Any, eventually: Callable[..., Any]) -> None:
    eventually(lambda: is_free(ray, CPU=4, GPU=2, widget=2))


def is_free(ray: Any, **amounts: float) -> bool:
    available = ray.available_resources()
    return all(available.get(name, 0.0) == amount for name, amount in amounts.items())


class TestAmounts:
    def test_an_actor_holds_no_cpu_by_default(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(Echo).remote()
        ray.get(actor.pid.remote())
        eventually(lambda: is_free(ray, CPU=4))

    def test_more_actors_than_cpus_fit(self, ray: Any) -> None:
        actors = [ray.remote(Counter).remote() for _ in range(6)]
        assert ray.get([actor.increment.remote() for actor in actors]) == [1] * 6

    def test_an_actor_holds_its_resources_and_returns_them(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(Echo).options(num_cpus=3, num_gpus=1, resources={"widget": 0.5}).remote()
        ray.get(actor.pid.remote())
        eventually(lambda: is_free(ray, CPU=1, GPU=1, widget=1.5))
        del actor
        eventually(lambda: is_free(ray, CPU=4, GPU=2, widget=2))

    def test_a_killed_actor_returns_its_resources(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(Echo).options(num_cpus=3).remote()
        ray.get(actor.pid.remote())
        ray.kill(actor)
        eventually(lambda: is_free(ray, CPU=4))

    def test_a_crashed_actor_returns_its_resources(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(Echo).options(num_cpus=3).remote()
        actor.__ray_call__.remote(lambda self: os._exit(1))
        eventually(lambda: is_free(ray, CPU=4))

    def test_a_task_holds_a_cpu_while_it_runs(self, ray: Any, gate: Gate, eventually: Any) -> None:
        @ray.remote
        def wait(gate: Gate) -> None:
            gate.wait()

        waiting = wait.remote(gate)
        eventually(lambda: is_free(ray, CPU=3))
        gate.open()
        ray.get(waiting)
        eventually(lambda: is_free(ray, CPU=4))

    def test_an_actor_keeps_its_cpu_while_it_is_blocked(self, ray: Any, gate: Gate, eventually: Any) -> None:
        slow = ray.remote(Echo).remote().wait.remote(gate)
        getter = ray.remote(Echo).options(num_cpus=3).remote()
        blocked = getter.__ray_call__.remote(lambda self, refs: ray.get(refs[0]), [slow])
        eventually(lambda: is_free(ray, CPU=1))
        assert ray.wait([blocked], timeout=0) == ([], [blocked])
        gate.open()
        assert ray.get(blocked) == "passed"

    def test_num_cpus_may_be_0(self, ray: Any) -> None:
        assert ray.get(ray.remote(echo).options(num_cpus=0).remote(1)) == 1
        assert ray.get(ray.remote(Counter).options(num_cpus=0).remote().increment.remote()) == 1

    def test_num_cpus_may_be_a_fraction(self, ray: Any, eventually: Any) -> None:
        actors = [ray.remote(Echo).options(num_cpus=0.25).remote() for _ in range(3)]
        ray.get([actor.pid.remote() for actor in actors])
        eventually(lambda: is_free(ray, CPU=3.25))

    def test_memory_is_counted_in_bytes(self, ray: Any, eventually: Any) -> None:
        whole = ray.available_resources()["memory"]
        actor = ray.remote(Echo).options(memory=100 * 2**20).remote()
        ray.get(actor.pid.remote())
        eventually(lambda: ray.available_resources()["memory"] == whole - 100 * 2**20)

    def test_the_runtime_context_returns_the_held_resources(self, ray: Any) -> None:
        @ray.remote(num_cpus=2, resources={"widget": 1})
        def told() -> Any:
            return ray.get_runtime_context().get_assigned_resources()

        assert ray.get(told.remote()) == {"CPU": 2.0, "widget": 1.0}


class TestWaiting:
    def test_an_actor_waits_for_resources_that_another_holds(self, ray: Any) -> None:
        first = ray.remote(Echo).options(num_cpus=4).remote()
        ray.get(first.pid.remote())
        second = ray.remote(Echo).options(num_cpus=1).remote()
        placed = second.echo.remote("placed")
        assert ray.wait([placed], timeout=0.2) == ([], [placed])
        del first
        assert ray.get(placed) == "placed"

    def test_an_actor_needs_a_free_cpu_to_be_placed(self, ray: Any) -> None:
        first = ray.remote(Echo).options(num_cpus=4).remote()
        ray.get(first.pid.remote())
        placed = ray.remote(Echo).remote().echo.remote("placed")
        assert ray.wait([placed], timeout=0.2) == ([], [placed])
        ray.kill(first)
        assert ray.get(placed) == "placed"

    def test_a_task_waits_for_resources_that_another_holds(self, ray: Any, gate: Gate) -> None:
        wait = ray.remote(lambda gate: gate.wait()).options(resources={"widget": 2})
        first = wait.remote(gate)
        second = ray.remote(echo).options(resources={"widget": 1}).remote("second")
        assert ray.wait([second], timeout=0.2) == ([], [second])
        gate.open()
        assert ray.get([first, second]) == [None, "second"]

    def test_a_request_that_can_never_be_met_waits_and_delays_no_other(self, ray: Any) -> None:
        never = ray.remote(echo).options(resources={"unheard_of": 1}).remote()
        assert ray.wait([never], timeout=0.2) == ([], [never])
        # What can be met is not held up by it.
        assert ray.get(ray.remote(echo).remote(1)) == 1

    def test_an_actor_that_can_never_be_placed_can_be_killed(self, ray: Any) -> None:
        never = ray.remote(Echo).options(num_cpus=1000).remote()
        ref = never.echo.remote()
        assert ray.wait([ref], timeout=0.1) == ([], [ref])
        ray.kill(never)
        with pytest.raises(ray.exceptions.RayActorError, match=r"(?i)kill"):
            ray.get(ref)

    def test_a_waiting_actor_without_handles_is_dropped(self, ray: Any, eventually: Any) -> None:
        holder = ray.remote(Echo).options(num_cpus=4).remote()
        pid = ray.get(holder.pid.remote())
        waiting = ray.remote(Echo).options(num_cpus=4).remote()
        del waiting
        del holder
        eventually(lambda: not is_running(pid))
        assert ray.get(ray.remote(echo).options(num_cpus=4).remote(1)) == 1


class TestGpus:
    def test_a_driver_has_no_gpus(self, ray: Any) -> None:
        assert ray.get_gpu_ids() == []

    def test_each_actor_gets_its_own_gpu(self, ray: Any) -> None:
        actors = [ray.remote(Gpus).options(num_gpus=1).remote(ray) for _ in range(2)]
        told = ray.get([actor.tell.remote() for actor in actors])
        assert sorted(ids for ids, _ in told) == [[0], [1]]
        assert all(visible == str(ids[0]) for ids, visible in told)

    def test_an_actor_can_get_both_gpus(self, ray: Any) -> None:
        ids, visible = ray.get(ray.remote(Gpus).options(num_gpus=2).remote(ray).tell.remote())
        assert sorted(ids) == [0, 1]
        assert sorted(visible.split(",")) == ["0", "1"]

    def test_two_halves_share_a_gpu(self, ray: Any) -> None:
        actors = [ray.remote(Gpus).options(num_gpus=0.5).remote(ray) for _ in range(4)]
        told = ray.get([actor.tell.remote() for actor in actors])
        assert sorted(ids for ids, _ in told) == [[0], [0], [1], [1]]

    def test_a_task_gets_a_gpu(self, ray: Any) -> None:
        @ray.remote(num_gpus=1)
        def tell() -> Any:
            return ray.get_gpu_ids(), os.environ["CUDA_VISIBLE_DEVICES"]

        ids, visible = ray.get(tell.remote())
        assert ids in ([0], [1])
        assert visible == str(ids[0])

    def test_the_runtime_context_returns_gpu_ids_as_text(self, ray: Any) -> None:
        @ray.remote(num_gpus=1)
        def tell() -> Any:
            return ray.get_runtime_context().get_accelerator_ids()["GPU"], ray.get_gpu_ids()

        as_text, ids = ray.get(tell.remote())
        assert as_text == [str(ids[0])]

    def test_an_actor_that_requests_no_gpu_gets_none(self, ray: Any) -> None:
        assert ray.get(ray.remote(Gpus).remote(ray).tell.remote())[0] == []

    def test_a_returned_gpu_is_assigned_again(self, ray: Any) -> None:
        first = ray.remote(Gpus).options(num_gpus=2).remote(ray)
        ray.get(first.tell.remote())
        second = ray.remote(Gpus).options(num_gpus=2).remote(ray)
        waiting = second.tell.remote()
        assert ray.wait([waiting], timeout=0.1) == ([], [waiting])
        ray.kill(first)
        assert sorted(ray.get(waiting)[0]) == [0, 1]


class Gpus:
    def __init__(self, ray: Any) -> None:
        self.ray = ray

    def tell(self) -> tuple[list[int], str | None]:
        return self.ray.get_gpu_ids(), os.environ.get("CUDA_VISIBLE_DEVICES")
