"""Tasks whose worker dies or whose node is lost, and tasks that are tried again."""

from __future__ import annotations

from typing import Any

import pytest
from members import Session, settle
from played_worker import PlayedWorker

from nbactors import exceptions
from nbactors.definitions.metadata import STREAMING
from nbactors.local.submitting import task_queue
from nbactors.local.wire import messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.options import TaskOptions
from nbactors.pickling import pickling

CRASH = "its process was killed by SIGSEGV."


@pytest.fixture(autouse=True)
def _tasks_count_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast this machine is with them: so a worker gets one at a time."""
    monkeypatch.setattr(task_queue, "SHORT_S", -1.0)


def work() -> None:
    """A task that never runs: the test answers for it."""


def submit(session: Session, max_retries: int = 3, **options: Any) -> Any:
    return session.submit(work, options=TaskOptions(max_retries=max_retries, **options))


def crash(session: Session, worker: PlayedWorker, text: str = CRASH) -> None:
    """The worker dies, and the node tells the cause."""
    worker.die(session)
    session.node_end.tell(messages.LeaseLost(1, worker.process_id, text))
    settle(session)


def runs(worker: PlayedWorker) -> int:
    return [type(message) for message in worker.got].count(messages.Run)


# ------------------------------------------------------------------------------------------------------------- crashes


def test_a_task_whose_worker_dies_is_tried_again(session: Session, workers: list[PlayedWorker]) -> None:
    ref = submit(session, max_retries=1)
    workers[0].grant(session)
    call = ref._entry.call
    crash(session, workers[0])
    assert call.retries == 0
    workers[1].grant(session, 2)
    assert runs(workers[1]) == 1
    crash(session, workers[1])
    with pytest.raises(exceptions.WorkerCrashedError, match=r"SIGSEGV.*No retry was left"):
        session.get(ref)


def test_a_task_may_be_tried_again_for_ever(session: Session, workers: list[PlayedWorker]) -> None:
    ref = submit(session, max_retries=-1)
    for worker in workers[:2]:
        worker.grant(session)
        crash(session, worker)
    workers[2].grant(session)
    workers[2].reply(workers[2].take(messages.Run), "at last")
    assert session.get(ref) == "at last"


def sent_ahead(session: Session, worker: PlayedWorker, retries: list[int]) -> list[Any]:
    """Tasks of one kind behind a short one that was answered, so that the worker gets two at a time."""
    refs = [session.submit(work, options=TaskOptions(max_retries=3, name="work"))]
    call = refs[0]._entry.call
    # One function, so that all are of one kind.
    queue, details = call.target, call.details
    refs += [submit_again(session, queue, details, left) for left in retries]
    worker.grant(session)
    worker.reply(worker.take(messages.Run))
    settle(session, worker)
    settle(worker)
    return refs[1:]


@pytest.fixture
def short_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_queue, "SHORT_S", 1000.0)


@pytest.mark.usefixtures("short_tasks")
def test_each_task_of_a_worker_that_dies_counts_a_try(session: Session, workers: list[PlayedWorker]) -> None:
    """The answer to the first may have waited in the worker for the second's."""
    refs = sent_ahead(session, workers[0], [3, 3, 3])
    calls = [ref._entry.call for ref in refs]
    assert runs(workers[0]) == 2
    crash(session, workers[0])
    assert session.tasks.queued() == calls
    assert [call.retries for call in calls] == [2, 2, 3]


@pytest.mark.usefixtures("short_tasks")
@pytest.mark.parametrize("retries", [[0, 3, 3], [3, 0, 3], [0, 0, 0]])
def test_a_task_without_a_retry_is_alone_in_its_worker(
    session: Session, workers: list[PlayedWorker], retries: list[int]
) -> None:
    """So its crash is its own, and it never runs twice."""
    refs = sent_ahead(session, workers[0], retries)
    assert runs(workers[0]) == 1
    crash(session, workers[0])
    assert len(session.tasks.queued()) == (3 if retries[0] else 2)
    if not retries[0]:
        with pytest.raises(exceptions.WorkerCrashedError, match="SIGSEGV"):
            session.get(refs[0])


