"""What becomes of an entry, and who is told."""

from __future__ import annotations

import pickle
import weakref
from asyncio import InvalidStateError
from collections.abc import Callable

import pytest
from lending import Listener, Torn, bring, bring_error, failure, pending
from members import Session

from nbactors import exceptions
from nbactors.local.objects.entry import BorrowedEntry, Entry
from nbactors.local.objects.held import Held
from nbactors.local.objects.object_life import FAILED, LOST, PENDING, READY
from nbactors.local.objects.waiting import Watcher
from nbactors.local.wire import ids

VALUE, ERROR, LOSS = b"value", b"error", b"loss"

OUTCOMES: list[tuple[Callable[[Entry], None], int, bytes]] = [
    (lambda entry: entry.resolve(VALUE), READY, VALUE),
    (lambda entry: entry.resolve(ERROR, error=True), FAILED, ERROR),
    (lambda entry: entry.lose(LOSS), LOST, LOSS),
]
NAMES = ["value", "error", "loss"]


@pytest.fixture
def entry(session: Session) -> Entry:
    return pending(session)._entry  # type: ignore[no-any-return]


class TestOutcome:
    @pytest.mark.parametrize("second", [outcome[0] for outcome in OUTCOMES], ids=NAMES)
    @pytest.mark.parametrize(("first", "state", "data"), OUTCOMES, ids=NAMES)
    def test_the_first_one_stands_whatever_comes_second(
        self, entry: Entry, first: Callable[[Entry], None], state: int, data: bytes, second: Callable[[Entry], None]
    ) -> None:
        assert entry.state == PENDING
        first(entry)
        second(entry)
        assert (entry.state, entry.data) == (state, data)

    def test_a_second_value_leaves_nothing_behind(self, entry: Entry) -> None:
        entry.resolve(VALUE)
        entry.resolve(VALUE, contained=("reference",), buffers=(b"buffer",))
        assert (entry.contained, entry.buffers, entry.stored) == ((), (), None)

    def test_an_entry_can_be_made_of_an_outcome(self, session: Session) -> None:
        assert Entry.made(session.objects, 1, Held(VALUE)).state == READY
        made = Entry.made(session.objects, 1, Held(ERROR, error=True, buffers=(b"buffer",)), 3)
        assert (made.state, made.data, made.buffers, made.index) == (FAILED, ERROR, (b"buffer",), 3)


class TestId:
    def test_the_id_tells_the_owner_the_call_and_the_index(self, session: Session) -> None:
        entry = Entry(session.objects, 7, 3)
        assert entry.owner == session.process_id
        assert entry.id == ids.object_id(session.process_id, 7, 3)

    def test_a_borrowed_one_has_the_id_that_it_came_with(self, session: Session) -> None:
        oid = ids.object_id(b"o" * 16, 7, 3)
        entry = BorrowedEntry(session.objects, oid)
        assert (entry.id, entry.owner, entry.number, entry.index) == (oid, b"o" * 16, 7, 3)

    def test_one_that_was_torn_while_it_was_made_is_freed_without_a_word(self) -> None:
        assert BorrowedEntry.__new__(BorrowedEntry).__del__() is None, "and raises nothing"


class TestListeners:
    @pytest.mark.parametrize("outcome", [outcome[0] for outcome in OUTCOMES], ids=NAMES)
    def test_all_are_told_once_and_in_order(self, entry: Entry, outcome: Callable[[Entry], None]) -> None:
        order: list[int] = []
        for number in range(3):
            assert entry.add_waiter(Listener(lambda number=number: order.append(number)))
        outcome(entry)
        outcome(entry)
        assert order == [0, 1, 2]

    def test_one_that_comes_too_late_is_refused(self, entry: Entry) -> None:
        late = Listener()
        entry.resolve(VALUE)
        assert not entry.add_waiter(late)
        entry.resolve(VALUE)
        assert late.told == []

    def test_one_that_has_left_is_not_told(self, entry: Entry) -> None:
        stays, leaves = Listener(), Listener()
        entry.add_waiter(leaves)
        entry.add_waiter(stays)
        entry.remove_waiter(leaves)
        entry.remove_waiter(leaves)
        entry.resolve(VALUE)
        entry.remove_waiter(stays)
        assert (leaves.told, stays.told) == ([], [entry])

    def test_one_that_leaves_while_others_are_told_is_not_told(self, entry: Entry) -> None:
        leaves = Listener()
        entry.add_waiter(Listener(lambda: entry.remove_waiter(leaves)))
        entry.add_waiter(leaves)
        entry.resolve(VALUE)
        assert leaves.told == []

    def test_those_behind_one_that_an_interrupt_has_torn_are_told_when_it_is_done_again(self, entry: Entry) -> None:
        before, torn, behind = Listener(), Listener(Torn()), Listener()
        for listener in (before, torn, behind):
            entry.add_waiter(listener)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            entry.resolve(VALUE)
        assert (entry.state, behind.told) == (READY, [])
        entry.resolve(VALUE)
        assert (before.told, torn.told, behind.told) == ([entry], [entry, entry], [entry])

    def test_a_handler_that_settles_it_while_others_are_told_tells_them_itself(self, entry: Entry) -> None:
        def handler() -> None:
            if len(interrupted.told) == 1:
                entry.resolve(VALUE)

        interrupted, behind = Listener(handler), Listener()
        entry.add_waiter(interrupted)
        entry.add_waiter(behind)
        entry.resolve(VALUE)
        assert behind.told == [entry]

    def test_a_final_one_keeps_no_room_for_listeners(self, entry: Entry) -> None:
        entry.add_waiter(Listener())
        entry.resolve(VALUE)
        assert entry.waiters == ()

    def test_only_what_has_more_than_its_bytes_keeps_parts(self, session: Session) -> None:
        plain, whole = pending(session)._entry, pending(session)._entry
        plain.resolve(VALUE)
        whole.resolve(VALUE, contained=[plain], buffers=[b"buffer"])
        assert (plain.parts, plain.buffers, plain.stored, plain.contained) == (None, (), None, ())
        assert (whole.buffers, whole.stored, whole.contained) == ([b"buffer"], None, [plain])
        made = Entry.made(session.objects, 1, Held(VALUE, contained=[plain]))
        assert (made.contained, Entry.made(session.objects, 2, Held(VALUE)).parts) == ([plain], None)

    def test_watchers_are_woken_and_see_that_there_is_news(self, session: Session, entry: Entry) -> None:
        waiting = session.objects.waiting
        before = waiting.news
        due, later = Watcher(before + 1), Watcher(before + 2)
        waiting.watchers += [later, due]
        entry.resolve(VALUE)
        assert waiting.news == before + 1
        assert due.done
        assert not later.done
        assert waiting.watchers == [later]


