"""Streams of own calls: what arrives, who reads it, and what the worker is told."""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import Any

import pytest
from lending import InThread, Listener, Stream, Torn, act, failure, pending, settle, when_blocked
from members import Session

from nbactors import exceptions
from nbactors.local.objects.held import Held
from nbactors.local.objects.object_life import PENDING, READY
from nbactors.local.objects.stream_inbox import Inbox
from nbactors.local.objects.waiting import Watcher
from nbactors.local.submitting.pending_call import PendingCall
from nbactors.local.wire import messages
from nbactors.object_ref_generator import DynamicObjectRefGenerator
from nbactors.options.num_returns import DYNAMIC


@pytest.fixture
def stream(session: Session) -> Stream:
    return Stream(session)


class TestReading:
    def test_values_come_in_order_and_then_the_end(self, stream: Stream) -> None:
        stream.yields(0, 1, 2)
        stream.ends()
        assert stream.read(3) == [0, 1, 2]
        assert next(stream.generator, None) is None
        assert next(stream.generator, None) is None

    def test_a_reader_waits_for_what_is_yielded_later(self, session: Session, stream: Stream) -> None:
        when_blocked(session, lambda: stream.yields("late"))
        assert stream.read(1) == ["late"]
        when_blocked(session, stream.ends)
        assert next(stream.generator, None) is None
        assert not stream.inbox.waiters

    def test_what_the_generator_has_raised_is_the_last_reference(self, session: Session, stream: Stream) -> None:
        stream.yields(0)
        stream.raises(LookupError("none"))
        assert stream.read(1) == [0]
        with pytest.raises(LookupError, match="none"):
            stream.read(1)
        assert next(stream.generator, None) is None

    def test_it_tells_the_error_that_has_ended_it_until_its_reference_is_read(self, stream: Stream) -> None:
        stream.yields(0)
        stream.raises(LookupError("none"))
        assert stream.generator._entry.facts() == ("ended", "", 2, "LookupError: none")
        next(stream.generator)
        next(stream.generator)
        assert stream.generator._entry.facts() == ("ended", "", 0, "")

    @pytest.mark.parametrize("timeout", [0, 0.001])
    def test_after_its_time_a_read_tells_that_nothing_has_come(self, stream: Stream, timeout: float) -> None:
        with pytest.raises(exceptions.GetTimeoutError, match=f"nothing was yielded within {timeout} s"):
            stream.generator._next_sync(timeout)
        stream.yields("late")
        assert stream.read(1) == ["late"]

    def test_readers_on_several_threads_share_one_sequence(self, session: Session, stream: Stream) -> None:
        def read() -> list[Any]:
            return [session.get(ref) for ref in stream.generator]

        readers = [InThread(read, session) for _ in range(3)]
        stream.yields(*range(20))
        stream.ends()
        shares = [reader.result() for reader in readers]
        assert sorted(number for share in shares for number in share) == list(range(20))
        assert all(share == sorted(share) for share in shares)

    def test_a_loop_reads_without_blocking(self, session: Session, stream: Stream) -> None:
        async def read() -> list[Any]:
            return [await ref async for ref in stream.generator]

        async def both() -> list[Any]:
            reading = asyncio.create_task(read())
            while not stream.inbox.waiters:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)
            stream.yields(0, 1)
            stream.ends()
            return await reading

        assert asyncio.run(both()) == [0, 1]

    def test_a_read_of_a_loop_that_is_cancelled_takes_nothing(self, session: Session, stream: Stream) -> None:
        async def cancel() -> None:
            reading = asyncio.ensure_future(anext(stream.generator))
            await asyncio.sleep(0)
            assert len(stream.inbox.waiters) == 1
            reading.cancel()
            with pytest.raises(asyncio.CancelledError, match=r"^$"):
                await reading

        asyncio.run(cancel())
        assert not stream.inbox.waiters
        stream.yields(0)
        assert stream.read(1) == [0]

    def test_a_loop_of_a_session_that_has_left_is_told_so(self, session: Session, stream: Stream) -> None:
        async def read() -> None:
            await anext(stream.generator)

        session.membership.has_left = True
        try:
            with pytest.raises(exceptions.RaySystemError, match="the session was shut down"):
                asyncio.run(read())
        finally:
            session.membership.has_left = False

    def test_it_tells_what_it_knows_without_a_wait(self, stream: Stream) -> None:
        reader = stream.generator._entry
        assert (reader.state, stream.generator.next_ready()) == (PENDING, False)
        stream.yields(0)
        assert (reader.state, stream.generator.next_ready()) == (READY, True)
        assert reader.facts()[:3] == ("running", "", 1)
        stream.ends()
        assert not stream.generator.is_finished()
        stream.read(1)
        assert (stream.generator.is_finished(), stream.generator.next_ready()) == (True, False)
        assert reader.facts()[:3] == ("ended", "", 0)


