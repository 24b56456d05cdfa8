"""How long placement groups live: beyond their session if they are detached, and beyond a crash of the node."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbactors as ray
from nbactors.testing import eventually
from nbactors.testing.leaks import node_pid
from nbactors.util import (
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from nbactors.util.placement_group import PlacementGroup
from nbactors.util.scheduling_strategies import PlacementGroupSchedulingStrategy


@ray.remote
class Place:
    def pid(self) -> int:
        return os.getpid()


def start() -> None:
    ray.init(num_cpus=4, namespace="groups")


@pytest.fixture(autouse=True)
def _session(own_directory: Path) -> Iterator[None]:
    start()
    yield
    ray.shutdown()


def crash_node() -> None:
    pid = node_pid()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: node_pid() not in (pid, None))


def state(group: PlacementGroup) -> object:
    return placement_group_table(group)["state"]


def test_only_a_detached_group_outlives_its_session() -> None:
    groups = [placement_group([{"CPU": 1}], name=str(life), lifetime=life) for life in (None, "detached")]
    assert all(group.wait(10) for group in groups)
    ray.shutdown()
    start()
    assert [state(group) for group in groups] == ["REMOVED", "CREATED"]
    found = get_placement_group("detached")
    place = PlacementGroupSchedulingStrategy(found, 0)
    actor = Place.options(num_cpus=1, scheduling_strategy=place).remote()
    assert ray.get(actor.pid.remote(), timeout=20) != os.getpid()
    remove_placement_group(found)
    with pytest.raises(ray.exceptions.ActorDiedError, match="placement group was removed"):
        ray.get(actor.pid.remote(), timeout=20)


@pytest.mark.slow
def test_groups_and_what_runs_in_them_survive_a_crash_of_the_node() -> None:
    group, waiting = placement_group([{"CPU": 1}, {"CPU": 2}]), placement_group([{"CPU": 2}])
    place = PlacementGroupSchedulingStrategy(group, 1)
    actor = Place.options(num_cpus=2, scheduling_strategy=place).remote()
    pid = ray.get(actor.pid.remote(), timeout=20)
    crash_node()
    assert [state(group), state(waiting)] == ["CREATED", "PENDING"]
    assert ray.get(actor.pid.remote(), timeout=20) == pid
    assert ray.available_resources()["CPU"] == 1
    second = Place.options(num_cpus=1, scheduling_strategy=place).remote()
    assert ray.wait([second.pid.remote()], timeout=0.3)[0] == []
    remove_placement_group(group)
    assert waiting.wait(20)
    with pytest.raises(ray.exceptions.ActorDiedError, match="placement group was removed"):
        ray.get(actor.pid.remote(), timeout=20)


@pytest.mark.slow
def test_a_detached_group_survives_a_crash_with_an_actor_in_it() -> None:
    group = placement_group([{"CPU": 1}], name="kept", lifetime="detached")
    place = PlacementGroupSchedulingStrategy(group)
    actor = Place.options(name="kept", lifetime="detached", num_cpus=1, scheduling_strategy=place).remote()
    pid = ray.get(actor.pid.remote(), timeout=20)
    ray.shutdown()
    start()
    crash_node()
    assert ray.get(ray.get_actor("kept").pid.remote(), timeout=20) == pid
    assert state(get_placement_group("kept")) == "CREATED"
    remove_placement_group(group)
    assert state(group) == "REMOVED"
