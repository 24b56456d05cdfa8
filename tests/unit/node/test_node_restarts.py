"""Actors that restart after a crash, and what the node tells their holders and their creator."""

from __future__ import annotations

from typing import Any

import pytest
from node_scenario import Client, Scenario

from nbactors.local.node.rules import events, workers
from nbactors.local.wire import messages

SIGKILL = -9


def crash(node: Scenario, worker: Client) -> None:
    node.end_worker(worker, SIGKILL)


def available(session: Client, name: str = "CPU") -> float:
    return session.ask("available_resources").amounts[name]


def kill(node: Scenario, client: Client, actor_id: bytes, no_restart: bool) -> None:
    client.send(messages.KillActor(node.rid(), actor_id, no_restart))
    client.one(messages.Done)


def log(worker: Client) -> str:
    return f"/run/nb/logs/{worker.process_id.hex()[:16]}.log"


def hold(node: Scenario, session: Client, actor_id: bytes) -> Client:
    """Return another session that has a handle to an actor."""
    other = node.session()
    session.send(messages.AddHold(actor_id, other.process_id, 1))
    other.got(messages.ActorUp)
    return other


class TestCrash:
    def test_all_holders_are_told_at_once_that_the_actor_restarts(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(max_restarts=1)
        other = hold(node, session, actor_id)
        worker.leave()
        for client in session, other:
            told = client.one(messages.ActorRestarting)
            assert (told.actor_id, told.has_run) == (actor_id, True)
            assert f"pid {worker.pid}" in told.text
            assert client.got(messages.ActorDown) == []

    def test_no_call_has_run_if_the_constructor_had_not_returned(self, node: Scenario) -> None:
        session = node.session()
        session.create(max_restarts=1)
        crash(node, node.start_worker())
        assert not session.one(messages.ActorRestarting).has_run

    def test_a_fresh_process_is_the_actor(self, node: Scenario) -> None:
        session = node.session()
        actor_id, first = session.create_alive(max_restarts=1, class_name="Counter", name="n", rid=1)
        assert first.one(messages.Assign).restarts == 0
        session.got(messages.ActorUp)
        crash(node, first)
        second = node.start_worker()
        assert second.process_id != first.process_id
        assign = second.one(messages.Assign)
        assert (assign.actor_id, assign.class_name, assign.name, assign.restarts) == (actor_id, "Counter", "n", 1)
        assert session.one(messages.ActorUp) == messages.ActorUp(actor_id, second.process_id, second.pid, 1)

    def test_the_end_of_the_process_is_told_to_those_that_watch_it(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive(max_restarts=1)
        session.send(messages.Watch(worker.process_id))
        worker.leave()
        assert session.one(messages.ProcessGone).process_id == worker.process_id

    def test_the_exit_of_a_process_whose_child_keeps_its_socket_restarts_the_actor(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive(max_restarts=1)
        node.happen(events.Exited(worker.process_id, SIGKILL))
        assert session.got(messages.ActorRestarting) == []
        node.pass_time(workers.DRAIN_WITHIN_S)
        assert session.one(messages.ActorRestarting).has_run
        assert session.got(messages.ActorDown) == []

    def test_what_is_told_of_the_first_process_later_does_not_touch_the_second(self, node: Scenario) -> None:
        session = node.session()
        actor_id, first = session.create_alive(max_restarts=1)
        first.leave()
        second = node.start_worker()
        second.send(messages.ActorConstructed(actor_id))
        node.happen(events.Exited(first.process_id, SIGKILL))
        node.happen(events.OutputEnded(first.process_id, "tail"))
        node.pass_time(100.0)
        assert session.states() == ["ALIVE"]
        assert session.got(messages.ActorDown) == []
        assert node.killed() == []

    def test_the_name_stays_with_the_actor(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(max_restarts=1, name="n", rid=1)
        session.got(messages.ActorNamed)
        crash(node, worker)
        session.create(rid=2, name="n")
        assert session.one(messages.Refused).kind == "taken"
        session.send(messages.GetActor(3, "n", "ns"))
        assert session.one(messages.ActorNamed).actor_id == actor_id
        node.start_worker().send(messages.ActorConstructed(actor_id))
        assert [row.name for row in session.ask("named_actors").actors] == ["n"]

    def test_a_process_that_finds_the_actor_meanwhile_is_told_that_it_restarts_and_when_it_is_up(
        self, node: Scenario
    ) -> None:
        session, other = node.session(), node.session()
        actor_id, worker = session.create_alive(max_restarts=1, name="n", rid=1)
        crash(node, worker)
        other.send(messages.GetActor(3, "n", "ns"))
        assert other.one(messages.ActorRestarting) == session.one(messages.ActorRestarting)
        assert other.one(messages.ActorNamed).actor_id == actor_id
        assert other.got(messages.ActorUp) == []
        second = node.start_worker()
        assert other.one(messages.ActorUp).process_id == second.process_id

    @pytest.mark.parametrize("max_restarts", [0, 1])
    def test_the_files_of_a_dead_actor_are_removed_when_its_process_has_ended(
        self, node: Scenario, max_restarts: int
    ) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(max_restarts=max_restarts)
        kill(node, session, actor_id, no_restart=True)
        assert node.take(events.RemoveRestartFiles) == [], "its process may write them until then"
        crash(node, worker)
        assert node.take(events.RemoveRestartFiles) == [events.RemoveRestartFiles(actor_id)]

    def test_the_files_of_an_actor_without_a_process_are_removed_at_its_end(self, node: Scenario) -> None:
        session = node.session(num_cpus=0)
        actor_id = session.create(max_restarts=1)
        kill(node, session, actor_id, no_restart=True)
        assert node.take(events.RemoveRestartFiles) == [events.RemoveRestartFiles(actor_id)]

    def test_the_files_of_an_actor_that_has_used_up_its_restarts_are_removed(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(max_restarts=1)
        crash(node, worker)
        second = node.start_worker()
        assert node.take(events.RemoveRestartFiles) == []
        crash(node, second)
        assert session.one(messages.ActorDown).kind == "crashed"
        assert node.take(events.RemoveRestartFiles) == [events.RemoveRestartFiles(actor_id)]

    def test_the_log_of_the_crashed_process_is_listed(self, node: Scenario) -> None:
        session = node.session()
        actor_id, first = session.create_alive(max_restarts=-1)
        (row,) = session.ask("actors").actors
        assert (row.log_path, row.last_log_path) == (log(first), "")
        crash(node, first)
        (row,) = session.ask("actors").actors
        assert row.last_log_path == log(first)
        second = node.start_worker()
        (row,) = session.ask("actors").actors
        assert (row.log_path, row.last_log_path) == (log(second), log(first))
        second.send(messages.ActorConstructed(actor_id))
        crash(node, second)
        (row,) = session.ask("actors").actors
        assert row.last_log_path == log(second)

    def test_actors_that_the_crashed_process_has_created_end(self, node: Scenario) -> None:
        session = node.session()
        _, parent = session.create_alive(max_restarts=1)
        _, child = parent.create_alive(max_restarts=1)
        crash(node, parent)
        assert child.one(messages.Terminate).kind == "owner_died"
        crash(node, child)
        assert len(node.take(events.Spawn)) == 1, "only the parent is started again"

    def test_an_actor_that_only_its_own_process_holds_does_not_restart(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(max_restarts=-1)
        session.send(messages.AddHold(actor_id, worker.process_id, 1))
        session.send(messages.ReleaseHold(actor_id, 1))
        crash(node, worker)
        assert session.states() == ["DEAD"]
        assert session.one(messages.ActorDown).kind == "out_of_scope"
        assert node.take(events.Spawn) == []


class TestCreator:
    def test_the_creator_is_told_without_a_handle_that_the_actor_is_up_and_dead(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(max_restarts=1)
        hold(node, session, actor_id)
        session.send(messages.ReleaseHold(actor_id, 1))
        session.got(messages.ActorUp)
        crash(node, worker)
        assert session.got(messages.ActorRestarting) == [], "it has no call that this could concern"
        second = node.start_worker()
        assert session.one(messages.ActorUp).restarts == 1
        crash(node, second)
        assert session.one(messages.ActorDown).kind == "crashed"

    def test_the_creator_of_an_actor_that_cannot_restart_is_told_without_a_handle(self, node: Scenario) -> None:
        """The creator keeps the request for the next node, until the actor is dead."""
        session = node.session()
        actor_id, worker = session.create_alive()
        other = hold(node, session, actor_id)
        session.send(messages.ReleaseHold(actor_id, 1))
        crash(node, worker)
        assert other.one(messages.ActorDown).kind == session.one(messages.ActorDown).kind == "crashed"

    def test_a_creator_with_a_handle_is_told_once(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive(max_restarts=1)
        session.got(messages.ActorUp)
        crash(node, worker)
        crash(node, node.start_worker())
        assert len(session.got(messages.ActorUp)) == 1
        assert len(session.got(messages.ActorDown)) == 1


class TestBudget:
    @pytest.mark.parametrize("max_restarts", [0, 1, 3])
    def test_an_actor_restarts_so_often_and_no_more(self, node: Scenario, max_restarts: int) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(max_restarts=max_restarts)
        for number in range(max_restarts):
            assert worker.one(messages.Assign).may_restart
            crash(node, worker)
            assert session.one(messages.ActorRestarting).actor_id == actor_id
            worker = node.start_worker()
            assert session.got(messages.ActorUp)[-1].restarts == number + 1
            worker.send(messages.ActorConstructed(actor_id))
        assert not worker.one(messages.Assign).may_restart
        crash(node, worker)
        assert session.got(messages.ActorRestarting) == []
        assert session.one(messages.ActorDown).kind == "crashed"
        assert session.states() == ["DEAD"]

    def test_minus_one_is_any_number_of_restarts(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(max_restarts=-1)
        for _ in range(50):
            crash(node, worker)
            worker = node.start_worker()
            assert worker.one(messages.Assign).may_restart
            worker.send(messages.ActorConstructed(actor_id))
        assert session.states() == ["ALIVE"]
        assert session.got(messages.ActorUp)[-1].restarts == 50

    def test_a_constructor_that_crashes_uses_the_budget_too(self, node: Scenario) -> None:
        session = node.session()
        session.create(max_restarts=2)
        for _ in range(2):
            crash(node, node.start_worker())
            assert not session.one(messages.ActorRestarting).has_run
        crash(node, node.start_worker())
        assert session.one(messages.ActorDown).kind == "crashed"


class TestEndingsOfTheWorkersOwn:
    def test_sys_exit_with_an_error_restarts_the_actor_and_tells_why(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive(max_restarts=1, name="n", rid=1)
        worker.send(messages.Ending("crashed", "sys.exit(3) was called."))
        assert session.got(messages.ActorRestarting) == [], "it still answers calls that run"
        assert session.states() == ["ALIVE"]
        worker.leave()
        assert session.one(messages.ActorRestarting).text == "sys.exit(3) was called."
        assert session.got(messages.ActorDown) == []
        assert len(node.take(events.Spawn)) == 1

    def test_a_worker_whose_clean_up_hangs_is_killed_and_the_actor_restarts(self, node: Scenario) -> None:
        session = node.session(graceful_shutdown_s=5.0)
        _, worker = session.create_alive(max_restarts=1)
        worker.send(messages.Ending("crashed", "sys.exit(3) was called."))
        node.pass_time(4.9)
        assert node.killed() == []
        node.pass_time(0.2)
        assert node.killed() == [worker.process_id]
        crash(node, worker)
        assert session.one(messages.ActorRestarting).text == "sys.exit(3) was called."

    @pytest.mark.parametrize("kind", ["exit", "creation_failed"])
    def test_an_exit_on_purpose_and_a_failed_constructor_end_the_actor(self, node: Scenario, kind: str) -> None:
        session = node.session()
        _, worker = session.create_alive(max_restarts=-1, name="n", rid=1)
        worker.send(messages.Ending(kind, "the cause"))
        node.end_worker(worker)
        assert session.got(messages.ActorRestarting) == []
        assert session.one(messages.ActorDown).kind == kind
        assert node.take(events.Spawn) == []
        assert session.states() == ["DEAD"]
        session.create(rid=2, name="n")
        assert session.got(messages.ActorNamed)[-1].created

    def test_without_a_restart_left_the_worker_ends_the_actor_itself(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive(max_restarts=0)
        worker.send(messages.Ending("crashed", "sys.exit(3) was called."))
        assert session.states() == ["DEAD"]
        worker.leave()
        assert session.one(messages.ActorDown).text == "sys.exit(3) was called."


class TestKill:
    def test_kill_without_a_restart_ends_the_actor(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(max_restarts=-1)
        kill(node, session, actor_id, no_restart=True)
        assert session.one(messages.ActorDown).kind == "killed"
        crash(node, worker)
        assert node.take(events.Spawn) == []

    def test_kill_with_a_restart_kills_only_the_process(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(max_restarts=1)
        kill(node, session, actor_id, no_restart=False)
        assert node.killed() == [worker.process_id]
        assert session.got(messages.ActorDown) == []
        crash(node, worker)
        assert session.one(messages.ActorRestarting).has_run
        assert node.start_worker().one(messages.Assign).restarts == 1

    def test_kill_with_a_restart_ends_an_actor_that_has_none_left(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(max_restarts=1)
        crash(node, worker)
        second = node.start_worker()
        kill(node, session, actor_id, no_restart=False)
        assert session.one(messages.ActorDown).kind == "killed"
        assert node.killed() == [second.process_id]

    def test_kill_with_a_restart_leaves_an_actor_that_waits_for_resources(self, node: Scenario) -> None:
        session = node.session(num_cpus=1)
        session.create_alive(resources={"CPU": 1.0})
        actor_id = session.create(resources={"CPU": 1.0}, max_restarts=1)
        kill(node, session, actor_id, no_restart=False)
        assert session.states() == ["ALIVE", "PENDING_CREATION"]
        kill(node, session, actor_id, no_restart=True)
        assert session.states() == ["ALIVE", "DEAD"]

    @pytest.mark.parametrize("was_restarted", [False, True])
    def test_kill_with_a_restart_leaves_a_process_that_is_being_made(self, node: Scenario, was_restarted: bool) -> None:
        session = node.session()
        if was_restarted:
            actor_id, worker = session.create_alive(max_restarts=2)
            crash(node, worker)
        else:
            actor_id = session.create(max_restarts=2)
        kill(node, session, actor_id, no_restart=False)
        assert node.killed() == []
        node.start_worker().send(messages.ActorConstructed(actor_id))
        assert session.states() == ["ALIVE"]

    @pytest.mark.parametrize("is_placed", [False, True])
    def test_kill_without_a_restart_ends_an_actor_that_restarts(self, node: Scenario, is_placed: bool) -> None:
        session = node.session(num_cpus=1)
        actor_id, worker = session.create_alive(max_restarts=-1, resources={"CPU": 1.0})
        if not is_placed:
            session.create(resources={"CPU": 1.0})
        crash(node, worker)
        spawn = node.take(events.Spawn)[-1]
        kill(node, session, actor_id, no_restart=True)
        assert [down.actor_id for down in session.got(messages.ActorDown)] == [actor_id]
        node.happen(events.Forked(spawn.order.process_id, 9))
        assert node.killed() == ([spawn.order.process_id] if is_placed else [])


class TestResources:
    def test_a_restart_waits_in_the_queue_for_the_same_resources(self, node: Scenario) -> None:
        session = node.session(num_cpus=2)
        actor_id, worker = session.create_alive(resources={"CPU": 2.0}, max_restarts=1)
        other = session.create(resources={"CPU": 1.0})
        crash(node, worker)
        second = node.start_worker()
        assert second.one(messages.Assign).actor_id == other, "it was in the queue before"
        assert node.take(events.Spawn) == []
        assert available(session) == 1.0
        kill(node, session, other, no_restart=True)
        crash(node, second)
        assert node.start_worker().one(messages.Assign).actor_id == actor_id
        assert available(session) == 0.0

    def test_resources_are_released_once_and_taken_once(self, node: Scenario) -> None:
        session = node.session(num_cpus=2)
        actor_id, worker = session.create_alive(resources={"CPU": 1.0}, max_restarts=-1)
        for _ in range(3):
            assert available(session) == 1.0
            crash(node, worker)
            assert available(session) == 1.0
            worker = node.start_worker()
            worker.send(messages.ActorConstructed(actor_id))
        kill(node, session, actor_id, no_restart=True)
        crash(node, worker)
        assert available(session) == 2.0

    def test_an_actor_gets_gpus_again(self) -> None:
        node = Scenario(gpus=2)
        session = node.session(num_gpus=2.0)
        _, worker = session.create_alive(resources={"GPU": 2.0}, max_restarts=1)
        assert worker.one(messages.Assign).gpu_ids == ["0", "1"]
        crash(node, worker)
        assert node.start_worker().one(messages.Assign).gpu_ids == ["0", "1"]

    def test_an_actor_that_ends_while_it_waits_takes_nothing(self, node: Scenario) -> None:
        session = node.session(num_cpus=1)
        actor_id, worker = session.create_alive(resources={"CPU": 1.0}, max_restarts=1)
        other = session.create(resources={"CPU": 1.0})
        crash(node, worker)
        second = node.start_worker()
        kill(node, session, actor_id, no_restart=True)
        assert available(session) == 0.0, "the resources of its last process were released before"
        kill(node, session, other, no_restart=True)
        crash(node, second)
        assert node.take(events.Spawn) == []
        assert available(session) == 1.0


def waiting(node: Scenario, creator: Client, **options: Any) -> tuple[bytes, Client | None]:
    """Bring an actor to its queue for resources, for a restart."""
    actor_id, worker = creator.create_alive(resources={"CPU": 1.0}, max_restarts=-1, **options)
    blocker = creator.create(resources={"CPU": 1.0}, detached=True)
    crash(node, worker)
    node.start_worker().send(messages.ActorConstructed(blocker))
    return actor_id, None


def starting(node: Scenario, creator: Client, **options: Any) -> tuple[bytes, Client | None]:
    """Have the process of a restarted actor ordered."""
    actor_id, worker = creator.create_alive(max_restarts=-1, **options)
    crash(node, worker)
    return actor_id, None


def constructing(node: Scenario, creator: Client, **options: Any) -> tuple[bytes, Client | None]:
    """Have the process of a restarted actor connected."""
    actor_id, _ = starting(node, creator, **options)
    return actor_id, node.start_worker()


@pytest.mark.parametrize("state", [waiting, starting, constructing])
class TestStates:
    def test_it_is_shown_as_restarting_until_the_constructor_has_returned(self, node: Scenario, state: Any) -> None:
        session = node.session(num_cpus=1)
        actor_id, worker = state(node, session)
        assert session.states()[0] == "RESTARTING"
        if worker is not None:
            worker.send(messages.ActorConstructed(actor_id))
            assert session.states() == ["ALIVE"]

    @pytest.mark.parametrize("in_an_actor", [False, True])
    def test_the_end_of_the_creator_ends_it(self, node: Scenario, state: Any, in_an_actor: bool) -> None:
        session = creator = node.session(num_cpus=1)
        if in_an_actor:
            _, creator = session.create_alive(placement={})
        actor_id, worker = state(node, creator)
        other = hold(node, creator, actor_id)
        node.take(events.Spawn)
        node.killed()
        creator.leave()
        if worker is not None:
            assert worker.one(messages.Terminate).kind == ("owner_died" if in_an_actor else "session_ended")
        if worker is not None:
            node.end_worker(worker)
        down = other.one(messages.ActorDown)
        assert down.actor_id == actor_id
        assert down.kind in ("owner_died", "session_ended")
        node.pass_time(100.0)
        assert [spawn for spawn in node.take(events.Spawn) if spawn.order.title == "ray::Counter"] == []

    @pytest.mark.parametrize("in_an_actor", [False, True])
    def test_the_end_of_the_creator_leaves_a_detached_actor(
        self, node: Scenario, state: Any, in_an_actor: bool
    ) -> None:
        session = creator = node.session(num_cpus=1)
        if in_an_actor:
            _, creator = session.create_alive(placement={})
        actor_id, worker = state(node, creator, detached=True, name="n", rid=1)
        other = hold(node, creator, actor_id)
        creator.leave()
        assert other.got(messages.ActorDown) == []
        if worker is None and state is waiting:
            blocker = next(row for row in other.ask("actors").actors if row.state == "ALIVE")
            kill(node, other, blocker.actor_id, no_restart=True)
            node.happen(events.Exited(blocker.process_id, SIGKILL))
            node.pass_time(workers.DRAIN_WITHIN_S)
        worker = worker or node.start_worker()
        assert {told.kind for told in worker.got(messages.Terminate)} == {"creator_gone"}, "it reads the file, or ends"
        worker.send(messages.ActorConstructed(actor_id))
        (row,) = [row for row in other.ask("actors").actors if row.actor_id == actor_id]
        assert row.state == "ALIVE"

    def test_it_is_out_of_scope_with_its_last_handle(self, node: Scenario, state: Any) -> None:
        session = node.session(num_cpus=1)
        actor_id, worker = state(node, session)
        session.send(messages.ReleaseHold(actor_id, 1))
        down = session.one(messages.ActorDown)
        assert (down.actor_id, down.kind) == (actor_id, "out_of_scope"), "the creator may forget the arguments"
        if worker is not None:
            assert worker.one(messages.Terminate).kind == "out_of_scope"
            crash(node, worker)
        assert session.got(messages.ActorRestarting)[1:] == []
        assert session.states()[0] == "DEAD"

    def test_the_stop_of_the_node_ends_it(self, node: Scenario, state: Any) -> None:
        session, command_line = node.session(num_cpus=1), node.command_line()
        actor_id, _ = state(node, session)
        command_line.send(messages.Stop(3, force=True))
        assert (actor_id, "node_stopped") in [(down.actor_id, down.kind) for down in session.got(messages.ActorDown)]
        node.pass_time(100.0)
        assert command_line.got(messages.Done) == [messages.Done(3)]
        assert node.take(events.Leave)


def test_a_crash_while_the_node_stops_is_no_restart(node: Scenario) -> None:
    session, command_line = node.session(), node.command_line()
    _, worker = session.create_alive(max_restarts=-1)
    command_line.send(messages.Stop(3))
    crash(node, worker)
    assert session.got(messages.ActorRestarting) == []
    assert node.take(events.Spawn) == []
    assert node.take(events.Leave)


def test_a_detached_actor_restarts_without_its_creator(node: Scenario) -> None:
    session = node.session()
    actor_id, worker = session.create_alive(detached=True, max_restarts=1)
    other = hold(node, session, actor_id)
    session.leave()
    crash(node, worker)
    assert other.one(messages.ActorRestarting).has_run
    second = node.start_worker()
    assert other.one(messages.ActorUp).process_id == second.process_id
    crash(node, second)
    assert other.one(messages.ActorDown).kind == "crashed"
    node.pass_time(100.0)
    assert other.ask("status").facts["sessions"] == "1"


def test_a_detached_actor_that_cannot_restart_ends_with_its_creator_before_it_has_the_class(node: Scenario) -> None:
    session, other = node.session(num_cpus=0), node.session()
    actor_id = session.create(detached=True)
    session.send(messages.AddHold(actor_id, other.process_id, 1))
    session.leave()
    assert other.one(messages.ActorDown).kind == "owner_died"


def test_an_actor_that_was_told_to_end_does_not_restart(node: Scenario) -> None:
    session = node.session()
    actor_id, worker = session.create_alive(max_restarts=-1)
    session.send(messages.ReleaseHold(actor_id, 1))
    crash(node, worker)
    assert node.take(events.Spawn) == []
    assert session.states() == ["DEAD"]


class TestProcessesThatNeverAreReady:
    def test_the_process_of_a_restart_that_never_registers_ends_the_actor(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive(max_restarts=-1, resources={"CPU": 1.0})
        crash(node, worker)
        (spawn,) = node.take(events.Spawn)
        node.happen(events.Forked(spawn.order.process_id, 9))
        node.pass_time(workers.CONNECT_WITHIN_S)
        assert node.killed() == [spawn.order.process_id]
        node.pass_time(workers.REPORT_WITHIN_S)
        assert "did not register within 60 s" in session.one(messages.ActorDown).text
        assert available(session) == 2.0

    def test_another_forkserver_forks_the_process_of_a_restart(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(max_restarts=1, resources={"CPU": 1.0})
        crash(node, worker)
        (spawn,) = node.take(events.Spawn)
        node.happen(events.ForkserverLost([spawn.order.process_id], "it is gone"))
        assert session.states() == ["RESTARTING"]
        node.start_worker().send(messages.ActorConstructed(actor_id))
        assert session.states() == ["ALIVE"]
        assert session.got(messages.ActorUp)[-1].restarts == 1, "a process that no user code has run in is no restart"
        assert available(session) == 1.0

    def test_an_actor_that_was_up_meanwhile_outlives_many_forkservers(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(max_restarts=-1)
        for _ in range(2 * workers.ATTEMPTS):
            crash(node, worker)
            (spawn,) = node.take(events.Spawn)
            node.happen(events.ForkserverLost([spawn.order.process_id], "it is gone"))
            worker = node.start_worker()
            worker.send(messages.ActorConstructed(actor_id))
        assert session.states() == ["ALIVE"]

    def test_a_worker_that_ends_after_its_forkserver_restarts(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive(max_restarts=1)
        node.happen(events.ForkserverLost([worker.process_id], "it is gone"))
        worker.leave()
        assert session.one(messages.ActorRestarting).has_run
        assert len(node.take(events.Spawn)) == 1
