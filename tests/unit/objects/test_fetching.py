"""Values that a borrower asks the owner for."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from lending import (
    InThread,
    Listener,
    Torn,
    TornDict,
    act,
    bring,
    bring_error,
    connection_from,
    connection_given_up,
    end,
    give_up,
    handled,
    lend,
    pending,
    settle,
    when_blocked,
)
from members import Session

from nbactors import exceptions
from nbactors.local.objects.entry import BorrowedEntry
from nbactors.local.objects.fetching import Fetching
from nbactors.local.objects.object_life import ASKED, LOST, PENDING, READY
from nbactors.local.wire import ids, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef


class Call:
    """The call that makes an object, which keeps how it was cancelled."""

    def __init__(self) -> None:
        self.cancels: list[tuple[CancelMode, bool]] = []

    def cancel(self, mode: CancelMode, recursive: bool, timeout_s: float = 0.0) -> None:
        self.cancels.append((mode, recursive))


@pytest.fixture
def ref(owner: Session) -> ObjectRef[Any]:
    """An object of the owner's that is not there yet."""
    return pending(owner)


@pytest.fixture
def copy(owner: Session, borrower: Session, ref: ObjectRef[Any]) -> ObjectRef[Any]:
    """The borrower's reference to `ref`."""
    return lend(owner, borrower, [ref])[0]  # type: ignore[no-any-return]


class TestAsking:
    def test_what_is_ready_comes_at_once(self, owner: Session, borrower: Session) -> None:
        [copy] = lend(owner, borrower, [owner.put([1, 2])])
        assert copy._entry.state == PENDING
        assert borrower.get(copy) == [1, 2]

    def test_what_is_pending_comes_when_it_is_ready(
        self, owner: Session, borrower: Session, ref: ObjectRef[Any], copy: ObjectRef[Any]
    ) -> None:
        thread = InThread(lambda: borrower.get(copy), borrower)
        settle(borrower, owner)
        bring(ref, "late")
        assert thread.result() == "late"

    def test_an_error_comes_as_one(
        self, owner: Session, borrower: Session, ref: ObjectRef[Any], copy: ObjectRef[Any]
    ) -> None:
        bring_error(ref, LookupError("none"))
        with pytest.raises(LookupError, match="none"):
            borrower.get(copy)

    def test_it_is_asked_for_once(
        self, owner: Session, borrower: Session, ref: ObjectRef[Any], copy: ObjectRef[Any]
    ) -> None:
        with handled(owner, messages.Fetch) as asked:
            for _ in range(3):
                copy._entry.request()
            assert copy._entry.state == ASKED
            bring(ref, "value")
            assert borrower.get(copy) == "value"
            copy._entry.request()
            settle(borrower, owner)
        assert [message.object_id for message in asked] == [ref.binary()]

    def test_a_forked_child_does_not_ask(self, borrower: Session, copy: ObjectRef[Any]) -> None:
        borrower.membership.forked = True
        with pytest.raises(exceptions.RaySystemError, match="this process was forked"):
            copy._entry.request()
        assert copy._entry.state == PENDING

    def test_one_whose_owner_has_ended_is_lost_without_a_question(
        self, owner: Session, borrower: Session, copy: ObjectRef[Any]
    ) -> None:
        end(owner, borrower)
        copy._entry.request()
        assert copy._entry.state == LOST
        with pytest.raises(exceptions.OwnerDiedError, match="owner"):
            borrower.get(copy)

    def test_one_whose_owner_ends_before_it_answers_is_lost(
        self, owner: Session, borrower: Session, copy: ObjectRef[Any]
    ) -> None:
        when_blocked(borrower, lambda: end_from_afar(owner, borrower))
        with pytest.raises(exceptions.OwnerDiedError, match="owner"):
            borrower.get(copy)

    def test_a_broken_socket_loses_no_question(
        self, owner: Session, borrower: Session, ref: ObjectRef[Any], copy: ObjectRef[Any]
    ) -> None:
        copy._entry.request()
        settle(borrower, owner)
        borrower.cut(owner)
        bring(ref, "value")
        assert borrower.get(copy) == "value"

    def test_a_connection_that_is_given_up_has_it_asked_again(
        self, owner: Session, borrower: Session, ref: ObjectRef[Any], copy: ObjectRef[Any]
    ) -> None:
        with handled(owner, messages.Fetch) as asked:
            copy._entry.request()
            settle(borrower, owner)
            give_up(owner, borrower)
            bring(ref, "value")
            assert borrower.get(copy) == "value"
        assert len(asked) == 2

    def test_one_whose_connection_is_given_up_just_when_it_is_asked_for_is_asked_for_again(
        self, owner: Session, borrower: Session, ref: ObjectRef[Any], copy: ObjectRef[Any]
    ) -> None:
        with connection_given_up(borrower, owner):
            copy._entry.request()
        bring(ref, "value")
        assert borrower.get(copy) == "value"

    def test_it_is_not_asked_again_of_an_owner_that_has_ended_meanwhile(
        self, owner: Session, borrower: Session, copy: ObjectRef[Any]
    ) -> None:
        copy._entry.request()
        entry = copy._entry
        borrower.objects.fetching._peers = NoPeers()  # type: ignore[assignment] # as after the word of its end
        act(borrower, lambda: borrower.objects.ask_again(owner.process_id))
        assert entry.state == LOST

    def test_what_was_asked_for_is_lost_when_this_process_leaves(self, borrower: Session, copy: ObjectRef[Any]) -> None:
        future = copy.future()
        borrower.leave()
        with pytest.raises(exceptions.OwnerDiedError, match="owner"):
            future.result(0)

    def test_an_answer_that_nobody_waits_for_is_dropped(self, owner: Session, borrower: Session) -> None:
        [copy] = lend(owner, borrower, [owner.put("value")])
        fetching, oid = borrower.objects.fetching, copy.binary()
        assert borrower.get(copy) == "value"
        for value in messages.Value(pickle.dumps("other")), None:
            act(borrower, lambda value=value: fetching.fetched(next(iter(borrower.peers.outgoing())), oid, value))
        assert borrower.get(copy) == "value"


