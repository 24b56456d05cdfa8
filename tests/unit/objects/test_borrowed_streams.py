"""Streams whose generator has travelled: read elsewhere, put back, lost with their owner."""

from __future__ import annotations

import asyncio
import pickle
import weakref
from typing import Any

import pytest
from lending import (
    Stream,
    TornDict,
    act,
    connection_given_up,
    count,
    end,
    give_up,
    handled,
    lend,
    pending,
    read,
    remote_reader,
    settle,
    when_blocked,
)
from members import Session, acting_as

from nbactors import exceptions
from nbactors.local.objects import streams
from nbactors.local.objects.entry import Entry, Listener
from nbactors.local.objects.object_life import PENDING, READY
from nbactors.local.objects.stream_inbox import Inbox
from nbactors.local.objects.streams import STREAM_INDEX
from nbactors.local.wire import ids, messages
from nbactors.object_ref_generator import ObjectRefGenerator

Generator = ObjectRefGenerator[Any]


@pytest.fixture
def stream(owner: Session) -> Stream:
    """A generator's call of the owner's."""
    return Stream(owner)


@pytest.fixture
def generator(owner: Session, borrower: Session, stream: Stream) -> Generator:
    """The borrower's copy of the generator."""
    return lend(owner, borrower, stream.generator)  # type: ignore[no-any-return]


