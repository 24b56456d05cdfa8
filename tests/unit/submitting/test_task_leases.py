"""Tasks of one kind, and the workers that the node lends for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from members import Session, settle
from played_worker import PlayedWorker

from nbactors import exceptions
from nbactors.definitions.metadata import FunctionMeta
from nbactors.definitions.signature import ANYTHING
from nbactors.local.objects.entry import Entry
from nbactors.local.submitting import task_queue, tasks
from nbactors.local.wire import messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef
from nbactors.options import TaskOptions
from nbactors.pickling import pickling
from nbactors.runtime_env.worker_setup import WorkerSetup

WORK = FunctionMeta(lambda *args, **kwargs: None, "work", ANYTHING)
OTHER = FunctionMeta(lambda: None, "other", ANYTHING)
OPTIONS = TaskOptions()


@pytest.fixture(autouse=True)
def _as_in_a_fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Functions are exported anew by each test, and tasks count as long unless it says otherwise."""
    always_long(monkeypatch)
    yield
    WORK.export = OTHER.export = None


def submit(session: Session, *args: Any, function: FunctionMeta = WORK, options: TaskOptions = OPTIONS) -> Any:
    return session.tasks.submit(function, args, {}, options)


def to_come(session: Session) -> ObjectRef[Any]:
    return ObjectRef(Entry(session.objects, next(session.numbers)))


def asked(session: Session, kind: type[Any]) -> list[Any]:
    """Return all messages of a kind that the session has sent the node; they stay."""
    settle(session)
    return [message for message in session.node_end.arrived() if type(message) is kind]


def runs(worker: PlayedWorker) -> list[messages.Run]:
    return [message for message in worker.got if type(message) is messages.Run]


def lease_of(session: Session, worker: PlayedWorker) -> task_queue.Lease:
    (queue,) = (queue for queue in session.tasks._all_queues() if worker.process_id in queue._leases)
    return queue._leases[worker.process_id]


def answer(session: Session, worker: PlayedWorker, count: int = 1) -> None:
    """Have the worker answer its oldest tasks, all at once."""
    for _ in range(count):
        worker.reply(worker.take(messages.Run))
    settle(worker, session)


