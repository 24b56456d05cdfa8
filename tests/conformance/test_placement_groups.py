"""Placement groups: reserved bundles, what runs in them, and what their removal ends."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.subjects import Echo, Gate

pytestmark = pytest.mark.one_node("the tests count the free CPUs of one")


class Groups:
    """The functions of the module under test; removes at the end what a test has created."""

    def __init__(self, ray: Any, module_name: str) -> None:
        self.ray = ray
        self.module = importlib.import_module(f"{module_name}.util.placement_group")
        self.place = importlib.import_module(
            f"{module_name}.util.scheduling_strategies"
        ).PlacementGroupSchedulingStrategy
        self.made: list[Any] = []

    def make(self, *bundles: dict[str, float], **options: Any) -> Any:
        group = self.module.placement_group(list(bundles), **options)
        self.made.append(group)
        return group

    def remove(self, group: Any) -> None:
        self.module.remove_placement_group(group)

    def state(self, group: Any) -> str:
        return str(self.module.placement_group_table(group)["state"])

    def free(self, name: str) -> float:
        return float(self.ray.available_resources().get(name, 0.0))


@pytest.fixture
def groups(ray: Any, module_name: str, eventually: Callable[..., Any]) -> Iterator[Groups]:
    groups = Groups(ray, module_name)
    eventually(lambda: groups.free("CPU") == 4)
    yield groups
    for group in groups.made:
        groups.remove(group)


class TestReserving:
    @pytest.mark.parametrize("strategy", ["PACK", "SPREAD", "STRICT_PACK"])
    def test_the_bundles_are_taken_from_the_free_resources(
        self, groups: Groups, eventually: Any, strategy: str
    ) -> None:
        group = groups.make({"CPU": 1}, {"CPU": 2}, strategy=strategy)
        assert groups.ray.get(group.ready(), timeout=10).id == group.id
        assert group.wait(10)
        eventually(lambda: groups.free("CPU") == 1)
        groups.remove(group)
        eventually(lambda: groups.free("CPU") == 4)
        assert groups.state(group) == "REMOVED"

    def test_a_group_waits_until_all_bundles_are_free(self, groups: Groups) -> None:
        first, second = groups.make({"CPU": 3}), groups.make({"CPU": 1}, {"CPU": 1})
        assert first.wait(10)
        assert not second.wait(0)
        assert groups.state(second) == "PENDING"
        groups.remove(first)
        assert second.wait(10)

    def test_bundles_on_different_nodes_are_never_there(self, groups: Groups) -> None:
        group = groups.make({"CPU": 1}, {"CPU": 1}, strategy="STRICT_SPREAD")
        assert not group.wait(0.1)
        assert groups.free("CPU") == 4

    def test_a_handle_can_be_pickled_and_found_by_name(self, groups: Groups) -> None:
        group = groups.make({"CPU": 1}, {"widget": 1}, name="pair")
        assert pickle.loads(pickle.dumps(group)).id == group.id
        found = groups.module.get_placement_group("pair")
        assert (found.id, found.bundle_specs, found.bundle_count) == (group.id, [{"CPU": 1.0}, {"widget": 1.0}], 2)
        with pytest.raises(groups.ray.exceptions.RaySystemError, match="name 'pair' already exists"):
            groups.make({"CPU": 1}, name="pair")
        groups.remove(group)
        with pytest.raises(ValueError, match="Failed to look up placement group with name: pair"):
            groups.module.get_placement_group("pair")

    @pytest.mark.parametrize(
        ("bundles", "options", "text"),
        [
            ([], {}, "non-empty list"),
            ("CPU", {}, "must be a list"),
            ([{}], {}, "empty dictionary or resources with only 0 values"),
            ([{"CPU": 0}], {}, "empty dictionary or resources with only 0 values"),
            ([{"CPU": 1}], {"strategy": "NEAR"}, "Invalid placement group strategy NEAR"),
            ([{"CPU": 1}], {"lifetime": "long"}, "must be either `None` or 'detached'"),
        ],
    )
    def test_a_wrong_argument_is_refused(self, groups: Groups, bundles: Any, options: Any, text: str) -> None:
        with pytest.raises(ValueError, match=text):
            groups.module.placement_group(bundles, **options)
        assert groups.free("CPU") == 4


class TestRunningInAGroup:
    def test_actors_and_tasks_take_from_the_bundles(self, groups: Groups, gate: Gate, eventually: Any) -> None:
        ray, group = groups.ray, groups.make({"CPU": 1}, {"CPU": 2})

        @ray.remote
        def where(gate: Gate | None, module: Any = groups.module.__name__) -> Any:
            if gate is not None:
                gate.wait()
            found = importlib.import_module(module).get_current_placement_group()
            return found and found.id.hex()

        waiting = where.options(scheduling_strategy=groups.place(group, 0)).remote(gate)
        actor = ray.remote(Echo).options(num_cpus=2, scheduling_strategy=groups.place(group, 1)).remote()
        assert ray.get(actor.pid.remote(), timeout=10)
        second = where.options(scheduling_strategy=groups.place(group)).remote(None)
        assert ray.wait([second], timeout=0.3) == ([], [second])
        eventually(lambda: groups.free("CPU") == 1)
        gate.open()
        assert ray.get([waiting, second], timeout=10) == [group.id.hex()] * 2
        assert ray.get(where.remote(None), timeout=10) is None

    def test_what_never_fits_is_refused(self, groups: Groups) -> None:
        group, actor = groups.make({"CPU": 1}, {"CPU": 2}), groups.ray.remote(Echo)
        with pytest.raises(
            ValueError, match=r"Cannot schedule Echo with the placement group .*cannot fit into any bund"
        ):
            actor.options(num_cpus=3, scheduling_strategy=groups.place(group)).remote()
        with pytest.raises(ValueError, match="placement group bundle index 2 is invalid"):
            actor.options(scheduling_strategy=groups.place(group, 2)).remote()

    @pytest.mark.parametrize("captures", [True, False])
    def test_child_tasks_are_captured_if_asked(self, groups: Groups, captures: bool) -> None:
        ray, group = groups.ray, groups.make({"CPU": 2})

        @ray.remote
        def child(module: Any = groups.module.__name__) -> Any:
            return importlib.import_module(module).get_current_placement_group() is not None

        @ray.remote
        def parent(child: Any = child, name: str = ray.__name__) -> Any:
            return importlib.import_module(name).get(child.remote())

        place = groups.place(group, 0, placement_group_capture_child_tasks=captures)
        assert ray.get(parent.options(scheduling_strategy=place).remote(), timeout=20) is captures


class TestRemoval:
    def test_it_ends_what_runs_and_refuses_what_waits(
        self, groups: Groups, gate: Gate, started: Any, journal: Any
    ) -> None:
        ray, group = groups.ray, groups.make({"CPU": 1}, {"CPU": 1})

        @ray.remote(max_retries=0)
        def hold(gate: Gate, journal: Any) -> None:
            journal.note("runs")
            gate.wait()

        class Holder:
            def hold(self, gate: Gate, journal: Any) -> None:
                journal.note("lives")
                gate.wait()

        running = hold.options(scheduling_strategy=groups.place(group, 0)).remote(gate, journal)
        actor = ray.remote(Holder).options(num_cpus=1, scheduling_strategy=groups.place(group, 1)).remote()
        called = actor.hold.remote(gate, journal)
        started("runs")
        started("lives")
        late_actor = ray.remote(Holder).options(num_cpus=1, scheduling_strategy=groups.place(group, 1)).remote()
        late_call = late_actor.hold.remote(gate, journal)
        late = hold.options(scheduling_strategy=groups.place(group, 0)).remote(gate, journal)
        # Ray creates actors in order, and lets one wait for ever that it creates when its group has just been removed.
        ray.get(ray.remote(Echo).options(num_cpus=0).remote().echo.remote(1))
        groups.remove(group)
        with pytest.raises(ray.exceptions.ActorDiedError, match="placement group was removed"):
            ray.get(called, timeout=10)
        with pytest.raises(ray.exceptions.ActorUnschedulableError, match="placement group was removed"):
            ray.get(late_call, timeout=10)
        for ref in (late, group.ready()):
            with pytest.raises(ray.exceptions.TaskPlacementGroupRemoved, match="removed"):
                ray.get(ref, timeout=10)
        with pytest.raises(ray.exceptions.RayError, match=r"removed|node|worker died"):
            ray.get(running, timeout=10)

    def test_removing_twice_does_nothing(self, groups: Groups) -> None:
        group = groups.make({"CPU": 1})
        groups.remove(group)
        groups.remove(group)
        assert groups.state(group) == "REMOVED"
