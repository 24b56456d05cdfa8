"""A session or worker as a whole: what it lists, sends at last, and ends when it leaves or is forked."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from members import STORE_LIMIT, Node, Session, acting_as, settle, tied

from nbactors import exceptions
from nbactors.frontend import calling_cell
from nbactors.local import current, member
from nbactors.local.member import Process
from nbactors.local.membership import Membership
from nbactors.local.objects.entry import BorrowedEntry, Entry
from nbactors.local.wire import ids, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef


class Actor:
    """The class of an actor that never runs."""


def work() -> None:
    """A task that never runs."""


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    made = Session(tmp_path, in_background=False)
    with tied(made), acting_as(made):
        yield made


@pytest.fixture
def other(session: Session, tmp_path: Path) -> Iterator[Session]:
    """Another member, which the session can reach."""
    made = Session(tmp_path, in_background=False)
    session.others[made.process_id] = made
    yield made
    settle(session, made)
    made.leave()


def to_come(session: Session) -> ObjectRef[Any]:
    return ObjectRef(Entry(session.objects, next(session.numbers)))


def attach(session: Session, other: Session) -> Any:
    """Connect a session to an actor that is the other one. Returns the actor's link."""
    link = session.prepare(Actor)
    other.peers.handlers.update({messages.Construct: lambda c, m: None, messages.Call: lambda c, m: None})
    session.node_end.tell(messages.ActorUp(link.actor_id, other.process_id, 1))
    settle(session, other)
    return link


# ------------------------------------------------------------------------------------------------------------- calls


def test_pending_calls_are_those_that_wait_and_those_that_were_sent(session: Session, other: Session) -> None:
    link = attach(session, other)
    session.call(link, "sent")
    session.call(link, "waits", to_come(session))
    session.call(session.prepare(Actor), "not up")
    session.submit(work)
    session.submit(work, to_come(session))
    facts = [call.facts() for call in session.pending_calls()]
    assert sorted((each.label, each.sent) for each in facts) == [
        ("Actor.not up", False),
        ("Actor.sent", True),
        ("Actor.waits", False),
        ("work", False),
        ("work", False),
    ]
    numbers = [call.number for call in session.latest_calls_first()]
    assert numbers == sorted(numbers, reverse=True)


def asked_to_cancel(session: Session, number: int, *, force: bool = False) -> messages.Canceled:
    """Have a process that has made no calls ask a session to cancel a call. Returns the answer."""
    return session.asked(messages.CancelCall(number, force, False), messages.Canceled)


@pytest.mark.parametrize("kind", ["queued call", "call that waits for its argument", "queued task"])
def test_any_process_may_cancel_a_call_that_was_not_sent(session: Session, other: Session, kind: str) -> None:
    if kind == "queued task":
        ref = session.submit(work)
    elif kind == "queued call":
        ref = session.call(session.prepare(Actor), "not up")
    else:
        ref = session.call(attach(session, other), "waits", to_come(session))
    assert asked_to_cancel(session, ref._entry.number) == messages.Canceled(1)
    with pytest.raises(exceptions.TaskCancelledError, match="was cancelled"):
        session.get(ref)
    assert asked_to_cancel(session, ref._entry.number) == messages.Canceled(0)


def test_a_call_that_was_sent_is_cancelled_at_its_worker_as_any_process_asks(session: Session, other: Session) -> None:
    cancelled: list[messages.Cancel] = []
    other.peers.handlers[messages.Cancel] = lambda connection, message: cancelled.append(message)
    ref = session.call(attach(session, other), "sent")
    assert asked_to_cancel(session, ref._entry.number) == messages.Canceled(1)
    settle(session, other)
    assert cancelled == [messages.Cancel(ref._entry.number, CancelMode.CANCEL, True)]


def test_force_is_refused_for_a_call_of_an_actor(session: Session) -> None:
    ref = session.call(session.prepare(Actor), "not up")
    answer = asked_to_cancel(session, ref._entry.number, force=True)
    assert answer == messages.Canceled(1, is_refused=True)
    assert [call.number for call in session.pending_calls()] == [ref._entry.number]
    task = session.submit(work)
    assert asked_to_cancel(session, task._entry.number, force=True) == messages.Canceled(1)


