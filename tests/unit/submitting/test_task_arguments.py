"""Tasks that wait for their arguments, or fail like one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from members import Session, settle
from played_worker import PlayedWorker

from nbactors.definitions.metadata import FunctionMeta
from nbactors.definitions.signature import ANYTHING
from nbactors.local.objects.entry import Entry
from nbactors.local.wire import failures, messages
from nbactors.object_ref import ObjectRef
from nbactors.options import TaskOptions
from nbactors.pickling import pickling


@pytest.fixture
def submit(session: Session) -> Callable[..., Any]:
    """Submits tasks of one kind, which never run: the test answers for them."""
    function = FunctionMeta(lambda *args: None, "work", ANYTHING)
    return lambda *args: session.tasks.submit(function, args, {}, TaskOptions())


def to_come(session: Session) -> ObjectRef[Any]:
    return ObjectRef(Entry(session.objects, next(session.numbers)))


def asked(session: Session) -> list[Any]:
    settle(session)
    return [message for message in session.node_end.arrived() if type(message) is messages.RequestLease]


def runs(worker: PlayedWorker) -> int:
    return [type(message) for message in worker.got].count(messages.Run)


def test_a_task_waits_for_its_arguments_and_others_overtake_it(
    session: Session, worker: PlayedWorker, submit: Callable[..., Any]
) -> None:
    argument = to_come(session)
    late, early = submit(argument), submit()
    worker.grant(session)
    assert runs(worker) == 1
    worker.reply(worker.take(messages.Run), "early")
    assert session.get(early) == "early"
    argument._entry.resolve(pickling.dumps(3).data)
    settle(session, worker)
    run = worker.take(messages.Run)
    assert [(key, pickling.loads(value.data)) for key, value in run.deps or ()] == [(0, 3)]
    worker.reply(run, "late")
    assert session.get(late) == "late"


@pytest.mark.parametrize("is_early", [True, False], ids=["before it was submitted", "later"])
def test_a_task_fails_like_its_argument_and_needs_no_worker_for_that(
    session: Session, worker: PlayedWorker, submit: Callable[..., Any], is_early: bool
) -> None:
    argument = to_come(session)
    error = failures.encode(KeyError("missing"))
    if is_early:
        argument._entry.resolve(error, error=True)
    ref = submit(argument)
    argument._entry.resolve(error, error=True)
    with pytest.raises(KeyError, match="missing"):
        session.get(ref, timeout=0)
    assert asked(session) == []


def test_a_task_whose_argument_has_failed_does_not_wait_for_one_that_runs(
    session: Session, worker: PlayedWorker, submit: Callable[..., Any]
) -> None:
    argument = to_come(session)
    submit()
    worker.grant(session)
    ref = submit(argument)
    argument._entry.resolve(failures.encode(KeyError("missing")), error=True)
    with pytest.raises(KeyError, match="missing"):
        session.get(ref, timeout=0)


def test_an_argument_that_comes_to_a_handler_in_between_is_seen(
    session: Session, worker: PlayedWorker, submit: Callable[..., Any]
) -> None:
    argument = to_come(session)
    submit(argument)
    (call,) = session.pending_calls()
    (queue,) = session.tasks._all_queues()
    argument._entry.resolve(b"N.")
    queue.on_argument(call)  # the handler's, a second time
    worker.grant(session)
    assert runs(worker) == 1
