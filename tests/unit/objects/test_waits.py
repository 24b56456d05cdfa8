"""`get` and `wait` on threads of a session."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from lending import (
    Call,
    InThread,
    Stream,
    act,
    bring,
    bring_error,
    handled,
    lend,
    pending,
    remote_reader,
    settle,
    when_blocked,
)
from members import Session

from nbactors import exceptions
from nbactors.engine.unready_list import UnreadyList
from nbactors.frontend.interrupts import Interrupts
from nbactors.local.objects import waiting as waiting_module
from nbactors.local.objects.entry import Entry, Listener
from nbactors.local.objects.stream_inbox import Inbox
from nbactors.local.objects.streams import Reader
from nbactors.local.objects.waiting import Watcher
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.submitting.interruption import Interruption
from nbactors.local.submitting.pending_call import PendingCall
from nbactors.local.wire import messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef
from nbactors.testing import eventually

Refs = list[ObjectRef[Any]]


@pytest.fixture
def refs(session: Session) -> Refs:
    """Three objects that are not there yet."""
    return [pending(session) for _ in range(3)]


def get(session: Session, refs: Refs, timeout: float | None = 10.0) -> list[Any]:
    return session.objects.waiting.get(refs, timeout)


class TestGetOne:
    def test_what_is_there_comes_without_a_wait(self, session: Session) -> None:
        session.objects.waiting.before_block = lambda: pytest.fail("it waited")
        assert session.get(session.put(5)) == 5

    def test_it_waits_for_what_is_not(self, session: Session) -> None:
        ref = pending(session)
        when_blocked(session, lambda: bring(ref, 5))
        assert session.objects.waiting.get_one(ref._entry, None) == 5
        settle(session)  # it is taken out when it has been told
        assert not ref._entry.waiters

    @pytest.mark.parametrize("is_late", [False, True])
    def test_it_raises_what_the_task_has_raised(self, session: Session, is_late: bool) -> None:
        ref = pending(session)
        if is_late:
            when_blocked(session, lambda: bring_error(ref, LookupError("none")))
        else:
            bring_error(ref, LookupError("none"))
        with pytest.raises(LookupError, match="none"):
            session.get(ref)

    @pytest.mark.parametrize("timeout", [0, 0.001])
    def test_after_its_time_it_tells_which_object_is_not_there(self, session: Session, timeout: float) -> None:
        ref = pending(session)
        with pytest.raises(exceptions.GetTimeoutError, match="not ready within") as caught:
            session.get(ref, timeout)
        assert f"ObjectRef({ref.hex()}) not ready within {timeout} s" in str(caught.value)
        assert not ref._entry.waiters

    def test_without_time_it_sees_what_has_come(self, session: Session) -> None:
        ref = pending(session)
        when_blocked(session, lambda: bring(ref, 5))
        assert session.get(ref, 0) == 5

    def test_several_threads_wait_for_the_same(self, session: Session) -> None:
        ref = pending(session)
        threads = [InThread(lambda: session.get(ref), session) for _ in range(3)]
        bring(ref, 5)
        assert [thread.result() for thread in threads] == [5, 5, 5]


class TestGetSeveral:
    def test_values_come_in_the_order_of_the_references(self, session: Session, refs: Refs) -> None:
        def come() -> None:
            for number in 2, 0, 1:
                bring(refs[number], number)

        when_blocked(session, come)
        assert get(session, [*refs, refs[0]]) == [0, 1, 2, 0]

    def test_none(self, session: Session) -> None:
        assert get(session, []) == []

    @pytest.mark.parametrize("failing", [0, 1, 2])
    def test_the_error_of_any_ends_the_wait_at_once(self, session: Session, refs: Refs, failing: int) -> None:
        when_blocked(session, lambda: bring_error(refs[failing], LookupError("none")))
        with pytest.raises(LookupError, match="none"):
            get(session, refs, None)
        assert not any(isinstance(waiter, Waiter) for ref in refs for waiter in ref._entry.waiters)

    def test_an_error_of_a_later_one_that_is_there_already_ends_it_before_it_waits(
        self, session: Session, refs: Refs
    ) -> None:
        session.objects.waiting.before_block = lambda: pytest.fail("it waited")
        bring_error(refs[2], LookupError("none"))
        with pytest.raises(LookupError, match="none"):
            get(session, refs, None)

    def test_a_later_error_ends_it_though_an_earlier_one_has_come_in_between(
        self, session: Session, refs: Refs
    ) -> None:
        def come() -> None:
            bring(refs[0], 0)
            bring_error(refs[2], LookupError("none"))

        when_blocked(session, come)
        with pytest.raises(LookupError, match="none"):
            get(session, refs, None)

    def test_the_first_that_is_known_to_have_failed_is_raised(self, session: Session, refs: Refs) -> None:
        def come() -> None:
            bring_error(refs[2], LookupError("first"))
            bring_error(refs[1], LookupError("second"))

        when_blocked(session, come)
        with pytest.raises(LookupError, match="first"):
            get(session, refs, None)

    def test_an_error_of_one_that_is_not_waited_for_disturbs_nobody(self, session: Session, refs: Refs) -> None:
        other = pending(session)

        def come() -> None:
            for ref in refs:
                bring(ref, 5)

        def fail() -> None:
            bring_error(other, LookupError("none"))
            session.reactor.call_later(0.01, come)

        when_blocked(session, fail)
        assert get(session, refs) == [5, 5, 5]

    def test_an_error_ends_the_waits_of_all_that_wait_for_it(self, session: Session, refs: Refs) -> None:
        threads = [InThread(lambda: get(session, refs, None), session) for _ in range(2)]
        bring_error(refs[1], LookupError("none"))
        assert all(isinstance(thread.result(), LookupError) for thread in threads)
        assert not session.objects.waiting._several

    def test_after_its_time_it_tells_how_many_are_not_there(self, session: Session, refs: Refs) -> None:
        bring(refs[1], 1)
        with pytest.raises(exceptions.GetTimeoutError, match=r"2 of 3 objects not ready within 0\.001 s"):
            get(session, refs, 0.001)
        with pytest.raises(exceptions.GetTimeoutError, match=rf"ObjectRef\({refs[0].hex()}\) not ready"):
            get(session, refs[:1], 0)

    def test_borrowed_ones_are_all_asked_for_before_it_waits(self, owner: Session, borrower: Session) -> None:
        copies = lend(owner, borrower, [owner.put(number) for number in range(3)])
        with handled(owner, messages.Fetch) as asked:
            assert get(borrower, copies) == [0, 1, 2]
        assert len(asked) == 3

    def test_an_exception_before_its_wait_was_noted_leaves_nothing(self, session: Session, refs: Refs) -> None:
        """An exception from outside comes between making the record of the wait and adding it."""
        waiting = session.objects.waiting
        waiting._several = Refusing()
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            get(session, refs)
        assert waiting._several == []


class Arriving(Entry):
    """An object that becomes ready between the look at its state and the adding of a listener."""

    __slots__ = ()

    def add_waiter(self, waiter: Listener) -> bool:
        bring(ObjectRef(self), "value")
        return super().add_waiter(waiter)


class ArrivingInbox(Inbox):
    """A stream in which something arrives between the look for it and the adding of a listener."""

    __slots__ = ()

    def add_waiter(self, waiter: Listener) -> bool:
        self.arrive(1, self.home.values.hold("value"))
        return super().add_waiter(waiter)


class TestArrivesMeanwhile:
    def test_get_needs_no_wait(self, session: Session) -> None:
        session.objects.waiting.before_block = lambda: pytest.fail("it waited")
        refs: Refs = [ObjectRef(Arriving(session.objects, number)) for number in range(3)]
        assert session.get(refs[0]) == "value"
        assert get(session, refs) == ["value"] * 3

    def test_next_needs_no_wait(self, session: Session) -> None:
        session.objects.waiting.before_block = lambda: pytest.fail("it waited")
        inbox = ArrivingInbox(session.objects, PendingCall(1, (), None, None), -1, False)
        assert session.get(Reader(inbox).next(None)) == "value"

    def test_a_future_needs_no_wait(self, session: Session) -> None:
        assert ObjectRef(Arriving(session.objects, 1)).future().result(0) == "value"

        async def body() -> Any:
            return await ObjectRef(Arriving(session.objects, 2))

        assert asyncio.run(body()) == "value"

    def test_a_borrower_is_answered_at_once(self, owner: Session, borrower: Session) -> None:
        ref: ObjectRef[Any] = ObjectRef(Arriving(owner.objects, next(owner.numbers)))
        [copy] = lend(owner, borrower, [ref])
        assert borrower.get(copy) == "value"

    def test_a_borrower_of_a_stream_is_answered_at_once(self, owner: Session, borrower: Session) -> None:
        stream = Stream(owner)
        generator = lend(owner, borrower, stream.generator)
        stream.inbox.__class__ = ArrivingInbox
        assert borrower.get(next(generator)) == "value"


class Refusing(list[Any]):
    def append(self, thing: Any) -> None:
        raise KeyboardInterrupt


class TestWait:
    def wait(self, session: Session, refs: Refs, num_returns: int = 1, timeout: float | None = None) -> Any:
        return session.objects.waiting.wait(refs, num_returns, timeout)

    @pytest.mark.parametrize("first", [0, 1, 2])
    def test_the_first_that_is_ready_is_taken_out(self, session: Session, refs: Refs, first: int) -> None:
        bring(refs[first], "value")
        rest = [ref for ref in refs if ref is not refs[first]]
        ready, unready = self.wait(session, refs)
        assert (ready, unready) == ([refs[first]], rest)
        assert isinstance(unready, UnreadyList)
        assert len(refs) == 3, "what the caller has given is left as it was"

    @pytest.mark.parametrize("num_returns", [1, 2, 3])
    def test_so_many_are_returned_as_were_wanted_and_in_order(
        self, session: Session, refs: Refs, num_returns: int
    ) -> None:
        bring_error(refs[2], LookupError("an error is a result, too"))
        bring(refs[0], 0)
        bring(refs[1], 1)
        assert self.wait(session, refs, num_returns) == (refs[:num_returns], refs[num_returns:])

    @pytest.mark.parametrize("num_returns", [1, 2])
    def test_it_waits_until_there_are_so_many(self, session: Session, refs: Refs, num_returns: int) -> None:
        def come() -> None:
            for ref in refs[:num_returns]:
                bring(ref, 5)

        when_blocked(session, come)
        assert self.wait(session, refs, num_returns) == (refs[:num_returns], refs[num_returns:])

    def test_it_goes_back_to_sleep_for_what_does_not_concern_it(self, session: Session, refs: Refs) -> None:
        def one_of_two() -> None:
            bring(refs[0], 5)
            bring(pending(session), 5)

        blocked: list[Callable[[], None]] = [one_of_two, lambda: bring(pending(session), 5), lambda: bring(refs[1], 5)]
        session.objects.waiting.before_block = lambda: session.reactor.discard(blocked.pop(0))
        assert self.wait(session, refs, 2) == (refs[:2], refs[2:])
        assert not blocked
        assert not session.objects.waiting.watchers

    def test_it_sleeps_until_as_many_have_come_as_it_lacks(self, session: Session) -> None:
        count = 50
        refs = [pending(session) for _ in range(count)]
        blocks = []

        def come(index: int) -> None:
            bring(refs[index], index)
            if index:
                session.reactor.call_later(0, lambda: come(index - 1))  # each in a poll of its own

        def begin() -> None:
            blocks.append(1)
            if len(blocks) == 1:
                session.reactor.discard(lambda: come(count - 1))

        session.objects.waiting.before_block = begin
        assert self.wait(session, refs, count) == (refs, [])
        assert len(blocks) == 1

    def test_those_that_are_there_before_it_blocks_are_not_awaited(self, session: Session, refs: Refs) -> None:
        bring(refs[2], 2)
        when_blocked(session, lambda: bring(refs[0], 0))
        assert self.wait(session, refs, 2) == ([refs[0], refs[2]], [refs[1]])

    @pytest.mark.parametrize("timeout", [0, 0.001])
    def test_after_its_time_it_returns_what_is_there(self, session: Session, refs: Refs, timeout: float) -> None:
        assert self.wait(session, refs, 1, timeout) == ([], refs)
        bring(refs[1], 1)
        assert self.wait(session, refs, 2, timeout) == ([refs[1]], [refs[0], refs[2]])

    def test_several_threads_watch(self, session: Session, refs: Refs) -> None:
        threads = [InThread(lambda: self.wait(session, refs), session) for _ in range(3)]
        bring(refs[1], 1)
        assert [thread.result()[0] for thread in threads] == [[refs[1]]] * 3

    def test_borrowed_ones_are_asked_for(self, owner: Session, borrower: Session) -> None:
        first, second = pending(owner), pending(owner)
        copies = lend(owner, borrower, [first, second])
        when_blocked(borrower, lambda: bring(second, 2))
        assert self.wait(borrower, copies) == ([copies[1]], [copies[0]])

    def test_a_borrowed_generator_is_asked_for_its_next(self, owner: Session, borrower: Session) -> None:
        stream = Stream(owner)
        generator = lend(owner, borrower, stream.generator)
        when_blocked(borrower, lambda: stream.yields(5))
        assert self.wait(borrower, [pending(borrower), generator])[0] == [generator]
        assert borrower.get(next(generator)) == 5

    def test_a_watcher_that_leaves_just_when_it_is_woken_is_left_alone(self, session: Session, refs: Refs) -> None:
        """Another thread's `wait` ends while `stir` wakes the watchers."""
        watchers = session.objects.waiting.watchers

        class Leaving(Watcher):
            __slots__ = ()

            def finish(self) -> None:
                watchers.remove(self)
                super().finish()

        leaving, stays = Leaving(0), Watcher(0)
        watchers += [leaving, stays]
        bring(refs[0], 5)
        assert leaving.done
        assert stays.done
        assert watchers == []


