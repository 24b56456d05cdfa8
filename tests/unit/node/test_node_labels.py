"""Demands on labels: what waits, what is told of it, and that it holds nothing."""

from __future__ import annotations

import pytest
from node_scenario import Client, Scenario

from nbactors.local.node.rules import events
from nbactors.local.wire import messages

Term = messages.LabelTerm


@pytest.fixture
def node() -> Scenario:
    return Scenario()


def lease(client: Client, selectors: list[list[messages.LabelTerm]], seat: messages.Seat | None = None) -> int:
    rid = client.scenario.rid()
    client.send(messages.RequestLease(rid, {"CPU": 1.0}, None, "f", [], b"", seat=seat, selectors=selectors))
    return rid


def started(node: Scenario) -> int:
    return len(node.take(events.Spawn))


@pytest.mark.parametrize(
    ("selectors", "runs"),
    [
        ([], True),
        ([[Term("zone", "in", ["a", "b"])]], True),
        ([[Term("zone", "in", ["b"])]], False),
        ([[Term("zone", "not_in", ["b"])]], True),
        ([[Term("zone", "not_in", ["a"])]], False),
        ([[Term("colour", "not_in", ["a"])]], True),
        ([[Term("colour", "in", ["a"])]], False),
        ([[Term("zone", "exists", [])]], True),
        ([[Term("colour", "exists", [])]], False),
        ([[Term("zone", "absent", [])]], False),
        ([[Term("colour", "absent", [])]], True),
        ([[Term("zone", "in", ["a"]), Term("colour", "exists", [])]], False),
        ([[Term("zone", "in", ["b"])], [Term("zone", "in", ["a"])]], True),
        ([[Term("zone", "in", ["b"])], [Term("zone", "in", ["c"])]], False),
    ],
    ids=str,
)
def test_all_terms_of_one_selector_must_hold(
    node: Scenario, selectors: list[list[messages.LabelTerm]], runs: bool
) -> None:
    session = node.session(labels={"zone": "a"})
    session.create(selectors=selectors)
    assert started(node) == runs
    lease(session, selectors)
    assert started(node) == runs
    assert len(session.got(messages.Warn)) == (0 if runs else 2)


def test_the_warning_says_what_is_missing_and_what_there_is(node: Scenario) -> None:
    session = node.session(labels={"zone": "a"})
    wanted = [[Term("zone", "in", ["b", "c"]), Term("disk", "exists", [])], [Term("zone", "not_in", ["a"])]]
    session.create(selectors=wanted)
    session.create(selectors=wanted)
    text = session.one(messages.Warn).text
    assert text.startswith(
        "actor Counter waits for a node with the labels zone=b|c, disk or zone!=a. There is one node"
    )
    assert "with the labels zone=a, ray.io/node-id=" in text
    assert "init(labels=)" in text


def test_the_id_of_the_node_is_a_label(node: Scenario) -> None:
    session = node.session()
    node_id = session.ask("nodes").facts["node_id"]
    lease(session, [[Term("ray.io/node-id", "in", [node_id])]])
    assert started(node) == 1
    lease(session, [[Term("ray.io/node-id", "in", ["ab" * 28])]])
    assert started(node) == 0


def test_labels_are_those_of_the_own_session(node: Scenario) -> None:
    first, second = node.session(labels={"zone": "a"}), node.session(labels={"zone": "b"})
    for session in (first, second):
        lease(session, [[Term("zone", "in", ["b"])]])
    assert started(node) == 1
    assert first.got(messages.Warn)
    assert not second.got(messages.Warn)


def test_what_waits_holds_nothing_and_delays_nothing(node: Scenario) -> None:
    session = node.session(num_cpus=1.0)
    for _ in range(200):
        lease(session, [[Term("zone", "in", ["b"])]])
        lease(session, [])
    assert started(node) == 1
    assert session.ask("available_resources").amounts.get("CPU", 0.0) == 0.0


def test_a_waiting_request_can_be_withdrawn(node: Scenario) -> None:
    session = node.session()
    actor_id = session.create(selectors=[[Term("zone", "in", ["b"])]])
    session.send(messages.CancelLease(lease(session, [[Term("zone", "in", ["b"])]])))
    session.send(messages.KillActor(node.rid(), actor_id, True))
    assert session.one(messages.ActorDown).kind == "killed"
    assert session.states() == ["DEAD"]
    session.leave()
    assert started(node) == 0


def test_it_may_wait_in_a_placement_group(node: Scenario) -> None:
    session = node.session()
    group_id = b"g" * 18
    session.send(messages.CreateGroup(node.rid(), group_id, [{"CPU": 1.0}], "PACK", "", False))
    seat = messages.Seat(group_id)
    lease(session, [[Term("zone", "in", ["b"])]], seat)
    assert started(node) == 0
    lease(session, [[Term("zone", "absent", [])]], seat)
    assert started(node) == 1
    session.send(messages.RemoveGroup(node.rid(), group_id))
    assert len(session.got(messages.Refused)) >= 1


class TestKindOfGpu:
    def test_it_is_a_label_and_a_resource(self) -> None:
        node = Scenario(gpus=2, model="NVIDIA A100-SXM4-40GB")
        session = node.session(num_gpus=-1.0)
        assert session.opened.labels == {"ray.io/accelerator-type": "A100"}
        assert session.ask("cluster_resources").amounts["accelerator_type:A100"] == 1.0
        lease(session, [[Term("ray.io/accelerator-type", "in", ["A100"])]])
        assert started(node) == 1

    def test_the_user_s_label_and_amount_come_first(self) -> None:
        node = Scenario(gpus=2, model="NVIDIA A100-SXM4-40GB")
        own = {"ray.io/accelerator-type": "mine"}
        session = node.session(num_gpus=-1.0, labels=own, resources={"accelerator_type:A100": 4.0})
        assert session.opened.labels == own
        assert session.ask("cluster_resources").amounts["accelerator_type:A100"] == 4.0

    @pytest.mark.parametrize("options", [{"num_gpus": 0.0}, {"num_gpus": -1.0, "is_known": False}])
    def test_without_gpus_or_their_model_there_is_none(self, options: dict[str, float]) -> None:
        model = "NVIDIA A100-SXM4-40GB" if options.pop("is_known", True) else ""
        session = Scenario(gpus=2, model=model).session(**options)
        assert session.opened.labels == {}
        assert not [name for name in session.ask("cluster_resources").amounts if name.startswith("accelerator")]
