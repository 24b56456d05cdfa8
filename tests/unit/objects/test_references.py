"""References that travel between sessions: who is counted, and when an object is free."""

from __future__ import annotations

import pickle
import weakref
from collections import defaultdict

import pytest
from lending import TornDict, boxed, count, end, handled, lend, pending, settle
from members import Session, acting_as

from nbactors import exceptions
from nbactors.local.objects.references import References
from nbactors.local.wire import ids, messages


def watched(member: Session) -> list[bytes]:
    """Return the processes whose end a member has asked the node to tell."""
    settle(member)
    return [message.process_id for message in member.node_end.arrived() if isinstance(message, messages.Watch)]


class TestBorrowing:
    def test_an_object_lives_as_long_as_a_borrower_has_it(self, owner: Session, borrower: Session) -> None:
        ref = owner.put("value")
        there = weakref.ref(ref._entry)
        [copy] = lend(owner, borrower, [ref])
        assert copy.binary() == ref.binary()
        del ref
        assert count(owner) == 1
        assert borrower.get(copy) == "value"
        del copy
        assert count(owner, borrower) == 0
        assert there() is None

    def test_all_its_copies_are_given_back_together(self, owner: Session, borrower: Session) -> None:
        ref = owner.put("value")
        first, second = lend(owner, borrower, [ref]), lend(owner, borrower, [ref, ref])
        assert {*first, *second} == set(first), "a process has one reference per object"
        with handled(owner, messages.ReleaseBorrow) as released:
            first.clear()
            assert count(owner, borrower) == 1
            assert not released
            second.clear()
            assert count(owner, borrower) == 0
            assert [message.tokens for message in released] == [2]

    def test_the_node_is_asked_once_to_tell_of_the_borrower_s_end(self, owner: Session, borrower: Session) -> None:
        kept = lend(owner, borrower, [owner.put(1), owner.put(2)])
        kept += lend(owner, borrower, [owner.put(3)])
        assert watched(owner) == [borrower.process_id]

    def test_a_borrower_passes_it_on_and_lets_it_go(self, owner: Session, borrower: Session, third: Session) -> None:
        ref = owner.put("value")
        copy = lend(owner, borrower, [ref])
        del ref
        passed_on = lend(borrower, third, copy)
        copy.clear()
        assert count(owner, borrower, third) == 1
        assert third.get(passed_on[0]) == "value"
        passed_on.clear()
        assert count(owner, third, borrower) == 0

    def test_one_that_comes_home_is_the_same_reference_and_counts_nothing(
        self, owner: Session, borrower: Session
    ) -> None:
        ref = owner.put("value")
        copy = lend(owner, borrower, [ref])
        home = lend(borrower, owner, copy)
        assert home[0] is ref
        copy.clear()
        assert count(owner, borrower) == 0

    def test_one_that_comes_home_after_it_was_dropped_there_has_its_value(
        self, owner: Session, borrower: Session
    ) -> None:
        copy = lend(owner, borrower, [owner.put("value")])
        home = lend(borrower, owner, copy)
        copy.clear()
        settle(borrower, owner)
        assert owner.get(home[0]) == "value"
        assert count(owner) == 0

    def test_one_that_a_value_contains_lives_with_that_value(self, owner: Session, borrower: Session) -> None:
        outer = lend(owner, borrower, [owner.put([owner.put("inner")])])
        settle(owner)
        [inner] = borrower.get(outer[0])
        outer.clear()
        settle(borrower, owner)
        assert borrower.get(inner) == "inner"


class TestPickledByTheUser:
    def test_who_unpickles_by_himself_is_counted(self, owner: Session, borrower: Session) -> None:
        pickled = pickle.dumps(owner.put("value"))
        with acting_as(borrower):
            copy = pickle.loads(pickled)
            assert pickle.loads(pickled) is copy
        assert count(owner, borrower) == 1
        assert borrower.get(copy) == "value"
        del copy
        assert count(owner, borrower) == 0

    def test_one_that_its_owner_has_freed_is_lost(self, owner: Session, borrower: Session) -> None:
        unknown = ids.object_id(owner.process_id, 12345, 0)
        for member in owner, borrower:
            with pytest.raises(exceptions.ObjectLostError, match="Its owner freed it"):
                member.get(member.objects.references.obtain(unknown))
        settle(borrower, owner)

    def test_one_whose_owner_has_ended_tells_so(self, owner: Session, borrower: Session) -> None:
        pickled = pickle.dumps(owner.put("value"))
        end(owner, borrower)
        with acting_as(borrower):
            copy = pickle.loads(pickled)
        with pytest.raises(exceptions.OwnerDiedError, match="owner"):
            borrower.get(copy)