def submit_again(session: Session, queue: Any, details: Any, retries: int) -> Any:
    from nbactors.local.submitting.pending_call import make_call

    number = next(session.numbers)
    call, ref = make_call(session.objects, number, 1, queue, None, None)
    call.details = details
    call.retries = retries
    queue.submit(call)
    return ref


def test_a_cancelled_task_whose_worker_dies_was_cancelled(session: Session, worker: PlayedWorker) -> None:
    ref = submit(session, max_retries=0)
    worker.grant(session)
    ref._entry.call.cancel(CancelMode.FORCE, True)
    crash(session, worker, "it was ended by cancel(force=True).")
    with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
        session.get(ref)


def test_the_cause_may_come_before_the_end_of_the_connection(session: Session, worker: PlayedWorker) -> None:
    ref = submit(session, max_retries=0)
    worker.grant(session)
    session.node_end.tell(messages.LeaseLost(1, worker.process_id, CRASH))
    settle(session)
    assert not ref._entry.done(), "what it has answered before may still be in the socket"
    worker.die(session)
    with pytest.raises(exceptions.WorkerCrashedError, match="SIGSEGV"):
        session.get(ref)


def test_an_answer_that_was_sent_before_the_end_arrives(session: Session, worker: PlayedWorker) -> None:
    ref = submit(session, max_retries=0)
    worker.grant(session)
    worker.reply(worker.take(messages.Run), "in time")
    crash(session, worker)
    assert session.get(ref) == "in time"


def test_without_a_verdict_of_the_node_the_task_goes_on_after_a_while(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queue, "VERDICT_S", 0)
    ref = submit(session, max_retries=0)
    worker.grant(session)
    worker.die(session)
    with pytest.raises(exceptions.WorkerCrashedError, match="the connection to it was lost"):
        session.get(ref)
    session.node_end.tell(messages.LeaseLost(1, worker.process_id, CRASH))
    settle(session)


def test_the_end_of_a_worker_that_was_returned_concerns_nobody(session: Session, worker: PlayedWorker) -> None:
    ref = submit(session, max_retries=0)
    worker.grant(session)
    worker.reply(worker.take(messages.Run), 1)
    assert session.get(ref) == 1
    for queue in session.tasks._all_queues():
        queue.return_idle()
    crash(session, worker)
    assert session.tasks._dead == {}


def test_a_worker_whose_connection_is_given_up_is_returned_and_its_task_tried_again(
    session: Session, worker: PlayedWorker
) -> None:
    ref = submit(session, max_retries=1)
    worker.grant(session, 7)
    session.peers.outgoing()[0].close("the other side has given this connection up")
    assert session.node_end.expect(messages.ReturnLease).lease_id == 7
    worker.got.clear()
    worker.grant(session, 8)
    worker.reply(worker.take(messages.Run), "again")
    assert session.get(ref) == "again"


def test_a_generator_that_is_tried_again_gives_each_value_once(session: Session, workers: list[PlayedWorker]) -> None:
    stream = submit(session, max_retries=1, num_returns=STREAMING)
    workers[0].grant(session)
    workers[0].yields(workers[0].take(messages.Run), 1, "a")
    assert session.get(next(stream)) == "a"
    crash(session, workers[0])
    workers[1].grant(session, 2)
    run = workers[1].take(messages.Run)
    for index, value in enumerate("ab", start=1):
        workers[1].yields(run, index, value)
    workers[1].reply(run)
    assert [session.get(ref) for ref in stream] == ["b"]


# ---------------------------------------------------------------------------------------------------------- exceptions


@pytest.mark.parametrize(
    ("given", "sent"), [(False, b""), (True, b"*"), ((KeyError,), (KeyError,))], ids=["none", "all", "some"]
)
def test_the_worker_is_told_for_which_exceptions_a_task_is_tried_again(
    session: Session, worker: PlayedWorker, given: Any, sent: Any
) -> None:
    submit(session, retry_exceptions=given)
    worker.grant(session)
    told = worker.take(messages.Run).retry_exceptions
    assert (told if isinstance(sent, bytes) else pickling.loads(told)) == sent


