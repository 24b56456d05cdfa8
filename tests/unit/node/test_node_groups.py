"""Placement groups: what the node reserves, gives, takes back and restores."""

from __future__ import annotations

from typing import Any

import pytest
from node_scenario import Client, Scenario

from nbactors.local.node.rules import events
from nbactors.local.wire import messages
from nbactors.local.wire.ids import socket_name

GROUP = b"g" * 18


@pytest.fixture
def node() -> Scenario:
    return Scenario()


def group(client: Client, *bundles: dict[str, float], group_id: bytes = GROUP, **options: Any) -> None:
    """Ask for a group."""
    facts: dict[str, Any] = {"strategy": "PACK", "name": "", "detached": False, **options}
    client.send(messages.CreateGroup(client.scenario.rid(), group_id, list(bundles), **facts))


def states(client: Client) -> list[str]:
    return [row.state for row in client.ask("placement_groups").groups]


def free(client: Client, name: str = "CPU") -> float:
    return client.ask("available_resources").amounts.get(name, 0.0)


def lease(client: Client, bundle: int = -1, cpus: float = 1.0, group_id: bytes = GROUP) -> int:
    rid = client.scenario.rid()
    seat = messages.Seat(group_id, bundle)
    client.send(messages.RequestLease(rid, {"CPU": cpus} if cpus else {}, None, "f", [], b"", seat=seat))
    return rid


def started(node: Scenario) -> int:
    return len(node.take(events.Spawn))


class TestReserving:
    def test_all_bundles_are_reserved_or_none(self, node: Scenario) -> None:
        session = node.session()
        group(session, {"CPU": 1.0}, {"CPU": 1.0})
        group(session, {"CPU": 0.5}, group_id=b"h" * 18)
        assert (states(session), free(session)) == (["CREATED", "PENDING"], 0.0)
        session.send(messages.RemoveGroup(node.rid(), GROUP))
        assert (states(session), free(session)) == (["REMOVED", "CREATED"], 1.5)

    def test_a_waiting_group_is_served_before_later_requests_for_its_amounts(self, node: Scenario) -> None:
        session = node.session()
        group(session, {"CPU": 2.0})
        for number in range(3):
            group(session, {"CPU": 2.0}, group_id=bytes([number]) * 18)
        session.send(messages.RemoveGroup(node.rid(), GROUP))
        assert states(session) == ["REMOVED", "CREATED", "PENDING", "PENDING"]

    def test_shares_of_gpus_are_reserved_one_by_one(self) -> None:
        node = Scenario(gpus=2)
        session = node.session(num_gpus=2.0)
        group(session, {"GPU": 0.75}, {"GPU": 0.75})
        group(session, {"GPU": 0.5}, group_id=b"h" * 18)
        assert (states(session), free(session, "GPU")) == (["CREATED", "PENDING"], 0.5)

    def test_bundles_on_different_nodes_are_warned_of(self, node: Scenario) -> None:
        session = node.session()
        group(session, {"CPU": 1.0}, {"CPU": 1.0}, strategy="STRICT_SPREAD")
        assert "2 nodes, as STRICT_SPREAD demands" in session.one(messages.Warn).text
        assert (states(session), free(session)) == (["PENDING"], 2.0)

    def test_a_group_that_never_fits_is_warned_of(self, node: Scenario) -> None:
        session = node.session()
        group(session, {"CPU": 3.0})
        assert "CPU: 3 asked for, 2 in all" in session.one(messages.Warn).text
        assert states(session) == ["PENDING"]

    def test_a_wait_ends_in_time(self, node: Scenario) -> None:
        session = node.session()
        group(session, {"CPU": 3.0})
        session.send(messages.AwaitGroup(5, GROUP, 1.0))
        assert session.got(messages.GroupState) == []
        node.pass_time(1.1)
        assert session.one(messages.GroupState) == messages.GroupState(5, "PENDING")


