"""Answers to calls: each reaches its call once, also where an exception tears the handling and it is done again."""

from __future__ import annotations

from typing import Any

import pytest
from members import Session, settle
from played_worker import PlayedWorker, Torn

from nbactors.definitions.metadata import DYNAMIC, STREAMING
from nbactors.local.connections.connection import Connection
from nbactors.local.submitting.call_life import FAILED, FINISHED
from nbactors.local.submitting.pending_call import PendingCall
from nbactors.local.wire import failures, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef
from nbactors.options import CallOptions
from nbactors.pickling import pickling


def sent(session: Session, worker: PlayedWorker, **options: Any) -> tuple[Any, PendingCall, Connection]:
    """Send a call. Returns what `.remote()` returns, the call and its connection."""
    link = worker.become_actor(session)
    result = session.call(link, "method", **options)
    (call,) = session.pending_calls()
    (connection,) = session.peers.outgoing()
    return result, call, connection


def value(thing: Any) -> messages.Value:
    return messages.Value(pickling.dumps(thing).data)


@pytest.mark.parametrize("kind", ["reply", "results"])
def test_an_answer_whose_handling_was_torn_is_handled_again(session: Session, worker: PlayedWorker, kind: str) -> None:
    ref, call, connection = sent(session, worker)
    listener = Torn()
    ref._entry.add_waiter(listener)

    def handle() -> None:
        if kind == "reply":
            session.replies.on_reply(connection, messages.Reply(call.number, pickling.dumps(5).data))
        else:
            session.replies.on_results(connection, messages.Results(call.number, [value(5)]))

    with pytest.raises(KeyboardInterrupt, match="torn"):
        handle()
    assert call.state != FINISHED
    handle()
    assert listener.told == 2
    assert call.state == FINISHED
    assert session.get(ref) == 5
    handle()
    assert connection.in_flight.answering is None


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_call_is_tried_again_once_for_an_answer_whose_handling_was_torn(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch, is_after: bool
) -> None:
    _, call, connection = sent(session, worker, options=CallOptions(max_task_retries=5, retry_exceptions=True))
    settle(session, worker)
    worker.take(messages.Call)
    retry, torn = type(call.target).retry, Torn()

    def torn_retry(self: Any, *args: Any) -> None:
        if is_after:
            retry(self, *args)
        torn.ready(None)
        retry(self, *args)

    monkeypatch.setattr(type(call.target), "retry", torn_retry)
    error = messages.Value(failures.encode(KeyError("again")), error=True)
    answer = messages.Results(call.number, [error], True)
    with pytest.raises(KeyboardInterrupt, match="torn"):
        session.replies.on_results(connection, answer)
    session.replies.on_results(connection, answer)
    session.replies.on_results(connection, answer)
    settle(session, worker)
    assert call.retries == 4
    assert worker.methods() == ["method"]


def test_an_answer_to_no_call_is_ignored(session: Session, worker: PlayedWorker) -> None:
    _, call, connection = sent(session, worker)
    number = call.number + 1
    session.replies.on_reply(connection, messages.Reply(number, b"N."))
    session.replies.on_results(connection, messages.Results(number, [value(1)]))
    session.replies.on_yielded(connection, messages.Yielded(number, 1, b"N."))
    assert session.pending_calls() == [call]


def test_a_value_that_was_yielded_for_a_plain_call_is_ignored(session: Session, worker: PlayedWorker) -> None:
    ref, call, connection = sent(session, worker)
    session.replies.on_yielded(connection, messages.Yielded(call.number, 1, b"N."))
    assert not ref._entry.done()


def test_large_values_that_were_yielded_come_as_values(session: Session, worker: PlayedWorker) -> None:
    stream, call, connection = sent(session, worker, num_returns=STREAMING)
    session.replies.on_yielded(connection, messages.Yielded(call.number, 1, b"", value("large")))
    assert session.get(next(stream)) == "large"


@pytest.mark.parametrize("is_canceled", [True, False])
@pytest.mark.parametrize("num_returns", [STREAMING, DYNAMIC])
def test_the_error_of_a_generator(session: Session, worker: PlayedWorker, num_returns: int, is_canceled: bool) -> None:
    result, call, connection = sent(session, worker, num_returns=num_returns)
    if is_canceled:
        call.canceled = CancelMode.CANCEL
    error = messages.Value(failures.encode(KeyError("first")), error=True)
    completed: ObjectRef[Any] = result if num_returns == DYNAMIC else result.completed()
    session.replies.on_results(connection, messages.Results(call.number, [error]))
    if is_canceled:
        with pytest.raises(KeyError, match="first"):
            session.get(completed)
    elif num_returns == STREAMING:
        assert session.get(completed) is None
    else:
        (last,) = session.get(completed)
        with pytest.raises(KeyError, match="first"):
            session.get(last)


def test_the_target_is_told_once_of_all_answers_that_came_together(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = worker.become_actor(session)
    told: list[Connection] = []
    monkeypatch.setattr(type(link), "answered", lambda self, connection: told.append(connection))
    refs = [session.call(link, "method") for _ in range(3)]
    settle(session, worker)
    for number in range(3):
        worker.caller.send(messages.Reply(worker.take(messages.Call).number, pickling.dumps(number).data))
    settle(session, worker)
    assert [session.get(ref) for ref in refs] == [0, 1, 2]
    assert told == session.peers.outgoing()


def test_the_target_is_told_again_where_an_exception_has_torn_it(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, call, connection = sent(session, worker)
    told: list[Connection] = []

    def answered(self: Any, connection: Connection) -> None:
        told.append(connection)
        if len(told) == 1:
            raise KeyboardInterrupt("torn")

    monkeypatch.setattr(type(call.target), "answered", answered)
    session.replies.on_reply(connection, messages.Reply(call.number, b"N."))
    with pytest.raises(KeyboardInterrupt, match="torn"):
        session.replies.after_batch(connection)
    session.replies.after_batch(connection)
    session.replies.after_batch(connection)
    assert len(told) == 2


def test_a_call_that_has_failed_does_not_fail_again(session: Session, worker: PlayedWorker) -> None:
    ref, call, _ = sent(session, worker)
    call.fail(failures.encode(KeyError("first")))
    call.fail(failures.encode(IndexError("second")))
    assert call.state == FAILED
    with pytest.raises(KeyError, match="first"):
        session.get(ref)
    assert call.facts().label == "", "it does not know its target any more"


def test_an_answer_to_a_handler_in_the_midst_of_the_sending_ends_the_call(
    session: Session, worker: PlayedWorker
) -> None:
    ref, call, connection = sent(session, worker)
    call.connection = None
    calls = connection.in_flight.calls

    class Answering:
        """The connection, in whose `send` a handler waits for the answer."""

        in_flight = connection.in_flight

        def send(self, message: Any, sent: Any) -> None:
            sent.connection = connection
            session.replies.on_reply(connection, messages.Reply(call.number, b"N."))

    interrupted: Any = Answering()
    call.go_out(interrupted, call.message)
    assert (call.state, calls) == (FINISHED, {})
    assert session.get(ref) is None


def test_a_call_that_was_not_sent_is_not_in_flight(session: Session, worker: PlayedWorker) -> None:
    _, call, connection = sent(session, worker)
    call.connection = None

    class Torn:
        in_flight = connection.in_flight

        def send(self, message: Any, sent: Any) -> None:
            raise KeyboardInterrupt("torn")

    interrupted: Any = Torn()
    with pytest.raises(KeyboardInterrupt, match="torn"):
        call.go_out(interrupted, call.message)
    assert connection.in_flight.calls == {}
