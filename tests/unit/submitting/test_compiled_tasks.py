"""The compiled part makes, sends and ends tasks as the steps in Python do, and never half of one."""

from __future__ import annotations

import gc
import random
from pathlib import Path
from typing import Any

import pytest
from compiled_parts import Node, Parent, attributes, work
from members import Session, acting_as, settle, tied
from played_worker import PlayedWorker

from nbactors import speedups
from nbactors.local.submitting import task_queue, tasks
from nbactors.local.submitting.call_life import QUEUED, SENT
from nbactors.local.submitting.pending_call import PendingCall
from nbactors.local.wire import messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.options import TaskOptions
from nbactors.pickling import pickling

pytestmark = pytest.mark.skipif(speedups.compiled is None, reason=f"no compiled part: {speedups.why_not}")

compiled: Any = speedups.compiled


@pytest.fixture(autouse=True)
def form() -> None:
    """Both forms are compared here."""


def test_tasks_are_sent_quickly_once_their_worker_knows_the_function(
    session: Session, worker: PlayedWorker, quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queue, "SHORT_S", 1000.0)
    refs = [session.submit(work, 0)]
    worker.grant(session)
    for first in (1, 2, 4):
        worker.reply(worker.take(messages.Run), 0)
        refs += [session.submit(work, number) for number in range(first, 2 * first)]
        settle(session, worker)
        for number in range(first, 2 * first - 1):
            worker.reply(worker.take(messages.Run), number)
            settle(session, worker)
    worker.reply(worker.take(messages.Run), 7)
    settle(session, worker)
    assert all(ref.done() for ref in refs)
    # The first one defines the function. The others go to a worker that is idle or has room, or wait until the answer
    # that shows that tasks are short.
    counts = [quick.count(name) for name in ("go_out", "submit_task", "send_tasks", "settle")]
    assert (counts[0], sum(counts[:3]), counts[3]) == (1, 8, 8)
    assert counts[1] > 0
    assert not session.pending_calls()