def test_a_call_that_moves_from_its_queue_to_its_connection_is_found_at_the_second_look(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = session.call(session.prepare(Actor), "not up")
    looks = [[], session.pending_calls()]
    monkeypatch.setattr(session, "pending_calls", lambda: looks.pop(0))
    assert asked_to_cancel(session, ref._entry.number) == messages.Canceled(1)
    monkeypatch.undo()


def test_a_call_of_a_cell_says_which_session_and_cell_it_comes_from(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session.caller() == (None, 0)
    monkeypatch.setattr(calling_cell, "current", lambda: 5)
    session.job_number = 3
    assert session.origin() == 3 << 32 | 5


def test_a_call_of_a_workers_call_comes_from_where_that_one_comes_from(session: Session) -> None:
    job = SimpleNamespace(message=SimpleNamespace(origin=7))
    session.current_call = lambda: job
    assert session.caller() == (job, 7)
    session.current_call = lambda: None
    assert session.caller() == (None, 0)


# -------------------------------------------------------------------------------------------------------- the node


def test_what_the_node_tells_that_is_for_no_part_goes_to_the_owner(session: Session) -> None:
    session.node_end.tell(messages.Warn("a warning"))
    settle(session)
    assert session.told == [messages.Warn("a warning")]
    taken: list[Any] = []
    session.handle(messages.Warn, taken.append)
    session.node_end.tell(messages.Warn("another"))
    settle(session)
    assert taken == [messages.Warn("another")]
    assert len(session.told) == 1


def test_the_loss_of_the_node_is_told_the_owner(session: Session) -> None:
    session.node_end.close()
    settle(session)
    assert "the node daemon has ended" in session.lost


def test_a_member_that_leaves_does_not_lose_its_node(session: Session) -> None:
    session.leave()
    assert session.lost == ""


def test_a_member_joins_by_its_hello(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = current._member
    membership = Membership(ids.new_process_id(), str(tmp_path))
    process = Process(membership, lambda message: None, lambda why: None, STORE_LIMIT)
    opened: list[bool] = []
    monkeypatch.setattr(process.door, "open", opened.append)
    ours, theirs = socket.socketpair()
    process.join(theirs, "session", "1.2")
    try:
        assert opened == [False]
        assert current.member() is process
        hello = Node(ours).expect(messages.Hello)
        assert (hello.process_id, hello.role, hello.package_version) == (process.process_id, "session", "1.2")
    finally:
        process.close()
        ours.close()
    assert current._member is None
    current.enter(before)


class Spare:
    """A member that has joined as a spare, with what the test replaces in it."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lost: list[str] = []
        self.searched: list[Any] = []
        self.process = Process(Membership(ids.new_process_id(), str(directory)), lambda _: None, self.lost.append, 1)
        monkeypatch.setattr(self.process._next_node, "begin", lambda *facts: self.searched.append(facts))
        monkeypatch.setattr(self.process.door, "open", lambda is_spare: None)
        monkeypatch.setattr(self.process.door, "open_again", lambda: None)
        monkeypatch.setattr(member.background, "start", lambda reactor: None)
        self.process.node.returning = self.process
        self.socket, theirs = socket.socketpair()
        self.process.join(theirs, "worker", "1.2", is_spare=True)
        self.node = Node(self.socket)

    def lose_node(self) -> None:
        self.socket.close()
        while not self.process.node.is_away:
            self.process.reactor.poll(1)


@pytest.fixture
def spare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spare]:
    before = current._member
    made = Spare(tmp_path, monkeypatch)
    yield made
    made.process.close()
    made.socket.close()
    current.enter(before)


class TestSpare:
    def test_it_says_hello_again_when_it_has_its_order(self, spare: Spare) -> None:
        first = spare.node.expect(messages.Hello)
        spare.process.be_ordered()
        second = spare.node.expect(messages.Hello)
        assert (first.process_id, first.role, first.is_spare) == (spare.process.process_id, "worker", True)
        assert (second.process_id, second.role, second.is_spare) == (spare.process.process_id, "worker", False)

    def test_it_searches_no_next_node_before_its_order(self, spare: Spare) -> None:
        spare.lose_node()
        assert spare.searched == []
        spare.process.be_ordered()
        assert len(spare.searched) == 1
        assert spare.lost == []

    def test_it_searches_the_next_node_after_its_order(self, spare: Spare) -> None:
        spare.process.be_ordered()
        spare.lose_node()
        assert len(spare.searched) == 1


# ------------------------------------------------------------------------------------------------------------- peers


def test_the_record_of_a_callers_jobs_is_the_workers_own(session: Session, other: Session) -> None:
    came: list[Any] = []
    gone: list[Any] = []
    other.on_caller, other.on_caller_gone = came.append, gone.append
    attach(session, other)
    (connection,) = other.peers.incoming()
    assert came == [connection]
    connection.close("the caller has ended")
    assert gone == [connection]
    settle(session, other)


def test_what_a_dead_process_owned_is_lost(session: Session, other: Session) -> None:
    entry = BorrowedEntry(session.objects, ids.object_id(other.process_id, 1, 0))
    entry.request()
    settle(session)
    session.others.clear()
    for connection in session.peers.outgoing():
        connection.lose("it has ended")
    session.node_end.tell(messages.ProcessGone(other.process_id, "it was killed."))
    with pytest.raises(exceptions.OwnerDiedError, match="owner"):
        session.get(ObjectRef(entry))


def test_what_a_living_process_was_asked_on_a_lost_connection_is_asked_again(session: Session, other: Session) -> None:
    asked: list[bytes] = []
    other.peers.handlers[messages.Fetch] = lambda c, m: asked.append(m.object_id)
    entry = BorrowedEntry(session.objects, ids.object_id(other.process_id, 1, 0))
    entry.request()
    settle(session, other)
    session.peers.outgoing()[0].close("the other side has given this connection up")
    settle(session, other)
    assert asked == [entry.id, entry.id]


def test_who_gives_a_reference_back_is_counted_no_more(session: Session, other: Session) -> None:
    ref = session.put(1)
    session.call(attach(session, other), "method", [ref])
    settle(session, other)
    assert session.objects.references.lent == 1
    (connection,) = session.peers.outgoing()
    session.peers.dispatch(connection, messages.ReleaseBorrow(ref._entry.id, 1))
    assert session.objects.references.lent == 0


# ------------------------------------------------------------------------------------------------------------ storing


def test_free_shared_memory_is_given_back_after_a_while(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "TRIM_S", 1000.0)
    ref = session.put(bytes(200_000))
    assert session._trimming
    del ref
    settle(session)
    assert session.store.in_memory > 0
    session.put(1)
    session._trim()
    assert session.store.in_memory == 0
    assert not session._trimming


def test_a_member_tells_what_its_object_store_takes(session: Session) -> None:
    ref = session.put(bytes(200_000))
    session.node_end.tell(messages.AskUse(7))
    settle(session)
    told = session.node_end.expect(messages.StoreUse)
    assert (told.number, told.held, told.spilled) == (7, session.store.in_memory, 0)
    assert told.held >= 200_000
    del ref


def test_a_member_gives_back_the_room_that_its_values_do_not_take(session: Session) -> None:
    before = session.room.lent
    kept, free = session.put(bytes(3_000_000)), session.put(bytes(3_000_000))
    del free
    session.node_end.tell(messages.AskUse(1, 1 << 20))
    settle(session)
    assert session.node_end.expect(messages.StoreUse).returned == 1 << 20
    session.node_end.tell(messages.AskUse(2, before))
    settle(session)
    told = session.node_end.expect(messages.StoreUse)
    assert 3_000_000 <= told.held == session.store.in_memory == session.room.lent < 4_000_000
    assert told.returned == before - (1 << 20) - told.held
    assert session.get(kept) == bytes(3_000_000)


# ------------------------------------------------------------------------------------------------------------ leaving


def test_flush_sends_what_is_gathered(session: Session, other: Session) -> None:
    connection = session.peers.connect(other.process_id)
    assert connection is not None
    settle(session, other)
    asked: list[bytes] = []
    other.peers.handlers[messages.Fetch] = lambda c, m: asked.append(m.object_id)
    connection.send(messages.Fetch(b"o" * 28))
    session.node.send(messages.Watch(b"p" * 16))
    assert session.unsent()
    session.flush()
    assert not session.unsent()
    assert messages.Watch(b"p" * 16) in session.node_end.arrived()
    settle(other)
    assert asked == [b"o" * 28]


def test_flush_does_not_wait_for_ever_for_who_cannot_be_reached(session: Session) -> None:
    connection = session.peers.connect(b"p" * 16)
    assert connection is not None
    connection.send(messages.Fetch(b"o" * 28))
    session.flush(timeout=0.02)
    assert session.unsent()


def test_all_that_is_pending_ends_when_a_member_leaves(session: Session, other: Session) -> None:
    link = attach(session, other)
    calls = [
        session.call(link, "sent"),
        session.call(link, "waits", to_come(session)),
        session.call(session.prepare(Actor), "not up"),
        session.submit(work),
        session.submit(work, to_come(session)),
    ]
    borrowed = ObjectRef(BorrowedEntry(session.objects, ids.object_id(other.process_id, 1, 0)))
    borrowed._entry.request()
    session.leave()
    for ref in calls:
        with pytest.raises(exceptions.RaySystemError, match="the session was shut down before this call had returned"):
            session.get(ref)
    with pytest.raises(exceptions.OwnerDiedError, match="owner"):
        session.get(borrowed)


def test_waiting_after_the_end_is_an_error(session: Session) -> None:
    ref = to_come(session)
    session.leave()
    with pytest.raises(exceptions.RaySystemError, match="was shut down while this thread waited"):
        session.get(ref)


def test_a_forked_child_closes_its_copies_and_says_nothing(session: Session, other: Session) -> None:
    link = attach(session, other)
    ref = session.call(link, "method")
    settle(session, other)
    said = len(session.node_end.arrived())
    reactor = session.reactor
    bell = reactor._bell._reader, reactor._bell._writer
    try:
        session.forget()
        with pytest.raises(exceptions.RaySystemError, match="was forked from one with a session"):
            session.get(ref)
        with pytest.raises(exceptions.RayActorError, match="was forked from one with a session"):
            session.call(link, "method")
        with pytest.raises(exceptions.RaySystemError, match="was forked from one with a session"):
            session.node.check()
        assert len(session.node_end.arrived()) == said
        assert all(connection.sock.fileno() < 0 for connection in session.peers.outgoing())
    finally:
        # In a child they go with the process.
        reactor._selector.close()
        for fd in bell:
            os.close(fd)


# --------------------------------------------------------------------------------------------------------- descriptors


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((1024, 4096), [(4096, 4096)]),
        ((1024, 1 << 20), [(member.MAX_DESCRIPTORS, 1 << 20)]),
        ((1024, resource.RLIM_INFINITY), [(member.MAX_DESCRIPTORS, resource.RLIM_INFINITY)]),
        ((1 << 20, 1 << 20), []),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), []),
    ],
    ids=["to the hard limit", "to what is enough", "no hard limit", "enough already", "no limit"],
)
def test_a_member_may_have_as_many_descriptors_as_the_system_lets_it(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], expected: list[tuple[int, int]]
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, wanted: given.append(wanted))
    member._raise_descriptor_limit()
    assert given == expected


def test_a_limit_that_the_system_refuses_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def refuse(kind: int, wanted: tuple[int, int]) -> None:
        asked.append(wanted)
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    member._raise_descriptor_limit()
    assert asked == [(4096, 4096)]
