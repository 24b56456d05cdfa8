"""Sessions, as the node opens and closes them, and what they may ask."""

from __future__ import annotations

import msgspec
from node_scenario import ENVIRONMENT, Client, Scenario

from nbactors.local.node.rules import events, sessions
from nbactors.local.wire import messages
from nbactors.local.wire.ids import socket_name


class TestSessions:
    def test_a_session_without_a_namespace_gets_an_anonymous_one(self, node: Scenario) -> None:
        first, second = node.session(namespace=""), node.session(namespace="")
        assert first.opened.namespace != second.opened.namespace
        assert first.opened.job_id != second.opened.job_id

    def test_sessions_with_equal_environments_share_a_forkserver(self, node: Scenario) -> None:
        node.session()
        node.session()
        paths, installation = [b"/elsewhere"], [b"-I", b"-c", b""]
        node.session(environment=msgspec.structs.replace(ENVIRONMENT, sys_path=paths))
        node.session(environment=msgspec.structs.replace(ENVIRONMENT, boot=installation))
        assert [opened.environment for opened in node.take(events.OpenForkserver)] == [1, 1, 2, 3]

    def test_an_unused_forkserver_is_closed_after_a_while(self, node: Scenario) -> None:
        first, _ = node.session(), node.session(environment=messages.Environment(b"/p", [], [], b"/", {}))
        first.leave()
        node.pass_time(1.0)
        assert node.take(events.CloseForkserver) == [events.CloseForkserver(1)]

    def test_each_session_has_resources_of_its_own(self, node: Scenario) -> None:
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

    def test_closing_is_answered_after_the_last_worker_and_its_output(self, node: Scenario) -> None:
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
        node.happen(events.OutputRead(worker.process_id, 1, "last\n"))
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

    def test_closing_a_session_without_workers_is_answered_at_once_and_detached_actors_stay(
        self, node: Scenario
    ) -> None:
        session = node.session()
        _, keeper = session.create_alive(detached=True)
        session.send(messages.CloseSession(9))
        assert session.got(messages.Done) == [messages.Done(9)]
        assert keeper.got(messages.Terminate) == []
        session.create(rid=10, name="late")
        assert session.one(messages.Refused).kind == "runtime"

    def test_output_goes_to_its_session_unless_log_to_driver_is_off(self, node: Scenario) -> None:
        wanting, other = node.session(), node.session(log_to_driver=False)
        _, worker = wanting.create_alive()
        _, silent = other.create_alive()
        node.happen(events.OutputRead(worker.process_id, 2, "a\nb\n"))
        node.happen(events.OutputRead(silent.process_id, 1, "c\n"))
        output = wanting.one(messages.Output)
        assert (output.pid, output.label, output.stream, output.text) == (worker.pid, "Counter", 2, "a\nb\n")
        worker.send(messages.SetTitle("renamed"))
        node.happen(events.OutputRead(worker.process_id, 1, "d\n"))
        assert wanting.one(messages.Output).label == "renamed"
        assert other.got(messages.Output) == []

    def test_a_second_session_in_the_same_process_is_refused(self, node: Scenario) -> None:
        session = node.session()
        session.send(messages.OpenSession(2, "", ENVIRONMENT, 1, 0, -1, -1, {}, True, 30.0))
        assert session.one(messages.Refused).kind == "runtime"


class TestListing:
    def test_a_query_of_an_unknown_kind_is_refused(self, node: Scenario) -> None:
        session = node.session()
        session.send(messages.Query(3, "weather"))
        assert "cannot list 'weather': it knows actors, named_actors" in session.one(messages.Refused).text

    def test_the_command_line_gets_status_and_logs(self, node: Scenario) -> None:
        session = node.session()
        actor_id, worker = session.create_alive(name="n", rid=1, resources={"CPU": 1.5})
        command_line = node.command_line()
        status = command_line.ask("status")
        assert (status.facts["sessions"], status.facts["workers"]) == ("1", "1")
        assert [row.pid for row in status.actors] == [worker.pid]
        assert command_line.ask("available_resources").amounts == {"CPU": 0.5, "memory": 700.0}
        own = session.ask("available_resources").amounts
        assert own["memory"] == 700.0, "the command line and a session have the same figures"
        for name in ("n", "Counter", str(worker.pid), actor_id.hex()):
            command_line.send(messages.FetchLog(4, name))
            (row,) = command_line.one(messages.Listing).actors
            assert row.log_path == f"/run/nb/logs/{worker.process_id.hex()[:16]}.log"
        command_line.send(messages.FetchLog(4, "nobody"))
        assert command_line.one(messages.Listing).actors == []


def test_a_process_whose_socket_was_removed_is_told_to_listen_again(node: Scenario) -> None:
    removed, kept = Client(node, b"removed." * 2, "session"), Client(node, b"kept...." * 2, "session")
    node.command_line()
    node.happen(events.SocketsSeen(frozenset({socket_name(kept.process_id), "another"})))
    assert removed.got(messages.ListenAgain) == [messages.ListenAgain()]
    assert not kept.got(messages.ListenAgain)
