"""Readers of the task events in the node."""

from __future__ import annotations

from node_scenario import Client, Scenario
from test_task_table import queued, row

from nbactors.local.node.rules.tracing import followers
from nbactors.local.wire import messages

NODE_ID = b"n" * 28


def follow(client: Client, after: int = 0, node_id: bytes = NODE_ID, wait_s: float = 10.0) -> None:
    """Ask for what has changed; for a snapshot if `after` is 0."""
    client.send(messages.Follow(client.scenario.rid(), node_id if after else b"", after, wait_s))


def report(client: Client, *ended: messages.TaskRow, live: list[messages.TaskRow] | None = None) -> None:
    client.send(messages.TaskReport(client.scenario.now, live, list(ended), {"f": 2}, []))


def test_a_reader_gets_a_snapshot_and_then_each_change(node: Scenario) -> None:
    session, reader = node.session(), node.command_line()
    report(session, row(1, "FINISHED", ended=5.0))
    follow(reader)
    news = reader.one(messages.TaskNews)
    assert news.is_snapshot
    assert news.unlisted == {"f": 2}
    assert [task.job for task in news.tasks] == [session.opened.job_id]
    follow(reader, news.seq)
    assert not reader.got(messages.TaskNews), "nothing has changed"
    report(session, row(2, "FINISHED", ended=6.0))
    node.pass_time(followers.GATHER_S)
    news = reader.one(messages.TaskNews)
    assert not news.is_snapshot
    assert [task.task_id for task in news.tasks] == [row(2).task_id]


def test_a_call_whose_end_nobody_reports_is_forgotten_also_if_no_other_report_comes(node: Scenario) -> None:
    session, reader = node.session(), node.command_line()
    report(session, live=[queued()])
    report(session, live=[])
    follow(reader)
    (first,) = (news := reader.one(messages.TaskNews)).tasks
    follow(reader, news.seq)
    node.pass_time(followers.TIDY_S + followers.GATHER_S)
    assert reader.one(messages.TaskNews).removed == [first.task_id]


def test_a_reader_is_answered_without_a_change_when_its_time_is_over(node: Scenario) -> None:
    session, reader = node.session(), node.command_line()
    report(session, row(1, "FINISHED", ended=5.0))
    follow(reader)
    news = reader.one(messages.TaskNews)
    follow(reader, news.seq, wait_s=2.0)
    node.pass_time(2.1)
    assert reader.one(messages.TaskNews).tasks == []


def test_a_reader_that_knows_another_node_gets_a_snapshot(node: Scenario) -> None:
    report(node.session(), row(1, "FINISHED", ended=5.0))
    reader = node.command_line()
    follow(reader, 1000, b"another")
    assert reader.one(messages.TaskNews).is_snapshot


def test_a_long_snapshot_comes_in_parts(node: Scenario) -> None:
    session, reader = node.session(), node.command_line()
    report(session, *(row(number, "FINISHED", ended=5.0) for number in range(followers.PAGE + 1)))
    follow(reader)
    first = reader.one(messages.TaskNews)
    assert (len(first.tasks), first.is_complete) == (followers.PAGE, False)
    follow(reader, first.seq)
    rest = reader.one(messages.TaskNews)
    assert (len(rest.tasks), rest.is_complete) == (1, True)


def test_an_actors_states_are_told(node: Scenario) -> None:
    session, reader = node.session(), node.command_line()
    actor_id, worker = session.create_alive()
    node.end_worker(worker, -9)
    follow(reader)
    moments = [moment for moment in reader.one(messages.TaskNews).actors if moment.actor_id == actor_id]
    states = [moment.state for moment in moments]
    assert (states[0], states[-1]) == ("PENDING_CREATION", "DEAD")
    assert "ALIVE" in states


def test_the_running_calls_of_a_dead_worker_have_failed(node: Scenario) -> None:
    session, reader = node.session(), node.command_line()
    _, worker = session.create_alive()
    report(worker, live=[row(1, worker=worker.process_id)])
    node.end_worker(worker, -9)
    follow(reader)
    assert [task.state for task in reader.one(messages.TaskNews).tasks] == ["FAILED"]


def test_a_reader_that_has_gone_is_not_answered(node: Scenario) -> None:
    session, reader = node.session(), node.command_line()
    report(session, row(2, "FINISHED", ended=5.0))
    follow(reader, 0)
    news = reader.one(messages.TaskNews)
    follow(reader, news.seq)
    reader.leave()
    report(session, row(1, "FINISHED", ended=5.0))
    node.pass_time(1.0)
    assert session.ask("actors") is not None
