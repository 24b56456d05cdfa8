"""Calls that are cancelled while they wait, are on their way or run, and calls whose time is up."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest
from members import Session, settle
from played_worker import PID, Actor, PlayedWorker

from nbactors import exceptions
from nbactors.definitions.metadata import STREAMING
from nbactors.local.objects.entry import Entry
from nbactors.local.submitting import insisting
from nbactors.local.wire import messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef
from nbactors.options import CallOptions, TaskOptions

MODES = [mode for mode in CancelMode if mode is not CancelMode.MEMORY]  # which no caller uses


def to_come(session: Session) -> ObjectRef[Any]:
    return ObjectRef(Entry(session.objects, next(session.numbers)))


def cancel(ref: ObjectRef[Any], mode: CancelMode = CancelMode.CANCEL, recursive: bool = True) -> None:
    ref._entry.call.cancel(mode, recursive)


def expected(mode: CancelMode) -> type[Exception]:
    return exceptions.CallTimeoutError if mode is CancelMode.TIMEOUT else exceptions.TaskCancelledError


def work() -> None:
    """A task that never runs: the test answers for it."""


# ------------------------------------------------------------------------------------------------------------- waiting


@pytest.mark.parametrize("mode", MODES)
def test_a_queued_call_never_begins(session: Session, worker: PlayedWorker, mode: CancelMode) -> None:
    link = session.prepare(Actor)
    refs = [session.call(link, f"method{number}") for number in range(3)]
    cancel(refs[1], mode)
    with pytest.raises(expected(mode)):
        session.get(refs[1])
    worker.come_up(session, link)
    assert worker.methods() == ["method0", "method2"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("in_order", [True, False], ids=["in order", "out of order"])
def test_a_call_that_waits_for_an_argument_never_begins(
    session: Session, worker: PlayedWorker, mode: CancelMode, in_order: bool
) -> None:
    link, argument = worker.become_actor(session, in_order=in_order), to_come(session)
    ref = session.call(link, "method", argument)
    cancel(ref, mode)
    with pytest.raises(expected(mode)):
        session.get(ref)
    assert not argument._entry.waiters
    argument._entry.resolve(b"N.")
    settle(session, worker)
    assert worker.got == []


def test_those_behind_a_cancelled_call_wait_for_its_argument_no_more(session: Session, worker: PlayedWorker) -> None:
    link, argument = worker.become_actor(session), to_come(session)
    ref = session.call(link, "waits", argument)
    session.call(link, "behind")
    cancel(ref)
    settle(session, worker)
    assert worker.methods() == ["behind"]


@pytest.mark.parametrize("mode", MODES)
def test_a_task_without_a_worker_never_begins(session: Session, worker: PlayedWorker, mode: CancelMode) -> None:
    ref, waits = session.submit(work), session.submit(work, to_come(session))
    for each in ref, waits:
        cancel(each, mode)
        with pytest.raises(expected(mode)):
            session.get(each)
    worker.grant(session)
    assert worker.got == []


def test_a_generator_that_is_cancelled_before_it_begins_fails_its_stream(
    session: Session, worker: PlayedWorker
) -> None:
    link = session.prepare(Actor)
    stream = session.call(link, "method", num_returns=STREAMING)
    cancel(stream.completed())
    with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
        session.get(next(stream))
    with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
        session.get(stream.completed())


def test_a_call_without_results_can_be_cancelled(session: Session, worker: PlayedWorker) -> None:
    link = session.prepare(Actor)
    session.call(link, "method", num_returns=0)
    (call,) = session.pending_calls()
    call.cancel(CancelMode.CANCEL, True)
    assert session.pending_calls() == []


# ---------------------------------------------------------------------------------------------------------------- sent


@pytest.mark.parametrize("recursive", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_a_call_that_was_sent_is_cancelled_where_it_runs(
    session: Session, worker: PlayedWorker, mode: CancelMode, recursive: bool
) -> None:
    link = worker.become_actor(session)
    ref = session.call(link, "method")
    cancel(ref, mode, recursive)
    settle(session, worker)
    call, asked = worker.take(messages.Call), worker.take(messages.Cancel)
    assert (asked.number, asked.mode, asked.recursive) == (call.number, mode, recursive)
    assert not ref._entry.done(), "the worker decides how it ends"
    worker.raises(call, KeyError("of its own"))
    with pytest.raises(KeyError, match="of its own"):
        session.get(ref)


def test_what_has_ended_is_not_cancelled(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    ref = session.call(link, "method")
    settle(session, worker)
    (call,) = session.pending_calls()
    worker.reply(worker.take(messages.Call), 1)
    assert session.get(ref) == 1
    call.cancel(CancelMode.CANCEL, True)
    assert ref._entry.call is None
    settle(session, worker)
    assert worker.got == []


def test_a_cancel_that_crosses_the_answer_changes_nothing(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    ref = session.call(link, "method")
    settle(session, worker)
    worker.reply(worker.take(messages.Call), 1)
    worker.reactor.visit()
    cancel(ref)
    assert session.get(ref) == 1


# ----------------------------------------------------------------------------------------------------------- time-outs


def test_a_call_whose_time_is_up_while_it_waits_never_begins(session: Session, worker: PlayedWorker) -> None:
    link = session.prepare(Actor)
    ref = session.call(link, "method", options=CallOptions(timeout_s=0.0))
    with pytest.raises(exceptions.CallTimeoutError, match="was still queued"):
        session.get(ref)
    worker.come_up(session, link)
    assert worker.methods() == []


def test_a_call_whose_time_is_up_while_it_runs_is_cancelled_there(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    session.call(link, "method", options=CallOptions(timeout_s=0.0))
    settle(session, worker)
    asked = worker.take(messages.Cancel)
    assert (asked.mode, asked.timeout_s) == (CancelMode.TIMEOUT, 0.0)


@pytest.mark.parametrize(("before", "count"), [(CancelMode.CANCEL, 1), (CancelMode.INTERRUPT, 0)])
def test_the_time_of_a_cancelled_call_ends_it_only_if_it_may_go_on(
    session: Session, worker: PlayedWorker, before: CancelMode, count: int
) -> None:
    link = worker.become_actor(session)
    ref = session.call(link, "method", options=CallOptions(timeout_s=0.0))
    cancel(ref, before)
    settle(session, worker)
    modes = [message.mode for message in worker.got if type(message) is messages.Cancel]
    assert modes.count(CancelMode.TIMEOUT) == count


def test_the_time_of_a_task_is_counted_from_its_submission(session: Session, worker: PlayedWorker) -> None:
    ref = session.submit(work, options=TaskOptions(timeout_s=0.0))
    with pytest.raises(exceptions.CallTimeoutError, match="was still queued"):
        session.get(ref)


# ------------------------------------------------------------------------------------------------------------ children


def test_the_calls_of_a_call_are_cancelled_with_it_the_latest_first(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    parent: Any = SimpleNamespace(children=None, message=SimpleNamespace(origin=7), task_id=b"")
    session.current_call = lambda: parent
    refs = [session.call(link, "method") for _ in range(3)]
    ref = session.submit(work)
    session.current_call = None
    session.call(link, "of nobody")
    settle(session, worker)
    assert worker.take(messages.Call).origin == 7
    session.cancel_children(parent, CancelMode.INTERRUPT)
    with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
        session.get(ref)
    settle(session, worker)
    asked = [message for message in worker.got if type(message) is messages.Cancel]
    assert [message.number for message in asked] == sorted((each._entry.number for each in refs), reverse=True)
    assert all(message.mode is CancelMode.INTERRUPT and message.recursive for message in asked)


def test_a_call_that_has_made_no_calls_has_none_to_cancel(session: Session, worker: PlayedWorker) -> None:
    ref = session.call(worker.become_actor(session), "method")
    session.cancel_children(SimpleNamespace(children=None), CancelMode.CANCEL)
    settle(session, worker)
    worker.take(messages.Call)
    assert not [message for message in worker.got if type(message) is messages.Cancel], f"{ref} is no call of its"


# ------------------------------------------------------------------------------------------------------------- signals


@pytest.mark.parametrize("mode", MODES)
def test_the_worker_of_an_actor_is_signalled_if_the_method_is_to_be_interrupted(
    session: Session, worker: PlayedWorker, mode: CancelMode
) -> None:
    link = worker.become_actor(session)
    ref = session.call(link, "method")
    settle(session, worker)
    cancel(ref, mode)
    assert session.peers.outgoing()[0].in_flight.insisting == mode.interrupts_methods


@pytest.mark.parametrize("mode", MODES)
def test_the_worker_of_a_task_is_signalled_unless_it_is_ended(
    session: Session, worker: PlayedWorker, mode: CancelMode
) -> None:
    ref = session.submit(work)
    worker.grant(session)
    cancel(ref, mode)
    assert session.peers.outgoing()[0].in_flight.insisting == (mode is not CancelMode.FORCE)


def test_a_worker_that_keeps_the_gil_is_signalled_until_it_answers(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(insisting, "INSIST_S", 0)
    link = worker.become_actor(session)
    ref = session.call(link, "method")
    settle(session, worker)
    call = worker.take(messages.Call)
    signalled: list[tuple[int, int]] = []

    def signal_worker(pid: int, number: int) -> None:
        signalled.append((pid, number))
        if len(signalled) == 3:
            worker.reply(call, "at last")

    monkeypatch.setattr(os, "kill", signal_worker)
    cancel(ref, CancelMode.INTERRUPT)
    settle(session, worker)
    assert set(signalled) == {(PID, signal.SIGINT)}
    assert len(signalled) >= 3
    assert not session.peers.outgoing()[0].in_flight.insisting
    assert session.get(ref) == "at last"


class Clock:
    """Stands for a reactor: runs what is due later when the test says so."""

    def __init__(self) -> None:
        self.due: list[Any] = []

    def call_later(self, delay: float, callback: Any) -> None:
        self.due.append(callback)

    def tick(self) -> None:
        due, self.due = self.due, []
        for callback in due:
            callback()


@pytest.fixture
def connection() -> Any:
    in_flight = SimpleNamespace(pid=PID, calls={1: None, 2: None}, insisted={}, insisting=False)
    return SimpleNamespace(in_flight=in_flight, closed=False)


def test_one_signal_is_for_all_calls_of_a_worker(connection: Any, signals: list[Any]) -> None:
    clock: Any = Clock()
    for number in 1, 2:
        insisting.insist(connection, number, clock)
    clock.tick()
    assert len(signals) == 1
    del connection.in_flight.calls[1]
    clock.tick()
    assert len(signals) == 2, "the other one is unanswered"
    del connection.in_flight.calls[2]
    clock.tick()
    assert (len(signals), clock.due) == (2, [])
    assert not connection.in_flight.insisting


def test_no_signal_is_sent_where_the_process_is_not_known(connection: Any) -> None:
    connection.in_flight.pid = 0
    clock: Any = Clock()
    insisting.insist(connection, 1, clock)
    assert clock.due == []


def test_signals_end_when_the_worker_does_not_react_to_them(
    connection: Any, signals: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(insisting, "INSIST_FOR_S", -1)
    clock: Any = Clock()
    insisting.insist(connection, 1, clock)
    clock.tick()
    assert (signals, clock.due) == ([], [])


def test_signals_end_with_the_connection(connection: Any, signals: list[Any]) -> None:
    clock: Any = Clock()
    insisting.insist(connection, 1, clock)
    connection.closed = True
    clock.tick()
    assert (signals, clock.due) == ([], [])


def test_a_worker_that_has_ended_meanwhile_is_no_error(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(pid: int, number: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", ended)
    clock: Any = Clock()
    insisting.insist(connection, 1, clock)
    clock.tick()
    assert len(clock.due) == 1


def test_a_call_of_another_thread_that_saw_the_signals_go_on_is_not_forgotten(
    connection: Any, signals: list[Any]
) -> None:
    class Seen(dict[int, float]):
        """Another thread adds a call when the leader has found that no call is left."""

        def __bool__(self) -> bool:
            if not len(self) and connection.in_flight.insisting:
                insisting.insist(connection, 2, clock)
                return False
            return len(self) > 0

    clock: Any = Clock()
    connection.in_flight.insisted = Seen()
    insisting.insist(connection, 1, clock)
    del connection.in_flight.calls[1]
    clock.tick()
    assert connection.in_flight.insisting
    assert len(signals) == 1