class TestLeft:
    """A session that leaves while a thread waits."""

    def waits(self, session: Session) -> list[Callable[[], Any]]:
        waiting = session.objects.waiting
        refs = [pending(session), pending(session)]
        generator = Stream(session).generator
        return [
            lambda: waiting.get_one(refs[0]._entry, None),
            lambda: waiting.get(refs, None),
            lambda: waiting.wait(refs, 1, None),
            lambda: next(generator),
        ]

    @pytest.mark.parametrize("which", range(4), ids=["get", "get several", "wait", "next"])
    def test_a_wait_ends_with_the_session(self, session: Session, which: int) -> None:
        thread = InThread(self.waits(session)[which], session)
        session.leave()
        error = thread.result()
        assert isinstance(error, exceptions.RaySystemError)
        assert "the session was shut down while this thread waited" in str(error)

    @pytest.mark.parametrize("which", range(2), ids=["get", "next"])
    def test_a_forked_child_cannot_wait(self, session: Session, which: int) -> None:
        ref, stream = pending(session), Stream(session)
        session.membership.forked = session.reactor.closed = True  # as `Process.forget` leaves them
        with pytest.raises(exceptions.RaySystemError, match="this process was forked"):
            if which:
                stream.generator.next_ready()
            else:
                session.get(ref)

    def test_a_forked_child_cannot_read_a_borrowed_generator(self, owner: Session, borrower: Session) -> None:
        generator = lend(owner, borrower, Stream(owner).generator)
        borrower.membership.forked = True
        with pytest.raises(exceptions.RaySystemError, match="this process was forked"):
            next(generator)
        assert not remote_reader(generator).items
        borrower.membership.forked = False


