"""Steps of an actor's link and of a task queue: one at a time, by any thread, torn by exceptions from outside."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from members import Session, settle
from played_worker import Actor, PlayedWorker, Torn

from nbactors import exceptions
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.local.objects.entry import Entry
from nbactors.local.wire import failures, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef

THREADS, CALLS = 4, 50


def to_come(session: Session) -> ObjectRef[Any]:
    return ObjectRef(Entry(session.objects, next(session.numbers)))


def work() -> None:
    """A task that never runs: the test answers for it."""


def test_calls_of_several_threads_go_out_once_each_in_the_order_of_their_thread(
    session: Session, worker: PlayedWorker
) -> None:
    link = worker.become_actor(session)
    argument = to_come(session)

    def submit(thread: int) -> None:
        for number in range(CALLS):
            if number % 10 == 5:
                session.call(link, f"{thread}.{number}", argument)
            else:
                session.call(link, f"{thread}.{number}")

    threads = [threading.Thread(target=submit, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    argument._entry.resolve(b"N.")
    for thread in threads:
        thread.join()
    settle(session, worker)
    methods = worker.methods()
    for number in range(THREADS):
        mine = [int(method.partition(".")[2]) for method in methods if method.startswith(f"{number}.")]
        assert mine == list(range(CALLS))


def test_a_dependent_at_another_target_fails_after_the_step(session: Session, worker: PlayedWorker) -> None:
    first, second = session.prepare(Actor), worker.become_actor(session)
    ref = session.call(first, "method")
    dependent = session.call(second, "method", ref)
    task = session.submit(work, dependent)
    ref._entry.call.cancel(CancelMode.CANCEL, True)
    for each in dependent, task:
        with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
            session.get(each, timeout=0)


def test_a_failed_call_whose_settling_was_torn_is_settled_nevertheless(session: Session, worker: PlayedWorker) -> None:
    link = session.prepare(Actor)
    refs = session.call(link, "method", num_returns=2)
    other = session.call(link, "other")
    listener = Torn()
    refs[0]._entry.add_waiter(listener)
    for ref in refs[0], other:
        link._doom(ref._entry.call, failures.encode(KeyError("missing")))
    with pytest.raises(KeyboardInterrupt, match="torn"):
        link.pump()
    assert listener.told == 2
    for ref in *refs, other:
        with pytest.raises(KeyError, match="missing"):
            session.get(ref, timeout=0)


@pytest.mark.parametrize("kind", ["queued calls", "calls of a worker", "tasks"])
def test_a_chain_of_dependents_that_fails_may_have_any_length(
    session: Session, worker: PlayedWorker, kind: str
) -> None:
    link = session.prepare(Actor) if kind == "queued calls" else worker.become_actor(session)
    first = argument = to_come(session)
    for _ in range(400):
        argument = session.submit(work, argument) if kind == "tasks" else session.call(link, "method", argument)
    first._entry.resolve(failures.encode(KeyError("missing")), error=True)
    worker.come_up(session, link)
    with pytest.raises(KeyError, match="missing"):
        session.get(argument, timeout=0)
    assert session.pending_calls() == []


def test_a_handler_that_waits_while_a_failed_call_is_settled_gets_its_own_result(
    session: Session, worker: PlayedWorker
) -> None:
    link, got = session.prepare(Actor), []
    refs = [session.call(link, "method") for _ in range(2)]

    def handler() -> None:
        refs[1]._entry.call.cancel(CancelMode.CANCEL, True)
        with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
            session.get(refs[1])
        got.append(True)

    refs[0]._entry.when_done(handler)
    refs[0]._entry.call.cancel(CancelMode.CANCEL, True)
    assert got == [True]


@pytest.mark.parametrize("is_task", [True, False], ids=["a task", "a call"])
def test_an_interrupt_that_is_due_comes_before_the_call(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch, is_task: bool
) -> None:
    link = worker.become_actor(session)

    def raise_interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt("due")

    monkeypatch.setattr(INTERRUPTS, "_previous", raise_interrupt)
    monkeypatch.setattr(INTERRUPTS, "due", True)
    with pytest.raises(KeyboardInterrupt, match="due"):
        session.submit(work) if is_task else session.call(link, "method")
    assert session.pending_calls() == []
    assert not INTERRUPTS.due


def test_a_cancel_that_is_left_to_another_threads_turn_finds_the_call_where_it_is_then(
    session: Session, worker: PlayedWorker
) -> None:
    link = session.prepare(Actor)
    ref = session.call(link, "method")
    link._turns.owner = -1  # another thread's
    ref._entry.call.cancel(CancelMode.CANCEL, True)
    assert not ref._entry.done()
    link._turns.owner = 0
    worker.come_up(session, link)  # the step that was left is the first
    with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
        session.get(ref)
    assert worker.methods() == []


def test_the_argument_of_a_call_out_of_order_may_come_before_the_call_waits(
    session: Session, worker: PlayedWorker
) -> None:
    link = worker.become_actor(session, in_order=False)
    argument = to_come(session)

    class Unready(set[Any]):
        """A handler brings the argument when the call is about to be noted as one that waits."""

        def add(self, call: Any) -> None:
            argument._entry.resolve(b"N.")
            super().add(call)

    link._unready = Unready()
    session.call(link, "method", argument)
    settle(session, worker)
    assert worker.methods() == ["method"]
    assert not link._unready
    assert worker.take(messages.Call).deps
