"""How actors end, and what the node tells their holders."""

from __future__ import annotations

import pytest
from node_scenario import Scenario

from nbactors.local.node.rules import actor_table, events, workers
from nbactors.local.wire import messages


class TestEnds:
    def test_a_killed_actor_is_dead_at_once_and_its_name_is_free(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(rid=1, name="n", resources={"CPU": 2.0})
        node.done.clear()
        session.send(messages.KillActor(5, actor_id, True))
        sent = [send.message for send in node.take(events.Send)]
        assert [type(message) for message in sent] == [messages.ActorDown, messages.Done]
        assert node.killed() == [worker.process_id]
        session.create(rid=2, name="n")
        assert session.one(messages.ActorNamed).created
        # Its resources are not free before its process is gone.
        assert node.take(events.Spawn) == []
        node.end_worker(worker, -9)
        assert len(node.take(events.Spawn)) == 1
        assert session.got(messages.ActorDown) == []

    @pytest.mark.parametrize("times", [1, 2])
    def test_killing_a_dead_actor_does_nothing(self, node: Scenario, times: int) -> None:
        session = node.session()
        actor_id = session.create()
        for _ in range(times):
            session.send(messages.KillActor(5, actor_id, True))
        assert session.got(messages.Done) == [messages.Done(5)] * times

    def test_the_text_of_a_crash_has_the_signal_and_the_last_lines(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(name="n", rid=1)
        worker.leave()
        node.happen(events.Exited(worker.process_id, -11))
        assert session.got(messages.ActorDown) == []
        node.happen(events.OutputEnded(worker.process_id, "one\ntwo"))
        down = session.one(messages.ActorDown)
        assert (down.actor_id, down.kind, down.class_name, down.name) == (actor_id, "crashed", "Counter", "n")
        assert "killed by SIGSEGV" in down.text
        assert down.text.endswith("The last lines of its stderr:\n    one\n    two")

    def test_the_cause_that_a_worker_gave_before_it_exited_counts(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive()
        worker.send(messages.Ending("exit", "exit_actor() is called."))
        assert session.got(messages.ActorDown) == []
        worker.leave()
        down = session.one(messages.ActorDown)
        assert (down.kind, down.text) == ("exit", "exit_actor() is called.")

    def test_the_cause_that_a_worker_gave_counts_even_if_its_exit_is_reported_first(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive()
        node.happen(events.Exited(worker.process_id, 0))
        worker.send(messages.Ending("creation_failed", "ValueError: x"))
        worker.leave()
        assert session.one(messages.ActorDown).kind == "creation_failed"

    def test_a_child_with_a_copy_of_the_socket_does_not_keep_the_actor_alive(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive()
        node.happen(events.Exited(worker.process_id, 1))
        node.pass_time(workers.DRAIN_WITHIN_S)
        assert events.Close(worker.conn) in node.done
        node.pass_time(workers.REPORT_WITHIN_S)
        assert "exit code 1" in session.one(messages.ActorDown).text

    def test_pipes_that_stay_open_do_not_delay_the_error(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive()
        worker.leave()
        node.happen(events.Exited(worker.process_id, 1))
        node.pass_time(workers.FINISH_WITHIN_S)
        assert node.take(events.FinishOutput) == [events.FinishOutput(worker.process_id)]
        node.happen(events.OutputEnded(worker.process_id, "tail"))
        assert "    tail" in session.one(messages.ActorDown).text

    def test_a_process_that_only_closes_its_connection_is_killed(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive()
        worker.leave()
        node.pass_time(workers.REPORT_WITHIN_S)
        assert node.killed() == [worker.process_id]
        assert session.got(messages.ActorDown)

    def test_a_worker_that_exits_on_purpose_gets_time_for_its_exit_handlers(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive()
        worker.send(messages.Ending("exit", ""))
        worker.leave()
        node.pass_time(1.0)
        assert node.killed() == []
        node.pass_time(workers.EXIT_WITHIN_S)
        assert node.killed() == [worker.process_id]

    def test_watchers_are_told_at_once(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive()
        session.send(messages.Watch(worker.process_id))
        session.send(messages.Watch(b"?" * 16))
        assert session.one(messages.ProcessGone).process_id == b"?" * 16
        worker.leave()
        assert session.one(messages.ProcessGone).process_id == worker.process_id

    def test_the_number_of_remembered_dead_actors_is_bounded(self, node: Scenario) -> None:
        session = node.session(num_cpus=0)
        created = [session.create() for _ in range(actor_table.KEEP_DEAD + 5)]
        for actor_id in created:
            session.send(messages.KillActor(1, actor_id, True))
        rows = session.ask("actors").actors
        assert [row.actor_id for row in rows] == created[5:]


class TestOwners:
    def test_an_actor_ends_with_the_actor_that_created_it(self, node: Scenario) -> None:
        session = node.session()
        parent_id, parent = session.create_alive()
        child_id, child = parent.create_alive()
        parent.send(messages.AddHold(child_id, session.process_id, 1))
        session.send(messages.KillActor(1, parent_id, True))
        parent.leave()
        downs = {down.actor_id: down for down in session.got(messages.ActorDown)}
        assert downs[child_id].kind == "owner_died"
        assert "its owner has died" in downs[child_id].text
        assert child.one(messages.Terminate).kind == "owner_died"
        node.killed()
        node.pass_time(3.0)
        assert node.killed() == [child.process_id]

    def test_actors_of_actors_are_told_to_end_at_the_same_time(self, node: Scenario) -> None:
        session = node.session()
        _, parent = session.create_alive()
        _, child = parent.create_alive()
        _, grandchild = child.create_alive()
        session.leave()
        assert [worker.one(messages.Terminate).kind for worker in (parent, child, grandchild)] == [
            "session_ended",
            "owner_died",
            "owner_died",
        ]
        node.pass_time(3.0)
        assert set(node.killed()) == {parent.process_id, child.process_id, grandchild.process_id}

    def test_a_detached_actor_whose_creator_dies_before_construction_ends(self, node: Scenario) -> None:
        session = node.session()
        session.create(detached=True)
        (spawn,) = node.take(events.Spawn)
        session.leave()
        node.happen(events.Forked(spawn.order.process_id, 9))
        assert node.killed() == [spawn.order.process_id]

    def test_a_detached_actor_and_its_actors_outlive_the_session(self, node: Scenario) -> None:
        session, other = node.session(), node.session()
        _, keeper = session.create_alive(detached=True, name="n", rid=1)
        session.leave()
        child_id, child = keeper.create_alive()
        keeper.request_lease()
        task_worker = node.start_worker()
        node.pass_time(10)
        assert node.killed() == []
        assert other.states() == ["ALIVE", "ALIVE"]
        assert keeper.got(messages.LeaseGranted)
        keeper.send(messages.ReleaseHold(child_id, 1))
        assert child.one(messages.Terminate).kind == "out_of_scope"
        other.send(messages.GetActor(1, "n", "ns"))
        assert other.one(messages.ActorNamed)
        assert task_worker.one(messages.Assign).job_id == session.opened.job_id