@pytest.mark.usefixtures("interrupts")
class TestInterrupt:
    """An interrupt of the user's while the main thread waits."""

    @staticmethod
    def interrupt(session: Session, cancels: bool | None = True, before: Callable[[], Any] = lambda: None) -> None:
        """Have SIGINT come in the next wait of the main thread."""
        if cancels is not None:
            session.objects.waiting.interruption = Interruption(
                session.process_id, session.reactor, session.peers, cancels
            )

        def come() -> None:
            before()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        when_blocked(session, come)

    def test_get_is_interrupted_and_the_call_cancelled(self, session: Session) -> None:
        ref = pending(session)
        call = Call(ref._entry)
        self.interrupt(session)
        with pytest.raises(KeyboardInterrupt, match="waited for 1 call; it still ran and was cancelled"):
            session.get(ref)
        settle(session)
        assert call.cancels == [CancelMode.INTERRUPT]
        assert not ref._entry.waiters

    def test_the_call_goes_on_where_the_session_wants_that(self, session: Session) -> None:
        ref = pending(session)
        call = Call(ref._entry)
        self.interrupt(session, cancels=False)
        with pytest.raises(KeyboardInterrupt, match="waited for 1 call; it still runs"):
            session.get(ref)
        settle(session)
        assert call.cancels == []
        bring(ref, 5)
        assert session.get(ref) == 5

    def test_a_worker_has_nothing_to_say_of_it(self, session: Session) -> None:
        self.interrupt(session, cancels=None)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            session.get(pending(session))

    def test_get_of_several_cancels_those_that_have_not_ended(self, session: Session, refs: Refs) -> None:
        calls = [Call(ref._entry) for ref in refs]

        def end_one() -> None:
            refs[0]._entry.call = None
            bring(refs[0], 0)

        self.interrupt(session, before=end_one)
        with pytest.raises(KeyboardInterrupt, match="waited for 3 calls; 2 still ran and were cancelled"):
            get(session, refs)
        settle(session)
        assert [call.cancels for call in calls] == [[], [CancelMode.INTERRUPT], [CancelMode.INTERRUPT]]
        assert not any(ref._entry.waiters for ref in refs)
        assert not session.objects.waiting._several

    def test_wait_cancels_what_it_has_waited_for(self, session: Session, refs: Refs) -> None:
        calls = [Call(ref._entry) for ref in refs]
        self.interrupt(session)
        with pytest.raises(KeyboardInterrupt, match="waited for 3 calls; 3 still ran and were cancelled"):
            session.objects.waiting.wait(refs, 1, None)
        settle(session)
        assert [call.cancels for call in calls] == [[CancelMode.INTERRUPT]] * 3
        assert not session.objects.waiting.watchers

    def test_next_cancels_the_generator_s_call(self, session: Session) -> None:
        stream = Stream(session)
        stream.call.target = target = Target()
        self.interrupt(session)
        with pytest.raises(KeyboardInterrupt, match="waited for 1 call; it still ran and was cancelled"):
            next(stream.generator)
        settle(session)
        assert [cancel.mode for cancel in target.cancels] == [CancelMode.INTERRUPT]
        assert not stream.inbox.waiters

    def test_a_borrower_has_the_owner_cancel_what_it_has_waited_for(self, owner: Session, borrower: Session) -> None:
        ref, stream = pending(owner), Stream(owner)
        call = Call(ref._entry)
        copy, generator = lend(owner, borrower, [ref, stream.generator])
        with handled(owner, messages.CancelObject) as cancels:
            for wait in (lambda: borrower.get(copy)), (lambda: next(generator)):
                self.interrupt(borrower)
                with pytest.raises(KeyboardInterrupt, match="waited for 1 call; it still ran and was cancelled"):
                    wait()
                settle(borrower, owner)
        assert call.cancels == [CancelMode.INTERRUPT]
        assert [message.object_id for message in cancels] == [ref.binary(), stream.generator._completed.binary()]

    def test_calls_that_had_ended_are_told(self, session: Session) -> None:
        self.interrupt(session)
        with pytest.raises(KeyboardInterrupt, match="waited for 1 call; all had ended"):
            session.get(pending(session))