def end_from_afar(owner: Session, borrower: Session) -> None:
    """Have the node tell the borrower of the owner's end, and the sockets break."""
    borrower.others.pop(owner.process_id, None)
    borrower.node_end.tell(messages.ProcessGone(owner.process_id, "it was killed"))
    borrower.cut(owner)


class NoPeers:
    """Connections to processes that have all ended."""

    def connect(self, process_id: bytes) -> None:
        return None


class Peer:
    """The connection to the only other process, and what was sent on it."""

    def __init__(self, closed: bool = False) -> None:
        self.closed = closed
        self.sent: list[Any] = []

    def connect(self, process_id: bytes) -> Peer:
        return self

    def is_final(self, process_id: bytes) -> bool:
        return self.closed

    def send_now(self, message: Any) -> None:
        self.sent.append(message)


class TestRaces:
    OID = ids.object_id(b"o" * 16, 1, 0)

    def fetching(self, session: Session, peer: Peer) -> Fetching:
        return Fetching(peer, session.objects.references, session.objects.values)  # type: ignore[arg-type]

    def test_an_owner_that_ends_just_when_it_is_asked_loses_the_object(self, session: Session) -> None:
        entry = BorrowedEntry(session.objects, self.OID)
        self.fetching(session, Peer(closed=True)).fetch(entry)
        assert entry.state == LOST

    def test_an_owner_s_table_that_is_taken_away_meanwhile_does_not_lose_the_question(self, session: Session) -> None:
        entry = BorrowedEntry(session.objects, self.OID)
        fetching = self.fetching(session, Peer())
        asked: TornDict = TornDict(lambda: asked.pop(b"o" * 16))
        fetching._asked = asked
        fetching.fetch(entry)
        fetching.fetched(Peer(), self.OID, messages.Value(b"value"))  # type: ignore[arg-type]
        assert (entry.state, entry.data) == (READY, b"value")
        assert asked == {b"o" * 16: {}}
        fetching.owner_gone(b"o" * 16)
        assert asked == {}

    def test_an_answer_that_is_torn_is_given_to_the_others_when_it_comes_again(self, session: Session) -> None:
        fetching = self.fetching(session, Peer())
        entries = [BorrowedEntry(session.objects, self.OID) for _ in range(3)]
        listeners = [Listener(), Listener(Torn()), Listener()]
        for entry, listener in zip(entries, listeners, strict=True):
            fetching.fetch(entry)
            entry.add_waiter(listener)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            fetching.fetched(Peer(), self.OID, messages.Value(b"value"))  # type: ignore[arg-type]
        assert entries[2].state == PENDING
        fetching.fetched(Peer(), self.OID, messages.Value(b"value"))  # type: ignore[arg-type]
        assert [entry.state for entry in entries] == [READY] * 3
        assert [len(listener.told) for listener in listeners] == [1, 2, 1]


class TestAnswering:
    def test_one_who_leaves_before_it_is_ready_is_forgotten(
        self, owner: Session, borrower: Session, ref: ObjectRef[Any], copy: ObjectRef[Any]
    ) -> None:
        copy._entry.request()
        settle(borrower, owner)
        assert len(ref._entry.waiters) == 1
        end(borrower, owner)
        assert len(ref._entry.waiters) == 0
        bring(ref, "value")

    def test_a_question_that_is_handled_twice_has_one_answer(self, owner: Session, borrower: Session) -> None:
        ref = owner.put("value")
        [copy] = lend(owner, borrower, [ref])
        connection = connection_from(owner, borrower)
        act(owner, lambda: owner.objects.fetching.answer(connection, ref.binary()))
        settle(borrower, owner)
        assert copy._entry.state == PENDING, "nobody has asked here"
        assert connection.claims.listeners == {}

    def test_an_answer_is_sent_once_and_not_too_early(
        self, owner: Session, borrower: Session, ref: ObjectRef[Any], copy: ObjectRef[Any]
    ) -> None:
        with handled(borrower, messages.Fetched) as fetched:
            copy._entry.request()
            settle(borrower, owner)
            [answer] = ref._entry.waiters
            answer.ready(ref._entry)
            settle(owner, borrower)
            assert not fetched
            bring(ref, "value")
            answer.ready(ref._entry)
            settle(owner, borrower)
            assert len(fetched) == 1


class TestCancelling:
    @pytest.mark.parametrize(
        ("force", "interrupt", "mode"),
        [
            (False, False, CancelMode.CANCEL),
            (True, False, CancelMode.FORCE),
            (False, True, CancelMode.INTERRUPT),
        ],
    )
    def test_a_borrower_has_the_owner_cancel_the_call(
        self,
        owner: Session,
        ref: ObjectRef[Any],
        copy: ObjectRef[Any],
        force: bool,
        interrupt: bool,
        mode: CancelMode,
    ) -> None:
        call = ref._entry.call = Call()
        owner.objects.fetching.cancel(ref.binary(), force, True, interrupt)
        assert call.cancels == [(mode, True)]

    def test_a_call_that_has_ended_or_is_not_known_is_left_alone(self, owner: Session, copy: ObjectRef[Any]) -> None:
        owner.objects.fetching.cancel(copy.binary(), False, False, False)
        owner.objects.fetching.cancel(ids.object_id(owner.process_id, 12345, 0), True, False, False)
        assert owner.pending_calls() == []
