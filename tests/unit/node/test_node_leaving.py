"""When the node leaves, and how it is stopped."""

from __future__ import annotations

import pytest
from node_scenario import Scenario

from nbactors.local.node.rules import events, state
from nbactors.local.wire import messages


class TestLeaving:
    def test_the_node_leaves_a_while_after_the_last_session(self, node: Scenario) -> None:
        node.session().leave()
        node.pass_time(0.9)
        assert node.take(events.Leave) == []
        node.pass_time(0.2)
        assert node.take(events.Leave)[0] == events.Leave(final=False)

    def test_the_node_stays_while_a_detached_actor_lives(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(detached=True)
        session.leave()
        node.pass_time(100)
        assert node.take(events.Leave) == []
        node.command_line().send(messages.KillActor(1, actor_id, True))
        node.end_worker(worker, -9)
        node.pass_time(1.1)
        assert node.take(events.Leave)

    def test_the_idle_workers_of_a_detached_actor_end_with_it(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive(detached=True)
        session.leave()
        worker.request_lease()
        task_worker = node.start_worker()
        worker.send(messages.ReturnLease(worker.one(messages.LeaseGranted).lease_id))
        node.pass_time(100)
        assert node.killed() == [], "the actor may need it for its next task"
        node.end_worker(worker, -9)
        assert node.killed() == [task_worker.process_id]
        node.end_worker(task_worker, -9)
        node.pass_time(1.1)
        assert node.take(events.Leave)

    @pytest.mark.parametrize("had_worker", [False, True])
    def test_a_detached_actor_that_ends_while_it_waits_does_not_keep_the_node(
        self, node: Scenario, had_worker: bool
    ) -> None:
        session, other = node.session(), node.session()
        if had_worker:
            actor_id, worker = session.create_alive(resources={"CPU": 2.0}, detached=True, max_restarts=1)
            session.create(resources={"CPU": 2.0})
            node.end_worker(worker, -9)
        else:
            session.create(resources={"CPU": 2.0})
            actor_id = session.create(resources={"CPU": 2.0}, detached=True)
        blocker = node.start_worker()
        session.leave()
        node.end_worker(blocker, -9)
        other.send(messages.KillActor(1, actor_id, True))
        for order in node.take(events.Spawn):
            node.happen(events.Forked(order.order.process_id, 9))
            node.happen(events.Exited(order.order.process_id, -9))
            node.happen(events.OutputEnded(order.order.process_id, ""))
        other.leave()
        node.pass_time(100)
        assert node.take(events.Leave)

    def test_connections_without_a_hello_do_not_keep_the_node(self, node: Scenario) -> None:
        node.session().leave()
        for _ in range(12):
            node.pass_time(0.1)
            conn = node.connect()
            node.happen(events.Disconnected(conn))
        assert node.take(events.Leave)

    def test_a_session_that_connects_in_time_keeps_the_node(self, node: Scenario) -> None:
        node.session().leave()
        node.pass_time(0.5)
        node.session()
        node.pass_time(100)
        assert node.take(events.Leave) == []

    def test_a_session_whose_hello_comes_with_the_alarm_keeps_the_node(self, node: Scenario) -> None:
        node.session().leave()
        conn = node.connect()
        node.now += 1.0  # the alarm is due, and rings with the next event
        node.happen(events.Received(conn, messages.Hello(messages.PROTOCOL_VERSION, node.new_id(), 7, "session", "1")))
        node.pass_time(100)
        assert node.take(events.Leave) == []

    def test_a_new_node_waits_a_while_for_the_session_that_started_it(self, node: Scenario) -> None:
        node.pass_time(state.FIRST_LINGER_S - 0.1)
        assert node.take(events.Leave) == []
        node.pass_time(0.2)
        assert node.take(events.Leave)

    def test_the_node_of_a_single_session_ends_with_it_whatever_else_runs(self) -> None:
        node = Scenario(linger_s=3600.0)
        other, session = node.session(), node.session(owns_node=True)
        _, worker = session.create_alive(detached=True)
        other.leave()
        assert node.take(events.Leave) == []
        session.leave()
        worker.one(messages.Terminate)
        assert node.take(events.Leave) == []
        node.end_worker(worker)
        assert node.take(events.Leave)[-1] == events.Leave(final=True)

    def test_a_stop_ends_everything_and_is_answered_then(self, node: Scenario) -> None:
        session, command_line = node.session(), node.command_line()
        _, worker = session.create_alive(detached=True)
        session.request_lease()
        task_worker = node.start_worker()
        command_line.send(messages.Stop(3))
        assert session.one(messages.ActorDown).kind == "node_stopped"
        assert worker.one(messages.Terminate).kind == "node_stopped"
        assert node.killed() == [task_worker.process_id]
        session.create(rid=5, name="late")
        assert "the node is stopping" in session.one(messages.Refused).text
        node.end_worker(task_worker, -9)
        assert node.take(events.Leave) == []
        node.end_worker(worker)
        assert command_line.got(messages.Done) == [messages.Done(3)]
        assert node.take(events.Leave)[0] == events.Leave(final=True)

    def test_a_forced_stop_kills_the_workers(self, node: Scenario) -> None:
        session, command_line = node.session(), node.command_line()
        _, worker = session.create_alive()
        command_line.send(messages.Stop(3, force=True))
        assert node.killed() == [worker.process_id]
        assert worker.got(messages.Terminate) == []

    def test_a_stop_does_not_wait_for_ever(self, node: Scenario) -> None:
        session, command_line = node.session(), node.command_line()
        session.create_alive()
        command_line.send(messages.Stop(3))
        node.pass_time(state.STOP_WITHIN_S)
        assert command_line.got(messages.Done)
        assert node.take(events.Leave)

    def test_sigterm_stops_the_node_like_a_stop_request(self, node: Scenario) -> None:
        node.happen(events.StopAsked())
        assert node.take(events.Leave) == [events.Leave(final=True)]