class Target:
    """Whom a call goes to, which keeps how it was cancelled."""

    def __init__(self) -> None:
        self.cancels: list[messages.Cancel] = []

    def cancel(self, call: Any, cancel: messages.Cancel) -> None:
        self.cancels.append(cancel)


def when_asleep(session: Session, interrupts: Interrupts, action: Callable[[], Any]) -> None:
    """Do what `when_blocked` does, but not before a visit can end the wait: the background thread may be earlier."""

    def look() -> None:
        if interrupts.sleeper is None:
            session.reactor.call_later(0.001, look)
        else:
            action()

    when_blocked(session, look)


class TestVisits:
    """Callbacks that another thread has the main thread call while that waits."""

    def test_nobody_visits_a_thread_that_does_not_wait(self, session: Session, interrupts: Interrupts) -> None:
        assert not session.objects.waiting.visit(lambda: pytest.fail("it was called"))

    def test_a_callback_runs_on_the_main_thread_in_the_midst_of_its_wait(
        self, session: Session, interrupts: Interrupts
    ) -> None:
        ref = pending(session)
        ran_on: list[int] = []

        def call() -> None:
            ran_on.append(threading.get_ident())
            bring(ref, "value")

        visitor = threading.Thread(target=eventually, args=(lambda: session.objects.waiting.visit(call),))
        visitor.start()
        assert session.get(ref) == "value"
        visitor.join()
        assert ran_on == [threading.get_ident()]

    @pytest.mark.parametrize("how", ["get", "wait", "next"])
    def test_callbacks_that_come_together_are_all_called(
        self, session: Session, interrupts: Interrupts, how: str
    ) -> None:
        waiting, ref, stream = session.objects.waiting, pending(session), Stream(session)
        calls: list[str] = []

        def come() -> None:
            assert waiting.visit(lambda: calls.append("first"))
            assert waiting.visit(lambda: (calls.append("second"), bring(ref, 5), stream.yields(5)))

        when_asleep(session, interrupts, come)
        start = monotonic()
        if how == "get":
            session.get(ref)
        elif how == "wait":
            waiting.wait([ref], 1, 10)
        else:
            stream.generator._next_sync(10)
        assert calls == ["first", "second"]
        assert monotonic() - start < 9, "the second one was called when the time was up"

    def test_one_whose_callback_was_called_already_does_not_end_the_wait(
        self, session: Session, interrupts: Interrupts
    ) -> None:
        """Of two callbacks that come together the second one interrupts when both have been called."""
        ref = pending(session)

        def come() -> None:
            assert interrupts.sleeper is not None
            interrupts.sleeper.interrupt()
            session.reactor.call_later(0.01, lambda: bring(ref, 5))

        when_asleep(session, interrupts, come)
        assert session.get(ref) == 5

    def test_other_waits_of_the_runtime_are_not_disturbed(self, session: Session, interrupts: Interrupts) -> None:
        """The wait for the node's answer would end, and tell that the node has not answered."""
        visited: list[bool] = []
        waiter = Waiter()
        session.reactor.discard(lambda: visited.append(session.objects.waiting.visit(lambda: None)))
        session.reactor.discard(waiter.finish)
        assert session.reactor.wait(waiter, 10)
        assert visited == [False]

    def test_a_callback_s_error_ends_the_wait(self, session: Session, interrupts: Interrupts) -> None:
        def call() -> None:
            raise LookupError("the callback's")

        visitor = threading.Thread(target=eventually, args=(lambda: session.objects.waiting.visit(call),))
        visitor.start()
        with pytest.raises(LookupError, match="the callback's"):
            session.get(pending(session))
        visitor.join()


