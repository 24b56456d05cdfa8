"""Calls of one actor: their order, their arguments, their options and their results."""

from __future__ import annotations

from typing import Any

import pytest
from members import Session, settle
from played_worker import Actor, PlayedWorker

from nbactors import exceptions
from nbactors.definitions.metadata import DYNAMIC, STREAMING
from nbactors.local.objects.entry import Entry
from nbactors.local.submitting.construction import Concurrency
from nbactors.local.wire import failures, messages
from nbactors.object_ref import ObjectRef
from nbactors.options import CallOptions
from nbactors.pickling import pickling

GROUPS = Concurrency(is_async=False, max_concurrency=1, groups={"io": 2})


def to_come(session: Session) -> ObjectRef[Any]:
    """Return a reference whose value is not there yet. Its entry's `resolve` brings it."""
    return ObjectRef(Entry(session.objects, next(session.numbers)))


def bring(ref: ObjectRef[Any], value: Any) -> None:
    ref._entry.resolve(pickling.dumps(value).data)


def fail(ref: ObjectRef[Any], error: Exception) -> None:
    ref._entry.resolve(failures.encode(error), error=True)


def test_calls_go_out_in_the_order_of_submission(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    refs = [session.call(link, f"method{number}", number) for number in range(3)]
    settle(session, worker)
    assert worker.methods() == ["method0", "method1", "method2"]
    for number in range(3):
        worker.reply(worker.take(messages.Call), number)
    assert [session.get(ref) for ref in refs] == [0, 1, 2]
    assert session.pending_calls() == []


def test_a_call_behind_one_whose_argument_is_missing_waits(session: Session, worker: PlayedWorker) -> None:
    link, argument = worker.become_actor(session), to_come(session)
    session.call(link, "first", argument)
    session.call(link, "second")
    settle(session, worker)
    assert worker.methods() == []
    assert session.actors.queued()[0].message is None
    bring(argument, 5)
    settle(session, worker)
    assert worker.methods() == ["first", "second"]
    assert pickling.loads(worker.take(messages.Call).deps[0][1].data) == 5  # type: ignore[index]
    assert session.actors.queued() == []


def test_a_call_of_another_group_does_not_wait(session: Session, worker: PlayedWorker) -> None:
    link, argument = worker.become_actor(session, GROUPS), to_come(session)
    session.call(link, "waits", argument)
    session.call(link, "goes", group="io")
    session.call(link, "goes_by_option", options=CallOptions(concurrency_group="io"))
    session.call(link, "behind")
    settle(session, worker)
    assert worker.methods() == ["goes", "goes_by_option"]
    assert worker.take(messages.Call).group == "io"
    bring(argument, None)
    settle(session, worker)
    assert worker.methods() == ["goes_by_option", "waits", "behind"]


def test_without_order_a_call_overtakes_one_whose_argument_is_missing(session: Session, worker: PlayedWorker) -> None:
    link, argument = worker.become_actor(session, in_order=False), to_come(session)
    session.call(link, "late", argument)
    session.call(link, "early")
    settle(session, worker)
    assert worker.methods() == ["early"]
    assert link.facts().calls == 2
    bring(argument, 1)
    settle(session, worker)
    assert worker.methods() == ["early", "late"]


def test_a_link_with_calls_to_send_is_kept(session: Session, worker: PlayedWorker) -> None:
    link, argument = worker.become_actor(session), to_come(session)
    actor_id = link.actor_id
    ref = session.call(link, "late", argument)
    del link, session.holds[actor_id]
    assert session.actors.hold_on(actor_id) is not None, "its call keeps it"
    bring(argument, 1)
    settle(session, worker)
    worker.reply(worker.take(messages.Call), "done")
    assert session.get(ref) == "done"
    assert session.actors.hold_on(actor_id) is None
    assert session.actors.existing(actor_id) is None


def test_a_call_fails_like_its_argument_and_those_behind_it_go_on(session: Session, worker: PlayedWorker) -> None:
    link, argument = worker.become_actor(session), to_come(session)
    failed = session.call(link, "failed", argument)
    session.call(link, "behind")
    fail(argument, KeyError("missing"))
    with pytest.raises(KeyError, match="missing"):
        session.get(failed)
    settle(session, worker)
    assert worker.methods() == ["behind"]


def test_a_call_fails_like_an_argument_that_has_failed_before(session: Session, worker: PlayedWorker) -> None:
    link, argument = worker.become_actor(session), to_come(session)
    fail(argument, KeyError("missing"))
    with pytest.raises(KeyError, match="missing"):
        session.get(session.call(link, "failed", key=argument))


def test_a_failed_call_fails_those_that_have_its_result_as_argument(session: Session, worker: PlayedWorker) -> None:
    link, argument = worker.become_actor(session), to_come(session)
    chain = session.call(link, "first", argument)
    for _ in range(3):
        chain = session.call(link, "next", chain)
    fail(argument, KeyError("missing"))
    with pytest.raises(KeyError, match="missing"):
        session.get(chain)
    assert session.pending_calls() == []


def test_the_result_of_one_call_is_the_argument_of_the_next(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    session.call(link, "second", session.call(link, "first"), key=2)
    settle(session, worker)
    worker.reply(worker.take(messages.Call), 7)
    settle(session, worker)
    call = worker.take(messages.Call)
    assert [(key, pickling.loads(value.data)) for key, value in call.deps or ()] == [(0, 7)]
    assert pickling.loads(call.rest.data) == ((None,), {"key": 2})  # type: ignore[union-attr]


def test_more_calls_than_max_pending_calls_are_refused(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session, max_pending_calls=3, in_order=False)
    sent = session.call(link, "sent")
    session.call(link, "waits", to_come(session))
    session.call(link, "sent")
    with pytest.raises(exceptions.PendingCallsLimitExceeded, match=r"task refused .* more than 3 tasks"):
        session.call(link, "refused")
    settle(session, worker)
    worker.reply(worker.take(messages.Call))
    session.get(sent)
    session.call(link, "there is room again")


def test_calls_of_an_actor_that_is_not_up_count_as_pending(session: Session, worker: PlayedWorker) -> None:
    link = session.prepare(Actor)
    link.configure(link.meta._replace(max_pending_calls=1))  # type: ignore[union-attr]
    session.call(link, "waits")
    with pytest.raises(exceptions.PendingCallsLimitExceeded, match="more than 1 tasks"):
        session.call(link, "refused")


def test_a_call_of_a_session_that_has_left_is_refused(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    session.leave()
    with pytest.raises(exceptions.RayActorError, match="session that has been shut down"):
        session.call(link, "refused")
    assert link.facts().cause == "its session has been shut down"


def test_no_result_is_no_reference(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    assert session.call(link, "method", num_returns=0) is None
    settle(session, worker)
    call = worker.take(messages.Call)
    assert call.num_returns == 0
    assert len(session.pending_calls()) == 1
    worker.result(call)
    settle(session, worker)
    assert session.pending_calls() == []


def test_several_results_are_several_references(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    refs = session.call(link, "method", options=CallOptions(num_returns=3))
    settle(session, worker)
    worker.result(worker.take(messages.Call), 1, 2, 3)
    assert [session.get(ref) for ref in refs] == [1, 2, 3]


def test_one_error_is_the_error_of_all_results(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    refs = session.call(link, "method", num_returns=2)
    settle(session, worker)
    worker.raises(worker.take(messages.Call), KeyError("missing"))
    for ref in refs:
        with pytest.raises(KeyError, match="missing"):
            session.get(ref)


def test_a_stream_gives_each_value_when_it_comes(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    stream = session.call(link, "method", num_returns=STREAMING, options=CallOptions(backpressure=2, name="numbers"))
    settle(session, worker)
    call = worker.take(messages.Call)
    assert (call.num_returns, call.backpressure, call.name) == (STREAMING, 2, "numbers")
    worker.yields(call, 1, "a")
    assert session.get(next(stream)) == "a"
    settle(session, worker)
    assert worker.take(messages.Consumed).count == 1
    worker.yields(call, 2, "b")
    worker.reply(call)
    assert session.get(next(stream)) == "b"
    assert next(stream, None) is None
    assert session.get(stream.completed()) is None


def test_what_a_generator_raises_is_its_last_value(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    stream = session.call(link, "method", num_returns=STREAMING)
    settle(session, worker)
    worker.raises(worker.take(messages.Call), KeyError("missing"))
    with pytest.raises(KeyError, match="missing"):
        session.get(next(stream))
    assert session.get(stream.completed()) is None, "as in Ray, the error is the last value's alone"


def test_dynamic_results_are_one_value_with_all_references(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    ref = session.call(link, "method", num_returns=DYNAMIC)
    settle(session, worker)
    call = worker.take(messages.Call)
    worker.yields(call, 1, "a")
    worker.yields(call, 2, "b")
    worker.reply(call)
    assert [session.get(each) for each in session.get(ref)] == ["a", "b"]


def test_a_generator_that_fails_before_it_is_sent_fails_its_stream(session: Session, worker: PlayedWorker) -> None:
    link, argument = worker.become_actor(session), to_come(session)
    stream = session.call(link, "method", argument, num_returns=STREAMING)
    fail(argument, KeyError("missing"))
    with pytest.raises(KeyError, match="missing"):
        session.get(next(stream))
    with pytest.raises(KeyError, match="missing"):
        session.get(stream.completed())


def test_a_call_says_what_it_is(session: Session, worker: PlayedWorker) -> None:
    link, argument = worker.become_actor(session), to_come(session)
    session.call(link, "sent")
    session.call(link, "waits", argument)
    sent, waits = (call.facts() for call in sorted(session.pending_calls(), key=lambda call: call.number))
    assert (sent.label, sent.sent, sent.plain, sent.actor_id) == ("Actor.sent", True, True, link.actor_id)
    assert (waits.label, waits.sent) == ("Actor.waits", False)
    facts = link.facts()
    assert (facts.state, facts.calls) == ("alive", 2)


def test_a_handler_that_submits_in_the_midst_of_a_step_keeps_the_order(session: Session, worker: PlayedWorker) -> None:
    link, argument = worker.become_actor(session), to_come(session)
    link._turns.run(lambda: [session.call(link, "of a handler"), session.call(link, "waits", argument)])
    bring(argument, None)
    settle(session, worker)
    assert worker.methods() == ["of a handler", "waits"]


def test_a_call_that_meets_another_threads_turn_is_left_to_it(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    link._turns.owner = -1  # another thread's
    ref = session.call(link, "left")
    assert worker.methods() == []
    link._turns.owner = 0
    settle(session, worker)  # threads that wait serve the steps that were left
    worker.reply(worker.take(messages.Call), 1)
    assert session.get(ref) == 1


@pytest.mark.usefixtures("in_python")
def test_a_call_is_looked_at_again_when_an_exception_tears_its_submission(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = worker.become_actor(session)
    send = type(link)._send

    def torn(self: Any, connection: Any, call: Any) -> None:
        monkeypatch.setattr(type(link), "_send", send)
        self._queue_of(call).append(call)
        raise KeyboardInterrupt("torn")

    monkeypatch.setattr(type(link), "_send", torn)
    with pytest.raises(KeyboardInterrupt, match="torn"):
        session.call(link, "torn")
    assert not link._turns.owner
    settle(session, worker)
    assert worker.methods() == ["torn"]


def test_a_call_that_a_handler_has_sent_and_that_was_answered_is_not_sent_again(
    session: Session, worker: PlayedWorker
) -> None:
    link = worker.become_actor(session)
    ref = session.call(link, "once", session.put(1))
    settle(session, worker)
    (call,) = session.pending_calls()
    worker.reply(worker.take(messages.Call), 1)
    session.get(ref)
    # What the interrupted thread does when the handler has returned.
    link._send(link._connection, call)  # type: ignore[arg-type]
    settle(session, worker)
    assert worker.methods() == []


def test_a_queued_call_whose_sending_was_torn_after_it_is_not_sent_again(
    session: Session, worker: PlayedWorker
) -> None:
    link = worker.become_actor(session)
    session.call(link, "once")
    (call,) = session.pending_calls()
    link._queue_of(call).append(call)  # as it was when the exception came
    link.pump()
    settle(session, worker)
    assert worker.methods() == ["once"]
    assert not link.queued()