class TestEnds:
    def test_the_counts_of_a_process_go_with_it(self, owner: Session, borrower: Session, third: Session) -> None:
        refs = [owner.put(number) for number in range(3)]
        kept = lend(owner, borrower, refs), lend(owner, third, refs[:1])
        there = [weakref.ref(ref._entry) for ref in refs]
        refs.clear()
        assert count(owner) == 3
        end(borrower, owner)
        assert count(owner) == 1
        assert [entry() is not None for entry in there] == [True, False, False]
        assert third.get(kept[1][0]) == 0

    def test_the_end_of_one_who_has_given_all_back_changes_nothing(self, owner: Session, borrower: Session) -> None:
        lend(owner, borrower, [owner.put(1)]).clear()
        settle(borrower, owner)
        end(borrower, owner)
        assert count(owner) == 0

    def test_an_end_that_is_told_twice_changes_nothing(self, owner: Session, borrower: Session, third: Session) -> None:
        ref = owner.put(1)
        kept = lend(owner, borrower, [ref]), lend(owner, third, [ref])
        for _ in range(2):
            owner.objects.references.process_gone(borrower.process_id)
        assert count(owner) == 1
        del kept

    def test_one_whose_owner_has_ended_can_be_passed_on_and_dropped(
        self, owner: Session, borrower: Session, third: Session
    ) -> None:
        copy = lend(owner, borrower, [owner.put("value"), owner.put("never read")])
        borrower.get(copy[0])
        end(owner, borrower, third)
        assert borrower.get(copy[0]) == "value", "what was read before is there"
        with pytest.raises(exceptions.OwnerDiedError, match="owner"):
            borrower.get(copy[1])
        passed_on = lend(borrower, third, copy)
        for ref in passed_on:
            with pytest.raises(exceptions.OwnerDiedError, match="owner"):
                third.get(ref)
        copy.clear()
        passed_on.clear()
        settle(borrower, third)

    def test_a_connection_that_breaks_loses_no_count(self, owner: Session, borrower: Session) -> None:
        copy = lend(owner, borrower, [owner.put("value")])
        sockets = borrower.sockets
        borrower.cut(owner)
        copy.clear()
        settle(borrower, owner)
        settle(borrower, owner)
        assert borrower.sockets > sockets
        assert count(owner) == 0


@pytest.fixture
def references(session: Session) -> References:
    return session.objects.references


class TestCounts:
    """What the owner does with additions and releases, in the orders in which they may come."""

    RECEIVER, OTHER = b"r" * 16, b"o" * 16

    def test_a_release_may_overtake_the_addition(self, session: Session, references: References) -> None:
        oid = boxed(session, "value")
        references.add_tokens(oid, self.OTHER, 1)
        references.add_tokens(oid, self.RECEIVER, -1)
        references.add_tokens(oid, self.OTHER, -1)
        assert references.lent == 1, "one count is negative, so a borrower is on its way"
        references.add_tokens(oid, self.RECEIVER, 1)
        assert references.lent == 0

    def test_one_more_is_counted_while_the_last_is_given_back(self, session: Session, references: References) -> None:
        """A second thread takes the object's empty table away between two steps of the first one."""
        oid = boxed(session, "value")
        tables: TornDict = TornDict(lambda: tables.pop(oid))
        references._tokens = tables
        references.add_tokens(oid, self.RECEIVER, 1)
        assert dict(tables) == {oid: defaultdict(int, {self.RECEIVER: 1})}
        references.add_tokens(oid, self.RECEIVER, -1)
        assert references.lent == 0

    def test_a_receiver_whose_end_comes_while_it_is_counted_is_watched_again(
        self, session: Session, references: References
    ) -> None:
        oid = boxed(session, "value")
        lent_to: TornDict = TornDict(lambda: lent_to.pop(self.RECEIVER))
        references._lent_to = lent_to
        references.add_tokens(oid, self.RECEIVER, 1)
        assert watched(session) == [self.RECEIVER, self.RECEIVER]
        references.process_gone(self.RECEIVER)
        assert references.lent == 0
        assert not lent_to

    def test_what_is_counted_again_while_it_is_given_back_goes_with_the_process(
        self, session: Session, references: References
    ) -> None:
        """A second thread counts between the first one's look at the counts and its note that there is none."""
        oid = boxed(session, "value")
        references.add_tokens(oid, self.RECEIVER, 1)
        counts = references._tokens[oid]

        class Discarding(set[bytes]):
            def discard(self, element: bytes) -> None:
                super().discard(element)
                counts[TestCounts.RECEIVER] += 1

        references._lent_to[self.RECEIVER] = Discarding({oid})
        references._note_lent(oid, self.RECEIVER, defaultdict(int))
        assert references._lent_to[self.RECEIVER] == set()
        references._lent_to[self.RECEIVER] = Discarding({oid})
        counts.pop(self.RECEIVER)
        references._note_lent(oid, self.RECEIVER, counts)
        assert references._lent_to[self.RECEIVER] == {oid}

    def test_what_a_process_has_given_back_just_when_it_ends_is_forgotten(self, references: References) -> None:
        """Another thread has counted the release, and not noted yet that the process has the object no more."""
        references._lent_to[self.RECEIVER] = {ids.object_id(b"x" * 16, 1, 0)}
        references.process_gone(self.RECEIVER)
        assert not references._lent_to

    def test_an_object_that_this_process_does_not_know_is_only_counted(self, references: References) -> None:
        oid = ids.object_id(b"x" * 16, 1, 0)
        references.add_tokens(oid, self.RECEIVER, 1)
        assert references.lent == 0
        assert references.exported(oid) is None
        references.add_tokens(oid, self.RECEIVER, -1)

    def test_an_entry_has_one_reference_here(self, session: Session, references: References) -> None:
        entry = pending(session)._entry
        ref = references.canonical(entry)
        assert references.canonical(entry) is ref
        assert references.known(entry.id) is ref
