"""How the node counts handles, and ends actors without holders."""

from __future__ import annotations

from node_scenario import Scenario

from nbactors.local.node.rules import events
from nbactors.local.node.rules.holders import EARLY_S
from nbactors.local.wire import messages


class TestHolding:
    def test_an_actor_ends_gracefully_with_its_last_handle(self, node: Scenario) -> None:
        creator, other = node.session(graceful_shutdown_s=20.0), node.session()
        actor_id, worker = creator.create_alive()
        creator.send(messages.AddHold(actor_id, other.process_id, 2))
        assert other.one(messages.ActorUp).process_id == worker.process_id
        creator.send(messages.ReleaseHold(actor_id, 1))
        other.send(messages.ReleaseHold(actor_id, 1))
        assert worker.got(messages.Terminate) == []
        other.send(messages.ReleaseHold(actor_id, 1))
        assert worker.one(messages.Terminate).kind == "out_of_scope"
        node.pass_time(19.9)
        assert node.killed() == []
        node.pass_time(0.2)
        assert node.killed() == [worker.process_id]

    def test_a_holder_is_told_the_name_of_a_detached_actor(self, node: Scenario) -> None:
        creator, other = node.session(), node.session()
        for name, detached, told in (("keeper", True, "keeper"), ("plain", False, "")):
            actor_id, _ = creator.create_alive(name=name, detached=detached)
            creator.send(messages.AddHold(actor_id, other.process_id, 1))
            assert other.got(messages.ActorUp)[-1].detached == told

    def test_a_process_that_adds_a_hold_for_itself_is_told_the_state_each_time(self, node: Scenario) -> None:
        creator, other = node.session(), node.session()
        actor_id, worker = creator.create_alive()
        for _ in range(2):
            other.send(messages.AddHold(actor_id, other.process_id, 1))
            assert other.one(messages.ActorUp).process_id == worker.process_id
        creator.send(messages.AddHold(actor_id, other.process_id, 1))
        assert other.got(messages.ActorUp) == []

    def test_adding_zero_tokens_only_asks_for_the_state(self, node: Scenario) -> None:
        creator, other = node.session(), node.session()
        actor_id, worker = creator.create_alive()
        other.send(messages.AddHold(actor_id, other.process_id, 0))
        assert other.one(messages.ActorUp).process_id == worker.process_id
        creator.send(messages.ReleaseHold(actor_id, 1))
        assert worker.one(messages.Terminate).kind == "out_of_scope"
        other.send(messages.AddHold(actor_id, other.process_id, 0))
        assert other.one(messages.ActorDown).kind == "out_of_scope"

    def test_a_process_may_ask_before_the_request_of_the_creator_arrives(self, node: Scenario) -> None:
        creator, other = node.session(), node.session()
        actor_id = node.new_id()
        other.send(messages.AddHold(actor_id, other.process_id, 0))
        assert other.got(messages.ActorDown) == []
        creator.create(actor_id=actor_id)
        creator.send(messages.AddHold(actor_id, other.process_id, 1))
        node.start_worker()
        assert other.one(messages.ActorUp).actor_id == actor_id

    def test_the_handles_of_a_process_that_ends_are_released(self, node: Scenario) -> None:
        creator, other = node.session(), node.session()
        actor_id, worker = creator.create_alive()
        creator.send(messages.AddHold(actor_id, other.process_id, 1))
        creator.send(messages.ReleaseHold(actor_id, 1))
        other.leave()
        assert worker.one(messages.Terminate).kind == "out_of_scope"

    def test_handles_for_a_process_that_is_gone_do_not_count(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive()
        session.send(messages.AddHold(actor_id, b"z" * 16, 1))
        session.send(messages.ReleaseHold(actor_id, 1))
        assert worker.one(messages.Terminate).kind == "out_of_scope"

    def test_an_actor_without_handles_is_dropped_before_it_is_placed(self, node: Scenario) -> None:
        session = node.session(num_cpus=0)
        actor_id = session.create()
        session.send(messages.ReleaseHold(actor_id, 1))
        assert session.states() == ["DEAD"]

    def test_an_actor_without_handles_is_killed_while_it_starts(self, node: Scenario) -> None:
        session = node.session()
        actor_id = session.create()
        (spawn,) = node.take(events.Spawn)
        session.send(messages.ReleaseHold(actor_id, 1))
        assert node.killed() == []
        node.happen(events.Forked(spawn.order.process_id, 9))
        assert node.killed() == [spawn.order.process_id]

    def test_a_detached_actor_needs_no_handle(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(detached=True)
        session.send(messages.ReleaseHold(actor_id, 1))
        assert worker.got(messages.Terminate) == []

    def test_a_process_that_gets_a_handle_of_a_dead_actor_is_told(self, node: Scenario) -> None:
        creator, other = node.session(), node.session()
        actor_id, _ = creator.create_alive()
        creator.send(messages.KillActor(1, actor_id, True))
        creator.send(messages.AddHold(actor_id, other.process_id, 1))
        assert other.one(messages.ActorDown).kind == "killed"

    def test_a_handle_may_be_counted_before_the_actors_creation_arrives(self, node: Scenario) -> None:
        creator, receiver = node.session(), node.session()
        actor_id = b"e" * 16
        receiver.send(messages.AddHold(actor_id, receiver.process_id, 1))
        creator.create(actor_id=actor_id)
        node.pass_time(2 * EARLY_S)
        assert not receiver.got(messages.ActorDown)
        creator.send(messages.ReleaseHold(actor_id, 1))
        assert creator.states() != ["DEAD"], "the receiver holds it"
        receiver.send(messages.ReleaseHold(actor_id, 1))
        assert creator.states() == ["DEAD"]

    def test_a_handle_may_be_counted_and_given_back_before_the_creation_arrives(self, node: Scenario) -> None:
        creator, receiver = node.session(), node.session()
        actor_id = b"e" * 16
        receiver.send(messages.AddHold(actor_id, receiver.process_id, 1))
        receiver.send(messages.ReleaseHold(actor_id, 1))
        creator.create(actor_id=actor_id)
        creator.send(messages.ReleaseHold(actor_id, 1))
        assert creator.states() == ["DEAD"]

    def test_tokens_may_be_given_back_before_they_are_counted(self, node: Scenario) -> None:
        session, sender = node.session(), node.session()
        actor_id, _ = session.create_alive()
        session.send(messages.ReleaseHold(actor_id, 2))
        assert session.states() == ["ALIVE"], "a token is on its way"
        sender.send(messages.AddHold(actor_id, session.process_id, 1))
        assert session.states() == ["DEAD"]

    def test_a_process_that_owes_a_count_and_ends_holds_nothing(self, node: Scenario) -> None:
        creator, other = node.session(), node.session()
        actor_id, _ = creator.create_alive()
        other.send(messages.ReleaseHold(actor_id, 1))
        other.leave()
        assert creator.states() == ["ALIVE"]
        creator.send(messages.ReleaseHold(actor_id, 1))
        assert creator.states() == ["DEAD"]

    def test_a_process_that_gets_a_handle_of_an_unknown_actor_is_told(self, node: Scenario) -> None:
        session = node.session()
        session.send(messages.AddHold(b"?" * 16, session.process_id, 1))
        assert not session.got(messages.ActorDown), "its creation may be on its way"
        node.pass_time(EARLY_S)
        down = session.one(messages.ActorDown)
        assert down.kind == "unknown"
        assert "It might be dead or it's from a different cluster" in down.text


def test_a_handle_that_is_given_back_before_its_actor_is_known_keeps_nothing(node: Scenario) -> None:
    """The holder's messages take another way than those of the creator, which has sent the handle."""
    creator = node.session()
    creator.request_lease()
    holder = node.start_worker()
    actor_id = b"z" * 16
    holder.send(messages.ReleaseHold(actor_id, 1))
    creator.create(actor_id=actor_id)
    creator.send(messages.AddHold(actor_id, holder.process_id, 1))
    worker = node.start_worker()
    worker.send(messages.ActorConstructed(actor_id))
    assert worker.got(messages.Terminate) == []
    creator.send(messages.ReleaseHold(actor_id, 1))
    assert worker.one(messages.Terminate).kind == "out_of_scope"