class TestArriving:
    def test_what_is_yielded_a_second_time_is_dropped(self, session: Session, stream: Stream) -> None:
        """A call that is tried again yields from the beginning."""
        hold = session.objects.values.hold
        for index in 1, 2, 1, 2, 3:
            act(session, lambda index=index: stream.inbox.arrive(index, hold(index)))
        stream.ends()
        assert stream.read(3) == [1, 2, 3]
        assert next(stream.generator, None) is None

    def test_nothing_arrives_after_the_end(self, session: Session, stream: Stream) -> None:
        stream.yields(1)
        stream.ends()
        stream.yields(2)
        stream.raises(LookupError("none"))
        assert stream.read(1) == [1]
        assert next(stream.generator, None) is None

    def test_it_fails_once(self, stream: Stream) -> None:
        """The end of the session fails the call, and then the end of its connection does."""
        for _ in range(2):
            stream.raises(LookupError("none"))
        assert len(stream.inbox.items) == 1

    def test_a_call_that_fails_has_its_stream_fail(self, session: Session, stream: Stream) -> None:
        act(session, lambda: stream.call.fail(failure(LookupError("none"))))
        with pytest.raises(LookupError, match="none"):
            stream.read(1)
        with pytest.raises(LookupError, match="none"):
            session.get(stream.generator.completed())

    def test_the_call_is_let_go_at_the_end(self, stream: Stream) -> None:
        assert stream.inbox.call is stream.call
        stream.ends()
        assert stream.inbox.call is None

    def test_what_was_yielded_becomes_one_value_where_nobody_reads_it(self, session: Session) -> None:
        stream = Stream(session, DYNAMIC)
        stream.yields(0, 1)
        collected = stream.inbox.collected().load()
        assert isinstance(collected, DynamicObjectRefGenerator)
        assert [session.get(ref) for ref in collected] == [0, 1]


class TestWaking:
    def test_each_that_waits_is_told_once(self, session: Session, stream: Stream) -> None:
        listeners = [Listener() for _ in range(3)]
        for listener in listeners:
            assert stream.inbox.add_waiter(listener)
        stream.yields(0)
        stream.yields(1)
        assert [listener.told for listener in listeners] == [[None]] * 3

    def test_one_that_finds_nothing_and_adds_itself_again_is_not_told_again_at_once(
        self, session: Session, stream: Stream
    ) -> None:
        slow = Listener(lambda: stream.inbox.add_waiter(slow))
        fast = Listener(lambda: stream.inbox.items.clear())
        stream.inbox.add_waiter(fast)
        stream.inbox.add_waiter(slow)
        stream.yields(0)
        assert (fast.told, slow.told) == ([None], [None])
        assert stream.inbox.waiters == [slow]

    def test_one_is_refused_where_there_is_something_to_read(self, stream: Stream) -> None:
        stream.yields(0)
        late = Listener()
        assert not stream.inbox.add_waiter(late)
        assert (late.told, stream.inbox.waiters) == ([], [])

    def test_one_that_is_woken_just_when_it_is_added_counts_as_woken(self, session: Session) -> None:
        """A value arrives on the leader's thread while a reader looks whether there is one."""

        class Arriving(Inbox):
            __slots__ = ()

            def next_ready(self) -> bool:
                if self.waiters:
                    self.arrive(1, Held(b""))
                return super().next_ready()

        inbox = Arriving(session.objects, PendingCall(1, (), None, None), -1, False)
        listener = Listener()
        assert inbox.add_waiter(listener)
        assert listener.told == [None]

    def test_one_that_has_left_is_not_told(self, stream: Stream) -> None:
        listener = Listener()
        stream.inbox.add_waiter(listener)
        stream.inbox.remove_waiter(listener)
        stream.inbox.remove_waiter(listener)
        stream.yields(0)
        assert listener.told == []

    def test_those_behind_one_that_an_interrupt_has_torn_are_told_when_it_is_done_again(
        self, session: Session, stream: Stream
    ) -> None:
        torn, behind = Listener(Torn()), Listener()
        stream.inbox.add_waiter(torn)
        stream.inbox.add_waiter(behind)
        held = session.objects.values.hold(0)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            stream.inbox.arrive(1, held)
        stream.inbox.arrive(1, held)
        assert (torn.told, behind.told) == ([None, None], [None])
        assert stream.read(1) == [0]
        assert not stream.inbox.items

    def test_a_handler_that_wakes_all_leaves_nobody_to_the_one_that_it_has_interrupted(self, stream: Stream) -> None:
        def handler() -> None:
            if len(interrupted.told) == 1:
                stream.inbox.wake()

        interrupted, behind = Listener(handler), Listener()
        stream.inbox.add_waiter(interrupted)
        stream.inbox.add_waiter(behind)
        stream.yields(0)
        assert behind.told == [None]

    @pytest.mark.parametrize("come", ["a value", "the end"])
    def test_watchers_are_woken(self, session: Session, stream: Stream, come: str) -> None:
        before = session.objects.waiting.news
        watcher = Watcher(before + 1)
        session.objects.waiting.watchers.append(watcher)
        if come == "a value":
            stream.yields(0)
        else:
            stream.ends()
        assert watcher.done
        assert session.objects.waiting.news > before


