"""How the node places actors and has their processes made."""

from __future__ import annotations

from node_scenario import ENVIRONMENT, Scenario

from nbactors.local.node.rules import events, workers
from nbactors.local.wire import messages


class TestCreation:
    def test_from_the_request_to_the_first_call(self, node: Scenario) -> None:
        session = node.session()
        actor_id = session.create(resources={"CPU": 1.0})
        (spawn,) = node.take(events.Spawn)
        assert spawn.title == "ray::Counter"
        assert spawn.facts == ENVIRONMENT
        assert session.states() == ["PENDING_CREATION"]
        assert session.got(messages.ActorUp) == []
        worker = node.come_alive(spawn)
        up = session.one(messages.ActorUp)
        assert (up.actor_id, up.process_id, up.pid) == (actor_id, worker.process_id, worker.pid)
        assign = worker.one(messages.Assign)
        assert (assign.actor_id, assign.resources, assign.gpu_ids) == (actor_id, {"CPU": 1.0}, [])
        worker.send(messages.ActorConstructed(actor_id))
        assert session.states() == ["ALIVE"]

    def test_two_cpus_place_three_that_hold_none(self, node: Scenario) -> None:
        session = node.session()
        for _ in range(3):
            session.create()
        assert len(node.take(events.Spawn)) == 3

    def test_it_waits_for_resources_and_is_placed_when_they_are_free(self, node: Scenario) -> None:
        session = node.session()
        first, worker = session.create_alive(resources={"CPU": 2.0})
        second = session.create()
        assert node.take(events.Spawn) == []
        session.send(messages.ReleaseHold(first, 1))
        assert node.take(events.Spawn) == []
        node.end_worker(worker)
        node.start_worker()
        assert [up.actor_id for up in session.got(messages.ActorUp)] == [first, second]

    def test_one_that_can_never_be_placed_is_warned_of_once_and_waits(self, node: Scenario) -> None:
        session = node.session()
        session.create(placement={"CPU": 3.0, "x": 1.0})
        session.create(placement={"CPU": 3.0, "x": 1.0})
        text = session.one(messages.Warn).text
        assert "actor Counter waits for resources" in text
        assert "CPU: 3 asked for, 2 in all" in text
        assert "x: 1 asked for, 0 in all" in text
        assert session.states() == ["PENDING_CREATION"] * 2

    def test_never_with_no_cpu(self, node: Scenario) -> None:
        session = node.session(num_cpus=0)
        session.create()
        assert node.take(events.Spawn) == []
        assert "CPU: 1 asked for, 0 in all" in session.one(messages.Warn).text

    def test_a_process_that_cannot_be_made(self, node: Scenario) -> None:
        session = node.session()
        actor_id = session.create()
        (spawn,) = node.take(events.Spawn)
        node.happen(events.Forked(spawn.process_id, 0, "no memory"))
        down = session.one(messages.ActorDown)
        assert (down.actor_id, down.kind) == (actor_id, "crashed")
        assert down.text == "its worker process could not be started: no memory"

    def test_a_process_that_ends_before_it_is_ready(self, node: Scenario) -> None:
        session = node.session()
        session.create()
        (spawn,) = node.take(events.Spawn)
        node.happen(events.Forked(spawn.process_id, 9))
        node.happen(events.Exited(spawn.process_id, 1))
        node.happen(events.OutputEnded(spawn.process_id, "ImportError: x"))
        text = session.one(messages.ActorDown).text
        assert "(pid 9) exited unexpectedly with exit code 1 before it was ready for work" in text
        assert "ImportError: x" in text

    def test_a_process_that_never_registers_is_killed(self, node: Scenario) -> None:
        session = node.session()
        session.create()
        (spawn,) = node.take(events.Spawn)
        node.happen(events.Forked(spawn.process_id, 9))
        node.pass_time(workers.CONNECT_WITHIN_S)
        assert node.killed() == [spawn.process_id]
        node.pass_time(workers.REPORT_WITHIN_S)
        assert "did not register within 60 s" in session.one(messages.ActorDown).text

    def test_what_a_lost_forkserver_was_to_fork_is_made_by_another(self, node: Scenario) -> None:
        session = node.session(num_cpus=1)
        session.create(rid=1, name="n", resources={"CPU": 1.0})
        (spawn,) = node.take(events.Spawn)
        node.happen(events.ForkserverLost([spawn.process_id], "it is gone"))
        node.start_worker()
        assert session.got(messages.ActorDown) == []
        assert session.one(messages.ActorUp).process_id != spawn.process_id
        assert [row.name for row in session.ask("named_actors").actors] == ["n"]

    def test_forkservers_that_are_lost_again_and_again_fail_it_and_nothing_else(self, node: Scenario) -> None:
        session = node.session()
        session.create_alive()
        second = session.create()
        for _ in range(workers.ATTEMPTS):
            assert session.got(messages.ActorDown) == []
            (spawn,) = node.take(events.Spawn)
            node.happen(events.ForkserverLost([spawn.process_id], "it is gone"))
        down = session.one(messages.ActorDown)
        assert down.actor_id == second
        assert "could not be started: it is gone" in down.text
        assert session.states() == ["ALIVE", "DEAD"]

    def test_an_orphans_end_is_told_though_nobody_knows_how(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive()
        node.happen(events.ForkserverLost([worker.process_id], "it is gone"))
        worker.leave()
        node.pass_time(workers.REPORT_WITHIN_S)
        assert "has ended; how is not known" in session.one(messages.ActorDown).text