def test_a_task_that_raises_such_an_exception_is_tried_again(session: Session, worker: PlayedWorker) -> None:
    ref = submit(session, max_retries=2, retry_exceptions=True)
    worker.grant(session)
    for _ in range(2):
        worker.raises(worker.take(messages.Run), KeyError("again"), retriable=True)
        settle(session, worker)
    worker.raises(worker.take(messages.Run), KeyError("the last"), retriable=True)
    with pytest.raises(KeyError, match="the last"):
        session.get(ref)


def test_a_task_that_is_tried_again_comes_behind_those_that_wait(session: Session, worker: PlayedWorker) -> None:
    first = session.submit(work, options=TaskOptions(max_retries=1, retry_exceptions=True))
    call = first._entry.call
    second = submit_again(session, call.target, call.details, 3)
    worker.grant(session)
    worker.raises(worker.take(messages.Run), KeyError("again"), retriable=True)
    settle(session, worker)
    assert worker.take(messages.Run).number == second._entry.number
    assert [each.number for each in session.tasks.queued()] == [first._entry.number]


def test_a_cancelled_task_is_not_tried_again(session: Session, worker: PlayedWorker) -> None:
    ref = submit(session, retry_exceptions=True)
    worker.grant(session)
    ref._entry.call.cancel(CancelMode.CANCEL, True)
    worker.raises(worker.take(messages.Run), KeyError("cancelled"), retriable=True)
    with pytest.raises(KeyError, match="cancelled"):
        session.get(ref)


def test_a_task_that_another_thread_cancels_meanwhile_is_not_tried_again(
    session: Session, worker: PlayedWorker
) -> None:
    ref = submit(session, retry_exceptions=True)
    worker.grant(session)
    call = ref._entry.call
    call.target._turns.owner = -1  # another thread's, which comes to its step after the error was read
    call.cancel(CancelMode.CANCEL, True)
    worker.raises(worker.take(messages.Run), KeyError("again"), retriable=True)
    settle(session, worker)
    call.target._turns.owner = 0
    call.target.pump()
    settle(session, worker)
    with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
        session.get(ref)
    assert runs(worker) == 0


# ------------------------------------------------------------------------------------------------------------ the node


def test_tasks_without_a_worker_fail_when_the_node_is_lost(session: Session, worker: PlayedWorker) -> None:
    refs = [submit(session), session.submit(work, session.call(session.prepare(type("A", (), {})), "method"))]
    session.node_end.close()
    for ref in refs:
        with pytest.raises((exceptions.WorkerCrashedError, exceptions.ActorDiedError), match="node daemon has ended"):
            session.get(ref)
    assert not session.tasks.waiting


def test_a_task_that_runs_goes_on_without_the_node(session: Session, worker: PlayedWorker) -> None:
    ref = submit(session)
    worker.grant(session)
    session.node_end.close()
    settle(session)
    worker.reply(worker.take(messages.Run), 1)
    assert session.get(ref) == 1


def test_a_task_that_is_to_be_tried_again_without_the_node_fails(session: Session, worker: PlayedWorker) -> None:
    ref = submit(session, retry_exceptions=True)
    worker.grant(session)
    session.node_end.close()
    settle(session)
    lease = next(iter(ref._entry.call.target._leases.values()))
    lease.depth = 0  # it has no room
    worker.raises(worker.take(messages.Run), KeyError("again"), retriable=True)
    with pytest.raises(exceptions.WorkerCrashedError, match="node daemon has ended"):
        session.get(ref)


def test_a_worker_that_is_lost_after_the_node_gets_no_verdict(session: Session, worker: PlayedWorker) -> None:
    ref = submit(session, max_retries=0)
    worker.grant(session)
    session.node_end.close()
    settle(session)
    session.peers.outgoing()[0].close("its socket broke")
    with pytest.raises(exceptions.WorkerCrashedError, match="node daemon has ended"):
        session.get(ref)


def test_the_verdict_that_is_waited_for_when_the_node_is_lost_will_not_come(
    session: Session, worker: PlayedWorker
) -> None:
    ref = submit(session, max_retries=0)
    worker.grant(session)
    worker.die(session)
    assert not ref._entry.done()
    session.node_end.close()
    with pytest.raises(exceptions.WorkerCrashedError, match="node daemon has ended"):
        session.get(ref)