class TestTelling:
    """What the worker is told that runs the generator."""

    def consumed(self, stream: Stream, count: int) -> messages.Consumed:
        return messages.Consumed(stream.inbox.number, count)

    def stop(self, stream: Stream) -> messages.StopStream:
        return messages.StopStream(stream.inbox.number)

    def test_with_backpressure_it_is_told_how_many_were_read(self, session: Session) -> None:
        stream = Stream(session, backpressure=2)
        stream.yields(0, 1)
        stream.read(1)
        stream.read(1)
        assert stream.told == [self.consumed(stream, 1), self.consumed(stream, 2)]
        stream.yields(2)
        stream.ends()
        stream.read(1)
        assert len(stream.told) == 2, "it has ended"

    def test_without_backpressure_it_is_not(self, stream: Stream) -> None:
        stream.yields(0)
        stream.read(1)
        assert stream.told == []

    def test_closing_stops_it_and_frees_what_was_not_read(self, stream: Stream) -> None:
        stream.yields(0, 1)
        unread = weakref.ref(stream.inbox.items[1])
        stream.read(1)
        stream.generator.close()
        assert stream.told == [self.stop(stream)]
        assert unread() is None
        assert next(stream.generator, None) is None

    def test_closing_wakes_who_waits(self, session: Session, stream: Stream) -> None:
        reader = InThread(lambda: next(stream.generator, "ended"), session)
        stream.generator.close()
        assert reader.result() == "ended"

    def test_a_loop_can_close_it(self, stream: Stream) -> None:
        asyncio.run(stream.generator.aclose())
        assert stream.told == [self.stop(stream)]

    def test_it_is_stopped_when_the_generator_is_dropped(self, session: Session, stream: Stream) -> None:
        stream.yields(0)
        stream.drop()
        assert stream.told == [self.stop(stream)]
        assert not stream.inbox.items
        stream.yields(1)
        stream.raises(LookupError("none"))
        assert not stream.inbox.items, "nobody reads it"

    def test_one_that_has_ended_is_not_stopped(self, session: Session, stream: Stream) -> None:
        stream.yields(0)
        stream.ends()
        stream.drop()
        assert stream.told == []
        assert not stream.inbox.items

    def test_a_call_that_was_sent_again_is_told_what_was_read_before(self, session: Session) -> None:
        stream = Stream(session, backpressure=2)
        stream.inbox.resume(stream.call)
        assert stream.told == [], "nothing has happened yet"
        stream.yields(0)
        stream.read(1)
        stream.told.clear()
        stream.inbox.resume(stream.call)
        assert stream.told == [self.consumed(stream, 1)]

    def test_a_call_that_was_sent_again_is_told_that_nobody_reads_it(self, stream: Stream) -> None:
        stream.drop()
        stream.told.clear()
        stream.inbox.resume(stream.call)
        assert stream.told == [self.stop(stream)]

    def test_a_call_that_was_not_sent_yet_is_told_nothing(self, session: Session, stream: Stream) -> None:
        stream.call.connection = None
        stream.drop()
        assert stream.told == []

    def test_what_is_put_back_is_the_next_again(self, session: Session, stream: Stream) -> None:
        stream.yields(0, 1)
        first = stream.inbox.take()
        assert first is not None
        act(session, lambda: stream.inbox.put_back(first))
        assert stream.read(2) == [0, 1]

    def test_what_is_put_back_counts_as_read_once_it_is_read_again(self, session: Session) -> None:
        """Else each time would allow the generator one value more that nobody has read."""
        stream = Stream(session, backpressure=1)
        stream.yields(0)
        for _ in range(3):
            taken = stream.inbox.take()
            assert taken is not None
            act(session, lambda taken=taken: stream.inbox.put_back(taken))
        assert stream.told == [self.consumed(stream, 1)] * 3

    def test_what_is_put_back_wakes_who_waits(self, session: Session, stream: Stream) -> None:
        stream.yields(0)
        taken = stream.inbox.take()
        assert taken is not None
        when_blocked(session, lambda: stream.inbox.put_back(taken))
        assert stream.read(1) == [0]


def test_wait_takes_generators_beside_references(session: Session, stream: Stream) -> None:
    ref = pending(session)
    when_blocked(session, lambda: stream.yields(0))
    assert session.objects.waiting.wait([ref, stream.generator], 1, None) == ([stream.generator], [ref])
    assert session.objects.waiting.wait([ref, stream.generator], 2, 0) == ([stream.generator], [ref])


def test_readers_do_not_lose_what_arrives_while_others_give_up(session: Session, stream: Stream) -> None:
    """Time-outs and values race on several threads; each value is read once."""
    seen: list[Any] = []

    def read() -> None:
        while True:
            try:
                ref = stream.generator._next_sync(0.0005)
            except exceptions.GetTimeoutError:
                continue
            except StopIteration:
                return
            seen.append(session.get(ref))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    stream.yields(*range(30))
    stream.ends()
    for reader in readers:
        reader.join(10)
    assert sorted(seen) == list(range(30))
    settle(session)
    assert stream.generator.is_finished()
