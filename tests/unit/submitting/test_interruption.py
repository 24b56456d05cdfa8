"""What the user's interrupt of a wait does to the calls that were waited for, and what it says."""

from __future__ import annotations

from typing import Any

import pytest
from members import Session, settle
from played_worker import PID, PlayedWorker

from nbactors.definitions.metadata import STREAMING
from nbactors.frontend.shutdown_request import ShutdownRequest
from nbactors.local.objects.entry import BorrowedEntry
from nbactors.local.objects.streams import STREAM_INDEX, RemoteReader
from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.submitting.interruption import Interruption
from nbactors.local.wire import ids, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.testing.polling import eventually


def interruption(session: Session, cancels: bool) -> Interruption:
    return Interruption(session.process_id, session.reactor, session.peers, cancels)


def interrupt(session: Session, waited: list[Any], cancels: bool = True) -> str:
    """Interrupt a wait for some entries and streams; return the text of the error."""
    error = KeyboardInterrupt()
    interruption(session, cancels).apply(error, waited)
    return str(error)


def cancelled(worker: PlayedWorker) -> list[int]:
    return [message.number for message in worker.got if type(message) is messages.Cancel]


@pytest.mark.parametrize(
    ("calls", "answered", "cancels", "text"),
    [
        (1, 0, True, "waited for 1 call; it still ran and was cancelled; init"),
        (2, 1, True, "waited for 2 calls; 1 still ran and was cancelled; init"),
        (3, 0, True, "waited for 3 calls; 3 still ran and were cancelled; init"),
        (1, 1, True, "waited for 1 call; all had ended"),
        (2, 2, False, "waited for 2 calls; all had ended"),
        (1, 0, False, "waited for 1 call; it still runs; cancel(ref)"),
        (2, 1, False, "waited for 2 calls; 1 still runs; cancel(ref)"),
        (3, 1, False, "waited for 3 calls; 2 still run; cancel(ref)"),
    ],
)
def test_the_error_says_what_was_waited_for(
    session: Session, worker: PlayedWorker, calls: int, answered: int, cancels: bool, text: str
) -> None:
    link = worker.become_actor(session)
    refs = [session.call(link, "method") for _ in range(calls)]
    settle(session, worker)
    for ref in refs[:answered]:
        worker.reply(worker.take(messages.Call))
        session.get(ref)
    assert interrupt(session, [ref._entry for ref in refs], cancels).startswith(text)
    settle(session, worker)
    running = [ref._entry.number for ref in reversed(refs[answered:])]
    assert cancelled(worker) == (running if cancels else []), "the latest first"