class TestReading:
    def test_values_come_in_order_and_with_their_references(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        stream.yields(0, 1, 2)
        stream.ends()
        with handled(owner, messages.Fetch) as fetched:
            assert read(borrower, generator, 3) == [0, 1, 2]
            assert next(generator, None) is None
        assert generator.is_finished()
        assert not fetched
        assert count(owner, borrower) == 2, "the stream and its end; the references that were read are given back"

    def test_what_is_yielded_later_is_waited_for(self, borrower: Session, stream: Stream, generator: Generator) -> None:
        when_blocked(borrower, lambda: stream.yields("late"))
        assert read(borrower, generator, 1) == ["late"]

    def test_an_error_is_the_last_reference(self, borrower: Session, stream: Stream, generator: Generator) -> None:
        stream.yields(0)
        stream.raises(LookupError("none"))
        assert read(borrower, generator, 1) == [0]
        ref = next(generator)
        with pytest.raises(LookupError, match="none"):
            borrower.get(ref)
        assert next(generator, None) is None

    def test_after_its_time_a_read_tells_that_nothing_has_come(
        self, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        with pytest.raises(exceptions.GetTimeoutError, match="nothing was yielded within 0 s"):
            generator._next_sync(0)
        stream.yields("late")
        assert read(borrower, generator, 1) == ["late"], "what was asked for is kept for the next read"

    def test_a_loop_reads_without_blocking(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        async def read_all() -> list[Any]:
            return [await ref async for ref in generator]

        async def yield_when_it_waits() -> None:
            while not remote_reader(generator).waiters:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)
            stream.yields(1)
            stream.ends()

        async def both() -> list[Any]:
            values, _ = await asyncio.gather(read_all(), yield_when_it_waits())
            return values

        stream.yields(0)
        assert asyncio.run(both()) == [0, 1]

    def test_it_tells_what_it_knows_without_a_wait(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        reader = remote_reader(generator)
        assert reader.state == PENDING
        assert not generator.next_ready()
        stream.yields(5)
        settle(owner, borrower)
        assert reader.state == READY
        assert generator.next_ready()
        assert reader.facts()[:3] == ("running", "", 1)
        assert not generator.is_finished()
        read(borrower, generator, 1)
        stream.ends()
        generator.is_finished()  # asks for the end; the answer may come before the question returns
        settle(borrower, owner)
        assert generator.is_finished()
        assert not generator.next_ready()
        assert reader.facts()[:3] == ("ended", "", 0)

    def test_readers_of_several_processes_share_one_sequence(
        self, owner: Session, borrower: Session, third: Session, stream: Stream, generator: Generator
    ) -> None:
        other = lend(borrower, third, generator)
        stream.yields(0, 1, 2, 3)
        assert read(borrower, generator, 1) == [0]
        assert read(third, other, 1) == [1]
        assert stream.read(1) == [2]
        assert read(third, other, 1) == [3]
        stream.ends()
        for each in generator, other, stream.generator:
            assert next(each, None) is None

    def test_two_copies_in_one_process_share_it_too(self, owner: Session, borrower: Session, stream: Stream) -> None:
        first, second = (lend(owner, borrower, stream.generator) for _ in range(2))
        for copy in first, second:
            assert not copy.next_ready()
        stream.yields("for the first", "for the second")
        settle(owner, borrower)
        assert [read(borrower, copy, 1) for copy in (second, first)] == [["for the second"], ["for the first"]]

    def test_large_values_come_in_segments(self, owner: Session, borrower: Session, stream: Stream) -> None:
        generator = lend(owner, borrower, stream.generator)
        stream.yields(bytes(1 << 20))
        ref = next(generator)
        assert len(borrower.get(ref)) == 1 << 20
        assert ref._entry.stored is not None
        del ref
        settle(borrower, owner)
        assert owner.store.free_bytes >= 1 << 20

    def test_a_reference_that_was_read_lives_as_long_as_it_is_held(
        self, owner: Session, borrower: Session, third: Session, stream: Stream, generator: Generator
    ) -> None:
        stream.yields("value")
        ref = next(generator)
        assert count(owner) == 3, "the stream, its end and the reference"
        passed_on = lend(borrower, third, [ref])
        del ref
        assert third.get(passed_on[0]) == "value"
        passed_on.clear()
        assert count(owner, borrower, third) == 2


class TestTravelling:
    def test_one_that_comes_home_is_read_by_the_same_reader(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        home = lend(borrower, owner, generator)
        assert home._entry is stream.generator._entry
        assert home.completed() is stream.generator.completed()

    def test_all_copies_stand_for_one_object(self, owner: Session, borrower: Session, stream: Stream) -> None:
        copies = [lend(owner, borrower, stream.generator) for _ in range(2)]
        assert {remote_reader(copy).key.id for copy in copies} == {
            ids.object_id(owner.process_id, stream.inbox.number, STREAM_INDEX)
        }
        assert count(owner) == 2, "the stream and its end"
        copies.clear()
        assert count(owner, borrower) == 0

    def test_it_is_not_stopped_while_any_process_has_it(
        self, owner: Session, borrower: Session, third: Session, stream: Stream, generator: Generator
    ) -> None:
        other = lend(borrower, third, generator)
        stream.drop()
        other.close()
        del other
        settle(third, owner)
        assert stream.told == []
        stream.yields("for the borrower")
        assert read(borrower, generator, 1) == ["for the borrower"]

    def test_it_is_stopped_when_the_last_copy_is_gone_from_another_process(
        self, owner: Session, borrower: Session
    ) -> None:
        stream = Stream(owner)
        copy = lend(owner, borrower, stream.generator)
        stream.yields(0, 1)
        stream.drop()
        assert read(borrower, copy, 1) == [0]
        assert stream.told == []
        unread = weakref.ref(stream.inbox.items[0])
        del copy
        settle(borrower, owner)
        assert stream.told == [messages.StopStream(stream.inbox.number)]
        assert unread() is None

    def test_the_end_of_the_last_process_that_has_it_stops_it(self, owner: Session, borrower: Session) -> None:
        stream = Stream(owner)
        copy = lend(owner, borrower, stream.generator)
        stream.drop()
        end(borrower, owner)
        assert stream.told == [messages.StopStream(stream.inbox.number)]
        del copy

    def test_one_that_was_closed_before_its_copy_came_home_is_lost(self, owner: Session) -> None:
        stream = Stream(owner)
        key, completed = stream.generator.__reduce__()[1]
        oid, completed_id = key.binary(), completed.binary()
        del key, completed
        stream.drop()
        obtain = owner.objects.references.obtain
        with pytest.raises(exceptions.ObjectLostError, match="The generator was closed before this copy"):
            streams.rebuild(obtain(oid), obtain(completed_id))

    def test_one_that_was_closed_before_its_copy_arrived_elsewhere_has_ended(
        self, owner: Session, borrower: Session
    ) -> None:
        """The user has pickled it by himself, so that nobody has counted the copy."""
        stream = Stream(owner)
        pickled = pickle.dumps(stream.generator)
        owner.objects.references._pinned.clear()
        stream.drop()
        with acting_as(borrower):
            copy = pickle.loads(pickled)
        assert next(copy, None) is None


class TestPuttingBack:
    def test_what_was_asked_for_and_not_read_goes_to_the_next_reader(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        assert not generator.next_ready()
        stream.yields(0, 1)
        settle(owner, borrower)
        assert remote_reader(generator).items
        generator.close()
        settle(borrower, owner)
        assert stream.read(2) == [0, 1]
        assert next(generator, None) is None

    def test_what_arrives_after_it_was_closed_goes_back(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        assert not generator.next_ready()
        settle(borrower, owner)
        generator.close()
        stream.yields(0, 1)
        settle(owner, borrower)
        assert stream.read(2) == [0, 1]
        assert generator.is_finished()

    def test_what_arrives_after_it_was_dropped_goes_back(
        self, owner: Session, borrower: Session, third: Session, stream: Stream
    ) -> None:
        copy, other = lend(owner, borrower, stream.generator), lend(owner, third, stream.generator)
        assert not copy.next_ready()
        settle(borrower, owner)
        del copy
        stream.yields(0, 1)
        settle(owner, borrower)
        assert read(third, other, 2) == [0, 1]
        assert count(owner, borrower, third) == 2

    def test_what_one_that_is_dropped_has_not_read_goes_back(
        self, owner: Session, borrower: Session, stream: Stream
    ) -> None:
        copy = lend(owner, borrower, stream.generator)
        assert not copy.next_ready()
        stream.yields(0, 1)
        settle(owner, borrower)
        del copy
        settle(borrower, owner)
        assert stream.read(2) == [0, 1]

    def test_a_question_of_one_who_has_ended_takes_nothing(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        assert not generator.next_ready()
        settle(borrower, owner)
        assert len(stream.inbox.waiters) == 1
        end(borrower, owner)
        assert not stream.inbox.waiters
        stream.yields(0)
        assert stream.read(1) == [0]

    def test_an_asker_whose_connection_is_closed_takes_nothing(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        """The connection closes on one thread while another one wakes the asker."""
        assert not generator.next_ready()
        settle(borrower, owner)
        [asker] = stream.inbox.waiters
        end(borrower, owner)
        stream.yields(0)
        asker.ready(None)  # type: ignore[arg-type] # as a stream wakes it
        assert stream.read(1) == [0]

    def test_what_the_owner_no_longer_reads_is_dropped(self, owner: Session, borrower: Session) -> None:
        stream = Stream(owner)
        copy = lend(owner, borrower, stream.generator)
        assert not copy.next_ready()
        stream.yields(0)
        settle(owner, borrower)
        stream.generator.close()
        copy.close()
        settle(borrower, owner)
        assert not stream.inbox.items
        assert count(owner, borrower) == 2

    def test_what_is_put_back_of_a_stream_that_is_gone_is_dropped(self, owner: Session, borrower: Session) -> None:
        ref = owner.put("no stream's")
        [copy] = lend(owner, borrower, [ref])
        connection = next(iter(owner.peers.incoming()))
        for oid in copy.binary(), ids.object_id(owner.process_id, 12345, 1):
            owner.objects.streams.on_put_back(connection, messages.PutBack(oid))
        assert not owner.objects.streams._lent
        assert borrower.get(copy) == "no stream's"


class TestOwnerGone:
    @pytest.mark.parametrize("has_asked", [False, True])
    def test_its_end_is_the_last_reference(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator, has_asked: bool
    ) -> None:
        stream.yields(0)
        first = next(generator)
        if has_asked:
            assert not generator.next_ready()
        end(owner, borrower)
        assert borrower.get(first) == 0
        last = next(generator)
        assert last.binary()[:16] == borrower.process_id
        with pytest.raises(exceptions.OwnerDiedError, match="owner"):
            borrower.get(last)
        assert next(generator, None) is None

    def test_a_copy_can_be_closed_after_it(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        assert not generator.next_ready()
        settle(borrower, owner)
        end(owner, borrower)
        assert generator.next_ready()
        generator.close()  # the error is the borrower's own: there is nobody to give it back to
        settle(borrower)
        assert generator.is_finished()

    def test_what_a_reader_that_was_dropped_has_asked_for_is_forgotten(self, owner: Session, borrower: Session) -> None:
        stream = Stream(owner)
        copy = lend(owner, borrower, stream.generator)
        assert not copy.next_ready()
        del copy
        end(owner, borrower)
        assert not borrower.objects.streams._asking

    def test_a_connection_that_is_given_up_has_it_asked_again(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        dropped = lend(owner, borrower, Stream(owner).generator)
        with handled(owner, messages.AskNext) as asked:
            assert not generator.next_ready()
            assert not dropped.next_ready()
            settle(borrower, owner)
            del dropped
            give_up(owner, borrower)
            stream.yields(5)
            assert read(borrower, generator, 1) == [5]
        assert len(asked) == 3

    def test_one_whose_connection_is_given_up_just_when_it_asks_asks_again(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        with connection_given_up(borrower, owner):
            assert not generator.next_ready()
        stream.yields(0, 1)
        assert read(borrower, generator, 2) == [0, 1]

    def test_a_broken_socket_loses_nothing(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        assert not generator.next_ready()
        settle(borrower, owner)
        borrower.cut(owner)
        stream.yields(0, 1)
        assert read(borrower, generator, 2) == [0, 1]


class TestTorn:
    """Handlers and exceptions that come between two steps."""

    def test_an_answer_that_is_handled_twice_is_given_once(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        reader = remote_reader(generator)
        assert not generator.next_ready()
        stream.yields(0)
        handler = borrower.peers.handlers[messages.Next]

        def handle_twice(connection: Any, message: Any) -> None:
            handler(connection, message)
            borrower.objects.streams.on_next(connection, message)

        borrower.peers.handlers[messages.Next] = handle_twice
        settle(owner, borrower)
        assert len(reader.items) == 1
        assert read(borrower, generator, 1) == [0]

    def test_a_list_of_askers_that_is_taken_away_meanwhile_loses_none(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        asking: TornDict = TornDict(lambda: asking.clear())
        borrower.objects.streams._asking = asking
        stream.yields(5)
        assert read(borrower, generator, 1) == [5]

    def test_an_asker_that_another_reader_was_faster_than_sees_what_comes_meanwhile(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        """It is woken and finds the value taken; another thread brings the next one before it waits again."""

        class Arriving(Inbox):
            __slots__ = ()

            def add_waiter(self, waiter: Listener) -> bool:
                held = self.home.values.hold("value")
                self.items.append(Entry.made(self.home, self.number, held, 1))
                return super().add_waiter(waiter)

        assert not generator.next_ready()
        settle(borrower, owner)
        stream.inbox.__class__ = Arriving
        act(owner, stream.inbox.wake)
        assert read(borrower, generator, 1) == ["value"]

    def test_an_asker_that_finds_the_value_taken_waits_again(
        self, owner: Session, borrower: Session, stream: Stream, generator: Generator
    ) -> None:
        assert not generator.next_ready()
        settle(borrower, owner)
        [asker] = stream.inbox.waiters
        asker.ready(None)  # type: ignore[arg-type] # woken, and another reader was faster
        assert stream.inbox.waiters.count(asker) == 2
        stream.yields(0, 1)
        settle(owner, borrower)
        assert read(borrower, generator, 1) == [0]
        assert stream.read(1) == [1]

    def test_one_that_was_torn_while_it_was_made_is_freed_without_a_word(
        self, stream: Stream, generator: Generator
    ) -> None:
        for kind in type(stream.generator._entry), type(generator._entry):
            assert kind.__new__(kind).__del__() is None  # type: ignore[misc] # and raises nothing


def test_a_stream_that_this_process_does_not_know_has_ended(owner: Session, borrower: Session) -> None:
    [copy] = lend(owner, borrower, [owner.put("no stream")])
    connection = next(iter(owner.peers.incoming()))
    with handled(borrower, messages.Next) as answers:
        act(owner, lambda: owner.objects.streams.on_ask(connection, messages.AskNext(copy.binary())))
        settle(owner, borrower)
    assert answers == [messages.Next(copy.binary(), b"")]


def test_wait_takes_borrowed_generators(owner: Session, borrower: Session) -> None:
    first, second = Stream(owner), Stream(owner)
    generators = [lend(owner, borrower, stream.generator) for stream in (first, second)]
    second.yields(5)
    assert borrower.objects.waiting.wait([pending(borrower), *generators], 1, 10)[0] == [generators[1]]
    first.ends()
    assert borrower.objects.waiting.wait(generators, 2, 10) == (generators, [])