class TestTaking:
    def test_a_lease_takes_from_its_bundle(self, node: Scenario) -> None:
        session = node.session()
        group(session, {"CPU": 1.0}, {"CPU": 1.0})
        for bundle in (0, 0, -1, -1):
            lease(session, bundle)
        assert started(node) == 2

    def test_nothing_starts_in_a_group_that_waits(self, node: Scenario) -> None:
        session = node.session()
        group(session, {"CPU": 3.0})
        lease(session, cpus=0)
        assert started(node) == 0

    def test_a_gpu_is_one_of_the_bundle(self) -> None:
        node = Scenario(gpus=2)
        session = node.session(num_gpus=2.0)
        session.create_alive(placement={"GPU": 1.0}, resources={"GPU": 1.0})
        group(session, {"GPU": 1.0})
        session.create(placement={"GPU": 0.5}, resources={"GPU": 0.5}, seat=messages.Seat(GROUP, 0))
        assert node.start_worker().one(messages.Assign).gpu_ids == ["1"]

    def test_an_unknown_group_is_refused(self, node: Scenario) -> None:
        session = node.session()
        lease(session)
        assert session.one(messages.Refused).kind == "group_removed"
        session.create(seat=messages.Seat(GROUP))
        assert session.one(messages.ActorDown).kind == "group_removed"


class TestRemoval:
    def test_what_runs_is_killed_and_what_waits_is_refused(self, node: Scenario) -> None:
        session = node.session()
        group(session, {"CPU": 1.0}, {"CPU": 1.0})
        seat = messages.Seat(GROUP)
        _, actor = session.create_alive(resources={"CPU": 1.0}, seat=seat, max_restarts=3)
        lease(session)
        task = node.start_worker()
        waiting = lease(session)
        session.send(messages.RemoveGroup(node.rid(), GROUP))
        assert set(node.killed()) == {actor.process_id, task.process_id}
        assert session.one(messages.ActorDown).kind == "group_removed"
        assert session.one(messages.Refused).rid == waiting
        node.end_worker(task, -9)
        assert session.one(messages.LeaseLost).kind == "group_removed"
        node.end_worker(actor, -9)
        assert free(session) == 2.0

    def test_an_idle_worker_of_the_group_ends(self, node: Scenario) -> None:
        session = node.session()
        group(session, {"CPU": 1.0})
        lease(session)
        worker = node.start_worker()
        session.send(messages.ReturnLease(session.one(messages.LeaseGranted).lease_id))
        session.send(messages.RemoveGroup(node.rid(), GROUP))
        assert node.killed() == [worker.process_id]

    def test_the_end_of_the_session_spares_a_detached_group(self, node: Scenario) -> None:
        first = node.session()
        group(first, {"CPU": 1.0})
        group(first, {"CPU": 1.0}, group_id=b"h" * 18, detached=True)
        first.leave()
        assert states(node.session()) == ["REMOVED", "CREATED"]


def test_the_next_node_restores_groups_with_their_gpus() -> None:
    node = Scenario(gpus=2)
    session = node.session(num_gpus=2.0)
    session.create_alive(placement={"GPU": 1.0}, resources={"GPU": 1.0})
    group(session, {"GPU": 1.0})
    session.create(placement={"GPU": 1.0}, resources={"GPU": 1.0}, seat=messages.Seat(GROUP, 0))
    assign = node.start_worker().one(messages.Assign)
    told = session.got(messages.Grouped)[-1]
    assert told == assign.group
    assert told.gpu_ids == [["1"]]

    following = Scenario(gpus=2, survivors={socket_name(session.process_id): session.pid})
    back = Client(following, session.process_id, "session", session.pid, returns=True)
    for message in (told, messages.Rejoin(told.home), messages.Restored()):
        back.send(message)
    assert states(back) == ["CREATED"]
    back.create(placement={"GPU": 1.0}, resources={"GPU": 1.0})
    assert following.start_worker().one(messages.Assign).gpu_ids == ["0"]