class TestWhenDone:
    def test_a_callback_runs_once_when_it_becomes_ready(self, entry: Entry) -> None:
        runs: list[str] = []
        entry.when_done(lambda: runs.append("ran"))
        assert runs == []
        entry.resolve(VALUE)
        entry.resolve(VALUE)
        assert runs == ["ran"]

    def test_it_runs_at_once_where_the_entry_is_ready(self, entry: Entry) -> None:
        runs: list[str] = []
        entry.resolve(VALUE)
        entry.when_done(lambda: runs.append("ran"))
        assert runs == ["ran"]

    def test_it_runs_once_where_the_telling_is_torn_behind_it(self, entry: Entry) -> None:
        runs: list[str] = []

        def tear() -> None:
            runs.append("ran")
            raise KeyboardInterrupt

        entry.when_done(tear)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            entry.resolve(VALUE)
        entry.resolve(VALUE)
        assert runs == ["ran"]


class TestAsked:
    def test_a_value_can_be_taken_without_waiting(self, session: Session) -> None:
        ref = pending(session)
        assert not ref.done()
        bring(ref, 5)
        assert (ref.done(), ref.result(), ref.exception(), ref._entry.failed()) == (True, 5, None, False)

    def test_an_error_can_be_taken_without_waiting(self, session: Session) -> None:
        ref = pending(session)
        bring_error(ref, LookupError("none"))
        assert ref.done()
        assert ref._entry.failed()
        assert isinstance(ref.exception(), LookupError)
        with pytest.raises(LookupError, match="none"):
            ref.result()

    @pytest.mark.parametrize("ask", ["result", "exception"])
    def test_what_is_not_there_yet_is_refused(self, session: Session, ask: str) -> None:
        ref = pending(session)
        with pytest.raises(InvalidStateError, match=rf"ObjectRef\({ref.hex()}\) is not ready: await it, or get\(\) it"):
            getattr(ref, ask)()

    def test_a_forked_child_is_told_that_nothing_will_come(self, session: Session, entry: Entry) -> None:
        entry.request()
        session.membership.forked = True
        with pytest.raises(exceptions.RaySystemError, match="this process was forked"):
            entry.request()
        with pytest.raises(exceptions.RaySystemError, match="this process was forked"):
            entry.when_done(lambda: None)
        entry.resolve(VALUE)
        runs: list[str] = []
        entry.when_done(lambda: runs.append("ran"))
        assert runs == ["ran"], "what is there is there in the child, too"


class TestFacts:
    def test_pending_without_a_call(self, entry: Entry) -> None:
        assert entry.facts()[:2] == ("pending", "")

    def test_pending_with_the_call_that_makes_it(self, session: Session) -> None:
        ref = session.call(session.prepare(Counter), "add")
        assert ref._entry.facts()[:2] == ("pending", "Counter.add")

    def test_failed_with_the_task_and_its_error(self, entry: Entry) -> None:
        entry.resolve(failure(LookupError("none"), "Counter.find"), error=True)
        assert entry.facts() == ("failed", "Counter.find", 0, "LookupError: none")

    def test_ready_with_the_size_of_all_that_it_holds(self, session: Session, entry: Entry) -> None:
        entry.resolve(b"12345", buffers=(b"123", b"12"))
        assert entry.facts() == ("ready", "", 10, "")
        large = session.put(bytes(1 << 20))._entry
        assert large.facts().size >= 1 << 20


class Counter:
    pass


def test_a_reference_that_the_user_pickles_himself_is_kept_for_good(session: Session) -> None:
    ref = session.put("value")
    there = weakref.ref(ref)
    pickled = pickle.dumps([ref])
    del ref
    assert pickle.loads(pickled) == [there()]
    assert there() is not None
