"""How the node counts weak handles: a process that has one is told all news, and does not keep the actor."""

from __future__ import annotations

import pytest
from node_scenario import Scenario

from nbactors.local.node.rules.holders import EARLY_S
from nbactors.local.wire import messages


def watch(actor_id: bytes, process_id: bytes, tokens: int = 1) -> messages.AddHold:
    return messages.AddHold(actor_id, process_id, tokens, weak=True)


def test_a_watcher_does_not_keep_an_actor_and_is_told_of_its_end(node: Scenario) -> None:
    creator, other = node.session(), node.session()
    actor_id, worker = creator.create_alive()
    other.send(watch(actor_id, other.process_id))
    assert other.one(messages.ActorUp).process_id == worker.process_id
    creator.send(messages.ReleaseHold(actor_id, 1))
    assert worker.one(messages.Terminate).kind == "out_of_scope"
    assert other.one(messages.ActorDown).kind == "out_of_scope"


def test_a_holder_that_keeps_only_a_weak_handle_is_told_of_the_end(node: Scenario) -> None:
    creator = node.session()
    actor_id, worker = creator.create_alive()
    creator.send(watch(actor_id, creator.process_id))
    creator.got(messages.ActorUp)
    creator.send(messages.ReleaseHold(actor_id, 1))
    assert worker.one(messages.Terminate).kind == "out_of_scope"
    assert creator.one(messages.ActorDown).kind == "out_of_scope"


def test_a_watcher_that_becomes_a_holder_keeps_the_actor(node: Scenario) -> None:
    creator, other = node.session(), node.session()
    actor_id, worker = creator.create_alive()
    other.send(watch(actor_id, other.process_id))
    creator.send(messages.AddHold(actor_id, other.process_id, 1))
    creator.send(messages.ReleaseHold(actor_id, 1))
    assert worker.got(messages.Terminate) == []
    other.send(messages.ReleaseHold(actor_id, 1, weak=True))
    assert worker.got(messages.Terminate) == [], "its strong handle keeps it"
    other.send(messages.ReleaseHold(actor_id, 1))
    assert worker.one(messages.Terminate).kind == "out_of_scope"


def test_who_finds_an_actor_by_its_name_for_a_weak_handle_is_a_watcher(node: Scenario) -> None:
    creator, other = node.session(), node.session()
    actor_id, worker = creator.create_alive(name="n", namespace="ns")
    other.send(messages.GetActor(7, "n", "ns", weak=True))
    assert other.one(messages.ActorNamed).actor_id == actor_id
    assert other.got(messages.ActorUp)
    creator.send(messages.ReleaseHold(actor_id, 1))
    assert worker.one(messages.Terminate).kind == "out_of_scope"
    assert other.one(messages.ActorDown).kind == "out_of_scope"
    other.send(messages.GetActor(8, "n", "ns", weak=True))
    assert other.one(messages.Refused).kind == "value", "the name is free"


def test_watchers_are_told_of_a_restart(node: Scenario) -> None:
    creator, other = node.session(), node.session()
    actor_id, worker = creator.create_alive(max_restarts=1)
    other.send(watch(actor_id, other.process_id))
    other.got(messages.ActorUp)
    worker.leave()
    assert other.one(messages.ActorRestarting).actor_id == actor_id
    again = node.start_worker()
    assert other.one(messages.ActorUp).process_id == again.process_id


def test_a_watcher_of_an_actor_that_is_not_up_yet_is_told_when_it_is(node: Scenario) -> None:
    creator, other = node.session(), node.session()
    actor_id = creator.create()
    other.send(watch(actor_id, other.process_id))
    assert other.got(messages.ActorUp) == []
    worker = node.start_worker()
    assert other.one(messages.ActorUp).process_id == worker.process_id


def test_a_watcher_that_has_given_its_handles_back_is_told_nothing(node: Scenario) -> None:
    creator, other = node.session(), node.session()
    actor_id, _ = creator.create_alive()
    other.send(watch(actor_id, other.process_id, 2))
    other.got(messages.ActorUp)
    other.send(messages.ReleaseHold(actor_id, 2, weak=True))
    creator.send(messages.KillActor(1, actor_id, True))
    assert other.got(messages.ActorDown) == []


@pytest.mark.parametrize("is_holder", [False, True])
def test_a_watcher_that_is_gone_is_forgotten(node: Scenario, is_holder: bool) -> None:
    creator, other = node.session(), node.session()
    actor_id, worker = creator.create_alive()
    other.send(watch(actor_id, other.process_id))
    if is_holder:
        creator.send(messages.AddHold(actor_id, other.process_id, 1))
        creator.send(messages.ReleaseHold(actor_id, 1))
    other.leave()
    assert bool(worker.got(messages.Terminate)) == is_holder
    if not is_holder:
        creator.send(messages.ReleaseHold(actor_id, 1))
        assert worker.one(messages.Terminate).kind == "out_of_scope"


def test_a_weak_handle_may_be_counted_before_the_creation_arrives(node: Scenario) -> None:
    creator, other = node.session(), node.session()
    actor_id = node.new_id()
    other.send(watch(actor_id, other.process_id))
    creator.create(actor_id=actor_id)
    node.pass_time(2 * EARLY_S)
    worker = node.start_worker()
    assert other.one(messages.ActorUp).process_id == worker.process_id
    creator.send(messages.ReleaseHold(actor_id, 1))
    assert worker.one(messages.Terminate).kind == "out_of_scope"


def test_a_watcher_is_told_that_there_is_no_such_actor(node: Scenario) -> None:
    other = node.session()
    other.send(watch(b"?" * 16, other.process_id))
    assert other.got(messages.ActorDown) == []
    node.pass_time(2 * EARLY_S)
    assert other.one(messages.ActorDown).kind == "unknown"


def test_a_watcher_of_a_dead_actor_is_told(node: Scenario) -> None:
    creator, other = node.session(), node.session()
    actor_id, _ = creator.create_alive()
    creator.send(messages.KillActor(1, actor_id, True))
    other.send(watch(actor_id, other.process_id))
    assert other.one(messages.ActorDown).kind == "killed"
