"""The node's rules, without a process, a socket or a clock."""

from __future__ import annotations

import pytest
from node_scenario import ENVIRONMENT, Client, Scenario

from nbactors.local.node import actor_table, events, leases, sessions, state, workers
from nbactors.local.wire import messages


@pytest.fixture
def node() -> Scenario:
    return Scenario()


class TestHello:
    def test_another_version_is_told_both_versions_and_what_to_do(self, node: Scenario) -> None:
        conn = node.connect()
        node.happen(events.Received(conn, messages.Hello(99, b"p" * 16, 5, "session", "9.9")))
        (send,) = node.take(events.Send)
        assert isinstance(send.message, messages.Refused)
        assert (send.message.rid, send.message.kind) == (0, "version")
        for part in ("nbactors 1.2.3", "nbactors 9.9", "protocol 99", "`nbactors stop`", "pip install nbactors==1.2.3"):
            assert part in send.message.text
        assert node.take(events.Close) == [events.Close(conn)]

    @pytest.mark.parametrize(
        ("process_id", "role"), [(b"", "session"), (b"x" * 16, "stranger"), (b"x" * 16, "worker"), (b"x" * 3, "peer")]
    )
    def test_who_does_not_belong_here_is_turned_away(self, node: Scenario, process_id: bytes, role: str) -> None:
        conn = node.connect()
        node.happen(events.Received(conn, messages.Hello(messages.PROTOCOL_VERSION, process_id, 5, role, "1")))
        assert node.take(events.Close) == [events.Close(conn)]

    def test_one_process_id_is_one_session(self, node: Scenario) -> None:
        session = node.session()
        conn = node.connect()
        hello = messages.Hello(messages.PROTOCOL_VERSION, session.process_id, 5, "session", "1")
        node.happen(events.Received(conn, hello))
        assert node.take(events.Close) == [events.Close(conn)]

    def test_who_says_something_else_first_is_cut_off(self, node: Scenario) -> None:
        conn = node.connect()
        node.happen(events.Received(conn, messages.Query(1, "status")))
        assert node.take(events.Close) == [events.Close(conn)]

    def test_who_says_nothing_is_cut_off_after_a_while(self, node: Scenario) -> None:
        node.session()
        conn = node.connect()
        node.pass_time(state.HELLO_WITHIN_S)
        assert node.take(events.Close) == [events.Close(conn)]

    @pytest.mark.parametrize(
        "message", [messages.Blocked(), messages.Welcome(1, b"", 1, ""), messages.Ending("exit", "")]
    )
    def test_a_message_that_only_others_send_ends_the_connection(
        self, node: Scenario, message: messages.Message
    ) -> None:
        session = node.session()
        session.send(message)
        assert node.take(events.Close) == [events.Close(session.conn)]


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

    def test_a_lost_forkserver_fails_what_it_was_to_fork_and_nothing_else(self, node: Scenario) -> None:
        session = node.session()
        session.create_alive()
        second = session.create()
        (spawn,) = node.take(events.Spawn)
        node.happen(events.ForkserverLost(spawn.environment, "it is gone"))
        down = session.one(messages.ActorDown)
        assert down.actor_id == second
        assert "could not be started: it is gone" in down.text
        assert session.states() == ["ALIVE", "DEAD"]

    def test_an_orphans_end_is_told_though_nobody_knows_how(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive()
        node.happen(events.ForkserverLost(1, "it is gone"))
        worker.leave()
        node.pass_time(workers.REPORT_WITHIN_S)
        assert "has ended; how is not known" in session.one(messages.ActorDown).text


class TestNames:
    def named(self, client: Client, **options: object) -> bytes:
        return client.create(**{"rid": 1, "name": "n", **options})

    def test_a_duplicate_is_refused_with_rays_text(self, node: Scenario) -> None:
        session = node.session()
        self.named(session)
        assert session.one(messages.ActorNamed).created
        self.named(session)
        refused = session.one(messages.Refused)
        assert refused.kind == "taken"
        assert "The name n (namespace=ns) is already taken. Please use a different name or get" in refused.text

    def test_another_namespace_is_another_name(self, node: Scenario) -> None:
        session = node.session()
        self.named(session)
        self.named(session, namespace="other")
        assert [named.created for named in session.got(messages.ActorNamed)] == [True, True]

    def test_twenty_that_get_or_create_get_one(self, node: Scenario) -> None:
        everybody = [node.session() for _ in range(20)]
        for session in everybody:
            self.named(session, get_if_exists=True)
        answers = [session.one(messages.ActorNamed) for session in everybody]
        assert [answer.created for answer in answers] == [True] + [False] * 19
        assert len({answer.actor_id for answer in answers}) == 1
        assert answers[1].meta == b"meta"
        node.start_worker()
        assert all(len(session.got(messages.ActorUp)) == 1 for session in everybody)

    def test_it_is_found_from_its_creation_on_and_whoever_finds_it_holds_it(self, node: Scenario) -> None:
        first, second = node.session(), node.session()
        actor_id = self.named(first)
        second.send(messages.GetActor(7, "n", ""))
        assert second.one(messages.ActorNamed) == messages.ActorNamed(7, actor_id, False, b"meta")
        first.send(messages.ReleaseHold(actor_id, 1))
        assert first.states() == ["PENDING_CREATION"]
        second.send(messages.ReleaseHold(actor_id, 1))
        assert first.states() == ["DEAD"]

    def test_one_that_does_not_exist_is_refused_with_rays_text(self, node: Scenario) -> None:
        session = node.session()
        session.send(messages.GetActor(7, "nobody", ""))
        refused = session.one(messages.Refused)
        assert (refused.rid, refused.kind) == (7, "value")
        assert refused.text.startswith("Failed to look up actor with name 'nobody'.")

    def test_a_connection_that_breaks_frees_the_name_before_the_cause_is_known(self, node: Scenario) -> None:
        session = node.session()
        self.named(session)
        session.got(messages.ActorNamed)
        worker = node.start_worker()
        worker.leave()
        assert session.got(messages.ActorDown) == []
        session.send(messages.GetActor(7, "n", ""))
        assert session.one(messages.Refused).rid == 7
        self.named(session)
        assert session.one(messages.ActorNamed).created

    def test_listed_by_namespace(self, node: Scenario) -> None:
        session = node.session()
        self.named(session, name="a")
        self.named(session, name="b", namespace="other")
        assert [row.name for row in session.ask("named_actors").actors] == ["a"]
        session.send(messages.Query(1, "named_actors", True))
        rows = session.one(messages.Listing).actors
        assert [(row.namespace, row.name) for row in rows] == [("ns", "a"), ("other", "b")]


class TestHolding:
    def test_the_last_handle_anywhere_ends_it_gracefully(self, node: Scenario) -> None:
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

    def test_a_process_that_ends_gives_back_its_handles(self, node: Scenario) -> None:
        creator, other = node.session(), node.session()
        actor_id, worker = creator.create_alive()
        creator.send(messages.AddHold(actor_id, other.process_id, 1))
        creator.send(messages.ReleaseHold(actor_id, 1))
        other.leave()
        assert worker.one(messages.Terminate).kind == "out_of_scope"

    def test_handles_for_a_process_that_is_gone_count_nothing(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive()
        session.send(messages.AddHold(actor_id, b"z" * 16, 1))
        session.send(messages.ReleaseHold(actor_id, 1))
        assert worker.one(messages.Terminate).kind == "out_of_scope"

    def test_without_handles_before_it_was_placed_it_is_dropped(self, node: Scenario) -> None:
        session = node.session(num_cpus=0)
        actor_id = session.create()
        session.send(messages.ReleaseHold(actor_id, 1))
        assert session.states() == ["DEAD"]

    def test_without_handles_while_it_starts_it_is_killed(self, node: Scenario) -> None:
        session = node.session()
        actor_id = session.create()
        (spawn,) = node.take(events.Spawn)
        session.send(messages.ReleaseHold(actor_id, 1))
        assert node.killed() == []
        node.happen(events.Forked(spawn.process_id, 9))
        assert node.killed() == [spawn.process_id]

    def test_a_detached_one_needs_no_handle(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(detached=True)
        session.send(messages.ReleaseHold(actor_id, 1))
        assert worker.got(messages.Terminate) == []

    def test_whoever_gets_a_handle_of_a_dead_one_is_told(self, node: Scenario) -> None:
        creator, other = node.session(), node.session()
        actor_id, _ = creator.create_alive()
        creator.send(messages.KillActor(1, actor_id, True))
        creator.send(messages.AddHold(actor_id, other.process_id, 1))
        assert other.one(messages.ActorDown).kind == "killed"

    def test_whoever_gets_a_handle_of_an_unknown_one_is_told(self, node: Scenario) -> None:
        session = node.session()
        session.send(messages.AddHold(b"?" * 16, session.process_id, 1))
        down = session.one(messages.ActorDown)
        assert down.kind == "unknown"
        assert "It might be dead or it's from a different cluster" in down.text


class TestEnds:
    def test_killed_it_is_dead_at_once_and_its_name_is_free(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(rid=1, name="n", resources={"CPU": 2.0})
        node.done.clear()
        session.send(messages.KillActor(5, actor_id, True))
        sent = [send.message for send in node.take(events.Send)]
        assert [type(message) for message in sent] == [messages.ActorDown, messages.Done]
        assert node.killed() == [worker.process_id]
        session.create(rid=2, name="n")
        assert session.one(messages.ActorNamed).created
        # What it holds is not free before its process is gone.
        assert node.take(events.Spawn) == []
        node.end_worker(worker, -9)
        assert len(node.take(events.Spawn)) == 1
        assert session.got(messages.ActorDown) == []

    @pytest.mark.parametrize("times", [1, 2])
    def test_killing_the_dead_is_fine(self, node: Scenario, times: int) -> None:
        session = node.session()
        actor_id = session.create()
        for _ in range(times):
            session.send(messages.KillActor(5, actor_id, True))
        assert session.got(messages.Done) == [messages.Done(5)] * times

    def test_a_crash_names_the_signal_and_shows_the_last_lines(self, node: Scenario) -> None:
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

    def test_what_it_said_before_it_left_on_purpose_counts(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive()
        worker.send(messages.Ending("exit", "exit_actor() is called."))
        assert session.got(messages.ActorDown) == []
        worker.leave()
        down = session.one(messages.ActorDown)
        assert (down.kind, down.text) == ("exit", "exit_actor() is called.")

    def test_what_it_said_is_heard_though_its_exit_is_known_first(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive()
        node.happen(events.Exited(worker.process_id, 0))
        worker.send(messages.Ending("creation_failed", "ValueError: x"))
        worker.leave()
        assert session.one(messages.ActorDown).kind == "creation_failed"

    def test_a_copy_of_its_socket_in_a_child_does_not_keep_it(self, node: Scenario) -> None:
        session = node.session()
        _, worker = session.create_alive()
        node.happen(events.Exited(worker.process_id, 1))
        node.pass_time(workers.DRAIN_WITHIN_S)
        assert events.Close(worker.conn) in node.done
        node.pass_time(workers.REPORT_WITHIN_S)
        assert "exit code 1" in session.one(messages.ActorDown).text

    def test_pipes_that_stay_open_do_not_hold_up_the_error(self, node: Scenario) -> None:
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

    def test_one_that_says_goodbye_gets_time_for_its_exit_handlers(self, node: Scenario) -> None:
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

    def test_so_many_dead_are_remembered(self, node: Scenario) -> None:
        session = node.session(num_cpus=0)
        created = [session.create() for _ in range(actor_table.KEEP_DEAD + 5)]
        for actor_id in created:
            session.send(messages.KillActor(1, actor_id, True))
        rows = session.ask("actors").actors
        assert [row.actor_id for row in rows] == created[5:]


class TestOwners:
    def test_children_end_with_the_actor_that_made_them(self, node: Scenario) -> None:
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

    def test_grandchildren_are_told_at_the_same_time(self, node: Scenario) -> None:
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

    def test_a_detached_one_that_nobody_can_construct_any_more_ends(self, node: Scenario) -> None:
        session = node.session()
        session.create(detached=True)
        (spawn,) = node.take(events.Spawn)
        session.leave()
        node.happen(events.Forked(spawn.process_id, 9))
        assert node.killed() == [spawn.process_id]

    def test_a_detached_one_outlives_its_session_and_what_it_owns_does_too(self, node: Scenario) -> None:
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


class TestLeases:
    def test_a_worker_is_started_granted_kept_and_granted_again(self, node: Scenario) -> None:
        session = node.session()
        rid = session.request_lease()
        worker = node.start_worker()
        granted = session.one(messages.LeaseGranted)
        assert (granted.rid, granted.process_id) == (rid, worker.process_id)
        assert worker.one(messages.Assign).resources == {"CPU": 1.0}
        assert session.ask("available_resources").amounts["CPU"] == 1.0
        session.send(messages.ReturnLease(granted.lease_id))
        assert session.ask("available_resources").amounts["CPU"] == 2.0
        session.request_lease()
        assert node.take(events.Spawn) == []
        assert session.one(messages.LeaseGranted).process_id == worker.process_id

    def test_they_wait_in_order(self, node: Scenario) -> None:
        session = node.session(num_cpus=1)
        rids = [session.request_lease() for _ in range(3)]
        node.start_worker()
        for rid in rids:
            granted = session.one(messages.LeaseGranted)
            assert granted.rid == rid
            session.send(messages.ReturnLease(granted.lease_id))

    def test_another_environment_is_another_worker(self, node: Scenario) -> None:
        session = node.session()
        session.request_lease()
        node.start_worker()
        session.send(messages.ReturnLease(session.one(messages.LeaseGranted).lease_id))
        env = messages.RuntimeEnv({"A": "1"}, "", [])
        session.send(messages.RequestLease(9, {"CPU": 1.0}, env, "g", [], ""))
        (spawn,) = node.take(events.Spawn)
        assert spawn.runtime_env == env

    def test_a_blocked_worker_lends_its_cpus(self, node: Scenario) -> None:
        session = node.session(num_cpus=1)
        session.request_lease()
        outer = node.start_worker()
        inner_rid = outer.request_lease()
        assert node.take(events.Spawn) == []
        outer.send(messages.Blocked())
        node.start_worker()
        granted = outer.one(messages.LeaseGranted)
        assert granted.rid == inner_rid
        outer.send(messages.Unblocked())
        session.request_lease()
        outer.send(messages.ReturnLease(granted.lease_id))
        assert session.got(messages.LeaseGranted)[1:] == []
        assert session.ask("available_resources").amounts["CPU"] == 0.0

    def test_a_lost_worker_is_told_with_its_cause(self, node: Scenario) -> None:
        session = node.session()
        session.request_lease()
        worker = node.start_worker()
        granted = session.one(messages.LeaseGranted)
        node.end_worker(worker, -9, "bye")
        lost = session.one(messages.LeaseLost)
        assert (lost.lease_id, lost.process_id) == (granted.lease_id, worker.process_id)
        assert "killed by SIGKILL" in lost.text
        assert "bye" in lost.text
        assert session.ask("available_resources").amounts["CPU"] == 2.0

    def test_a_worker_that_does_not_start_is_tried_again_and_then_refused(self, node: Scenario) -> None:
        session = node.session()
        rid = session.request_lease()
        for _ in range(leases.ATTEMPTS):
            assert session.got(messages.Refused) == []
            (spawn,) = node.take(events.Spawn)
            node.happen(events.Forked(spawn.process_id, 9))
            node.happen(events.Exited(spawn.process_id, 1))
            node.happen(events.OutputEnded(spawn.process_id, ""))
        refused = session.one(messages.Refused)
        assert (refused.rid, refused.kind) == (rid, "runtime")
        assert "no worker for task f" in refused.text

    def test_a_cancelled_request_is_not_granted_and_its_worker_is_kept(self, node: Scenario) -> None:
        session = node.session()
        rid = session.request_lease()
        session.send(messages.CancelLease(rid))
        worker = node.start_worker()
        assert session.got(messages.LeaseGranted) == []
        session.request_lease()
        assert session.one(messages.LeaseGranted).process_id == worker.process_id

    def test_the_holders_end_kills_its_workers(self, node: Scenario) -> None:
        session = node.session()
        _, parent = session.create_alive()
        parent.request_lease()
        task_worker = node.start_worker()
        parent.request_lease({"CPU": 9.0})
        parent.leave()
        assert node.killed() == [task_worker.process_id]
        assert session.ask("available_resources").amounts["CPU"] == 2.0

    def test_a_worker_that_had_gpus_is_not_used_again(self) -> None:
        node = Scenario(gpus=1)
        session = node.session(num_gpus=-1)
        assert session.opened.detected_gpus == ["0"]
        session.request_lease({"GPU": 0.5})
        worker = node.start_worker()
        assert worker.one(messages.Assign).gpu_ids == ["0"]
        session.send(messages.ReturnLease(session.one(messages.LeaseGranted).lease_id))
        assert worker.one(messages.Terminate).kind == "idle"
        session.request_lease({"GPU": 0.5})
        assert len(node.take(events.Spawn)) == 1

    def test_no_more_are_kept_than_there_are_cpus(self, node: Scenario) -> None:
        session = node.session()
        running = []
        for _ in range(3):
            session.request_lease({})
            running.append(node.start_worker())
        for granted in session.got(messages.LeaseGranted):
            session.send(messages.ReturnLease(granted.lease_id))
        assert [len(worker.got(messages.Terminate)) for worker in running] == [1, 0, 0]

    def test_a_gpu_of_another_session_is_waited_for(self) -> None:
        node = Scenario(gpus=1)
        first, second = node.session(num_gpus=-1), node.session(num_gpus=-1)
        _, worker = first.create_alive(resources={"GPU": 1.0})
        second.create(resources={"GPU": 1.0})
        assert node.take(events.Spawn) == []
        assert second.got(messages.Warn) == []
        node.end_worker(worker)
        assert len(node.take(events.Spawn)) == 1


class TestSessions:
    def test_one_without_a_namespace_gets_one_of_its_own(self, node: Scenario) -> None:
        first, second = node.session(namespace=""), node.session(namespace="")
        assert first.opened.namespace != second.opened.namespace
        assert first.opened.job_id != second.opened.job_id

    def test_its_forkserver_is_started_and_shared_by_equal_ones(self, node: Scenario) -> None:
        node.session()
        node.session()
        other = messages.Environment("/usr/bin/python3", ["/elsewhere"], "/", {})
        node.session(environment=other)
        assert [opened.environment for opened in node.take(events.OpenForkserver)] == [1, 1, 2]

    def test_an_unused_forkserver_is_let_go(self, node: Scenario) -> None:
        first, _ = node.session(), node.session(environment=messages.Environment("/p", [], "/", {}))
        first.leave()
        node.pass_time(1.0)
        assert node.take(events.CloseForkserver) == [events.CloseForkserver(1)]

    def test_resources_are_its_own(self, node: Scenario) -> None:
        first = node.session(num_cpus=4, memory=10, resources={"x": 0.5})
        second = node.session(num_cpus=-1)
        first.create_alive(resources={"CPU": 4.0, "x": 0.5})
        assert first.ask("cluster_resources").amounts == {
            "CPU": 4.0,
            "memory": 10.0,
            "object_store_memory": 300.0,
            "node:127.0.0.1": 1.0,
            "node:__internal_head__": 1.0,
            "x": 0.5,
        }
        assert first.ask("available_resources").amounts["x"] == 0.0
        assert second.ask("available_resources").amounts["CPU"] == 2.0
        assert second.ask("cluster_resources").amounts["memory"] == 700.0

    def test_closing_is_done_when_the_last_worker_is_gone_and_its_output_was_passed_on(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive()
        session.request_lease()
        task_worker = node.start_worker()
        session.send(messages.CloseSession(9))
        assert node.killed() == [task_worker.process_id]
        node.end_worker(task_worker, -9)
        assert worker.one(messages.Terminate).kind == "session_ended"
        assert session.one(messages.ActorDown).actor_id == actor_id
        worker.send(messages.Ending("session_ended", ""))
        worker.leave()
        node.happen(events.Exited(worker.process_id, 0))
        node.happen(events.Printed(worker.process_id, 1, "last\n"))
        assert session.one(messages.Output).text == "last\n"
        assert session.got(messages.Done) == []
        node.happen(events.OutputEnded(worker.process_id, ""))
        assert session.got(messages.Done) == [messages.Done(9)]

    def test_closing_does_not_wait_for_ever(self, node: Scenario) -> None:
        session = node.session()
        session.create_alive()
        session.send(messages.CloseSession(9))
        node.pass_time(sessions.CLOSE_WITHIN_S)
        assert session.got(messages.Done) == [messages.Done(9)]

    def test_closing_an_empty_one_is_done_at_once_and_detached_actors_stay(self, node: Scenario) -> None:
        session = node.session()
        _, keeper = session.create_alive(detached=True)
        session.send(messages.CloseSession(9))
        assert session.got(messages.Done) == [messages.Done(9)]
        assert keeper.got(messages.Terminate) == []
        session.create(rid=10, name="late")
        assert session.one(messages.Refused).kind == "runtime"

    def test_output_goes_to_its_session_if_that_wants_it(self, node: Scenario) -> None:
        wanting, other = node.session(), node.session(log_to_driver=False)
        _, worker = wanting.create_alive()
        _, silent = other.create_alive()
        node.happen(events.Printed(worker.process_id, 2, "a\nb\n"))
        node.happen(events.Printed(silent.process_id, 1, "c\n"))
        output = wanting.one(messages.Output)
        assert (output.pid, output.label, output.stream, output.text) == (worker.pid, "Counter", 2, "a\nb\n")
        worker.send(messages.SetTitle("renamed"))
        node.happen(events.Printed(worker.process_id, 1, "d\n"))
        assert wanting.one(messages.Output).label == "renamed"
        assert other.got(messages.Output) == []

    def test_a_second_one_in_the_same_process_is_refused(self, node: Scenario) -> None:
        session = node.session()
        session.send(messages.OpenSession(2, "", ENVIRONMENT, 1, 0, -1, -1, {}, True, 30.0))
        assert session.one(messages.Refused).kind == "runtime"


class TestListing:
    def test_an_unknown_question_is_refused(self, node: Scenario) -> None:
        session = node.session()
        session.send(messages.Query(3, "weather"))
        assert "cannot list 'weather': it knows actors, named_actors" in session.one(messages.Refused).text

    def test_status_and_logs_for_the_command_line(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(name="n", rid=1, resources={"CPU": 1.5})
        command_line = node.command_line()
        status = command_line.ask("status")
        assert (status.facts["sessions"], status.facts["workers"]) == ("1", "1")
        assert [row.pid for row in status.actors] == [worker.pid]
        assert command_line.ask("available_resources").amounts == {"CPU": 0.5, "memory": 1000.0}
        for name in ("n", "Counter", str(worker.pid), actor_id.hex()):
            command_line.send(messages.FetchLog(4, name))
            (row,) = command_line.one(messages.Listing).actors
            assert row.log_path == f"/run/nb/logs/{worker.process_id.hex()[:16]}.log"
        command_line.send(messages.FetchLog(4, "nobody"))
        assert command_line.one(messages.Listing).actors == []


class TestLeaving:
    def test_after_the_last_session_and_a_little_while(self, node: Scenario) -> None:
        node.session().leave()
        node.pass_time(0.9)
        assert node.take(events.Leave) == []
        node.pass_time(0.2)
        assert node.take(events.Leave)[0] == events.Leave(final=False)

    def test_not_while_a_detached_actor_lives(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(detached=True)
        session.leave()
        node.pass_time(100)
        assert node.take(events.Leave) == []
        node.command_line().send(messages.KillActor(1, actor_id, True))
        node.end_worker(worker, -9)
        node.pass_time(1.1)
        assert node.take(events.Leave)

    def test_looking_does_not_keep_it(self, node: Scenario) -> None:
        node.session().leave()
        for _ in range(12):
            node.pass_time(0.1)
            conn = node.connect()
            node.happen(events.Disconnected(conn))
        assert node.take(events.Leave)

    def test_a_session_that_comes_in_time_keeps_it(self, node: Scenario) -> None:
        node.session().leave()
        node.pass_time(0.5)
        node.session()
        node.pass_time(100)
        assert node.take(events.Leave) == []

    def test_a_session_whose_hello_meets_the_alarm_keeps_it(self, node: Scenario) -> None:
        node.session().leave()
        conn = node.connect()
        node.now += 1.0  # the alarm is due, and rings with the next event
        node.happen(events.Received(conn, messages.Hello(messages.PROTOCOL_VERSION, node.new_id(), 7, "session", "1")))
        node.pass_time(100)
        assert node.take(events.Leave) == []

    def test_whoever_started_it_has_a_while_to_come(self, node: Scenario) -> None:
        node.pass_time(state.FIRST_LINGER_S - 0.1)
        assert node.take(events.Leave) == []
        node.pass_time(0.2)
        assert node.take(events.Leave)

    def test_stopping_ends_everything_and_is_done_then(self, node: Scenario) -> None:
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

    def test_stopping_by_force_kills(self, node: Scenario) -> None:
        session, command_line = node.session(), node.command_line()
        _, worker = session.create_alive()
        command_line.send(messages.Stop(3, force=True))
        assert node.killed() == [worker.process_id]
        assert worker.got(messages.Terminate) == []

    def test_stopping_does_not_wait_for_ever(self, node: Scenario) -> None:
        session, command_line = node.session(), node.command_line()
        session.create_alive()
        command_line.send(messages.Stop(3))
        node.pass_time(state.STOP_WITHIN_S)
        assert command_line.got(messages.Done)
        assert node.take(events.Leave)

    def test_the_systems_request_is_as_good(self, node: Scenario) -> None:
        node.happen(events.StopAsked())
        assert node.take(events.Leave) == [events.Leave(final=True)]
