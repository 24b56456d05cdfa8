"""The set from which `as_completed` takes references that are ready."""

from __future__ import annotations

import gc
import signal
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from lending import Call, InThread, Stream, bring, bring_error, lend, pending, settle, when_blocked
from members import Session

from nbactors import exceptions
from nbactors.engine.unready_set import UnreadySet, WaitedSet
from nbactors.local.objects.arrivals import Arrivals
from nbactors.local.objects.entry import Entry
from nbactors.local.submitting.interruption import Interruption
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef

Refs = list[ObjectRef[Any]]


def arrivals(session: Session) -> UnreadySet:
    return Arrivals(session.objects.waiting, lambda: None)


def waited(session: Session) -> UnreadySet:
    return WaitedSet(lambda refs, count, timeout, _: session.objects.waiting.wait(refs, count, timeout))


@pytest.fixture(params=[arrivals, waited])
def taken_from(request: Any, session: Session) -> Iterator[UnreadySet]:
    """A set of each kind."""
    made: UnreadySet = request.param(session)
    yield made
    made.close()


@pytest.fixture
def refs(session: Session) -> Refs:
    """Four objects that are not there yet."""
    return [pending(session) for _ in range(4)]


def add(unready: UnreadySet, *refs: Any) -> None:
    for ref in refs:
        unready.add(ref)


def take(unready: UnreadySet, count: int, timeout: float | None = None) -> list[Any]:
    return unready.take(count, timeout, True)


class TestTake:
    def test_the_first_ready_ones_come_in_the_order_of_the_additions(self, taken_from: UnreadySet, refs: Refs) -> None:
        bring(refs[3], 3)
        add(taken_from, *refs)
        bring_error(refs[2], LookupError("an error is a result, too"))
        bring(refs[1], 1)
        assert take(taken_from, 2) == refs[1:3]
        bring(refs[0], 0)
        assert take(taken_from, 2) == [refs[0], refs[3]]
        assert not taken_from

    def test_it_waits_until_there_are_so_many(self, session: Session, taken_from: UnreadySet, refs: Refs) -> None:
        add(taken_from, *refs)
        bring(refs[3], 3)
        when_blocked(session, lambda: [bring(refs[2], 2), bring(refs[1], 1)])
        assert take(taken_from, 3) == refs[1:]
        assert len(taken_from) == 1

    @pytest.mark.parametrize("timeout", [0, 0.001])
    def test_after_its_time_it_takes_what_is_there(self, taken_from: UnreadySet, refs: Refs, timeout: float) -> None:
        add(taken_from, *refs)
        assert take(taken_from, 1, timeout) == []
        bring(refs[1], 1)
        assert take(taken_from, 2, timeout) == [refs[1]]
        assert len(taken_from) == 3

    def test_more_can_be_added_after_some_were_taken(self, taken_from: UnreadySet, refs: Refs) -> None:
        add(taken_from, refs[0])
        bring(refs[0], 0)
        assert take(taken_from, 1) == [refs[0]]
        add(taken_from, *refs[1:])
        bring(refs[2], 2)
        assert take(taken_from, 1) == [refs[2]]

    def test_what_is_taken_is_not_kept(self, taken_from: UnreadySet, session: Session) -> None:
        ref = pending(session)
        add(taken_from, ref, pending(session))
        bring(ref, 5)
        alive = weakref.ref(take(taken_from, 1)[0])
        del ref
        assert alive() is None

    def test_a_generator_is_taken_when_it_has_something_to_read(
        self, taken_from: UnreadySet, session: Session, refs: Refs
    ) -> None:
        stream = Stream(session)
        add(taken_from, refs[0], stream.generator)
        when_blocked(session, lambda: stream.yields(5))
        assert take(taken_from, 1) == [stream.generator]
        assert session.get(next(stream.generator)) == 5

    def test_a_generator_that_another_reader_has_emptied_is_not_taken(
        self, taken_from: UnreadySet, session: Session, refs: Refs
    ) -> None:
        stream = Stream(session)
        add(taken_from, stream.generator, refs[0])
        stream.yields(5)
        assert session.get(next(stream.generator)) == 5
        when_blocked(session, lambda: bring(refs[0], 0))
        assert take(taken_from, 1) == [refs[0]]
        stream.ends()
        assert take(taken_from, 1) == [stream.generator]

    def test_what_another_process_owns_is_asked_for(self, owner: Session, borrower: Session) -> None:
        first, second, stream = pending(owner), pending(owner), Stream(owner)
        copies = lend(owner, borrower, [first, second, stream.generator])
        unready = arrivals(borrower)
        add(unready, *copies)
        when_blocked(borrower, lambda: bring(second, 2))
        assert take(unready, 1) == [copies[1]]
        when_blocked(borrower, lambda: stream.yields(5))
        assert take(unready, 1) == [copies[2]]
        unready.close()