def always_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all tasks count as short, however long this machine takes for them."""
    monkeypatch.setattr(task_queue, "SHORT_S", 1000.0)


def always_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_queue, "SHORT_S", -1.0)


# -------------------------------------------------------------------------------------------------------------- asking


def test_a_task_asks_the_node_for_a_worker_and_is_sent_to_it(session: Session, worker: PlayedWorker) -> None:
    ref = submit(session, 1, options=TaskOptions(num_cpus=2, resources={"disk": 1}, name="label"))
    request = worker.grant(session, lease_id=9)
    assert (request.resources, request.label) == ({"CPU": 2.0, "disk": 1.0}, "label")
    defined, run = worker.take(messages.Define), worker.take(messages.Run)
    assert (run.key, run.lease_id, run.name) == (defined.key, 9, "label")
    assert pickling.loads(run.data) == ((1,), {})
    worker.reply(run, "done")
    assert session.get(ref) == "done"


def test_a_request_says_what_a_new_worker_is_given(session: Session, worker: PlayedWorker) -> None:
    session.environment.inherited = WorkerSetup(env_vars={"A": "1"})
    session.environment.tell_paths()
    submit(session, options=TaskOptions(runtime_env=WorkerSetup(env_vars={"B": "2"})))
    (request,) = asked(session, messages.RequestLease)
    assert request.runtime_env.env_vars == {b"A": b"1", b"B": b"2"}
    assert (request.sys_path, request.cwd) == ([], b"")


def test_many_tasks_ask_for_few_workers(session: Session, worker: PlayedWorker) -> None:
    for _ in range(3 * task_queue.ASKING):
        submit(session)
    assert len(asked(session, messages.RequestLease)) == task_queue.ASKING
    assert len(session.pending_calls()) == 3 * task_queue.ASKING
    assert session.pending_calls()[0].facts() == ("work", b"", False, False)


def test_each_worker_gets_one_task_at_first(session: Session, workers: list[PlayedWorker]) -> None:
    for _ in range(3):
        submit(session)
    for number, worker in enumerate(workers):
        worker.grant(session, number)
    assert [len(runs(worker)) for worker in workers] == [1, 1, 1]


def test_requests_are_withdrawn_when_no_task_waits_any_more(session: Session, worker: PlayedWorker) -> None:
    refs = [submit(session) for _ in range(3)]
    for ref in refs[1:]:
        ref._entry.call.cancel(CancelMode.CANCEL, True)
    requests = asked(session, messages.RequestLease)
    worker.grant(session)
    assert [message.rid for message in asked(session, messages.CancelLease)] == [each.rid for each in requests[1:]]
    assert not session.tasks.waiting


def test_a_grant_that_crosses_the_withdrawal_is_returned(session: Session, workers: list[PlayedWorker]) -> None:
    refs = [submit(session) for _ in range(2)]
    refs[1]._entry.call.cancel(CancelMode.CANCEL, True)
    workers[0].grant(session, 1)
    workers[1].grant(session, 2)
    assert [message.lease_id for message in asked(session, messages.ReturnLease)] == [2]


def test_a_grant_that_nobody_needs_any_more_is_returned(session: Session, worker: PlayedWorker) -> None:
    submit(session)._entry.call.cancel(CancelMode.CANCEL, True)
    worker.grant(session, 5)
    assert [message.lease_id for message in asked(session, messages.ReturnLease)] == [5]
    assert session.sockets == 0


def test_a_worker_that_has_gone_already_is_returned_and_another_one_asked_for(
    session: Session, workers: list[PlayedWorker]
) -> None:
    ref = submit(session)
    workers[0].die(session)
    workers[0].grant(session, 1)
    assert [message.lease_id for message in asked(session, messages.ReturnLease)] == [1]
    workers[1].grant(session, 2)
    workers[1].reply(workers[1].take(messages.Run), 1)
    assert session.get(ref) == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("runtime_env", exceptions.RuntimeEnvSetupError),
        ("crashed", exceptions.WorkerCrashedError),
        ("runtime", exceptions.TaskUnschedulableError),
        ("internal", exceptions.RaySystemError),
    ],
)
def test_tasks_that_the_node_refuses_a_worker_fail(
    session: Session, worker: PlayedWorker, kind: str, error: type[Exception]
) -> None:
    refs = [submit(session), submit(session, to_come(session))]
    settle(session)
    request = session.node_end.expect(messages.RequestLease)
    session.node_end.tell(messages.Refused(request.rid, kind, "the reason"))
    for ref in refs:
        with pytest.raises(error, match="the reason"):
            session.get(ref)
    session.node_end.tell(messages.Refused(request.rid, kind, "told again"))
    settle(session)
    assert session.pending_calls() == []


def test_a_worker_that_is_full_is_sent_at_once_what_was_gathered_for_it(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins while this thread submits more."""
    always_short(monkeypatch)
    submit(session)
    worker.grant(session)
    lease = lease_of(session, worker)
    answer(session, worker)
    lease.depth = 3
    gathered = []
    for _ in range(4):
        submit(session)
        gathered.append(len(lease.connection._outbox.messages))
    assert gathered == [0, 1, 0, 0]


# --------------------------------------------------------------------------------------------------------- sent ahead


