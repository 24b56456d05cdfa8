"""The node passes rich output on to the session that shows it, after earlier printed output."""

from __future__ import annotations

import pytest
from node_scenario import Client, Scenario

from nbactors.local.node.rules import events
from nbactors.local.wire import messages


def shown(node: Scenario, worker: Client, job: bytes, rid: int = 7) -> None:
    """Have a worker send a display for cell 4 of a session, and have its pipes read."""
    worker.send(messages.Display(rid, int.from_bytes(job, "little") << 32 | 4, b"{}", "show"))
    (read,) = node.take(events.ReadOutput)
    assert read.process_id == worker.process_id
    node.happen(events.OutputRead(worker.process_id, 1, "before\n"))
    node.happen(read.then)


@pytest.fixture
def node() -> Scenario:
    return Scenario()


def test_a_display_is_sent_after_earlier_output_and_answered(node: Scenario) -> None:
    session = node.session()
    _, worker = session.create_alive()
    shown(node, worker, session.opened.job_id)
    sent = [one.message for one in node.done if isinstance(one, events.Send) and one.conn == session.conn]
    kinds = [type(message) for message in sent if isinstance(message, messages.Output | messages.Display)]
    assert kinds == [messages.Output, messages.Display]
    display = session.one(messages.Display)
    assert (display.origin & 0xFFFF_FFFF, display.pid, display.label) == (4, worker.pid, "Counter")
    assert worker.got(messages.Done) == [messages.Done(7)]


def test_a_display_goes_to_the_session_that_called(node: Scenario) -> None:
    creator, caller = node.session(), node.session()
    _, worker = creator.create_alive(detached=True)
    shown(node, worker, caller.opened.job_id)
    assert len(caller.got(messages.Display)) == 1
    assert creator.got(messages.Display) == []


def test_a_display_is_answered_when_its_session_is_gone(node: Scenario) -> None:
    session = node.session()
    _, worker = session.create_alive()
    shown(node, worker, b"\xff\xff\0\0")
    assert session.got(messages.Display) == []
    assert worker.got(messages.Done) == [messages.Done(7)]


def test_a_display_without_a_rid_gets_no_answer(node: Scenario) -> None:
    session = node.session()
    _, worker = session.create_alive()
    shown(node, worker, session.opened.job_id, rid=0)
    assert worker.got(messages.Done) == []


def test_only_workers_may_send_displays(node: Scenario) -> None:
    session = node.session()
    session.send(messages.Display(1, 4, b"{}", "show"))
    assert node.take(events.Close) == [events.Close(session.conn)]


class TestCatchingUp:
    """A session asks for all output so far: `CatchUp`."""

    def test_the_answer_comes_after_the_output_of_all_workers(self, node: Scenario) -> None:
        session = node.session()
        workers = [session.create_alive()[1] for _ in range(2)]
        session.send(messages.CatchUp(5))
        first, last = node.take(events.ReadOutput)
        assert {first.process_id, last.process_id} == {worker.process_id for worker in workers}
        assert first.then is None
        node.happen(events.OutputRead(workers[0].process_id, 1, "before\n"))
        assert session.got(messages.Done) == []
        node.happen(last.then)
        assert session.got(messages.Done) == [messages.Done(5)]

    def test_a_session_without_workers_is_answered_at_once(self, node: Scenario) -> None:
        session, other = node.session(), node.session()
        other.create_alive()
        session.send(messages.CatchUp(5))
        assert session.got(messages.Done) == [messages.Done(5)]

    def test_detached_actors_of_other_sessions_are_read(self, node: Scenario) -> None:
        session, other = node.session(), node.session()
        _, worker = other.create_alive(detached=True)
        session.send(messages.CatchUp(5))
        (reading,) = node.take(events.ReadOutput)
        assert reading.process_id == worker.process_id