@pytest.fixture
def tasks_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long this machine takes for them; and leases are kept."""
    for name in ("SHORT_S", "LINGER_S", "RENEW_S"):
        monkeypatch.setattr(task_queue, name, 1000.0)


@pytest.fixture
def lease(session: Session, worker: PlayedWorker, tasks_are_short: None) -> task_queue.Lease:
    """A lease whose worker has answered a task, and gets up to two at a time."""
    ref = session.submit(work, 0)
    worker.grant(session)
    worker.take(messages.Define)
    worker.reply(worker.take(messages.Run), 0)
    settle(session, worker)
    assert session.get(ref) == 0
    (made,) = queue_of(session)._leases.values()
    return made


def queue_of(session: Session) -> task_queue.TaskQueue:
    (queue,) = session.tasks._all_queues()
    return queue


def submit_task(session: Session, data: object = b"", parent: Any = None, **changes: Any) -> Any:
    """Do what the last step of `Tasks.submit` does, for a kind of task that was changed."""
    export = session._functions[work].export
    kind = next(iter(export.by_options.values()))._replace(**changes)
    return compiled.submit_task(kind, export, session.objects, session.numbers, data, 7, 1.5, parent)


def seen_of(call: PendingCall, queue: task_queue.TaskQueue) -> list[Any]:
    """Return all that a task is, besides its number and time."""
    export, *details = call.details
    return [
        attributes(call, "number", "entries", "submitted", "details", "hold"),
        attributes(call.entries[0], "number"),
        (call.number == call.entries[0].number, call.entries[0].call is call, call.target is queue, call.hold),
        (call.submitted > 0, call.queue is queue._queue, type(export).__name__, details, gc.is_tracked(call)),
    ]


def state_of(queue: task_queue.TaskQueue) -> list[Any]:
    """Return the state of a queue and its leases."""
    leases = [
        (lease.depth, lease.in_flight, lease.is_alone, len(lease.connection.in_flight.calls))
        for lease in queue._leases.values()
    ]
    return [len(queue._queue), queue._is_full, len(queue.asked), leases]


def test_a_task_has_all_that_one_of_the_steps_in_python_has(
    session: Session, worker: PlayedWorker, lease: task_queue.Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, queue = [], queue_of(session)
    for is_quick in (True, False):
        if not is_quick:
            monkeypatch.setattr(tasks, "submit_task", None)
        lease.depth, lease.is_alone, whole = 2, True, []
        calls = []
        for count in range(3 + task_queue.ASKING):  # for an idle worker, a busy one, and those that wait
            calls.append(session.submit(work, count)._entry.call)
            whole.append([*seen_of(calls[-1], queue), state_of(queue)])
        assert (calls[1].connection, calls[-1].connection) == (lease.connection, None)
        for call in calls[2:]:
            call.cancel(CancelMode.CANCEL, True)
        for call in calls[:2]:
            session.replies.on_reply(lease.connection, messages.Reply(call.number, b"N."))
        session.replies.after_batch(lease.connection)
        whole.append([attributes(call, "number", "entries", "submitted") for call in calls])
        whole.append(state_of(queue))
        settle(session, worker)
        worker.got.clear()
        found.append(whole)
    assert found[0] == found[1]


def test_tasks_go_to_idle_workers_at_once_and_wait_when_all_are_full(
    session: Session, worker: PlayedWorker, lease: task_queue.Lease, quick: list[str]
) -> None:
    queue, quick[:] = queue_of(session), []
    refs = [session.submit(work, number) for number in range(40)]
    assert quick.count("submit_task") == 40 - task_queue.ASKING
    assert (len(lease.connection.in_flight.calls), queue._is_full, len(queue._queue)) == (2, True, 38)
    answered = []
    while session.pending_calls():
        settle(session, worker)
        for run in [message for message in worker.got if type(message) is messages.Run]:
            worker.got.remove(run)
            answered.append(pickling.loads(run.data)[0][0])
            worker.reply(run, answered[-1])
        settle(session, worker)
    assert answered == list(range(40))
    assert [session.get(ref) for ref in refs] == answered
    assert (quick.count("send_tasks"), quick.count("settle")) == (38, 40)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_returns": 2},
        {"num_returns": -1},
        {"timeout_s": 5.0},
        {"retry_exceptions": True},
        {"retry_exceptions": (ValueError,)},
        {"queue": None},
        {"max_retries": None},
    ],
)
def test_unusual_tasks_are_left_to_the_steps_in_python(
    session: Session, lease: task_queue.Lease, changes: dict[str, Any]
) -> None:
    before = state_of(queue_of(session))
    assert submit_task(session, **changes) is None
    assert submit_task(session, data=object()) is None
    assert (state_of(queue_of(session)), session.pending_calls()) == (before, [])
    assert submit_task(session, has_events=False)._entry.call.submitted == 0.0
    assert submit_task(session)._entry.call.submitted == 1.5


def test_a_task_without_a_retry_is_the_only_one_of_its_worker(session: Session, lease: task_queue.Lease) -> None:
    assert submit_task(session, max_retries=0) is not None
    assert lease.is_alone
    assert submit_task(session) is None
    (call,) = session.pending_calls()
    session.replies.on_reply(lease.connection, messages.Reply(call.number, b"N."))
    assert submit_task(session) is not None
    assert not lease.is_alone
    assert submit_task(session, max_retries=0) is None


def test_while_another_kind_of_task_waits_the_steps_in_python_look_whose_turn_it_is(
    session: Session, lease: task_queue.Lease
) -> None:
    session.tasks.waiting.add(object())  # type: ignore[arg-type]
    assert submit_task(session) is None
    session.tasks.waiting.clear()
    session.tasks.waiting.add(queue_of(session))
    assert submit_task(session) is not None


def test_a_task_is_not_sent_in_the_middle_of_a_step(session: Session, lease: task_queue.Lease) -> None:
    queue = queue_of(session)
    queue._turns.owner = 1
    assert submit_task(session) is None
    queue._turns.owner = 0
    queue._doomed.append(lambda: None)
    assert submit_task(session) is None
    queue._doomed.clear()
    queue.failure = b"no"
    assert submit_task(session) is None


def test_a_worker_that_does_not_know_the_function_is_sent_it_first(
    session: Session, worker: PlayedWorker, lease: task_queue.Lease, quick: list[str]
) -> None:
    lease.connection.in_flight.functions.clear()
    session.submit(work, 1)
    settle(session, worker)
    assert [type(message) for message in worker.got] == [messages.Define, messages.Run]
    assert "submit_task" not in quick


def test_a_task_of_a_job_is_one_of_its_children(session: Session, lease: task_queue.Lease) -> None:
    parent = Parent()
    ref = submit_task(session, parent=parent)
    call = ref._entry.call
    assert (list(parent.children), call.parent, call.parent_id, call.origin) == ([call], parent, parent.task_id, 7)
    other = Parent()
    other.children = None
    assert submit_task(session, parent=other) is None


@pytest.mark.parametrize("name", ["_turns", "_doomed", "_queue", "_leases", "_tasks", "_is_full", "failure"])
@pytest.mark.parametrize("is_full", [False, True])
def test_a_queue_without_an_attribute_does_no_harm(
    session: Session, lease: task_queue.Lease, name: str, is_full: bool
) -> None:
    for _ in range(12 if is_full else 0):
        session.submit(work, 1)
    queue = queue_of(session)
    kept = getattr(queue, name)
    delattr(queue, name)
    try:
        made = submit_task(session)
    finally:
        if not hasattr(queue, name):
            setattr(queue, name, kept)
    needed = {"_turns", "_doomed", "_queue", "_leases", "failure", "_is_full" if is_full else "_tasks"}
    assert (made is None) == (name in needed)


@pytest.mark.parametrize("name", sorted(task_queue.Lease.__slots__))
def test_a_lease_without_an_attribute_does_no_harm(session: Session, lease: task_queue.Lease, name: str) -> None:
    queue = queue_of(session)
    waiting: Any = task_queue.CallQueue()
    waiting.append(PendingCall(next(session.numbers), (), None, None))
    kept = getattr(lease, name)
    delattr(lease, name)
    assert compiled.send_tasks(waiting, lease) == 0  # it has no details
    made = submit_task(session)
    if made is None:
        setattr(lease, name, kept)
        made = submit_task(session)
    assert made._entry.call.connection is lease.connection
    assert len(queue._queue) == 0


@pytest.mark.parametrize("name", sorted({*PendingCall.__slots__, "connection"} - {"__weakref__"}))
def test_a_waiting_task_without_an_attribute_does_no_harm(
    session: Session, worker: PlayedWorker, lease: task_queue.Lease, name: str
) -> None:
    refs = [session.submit(work, 1) for _ in range(12)]
    queue = queue_of(session)._queue
    first = queue.head()
    assert first is not None
    kept = getattr(first, name)
    delattr(first, name)
    lease.depth = 256
    sent = compiled.send_tasks(queue, lease)
    if not sent:
        setattr(first, name, kept)
        sent = compiled.send_tasks(queue, lease)
    elif name not in ("connection", "queue", "state"):
        setattr(first, name, kept)
    assert (sent, len(queue), len(lease.connection.in_flight.calls)) == (10, 0, 12)
    assert len(refs) == 12


def test_no_lack_of_memory_leaves_half_a_task(session: Session, worker: PlayedWorker, lease: task_queue.Lease) -> None:
    testcapi = pytest.importorskip("_testcapi")
    lease.depth = 256
    other = submit_task(session)._entry.call  # behind it the others are queued only: msgspec does not bear it
    connection, queue = lease.connection, queue_of(session)
    for first in range(160):
        is_full, parent = first % 3 == 2, Parent() if first % 2 else None
        filler = PendingCall(next(session.numbers), (), queue, None)
        if is_full:
            queue._queue.append(filler)
            queue._is_full = True
        refs: list[Any] = [None]
        testcapi.set_nomemory(first // 4, first // 4 + 2)
        try:
            refs[0] = submit_task(session, parent=parent)
        except MemoryError:
            pass
        finally:
            testcapi.remove_mem_hooks()
        made = [call for call in session.pending_calls() if call not in (other, filler)]
        assert parent is None or list(parent.children) == made
        assert len(made) in (0, 1)
        if made and is_full:
            assert (made[0].state, made[0].queue, list(queue._queue)) == (QUEUED, queue._queue, [filler, made[0]])
        elif made:
            assert (made[0].state, connection.in_flight.calls) == (SENT, {call.number: call for call in (other, *made)})
        queue._queue.calls.clear()
        queue._is_full = False
        if made:
            connection.in_flight.calls.pop(made[0].number, None)
            made[0].release()
        settle(session, worker)


def test_no_lack_of_memory_loses_a_waiting_task(
    session: Session, worker: PlayedWorker, lease: task_queue.Lease
) -> None:
    testcapi = pytest.importorskip("_testcapi")
    lease.depth = 256
    submit_task(session)
    connection, queue, calls = lease.connection, queue_of(session)._queue, lease.connection.in_flight.calls
    for first in range(30):
        call = submit_task(session)._entry.call
        calls.pop(call.number)
        call.return_to(queue, connection)
        before, sent = len(calls), 0
        testcapi.set_nomemory(first, first + 1)
        try:
            sent = compiled.send_tasks(queue, lease)
        except MemoryError:
            pass
        finally:
            testcapi.remove_mem_hooks()
        assert len(calls) == before + (call.connection is connection)
        assert (len(queue.calls), call.state) == ((0, SENT) if len(calls) > before else (1, QUEUED))
        assert sent in (0, 1)
        queue.calls.clear()
        settle(session, worker)


def test_stand_ins_are_not_usual_tasks(session: Session, lease: task_queue.Lease) -> None:
    export = session._functions[work].export
    kind = next(iter(export.by_options.values()))
    parts = (session.objects, session.numbers, b"", 7, 1.5, None)
    assert compiled.submit_task(tuple(kind), export, *parts) is None
    assert compiled.submit_task(object(), export, *parts) is None
    assert compiled.submit_task(kind, object(), *parts) is None
    assert compiled.submit_task(kind, export, session.objects, iter([1]), b"", 7, 1.5, None) is None
    assert compiled.send_tasks(object(), lease) == 0
    assert compiled.send_tasks(queue_of(session)._queue, object()) == 0
    queue_of(session)._leases[b"p"] = object()  # type: ignore[assignment]
    lease.depth = 0
    assert compiled.submit_task(kind, export, *parts) is None
    del queue_of(session)._leases[b"p"]
    with pytest.raises(TypeError, match="no slot _doomed"):
        compiled.know_tasks(Node, Node, Node)


def play_tasks(directory: Path, seed: int) -> list[Any]:
    """Submit tasks and answer them at random; return all that can be seen of it."""
    rng = random.Random(seed)
    session = Session(directory, in_background=False)
    workers = [PlayedWorker(directory) for _ in range(3)]
    session.others.update({each.process_id: each for each in workers})
    seen: list[Any] = []
    refs: list[Any] = []
    with tied(session, workers[0]), acting_as(session):
        first, granted = next(session.numbers), 0
        functions = [work, tuple] if rng.random() < 0.3 else [work]
        options = [
            TaskOptions(),
            TaskOptions(max_retries=0),
            TaskOptions(num_returns=2),
            TaskOptions(retry_exceptions=True),
        ]
        for _ in range(rng.randrange(20, 120)):
            action = rng.choice(["submit"] * 5 + ["grant", "turn", "see", "cancel", "drop", "return"] + ["answer"] * 4)
            leased = {key for queue in session.tasks._all_queues() for key in queue._leases}
            if action == "submit":
                arguments = rng.choice([(), (1,), (1,), (refs[-1],) if refs else ()])
                which = options[0] if rng.random() < 0.8 else rng.choice(options)
                for _ in range(rng.choice([1, 1, 5, 12])):
                    result = session.submit(rng.choice(functions), *arguments, options=which)
                    refs += result if isinstance(result, list) else [result]
            elif action == "turn":
                settle(session, *workers)
            elif action == "grant" and any(queue.asked for queue in session.tasks._all_queues()):
                free = [each for each in workers if each.process_id not in leased]
                if free:
                    granted += 1
                    rng.choice(free).grant(session, granted)
                    settle(session, *workers)
            elif action == "answer":
                for worker in rng.sample(workers, 3):
                    runs = [message for message in worker.got if type(message) is messages.Run]
                    for run in runs[: rng.choice([0, 1, 2, 9])]:
                        worker.got.remove(run)
                        seen.append((run.number - first, run.data, run.name, run.lease_id, run.num_returns))
                        if run.num_returns == 1 and rng.random() < 0.9:
                            worker.reply(run, run.number - first)
                        elif rng.random() < 0.5:
                            worker.raises(run, ValueError("no"), retriable=bool(run.retry_exceptions))
                        else:
                            worker.result(run, *range(run.num_returns))
                settle(session, *workers)
            elif action == "return":
                worker = rng.choice(workers)
                runs = [message for message in worker.got if type(message) is messages.Run][1:]
                if runs and worker.process_id in leased:
                    worker.got = [message for message in worker.got if message not in runs]
                    worker.caller.send_now(messages.GivenBack([run.number for run in runs]))
                    settle(session, *workers)
            elif action == "see":
                seen.append(sorted((call.number - first, call.state) for call in session.pending_calls()))
                seen.append([ref._entry.state for ref in refs])
                seen.append([state_of(queue) for queue in session.tasks._all_queues()])
            elif action == "cancel" and refs:
                call = rng.choice(refs)._entry.call
                if call is not None:
                    call.cancel(CancelMode.CANCEL, True)
            elif action == "drop" and refs:
                refs.pop(rng.randrange(len(refs)))
        settle(session, *workers)
        seen.append([[type(message).__name__ for message in worker.got] for worker in workers])
        seen.append(sorted((call.number - first, call.state) for call in session.pending_calls()))
        seen.append([state_of(queue) for queue in session.tasks._all_queues()])
        seen.append([type(message).__name__ for message in session.node_end.arrived()])
        settle(session, *workers)
    for worker in workers[1:]:
        worker.leave()
    return seen


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.usefixtures("tasks_are_short")
def test_both_forms_treat_tasks_alike(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(task_queue, "TURN_S", 1000.0 if seed % 2 else -1.0)
    quickly = play_tasks(tmp_path, seed)
    request.getfixturevalue("in_python")
    assert play_tasks(tmp_path, seed) == quickly
