"""How the node places actors and has their processes forked."""

from __future__ import annotations

from node_scenario import ENVIRONMENT, Scenario

from nbactors.local.node.rules import events, workers
from nbactors.local.wire import messages


class TestCreation:
    def test_an_actor_is_placed_forked_registered_and_announced(self, node: Scenario) -> None:
        session = node.session()
        actor_id = session.create(resources={"CPU": 1.0})
        (spawn,) = node.take(events.Spawn)
        assert spawn.order.title == "ray::Counter"
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

    def test_two_cpus_place_three_actors_that_hold_no_cpu(self, node: Scenario) -> None:
        session = node.session()
        for _ in range(3):
            session.create()
        assert len(node.take(events.Spawn)) == 3

    def test_an_actor_waits_until_its_resources_are_free(self, node: Scenario) -> None:
        session = node.session()
        first, worker = session.create_alive(resources={"CPU": 2.0})
        second = session.create()
        assert node.take(events.Spawn) == []
        session.send(messages.ReleaseHold(first, 1))
        assert node.take(events.Spawn) == []
        node.end_worker(worker)
        node.start_worker()
        assert [up.actor_id for up in session.got(messages.ActorUp)] == [first, second]

    def test_an_actor_that_can_never_be_placed_waits_after_one_warning(self, node: Scenario) -> None:
        session = node.session()
        session.create(placement={"CPU": 3.0, "x": 1.0})
        session.create(placement={"CPU": 3.0, "x": 1.0})
        text = session.one(messages.Warn).text
        assert "actor Counter waits for resources" in text
        assert "CPU: 3 asked for, 2 in all" in text
        assert "x: 1 asked for, 0 in all" in text
        assert session.states() == ["PENDING_CREATION"] * 2

    def test_memory_that_no_session_has_is_told_with_its_unit(self, node: Scenario) -> None:
        session = node.session()
        session.create(placement={"memory": 3.0 * 2**30})
        assert "memory: 3.0 GiB asked for, 700 B in all" in session.one(messages.Warn).text

    def test_an_actor_of_a_session_without_cpus_waits_after_a_warning(self, node: Scenario) -> None:
        session = node.session(num_cpus=0)
        session.create()
        assert node.take(events.Spawn) == []
        assert "CPU: 1 asked for, 0 in all" in session.one(messages.Warn).text

    def test_an_actor_whose_process_cannot_be_forked_is_dead(self, node: Scenario) -> None:
        session = node.session()
        actor_id = session.create()
        (spawn,) = node.take(events.Spawn)
        node.happen(events.Forked(spawn.order.process_id, 0, "no memory"))
        down = session.one(messages.ActorDown)
        assert (down.actor_id, down.kind) == (actor_id, "crashed")
        assert down.text == "its worker process could not be started: no memory"

    def test_an_actor_whose_process_exits_before_it_is_ready_is_dead(self, node: Scenario) -> None:
        session = node.session()
        session.create()
        (spawn,) = node.take(events.Spawn)
        node.happen(events.Forked(spawn.order.process_id, 9))
        node.happen(events.Exited(spawn.order.process_id, 1))
        node.happen(events.OutputEnded(spawn.order.process_id, "ImportError: x"))
        text = session.one(messages.ActorDown).text
        assert "(pid 9) exited unexpectedly with exit code 1 before it was ready for work" in text
        assert "ImportError: x" in text

    def test_an_actor_that_may_restart_gets_another_process_if_one_exits_before_it_is_ready(
        self, node: Scenario
    ) -> None:
        session = node.session()
        actor_id = session.create(max_restarts=1)
        for _ in range(workers.ATTEMPTS - 1):
            (spawn,) = node.take(events.Spawn)
            node.happen(events.Forked(spawn.order.process_id, 9))
            node.happen(events.Exited(spawn.order.process_id, -9))
        worker = node.start_worker()
        assert session.got(messages.ActorRestarting) == []
        assert session.one(messages.ActorUp) == messages.ActorUp(actor_id, worker.process_id, worker.pid)

    def test_an_actor_that_may_restart_is_dead_after_several_processes_that_were_never_ready(
        self, node: Scenario
    ) -> None:
        session = node.session()
        session.create(max_restarts=-1)
        for _ in range(workers.ATTEMPTS):
            (spawn,) = node.take(events.Spawn)
            node.happen(events.Forked(spawn.order.process_id, 9))
            node.happen(events.Exited(spawn.order.process_id, 1))
        node.happen(events.OutputEnded(spawn.order.process_id, ""))
        assert "before it was ready" in session.one(messages.ActorDown).text

    def test_a_kill_that_lets_an_actor_restart_leaves_its_starting_process_alone(self, node: Scenario) -> None:
        session = node.session()
        actor_id = session.create(max_restarts=1)
        session.send(messages.KillActor(5, actor_id, False))
        assert session.one(messages.Done) == messages.Done(5)
        assert node.killed() == []

    def test_a_process_that_never_registers_is_killed(self, node: Scenario) -> None:
        session = node.session()
        session.create()
        (spawn,) = node.take(events.Spawn)
        node.happen(events.Forked(spawn.order.process_id, 9))
        node.pass_time(workers.CONNECT_WITHIN_S)
        assert node.killed() == [spawn.order.process_id]
        node.pass_time(workers.REPORT_WITHIN_S)
        assert "did not register within 60 s" in session.one(messages.ActorDown).text

    def test_another_forkserver_forks_what_a_lost_one_has_not_forked(self, node: Scenario) -> None:
        session = node.session(num_cpus=1)
        session.create(rid=1, name="n", resources={"CPU": 1.0})
        (spawn,) = node.take(events.Spawn)
        node.happen(events.ForkserverLost([spawn.order.process_id], "it is gone"))
        node.start_worker()
        assert session.got(messages.ActorDown) == []
        assert session.one(messages.ActorUp).process_id != spawn.order.process_id
        assert [row.name for row in session.ask("named_actors").actors] == ["n"]

    def test_an_actor_dies_after_several_lost_forkservers_and_others_live(self, node: Scenario) -> None:
        session = node.session()
        session.create_alive()
        second = session.create()
        for _ in range(workers.ATTEMPTS):
            assert session.got(messages.ActorDown) == []
            (spawn,) = node.take(events.Spawn)
            node.happen(events.ForkserverLost([spawn.order.process_id], "it is gone"))
        down = session.one(messages.ActorDown)
        assert down.actor_id == second
        assert "could not be started: it is gone" in down.text
        assert session.states() == ["ALIVE", "DEAD"]

    def test_the_end_of_a_worker_without_a_forkserver_is_told_without_a_cause(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive()
        node.happen(events.ForkserverLost([worker.process_id], "it is gone"))
        worker.leave()
        node.pass_time(workers.REPORT_WITHIN_S)
        assert "has ended; how is not known" in session.one(messages.ActorDown).text