def test_short_tasks_are_sent_ahead(session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    always_short(monkeypatch)
    for _ in range(20):
        submit(session)
    worker.grant(session)
    sent = []
    for _ in range(3):
        sent.append(len(runs(worker)))
        answer(session, worker, len(runs(worker)))
        settle(worker)
    assert sent == [1, 2, 4]
    assert lease_of(session, worker).depth == 8


def test_no_more_is_sent_ahead_than_a_worker_may_have(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_short(monkeypatch)
    monkeypatch.setattr(task_queue, "AHEAD", 2)
    for _ in range(9):
        submit(session)
    worker.grant(session)
    for _ in range(3):
        answer(session, worker, len(runs(worker)))
        settle(worker)
    assert len(runs(worker)) == 2


def test_a_worker_is_fed_when_half_of_what_it_had_is_answered(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queue, "AHEAD", 4)
    always_short(monkeypatch)
    for _ in range(20):
        submit(session)
    worker.grant(session)
    for _ in range(2):
        answer(session, worker, len(runs(worker)))
        settle(worker)
    assert len(runs(worker)) == 4
    for left, sent in ((3, 3), (2, 4)):
        answer(session, worker)
        settle(worker)
        assert len(runs(worker)) == sent, f"{left} were left"


@pytest.mark.parametrize(("is_late", "depth"), [(False, 1), (True, 2)], ids=["read at once", "read late"])
def test_a_task_that_takes_long_is_the_last_with_others_behind_it(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch, is_late: bool, depth: int
) -> None:
    always_short(monkeypatch)
    for _ in range(9):
        submit(session)
    worker.grant(session)
    answer(session, worker)
    lease = lease_of(session, worker)
    assert lease.depth == 2
    always_long(monkeypatch)
    session.replies.on_reply(lease.connection, messages.Reply(worker_first(lease), b"N."))
    session.reactor.is_late = is_late
    session.replies.after_batch(lease.connection)
    assert lease.depth == depth, "what nobody has looked at says nothing of the task"


def worker_first(lease: task_queue.Lease) -> int:
    return next(iter(lease.connection.in_flight.calls))


def test_a_new_worker_begins_with_what_is_known_of_the_tasks(
    session: Session, workers: list[PlayedWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    always_short(monkeypatch)
    for _ in range(12):
        submit(session)
    workers[0].grant(session, 1)
    answer(session, workers[0])
    workers[1].grant(session, 2)
    assert len(runs(workers[1])) == 2


def ahead(session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch) -> list[ObjectRef[Any]]:
    """Have a worker with two tasks, and one that waits. Returns their references, in the order of submission."""
    always_short(monkeypatch)
    refs = [submit(session) for _ in range(4)]
    worker.grant(session)
    answer(session, worker)
    settle(worker)
    assert len(runs(worker)) == 2
    return refs[1:]


def test_tasks_that_are_given_back_go_to_the_next_worker_first(
    session: Session, workers: list[PlayedWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, back, waits = ahead(session, workers[0], monkeypatch)
    call = back._entry.call
    workers[0].caller.send_now(messages.GivenBack([call.number]))
    settle(session, workers[0])
    assert lease_of(session, workers[0]).depth == 1
    assert [call.number for call in session.tasks.queued()] == [back._entry.number, waits._entry.number]
    workers[1].grant(session, 2)
    workers[1].reply(workers[1].take(messages.Run), "elsewhere")
    assert session.get(back) == "elsewhere"
    assert not running._entry.done()
    assert call.retries == OPTIONS.max_retries, "it was not tried"


def test_a_task_that_is_given_back_after_it_was_cancelled_does_not_run(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, back, _ = ahead(session, worker, monkeypatch)
    back._entry.call.cancel(CancelMode.CANCEL, True)
    settle(session, worker)
    lease = lease_of(session, worker)
    worker.caller.send_now(messages.GivenBack([back._entry.number, 999]))
    with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
        session.get(back)
    assert back._entry.number not in lease.connection.in_flight.calls, "the worker answers it no more"


def test_what_a_worker_gives_back_when_it_is_leased_no_more_is_ignored(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    session.call(link, "method")
    settle(session, worker)
    worker.caller.send_now(messages.GivenBack([worker.take(messages.Call).number]))
    settle(session, worker)
    assert [call.facts().sent for call in session.pending_calls()] == [True]


def test_the_tasks_of_a_worker_that_runs_no_more_go_to_the_next_one(
    session: Session, workers: list[PlayedWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, back, waits = ahead(session, workers[0], monkeypatch)
    workers[0].reply(workers[0].take(messages.Run), "in time")
    workers[0].caller.send_now(messages.GivenBack([], is_spent=True))
    settle(session, workers[0])
    assert session.get(answered) == "in time"
    assert [call.number for call in session.tasks.queued()] == [back._entry.number, waits._entry.number]
    assert returned(session) == [1]
    workers[1].grant(session, 2)
    workers[1].reply(workers[1].take(messages.Run), "elsewhere")
    assert session.get(back) == "elsewhere"


def test_a_worker_that_runs_no_more_tasks_may_say_so_after_its_lease(session: Session, worker: PlayedWorker) -> None:
    ref = submit(session)
    worker.grant(session)
    answer(session, worker)
    session.tasks._return_idle(None)  # type: ignore[arg-type] # another kind of task waits
    worker.caller.send_now(messages.GivenBack([], is_spent=True))
    settle(session, worker)
    assert returned(session) == [1]
    assert ref._entry.done()


def test_a_cancelled_task_of_a_worker_that_runs_no_more_does_not_run(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, back, _ = ahead(session, worker, monkeypatch)
    back._entry.call.cancel(CancelMode.CANCEL, True)
    settle(session, worker)
    worker.reply(worker.take(messages.Run))
    worker.caller.send_now(messages.GivenBack([], is_spent=True))
    with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
        session.get(back)


def test_the_worker_is_told_how_often_it_may_run_the_function(session: Session, worker: PlayedWorker) -> None:
    session.submit(lambda: None, options=TaskOptions(max_calls=3))
    worker.grant(session)
    assert worker.take(messages.Define).max_calls == 3


# -------------------------------------------------------------------------------------------------------- at rest


def returned(session: Session) -> list[int]:
    return [message.lease_id for message in asked(session, messages.ReturnLease)]


def test_a_worker_without_tasks_is_returned_after_a_moment(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queue, "LINGER_S", 0)
    submit(session)
    worker.grant(session, 5)
    worker.reply(worker.take(messages.Run))
    settle(worker, session)
    assert returned(session) == [5]
    worker.die(session)
    assert session.pending_calls() == []


def test_the_next_task_goes_to_the_worker_that_is_still_there(session: Session, worker: PlayedWorker) -> None:
    submit(session)
    worker.grant(session)
    answer(session, worker)
    submit(session)
    settle(worker)
    assert len(runs(worker)) == 1
    assert len(asked(session, messages.RequestLease)) == 0
    lease = lease_of(session, worker)
    session.tasks._all_queues()[0]._return_if_idle(lease)
    assert returned(session) == [], "it works again"


def test_a_moment_that_began_before_the_last_task_does_not_end_the_lease(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queue, "LINGER_S", 1000.0)
    submit(session)
    worker.grant(session)
    answer(session, worker)
    lease, queue = lease_of(session, worker), session.tasks._all_queues()[0]
    queue._return_if_idle(lease)
    assert returned(session) == []
    queue.return_idle()
    queue._return_if_idle(lease)
    assert returned(session) == [1], "once"


def test_one_timer_at_a_time_looks_whether_a_worker_has_tasks(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queue, "LINGER_S", 1000.0)
    timers: list[float] = []
    set_timer = session.reactor.call_later

    def note(delay: float, callback: Callable[[], None]) -> Any:
        if delay > 100:
            timers.append(delay)
        return set_timer(delay, callback)

    monkeypatch.setattr(session.reactor, "call_later", note)
    submit(session)
    worker.grant(session)
    answer(session, worker)
    for _ in range(3):
        submit(session)
        settle(worker)
        answer(session, worker)
    assert timers == [1000.0]
    lease, queue = lease_of(session, worker), session.tasks._all_queues()[0]
    lease.idle_since -= 400
    queue._return_if_idle(lease)
    assert (len(timers), 500 < timers[-1] < 601, returned(session)) == (2, True, [])
    lease.idle_since -= 600
    queue._return_if_idle(lease)
    assert (len(timers), returned(session)) == (2, [1])


def test_an_old_worker_is_returned_at_once(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queue, "RENEW_S", -1.0)
    submit(session)
    worker.grant(session)
    answer(session, worker)
    assert returned(session) == [1]


def test_a_worker_at_rest_is_returned_when_another_kind_of_task_waits(session: Session, worker: PlayedWorker) -> None:
    submit(session)
    worker.grant(session)
    answer(session, worker)
    assert returned(session) == []
    submit(session, function=OTHER)
    assert returned(session) == [1]


def test_a_worker_that_comes_to_rest_while_others_wait_is_returned_at_once(
    session: Session, worker: PlayedWorker
) -> None:
    submit(session)
    worker.grant(session)
    submit(session, function=OTHER)
    assert returned(session) == [], "it works"
    answer(session, worker)
    assert returned(session) == [1]


def test_a_worker_is_fed_no_more_when_its_turn_is_over_and_others_wait(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queue, "TURN_S", -1.0)
    for _ in range(3):
        submit(session)
    worker.grant(session)
    answer(session, worker)
    settle(worker)
    assert len(runs(worker)) == 1, "nobody else waits"
    submit(session, function=OTHER)
    answer(session, worker)
    settle(worker)
    assert runs(worker) == []
    assert returned(session) == [1]


def test_answers_of_a_worker_that_is_leased_no_more_feed_nobody(session: Session, worker: PlayedWorker) -> None:
    submit(session)
    worker.grant(session)
    lease, queue = lease_of(session, worker), session.tasks._all_queues()[0]
    queue._return(lease)
    submit(session)
    queue.answered(lease.connection)
    settle(worker)
    assert len(runs(worker)) == 1


# ----------------------------------------------------------------------------------------------------- kinds, functions


def test_tasks_with_the_same_options_are_of_one_kind(session: Session, worker: PlayedWorker) -> None:
    for _ in range(2):
        submit(session, options=TaskOptions(num_cpus=2))
    submit(session, options=TaskOptions(num_cpus=1))
    submit(session, options=TaskOptions(num_cpus=2, name="renamed"))
    submit(session, options=TaskOptions(num_cpus=2, runtime_env=WorkerSetup(env_vars={"A": "1"})))
    assert [len(queue.queued()) for queue in session.tasks._all_queues()] == [2, 1, 1, 1]


def test_the_queues_of_few_options_are_remembered(session: Session, worker: PlayedWorker) -> None:
    for _ in range(3 * tasks.REMEMBERED):
        submit(session, options=TaskOptions(num_cpus=2))
    assert len(WORK.export.by_options) <= tasks.REMEMBERED + 1
    assert len(session.tasks._all_queues()) == 1


def test_a_worker_is_told_of_a_function_once(session: Session, workers: list[PlayedWorker]) -> None:
    for _ in range(3):
        submit(session)
    workers[0].grant(session, 1)
    answer(session, workers[0])
    workers[1].grant(session, 2)
    settle(*workers)
    for worker in workers[:2]:
        assert [type(message) for message in worker.got].count(messages.Define) == 1


def test_a_function_that_has_gone_is_undefined_where_it_was_known(
    session: Session, workers: list[PlayedWorker]
) -> None:
    ref = session.submit(lambda: None)
    workers[0].grant(session)
    key = workers[0].take(messages.Define).key
    link = workers[1].become_actor(session)
    workers[0].reply(workers[0].take(messages.Run))
    session.get(ref)
    session._functions.clear()
    settle(session, *workers)
    assert workers[0].take(messages.Undefine).key == key
    assert workers[1].got == []
    assert session.tasks._all_queues() == []
    assert link.facts().state == "alive"


def test_a_function_of_an_earlier_session_is_exported_anew(session: Session, worker: PlayedWorker) -> None:
    WORK.export = tasks.Export(tasks.Tasks(*[None] * 5), None, 0)  # type: ignore[arg-type]
    WORK.export.tasks.forget_soon = lambda key: None  # type: ignore[method-assign]
    submit(session)
    assert WORK.export.tasks is session.tasks


def test_a_task_that_a_handler_has_sent_and_that_was_answered_is_not_sent_again(
    session: Session, worker: PlayedWorker
) -> None:
    ref = submit(session)
    worker.grant(session)
    (call,) = session.pending_calls()
    answer(session, worker)
    session.get(ref)
    session.tasks._all_queues()[0]._send(lease_of(session, worker), call)
    settle(session, worker)
    assert runs(worker) == []


def test_a_queued_task_whose_sending_was_torn_after_it_is_not_sent_again(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second, _ = ahead(session, worker, monkeypatch)
    (queue,) = session.tasks._all_queues()
    call = second._entry.call
    call.queue = queue._queue
    queue._queue.calls.appendleft(call)  # as it was when the exception came
    lease_of(session, worker).depth = 3
    queue.pump()
    settle(session, worker)
    assert [run.number for run in runs(worker)].count(call.number) == 1
    assert len(runs(worker)) == 3