class TestLending:
    """A task that blocks for long lends its CPUs to others, see `Waiting.on_block`."""

    @pytest.fixture
    def blocks(self, session: Session) -> list[str]:
        noted: list[str] = []

        def block() -> Callable[[], None]:
            noted.append("blocks")
            return lambda: noted.append("runs again")

        session.objects.waiting.on_block = block
        return noted

    @pytest.fixture
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A task that lends its CPUs at once."""
        monkeypatch.setattr(waiting_module, "PATIENCE_S", 0)

    @pytest.fixture
    def patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A task that waits for long before it lends its CPUs."""
        monkeypatch.setattr(waiting_module, "PATIENCE_S", 10)

    @pytest.mark.usefixtures("patient")
    def test_a_short_wait_lends_nothing(self, session: Session, blocks: list[str]) -> None:
        ref = pending(session)
        when_blocked(session, lambda: bring(ref, 5))
        assert session.objects.waiting.get_one(ref._entry, None) == 5
        with pytest.raises(exceptions.GetTimeoutError, match="not ready"):
            session.get(pending(session), 0.001)
        assert blocks == []

    @pytest.mark.usefixtures("impatient")
    @pytest.mark.parametrize("timeout", [None, 10])
    def test_a_long_one_lends_and_takes_back(self, session: Session, blocks: list[str], timeout: float | None) -> None:
        ref = pending(session)
        thread = InThread(lambda: session.objects.waiting.get_one(ref._entry, timeout), session)
        eventually(lambda: blocks)
        bring(ref, 5)
        assert thread.result() == 5
        assert blocks == ["blocks", "runs again"]

    @pytest.mark.usefixtures("impatient")
    def test_they_are_taken_back_also_when_the_time_is_up(self, session: Session, blocks: list[str]) -> None:
        with pytest.raises(exceptions.GetTimeoutError, match="not ready"):
            session.get(pending(session), 0.001)
        assert blocks == ["blocks", "runs again"]

    @pytest.mark.usefixtures("impatient")
    def test_one_that_has_nothing_to_lend_waits_all_the_same(self, session: Session) -> None:
        session.objects.waiting.on_block = lambda: None
        with pytest.raises(exceptions.GetTimeoutError, match="not ready"):
            session.get(pending(session), 0.001)


def test_a_thread_s_wait_can_be_interrupted(session: Session) -> None:
    ref = pending(session)
    thread = InThread(lambda: session.get(ref), session)
    eventually(lambda: session.reactor.thread_waits.interrupt(thread.ident))
    assert isinstance(thread.result(), KeyboardInterrupt)
    act(session, lambda: bring(ref, 5))
    assert session.get(ref) == 5