def test_a_plain_method_is_interrupted_with_what_it_has_called(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    ref = session.call(link, "method")
    interruption(session, True).cancel_one(ref._entry)
    settle(session, worker)
    asked = worker.take(messages.Cancel)
    assert (asked.mode, asked.recursive) == (CancelMode.INTERRUPT, True)


def test_what_has_ended_needs_no_cancel(session: Session, worker: PlayedWorker) -> None:
    interruption(session, True).cancel_one(session.put(1)._entry)
    assert not session.reactor.trash


def test_an_error_that_says_something_already_keeps_its_text(session: Session, worker: PlayedWorker) -> None:
    error = KeyboardInterrupt("of the user's handler")
    interruption(session, True).apply(error, [session.put(1)._entry])
    assert str(error) == "of the user's handler"


def test_several_results_of_one_call_are_one_call(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    refs = session.call(link, "method", num_returns=3)
    assert interrupt(session, [ref._entry for ref in refs]).startswith("waited for 1 call; it still ran")


def test_a_generator_is_cancelled(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    stream = session.call(link, "method", num_returns=STREAMING)
    reader, completed = stream._entry, stream.completed()._entry
    text = interrupt(session, [reader, reader.inbox, completed])
    assert text.startswith("waited for 1 call; it still ran"), "the stream and its end are one call"
    settle(session, worker)
    assert cancelled(worker) == [completed.number]
    worker.reply(worker.take(messages.Call))
    session.get(stream.completed())
    assert interrupt(session, [reader]) == "waited for 1 call; all had ended"


def test_the_owner_is_asked_to_cancel_what_was_borrowed(session: Session, worker: PlayedWorker) -> None:
    entry = BorrowedEntry(session.objects, ids.object_id(worker.process_id, 5, 1))
    assert interrupt(session, [entry]).startswith("waited for 1 call; it still ran")
    settle(session, worker)
    asked = worker.take(messages.CancelObject)
    assert asked == messages.CancelObject(entry.id, False, True, True)
    entry.resolve(b"N.")
    assert interrupt(session, [entry]) == "waited for 1 call; all had ended"


def test_the_owner_is_asked_to_cancel_a_borrowed_generator(session: Session, worker: PlayedWorker) -> None:
    key = session.objects.references.known(ids.object_id(worker.process_id, 5, STREAM_INDEX))
    reader = RemoteReader(session.objects, key)
    assert interrupt(session, [reader]).startswith("waited for 1 call; it still ran")
    settle(session, worker)
    assert worker.take(messages.CancelObject).object_id == ids.object_id(worker.process_id, 5, 0)
    reader.ended = True
    assert interrupt(session, [reader]) == "waited for 1 call; all had ended"


def test_an_owner_that_has_gone_is_not_asked(session: Session, worker: PlayedWorker) -> None:
    entry = BorrowedEntry(session.objects, ids.object_id(worker.process_id, 5, 0))
    worker.die(session)
    interrupt(session, [entry])
    settle(session, worker)
    assert worker.got == []


def test_an_owner_cancels_the_call_that_a_borrower_names(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    ref = session.call(link, "method")
    session.call(link, "keep", [ref])  # so that it is known by its id
    settle(session, worker)
    connection = session.peers.outgoing()[0]
    session.peers.dispatch(connection, messages.CancelObject(ref._entry.id, False, False, True))
    session.peers.dispatch(connection, messages.CancelObject(session.put(1)._entry.id, False, False, True))
    settle(session, worker)
    asked = worker.take(messages.Cancel)
    assert (asked.number, asked.mode, asked.recursive) == (ref._entry.number, CancelMode.INTERRUPT, False)
    assert cancelled(worker) == []


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> ShutdownRequest:
    """A front end that interrupts before it asks this process to end."""
    request = ShutdownRequest()
    request.grace_s = 0.01
    monkeypatch.setattr("nbactors.local.submitting.interruption.SHUTDOWN_REQUEST", request)
    return request


def detached(session: Session, worker: PlayedWorker) -> LocalActorLink:
    """Return the link to the worker as the detached actor `keeper`."""
    link = worker.become_actor(session)
    session.node_end.tell(messages.ActorUp(link.actor_id, worker.process_id, PID, detached="keeper"))
    settle(session, worker)
    return link


def let_grace_pass(session: Session, worker: PlayedWorker, request: ShutdownRequest) -> None:
    passed: list[bool] = []
    session.reactor.call_later(request.grace_s, lambda: passed.append(True))
    eventually(lambda: (settle(session, worker), passed)[1])


def test_a_detached_actor_s_call_is_cancelled_after_the_others(
    session: Session, worker: PlayedWorker, kernel: ShutdownRequest
) -> None:
    kernel.grace_s = 60.0
    link = detached(session, worker)
    ref = session.call(link, "method")
    text = interrupt(session, [ref._entry])
    assert text.startswith(
        "waited for 1 call; it still runs in the detached actor 'keeper' and is cancelled in 60 s; "
        "if the kernel restarts, it goes on there, and %attach keeper gets a handle; init"
    )
    settle(session, worker)
    assert cancelled(worker) == []


def test_it_is_cancelled_when_no_restart_follows(
    session: Session, worker: PlayedWorker, kernel: ShutdownRequest
) -> None:
    ref = session.call(detached(session, worker), "method")
    interruption(session, True).cancel_one(ref._entry)
    let_grace_pass(session, worker, kernel)
    assert cancelled(worker) == [ref._entry.number]


def test_it_goes_on_when_the_kernel_restarts(session: Session, worker: PlayedWorker, kernel: ShutdownRequest) -> None:
    ref = session.call(detached(session, worker), "method")
    interruption(session, True).cancel_one(ref._entry)
    kernel.is_seen = True
    let_grace_pass(session, worker, kernel)
    assert cancelled(worker) == []


def test_in_a_script_it_is_cancelled_at_once(session: Session, worker: PlayedWorker) -> None:
    ref = session.call(detached(session, worker), "method")
    assert interrupt(session, [ref._entry]).startswith("waited for 1 call; it still ran and was cancelled; init")
    settle(session, worker)
    assert cancelled(worker) == [ref._entry.number]


def test_a_call_of_another_process_may_be_a_detached_actor_s(
    session: Session, worker: PlayedWorker, kernel: ShutdownRequest
) -> None:
    link = worker.become_actor(session)
    own = session.call(link, "method")
    borrowed = BorrowedEntry(session.objects, ids.object_id(worker.process_id, 5, 1))
    text = interrupt(session, [own._entry, borrowed])
    assert text.startswith(
        "waited for 2 calls; 1 still ran and was cancelled; 1 still runs and is cancelled in 0.01 s; "
        "if the kernel restarts, it goes on; init"
    )
    settle(session, worker)
    assert cancelled(worker) == [own._entry.number]
    let_grace_pass(session, worker, kernel)
    assert worker.take(messages.CancelObject).object_id == borrowed.id