class Counted(Entry):
    """An entry that counts how often it is looked at."""

    __slots__ = ("_state",)
    looks = 0

    @property
    def state(self) -> int:  # type: ignore[override]
        Counted.looks += 1
        return self._state

    @state.setter
    def state(self, state: int) -> None:
        self._state = state


class TestArrivals:
    @pytest.mark.parametrize("is_first_last", [False, True], ids=["in order", "from the end"])
    @pytest.mark.parametrize("chunk", [1, 10])
    def test_the_steps_are_in_proportion_to_the_references(
        self, session: Session, chunk: int, is_first_last: bool
    ) -> None:
        def looks(count: int) -> int:
            Counted.looks = 0
            refs: Refs = [ObjectRef(Counted(session.objects, next(session.numbers))) for _ in range(count)]
            unready = arrivals(session)
            add(unready, *refs)
            if is_first_last:
                refs.reverse()
            for start in range(0, count, chunk):
                for ref in refs[start : start + chunk]:
                    ref._entry.resolve(b"")
                assert set(take(unready, chunk)) == set(refs[start : start + chunk])
            return Counted.looks

        assert looks(400) == 4 * looks(100)

    def test_the_thread_is_woken_once_for_all_that_it_lacks(self, session: Session) -> None:
        refs = [pending(session) for _ in range(50)]
        unready = arrivals(session)
        add(unready, *refs)
        blocks = []

        def come(index: int) -> None:
            bring(refs[index], index)
            if index:
                session.reactor.call_later(0, lambda: come(index - 1))  # each in a poll of its own

        def begin() -> None:
            blocks.append(1)
            session.reactor.discard(lambda: come(49))

        session.objects.waiting.before_block = begin
        assert take(unready, 50) == refs
        assert len(blocks) == 1

    def test_what_arrives_twice_is_taken_once(self, session: Session, refs: Refs) -> None:
        """An asynchronous exception may have the listeners told again."""
        unready = Arrivals(session.objects.waiting, lambda: None)
        add(unready, *refs)
        bring(refs[1], 1)
        unready.ready(refs[1]._entry)
        assert take(unready, 2, 0) == [refs[1]]
        unready.ready(refs[1]._entry)
        when_blocked(session, lambda: bring(refs[0], 0))
        assert take(unready, 1) == [refs[0]]

    @pytest.mark.parametrize("come", ["a value", "a yield"])
    def test_what_comes_while_it_is_added_is_seen(self, session: Session, come: str) -> None:
        stream, ref = Stream(session), pending(session)
        thing: Any = ref if come == "a value" else stream.generator
        record = thing._entry if come == "a value" else stream.inbox
        kind = type(record)

        class Arriving(kind):  # type: ignore[misc,valid-type]
            __slots__ = ()

            def add_waiter(self, waiter: Any) -> bool:
                record.__class__ = kind
                if come == "a value":
                    bring(ref, 5)
                else:
                    stream.yields(5)
                return bool(record.add_waiter(waiter))

        record.__class__ = Arriving
        unready = arrivals(session)
        unready.add(thing)
        assert take(unready, 1) == [thing]

    def test_the_end_is_told_also_of_a_wait_that_fails(self, session: Session, refs: Refs) -> None:
        ends: list[int] = []
        unready = Arrivals(session.objects.waiting, lambda: ends.append(1))
        add(unready, *refs)
        assert take(unready, 1, 0) == []
        thread = InThread(lambda: take(unready, 1), session)
        session.leave()
        assert isinstance(thread.result(), exceptions.RaySystemError)
        assert len(ends) == 2

    def test_a_closed_set_is_kept_by_nothing(self, session: Session, refs: Refs) -> None:
        stream = Stream(session)
        unready = arrivals(session)
        add(unready, *refs, stream.generator)
        alive = weakref.ref(refs[0])
        unready.close()
        assert not any(ref._entry.waiters for ref in refs)
        assert not stream.inbox.waiters
        gc.disable()
        try:
            refs.clear()
            assert alive() is None
        finally:
            gc.enable()


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_cancels_what_was_waited_for(session: Session, refs: Refs) -> None:
    calls = [Call(ref._entry) for ref in refs]
    unready = arrivals(session)
    add(unready, *refs)
    refs[0]._entry.call = None
    bring(refs[0], 0)
    assert take(unready, 1) == [refs[0]]
    session.objects.waiting.interruption = Interruption(session.process_id, session.reactor, session.peers, True)
    main = threading.main_thread().ident or 0
    when_blocked(session, lambda: signal.pthread_kill(main, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match="waited for 3 calls; 3 still ran and were cancelled"):
        take(unready, 1)
    settle(session)
    assert [call.cancels for call in calls] == [[], *[[CancelMode.INTERRUPT]] * 3]
