"""Values on their way between sessions: in the message, or in shared memory."""

from __future__ import annotations

import gc
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lending import connection_from, count, end, give_up, lend, settle
from members import Member, Session

from nbactors import exceptions
from nbactors.actor import ActorHandle
from nbactors.definitions.importable import ForeignCodeError
from nbactors.local.connections.intake import MISSING
from nbactors.local.objects import values as values_module
from nbactors.local.objects.claims import Claims
from nbactors.local.objects.entry import Entry
from nbactors.local.objects.held import Held
from nbactors.local.objects.values import INLINE
from nbactors.local.store.arena import Arena
from nbactors.local.wire import failures, messages
from nbactors.pickling import pickling

LARGE = bytes(range(256)) * (1 << 12)


class Array:
    """A value whose bytes lie beside its pickle, as those of a numpy array."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return Array, (pickle.PickleBuffer(self.data),)


class TestSegments:
    def test_a_small_value_lies_in_the_message(self, owner: Session, borrower: Session) -> None:
        [copy] = lend(owner, borrower, [owner.put(b"x" * (INLINE - 1000))])
        assert len(borrower.get(copy)) == INLINE - 1000
        assert copy._entry.stored is None
        assert not connection_from(owner, borrower).claims.segments

    @pytest.mark.parametrize("value", [LARGE, Array(bytearray(LARGE))], ids=["pickled", "beside"])
    def test_a_large_one_lies_in_a_segment_that_is_held_as_long_as_it_is_read(
        self, owner: Session, borrower: Session, value: Any
    ) -> None:
        ref = owner.put(value)
        [copy] = lend(owner, borrower, [ref])
        read = borrower.get(copy)
        assert getattr(read, "data", read) == LARGE
        assert copy._entry.stored is not None
        held = connection_from(owner, borrower).claims.segments
        del ref, copy, read
        settle(borrower, owner)
        assert not held
        assert count(owner) == 0
        assert owner.store.free_bytes >= len(LARGE), "the segment can be used again"

    def test_it_stays_while_a_view_of_it_is_read_though_the_reference_is_gone(
        self, owner: Session, borrower: Session
    ) -> None:
        [copy] = lend(owner, borrower, [owner.put(Array(bytearray(LARGE)))])
        read = borrower.get(copy)
        assert memoryview(read.data).readonly
        del copy
        assert count(owner, borrower) == 0
        assert len(connection_from(owner, borrower).claims.segments) == 1
        assert owner.store.free_bytes == 0
        assert read.data == LARGE
        del read
        settle(borrower, owner)
        assert owner.store.free_bytes >= len(LARGE)

    def test_it_can_be_passed_on(self, owner: Session, borrower: Session, third: Session) -> None:
        copy = lend(owner, borrower, [owner.put(LARGE)])
        passed_on = lend(borrower, third, copy)
        assert third.get(passed_on[0]) == borrower.get(copy[0]) == LARGE
        assert len(connection_from(owner, third).claims.segments) == 1
        copy.clear()
        passed_on.clear()
        settle(borrower, third, owner)
        assert owner.store.free_bytes >= len(LARGE)

    def test_a_result_that_contains_it_can_be_passed_on_by_who_has_received_it(
        self, owner: Session, borrower: Session, third: Session
    ) -> None:
        """The value itself is borrowed from the owner, then lent anew from the same pages."""
        received = lend(owner, borrower, Array(bytearray(LARGE)))
        assert lend(borrower, third, received).data == LARGE

    @pytest.mark.parametrize("way", ["its end", "its connection's end"])
    def test_a_borrower_that_is_gone_has_the_segment_never_used_again(
        self, owner: Session, borrower: Session, way: str
    ) -> None:
        ref = owner.put(Array(bytearray(LARGE)))
        [copy] = lend(owner, borrower, [ref])
        read = borrower.get(copy)
        in_memory = owner.store.in_memory
        if way == "its end":
            end(borrower, owner)
        else:
            give_up(owner, borrower)
        del ref, copy
        owner.objects.process_gone(borrower.process_id)
        settle(owner)
        assert owner.store.free_bytes == 0
        assert owner.store.in_memory < in_memory, "it is left to the kernel"
        assert read.data == LARGE, "its pages are there as long as they are read"

    def test_a_hold_can_be_given_back_by_who_has_it_alone(
        self, owner: Session, borrower: Session, third: Session
    ) -> None:
        ref = owner.put(LARGE)
        [copy], [other] = lend(owner, borrower, [ref]), lend(owner, third, [ref])
        borrower.get(copy), third.get(other)
        mine, theirs = connection_from(owner, borrower), connection_from(owner, third)
        [number] = mine.claims.segments
        owner.objects.values.released(theirs, messages.ReleaseSegment(number))
        owner.objects.values.released(theirs, messages.ReleaseSegment(12345))
        assert mine.claims.segments == {number}
        assert len(theirs.claims.segments) == 1
        for _ in range(2):
            owner.objects.values.released(mine, messages.ReleaseSegment(number))
        assert not mine.claims.segments

    def test_free_segments_are_given_back_to_the_system_after_a_while(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected: list[str] = []
        monkeypatch.setattr(session.objects.values, "_expect_trim", lambda: expected.append("trim"))
        session.put("small")
        session.put(LARGE)
        assert expected == ["trim"]


class Receiving:
    """A connection of which the test says what has come with a message."""

    peer_id = b"p" * 16

    def __init__(self, fd: int = MISSING) -> None:
        self.unpacked: dict[int, Any] = {}
        self.sent: list[Any] = []
        self.forgotten: list[Any] = []
        self.claims = Claims()
        self.closed = False
        self.fd = fd
        self.on_sent: Callable[[], None] = lambda: None

    def take_fd(self, message: messages.Arena) -> int:
        return os.dup(self.fd) if self.fd != MISSING else MISSING

    def forget_fd(self, message: messages.Arena) -> None:
        self.forgotten.append(message)

    def send(self, message: Any) -> None:
        self.sent.append(message)
        self.on_sent()

    send_now = send


Make = Callable[..., Any]


@pytest.fixture
def receiving(session: Session) -> Iterator[Make]:
    """Makes connections, of a class, on which a file comes. They are closed at the end."""
    made: list[Receiving] = []

    def make(fd: int = MISSING, cls: type[Receiving] = Receiving) -> Receiving:
        made.append(cls(fd))
        return made[-1]

    yield make
    for connection in made:
        connection.unpacked.clear()
        session.objects.values.closed(connection)  # type: ignore[arg-type]


@pytest.fixture
def file() -> Iterator[int]:
    """A file of the size of an arena."""
    with tempfile.TemporaryFile() as opened:
        opened.truncate(1 << 20)
        opened.write(pickling.dumps("a value").data)
        opened.flush()
        yield opened.fileno()


class TestReceiving:
    ARENA = messages.Arena(3, 1 << 20)
    VALUE = messages.Value(b"", segment=messages.Segment(7, 3, 0, 1 << 20, [(0, 1 << 20)]))

    def test_an_arena_without_its_descriptor_is_asked_for_again_when_a_value_is_read(
        self, session: Session, receiving: Make, file: int
    ) -> None:
        values, arenas, connection = session.objects.values, session.objects.arenas, receiving()

        def announce() -> None:
            connection.unpacked.clear()  # as at the end of each message
            arenas.announced(connection, self.ARENA)

        announce()
        held = values.receive(connection, self.VALUE)
        assert connection.sent == []
        connection.on_sent = announce
        with pytest.raises(exceptions.RaySystemError, match="a large value could not be received"):
            held.load()
        connection.fd = file
        assert held.load() == "a value"
        assert connection.forgotten == [self.ARENA] * 3

    def test_an_arena_that_is_larger_than_its_file_is_refused(
        self, session: Session, receiving: Make, file: int
    ) -> None:
        arena = messages.Arena(3, (1 << 20) + 1)
        with pytest.raises(exceptions.RaySystemError, match="larger than its file"):
            session.objects.arenas.announced(receiving(file), arena)

    @pytest.mark.parametrize(("arena", "offset"), [(4, 0), (3, 1)], ids=["not announced", "too short"])
    def test_a_value_outside_of_all_arenas_is_refused(
        self, session: Session, receiving: Make, file: int, arena: int, offset: int
    ) -> None:
        values, connection = session.objects.values, receiving(file)
        session.objects.arenas.announced(connection, self.ARENA)
        value = messages.Value(b"", segment=messages.Segment(7, arena, offset, 1 << 20, []))
        with pytest.raises(exceptions.RaySystemError, match="not in any of its arenas"):
            values.receive(connection, value)

    def test_an_arena_that_comes_twice_is_one(self, session: Session, receiving: Make, file: int) -> None:
        """The handling of the message was aborted, or two threads of the sender have announced the arena."""
        first, second = receiving(file), receiving(file)
        for connection in (first, first, second):
            session.objects.arenas.announced(connection, self.ARENA)
        assert first.claims.received[3] is second.claims.received[3]

    def test_the_descriptor_of_an_arena_is_taken_once_though_its_message_is_handled_again(
        self, session: Session, receiving: Make, file: int
    ) -> None:
        """An asynchronous exception has come after the connection has forgotten the descriptor."""
        arena = messages.Arena(3, 1 << 20, True)
        for fd in (file, MISSING):
            connection = receiving(fd)
            session.objects.arenas.announced(connection, arena)
            connection.take_fd = None  # type: ignore[assignment, method-assign]
            session.objects.arenas.announced(connection, arena)
            assert connection.claims.received[3].size == 1 << 20

    def test_a_lost_value_is_told_from_an_error_of_the_call(self) -> None:
        lost = failures.encode_loss(exceptions.RaySystemError("its caller could not be reached"))
        assert failures.loss(lost) == "its caller could not be reached"
        assert failures.loss(failures.encode(exceptions.RaySystemError("another"))) == ""
        assert failures.loss(failures.encode_task_error("work", "", exceptions.RaySystemError("a task's"), 1)) == ""

    def test_a_message_that_is_handled_twice_is_taken_over_once(self, owner: Session, borrower: Session) -> None:
        ref = owner.put("inside")
        held = owner.objects.values.hold([ref])
        outgoing = Outgoing(borrower)
        value = owner.objects.values.pack(outgoing, held, False)  # type: ignore[arg-type]
        connection = Receiving()
        first = borrower.objects.values.receive(connection, value)  # type: ignore[arg-type]
        assert borrower.objects.values.receive(connection, value) is first  # type: ignore[arg-type]
        assert [inside._entry.tokens for inside in first.contained] == [1]
        connection.unpacked.clear()
        del first
        assert count(owner, borrower) == 0

    def test_a_hold_that_was_taken_over_twice_is_given_back_once(
        self, session: Session, receiving: Make, file: int
    ) -> None:
        """An interrupt has torn the handling after the block was taken over, and before that was noted."""
        connection = receiving(file, TornReceiving)
        connection.unpacked.torn = True
        session.objects.arenas.announced(connection, self.ARENA)
        connection.unpacked.torn = False
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            session.objects.values.receive(connection, self.VALUE)
        held = session.objects.values.receive(connection, self.VALUE)
        gc.collect()
        settle(session)
        assert connection.sent == []
        connection.unpacked.clear()
        del held
        settle(session)
        assert connection.sent == [messages.ReleaseSegment(7)]


class TestArenas:
    def test_its_descriptor_is_sent_once_for_many_values(self, owner: Session, borrower: Session) -> None:
        refs = [owner.put(LARGE) for _ in range(5)]
        copies = lend(owner, borrower, refs)
        assert all(borrower.get(copy) == LARGE for copy in copies)
        assert len(connection_from(owner, borrower).claims.sent) == 1
        assert len(_received(borrower)) == 1

    def test_a_closed_arena_is_forgotten_by_all_that_it_was_passed_on_to(
        self, owner: Session, borrower: Session, third: Session
    ) -> None:
        copy = lend(owner, borrower, [owner.put(LARGE)])
        passed_on = lend(borrower, third, lend(borrower, third, copy))
        assert third.get(passed_on[0]) == LARGE
        copy.clear()
        passed_on.clear()
        settle(borrower, third, owner)
        owner.store.trim()
        settle(owner, borrower, third)
        assert owner.store.in_memory == 0
        for member in (owner, borrower, third):
            for connection in [*member.peers.outgoing(), *member.peers.incoming()]:
                assert (connection.claims.sent, connection.claims.received) == ({}, {})

    def test_it_is_sent_again_to_a_peer_that_has_got_no_descriptor(self, owner: Session, borrower: Session) -> None:
        [copy] = lend(owner, borrower, [owner.put(LARGE)])
        borrower.get(copy)
        [arena] = _received(borrower).values()
        arena.fd = None
        arena.drop_mappings()
        assert borrower.get(copy) == LARGE


def _received(member: Member) -> dict[int, Arena]:
    """Return the arenas that a member has from the one other member."""
    [connection] = member.peers.outgoing()
    received: dict[int, Arena] = connection.claims.received
    return received


class Outgoing:
    """A connection to a member, as far as packing looks at it."""

    def __init__(self, member: Member) -> None:
        self.peer_id = member.process_id


class TornReceiving(Receiving):
    """An interrupt comes when what was unpacked is about to be noted."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self.unpacked = TornNotes()


class TornNotes(dict[int, Any]):
    torn = False

    def __setitem__(self, key: int, value: Any) -> None:
        if not self.torn:
            self.torn = True
            raise KeyboardInterrupt
        super().__setitem__(key, value)


class Counter:
    pass


class TestContents:
    def test_a_handle_in_a_value_makes_the_receiver_a_holder_of_the_actor(
        self, owner: Session, borrower: Session
    ) -> None:
        link = owner.prepare(Counter)
        handle = lend(owner, borrower, [ActorHandle(link, link.meta, owner.holds[link.actor_id])])[0]
        assert handle._link.actor_id == link.actor_id
        assert handle._link is not link
        assert handle._hold.tokens == 1
        hold = owner.node_end.expect(messages.AddHold)
        assert (hold.actor_id, hold.process_id) == (link.actor_id, borrower.process_id)

    def test_a_weak_handle_in_a_value_makes_the_receiver_a_watcher(self, owner: Session, borrower: Session) -> None:
        link = owner.prepare(Counter)
        handle = lend(owner, borrower, [ActorHandle(link, link.meta)])[0]
        assert handle._hold is None
        assert handle._link.watches == 1
        watch = borrower.node_end.expect(messages.AddHold)
        assert watch == messages.AddHold(link.actor_id, borrower.process_id, 1, weak=True)
        assert not [message for message in owner.node_end.arrived() if type(message) is messages.AddHold]

    def test_small_buffers_travel_in_the_message_and_are_read_only(self, owner: Session, borrower: Session) -> None:
        read = lend(owner, borrower, Array(bytearray(b"small")))
        assert read.data == b"small"
        assert memoryview(read.data).readonly

    def test_what_does_not_pickle_is_refused_with_the_part_at_fault(self, session: Session) -> None:
        with pytest.raises(TypeError, match="cannot pickle"):
            session.objects.values.hold({"generator": (number for number in range(3))})


class TestHeld:
    def test_a_small_value_alone_is_plain(self, session: Session) -> None:
        hold = session.objects.values.hold
        assert hold(5).plain
        assert not Held(b"", error=True).plain
        assert not hold([session.put(5)]).plain
        assert not hold(Array(b"small")).plain
        assert not hold(LARGE).plain

    @pytest.mark.parametrize("value", [5, LARGE])
    def test_it_can_be_unpickled_without_an_entry(self, session: Session, value: Any) -> None:
        assert session.objects.values.hold(value).load() == value

    def test_buffers_are_unpickled_too(self, session: Session) -> None:
        assert session.objects.values.hold(Array(b"small")).load().data == b"small"
        assert session.objects.values.hold(Array(LARGE)).load().data == LARGE


class Unpicklable:
    """Raises when it is unpickled, as often as `errors` has something to raise."""

    errors: list[BaseException] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild, ()


def rebuild() -> str:
    if Unpicklable.errors:
        raise Unpicklable.errors.pop()
    return "unpickled"


class TestLoading:
    """What `get` says where a value does not unpickle in this process."""

    @pytest.fixture
    def entry(self, session: Session) -> Entry:
        return session.put(Unpicklable())._entry  # type: ignore[no-any-return]

    def test_an_error_that_comes_again_is_the_value_s(
        self, session: Session, entry: Entry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Unpicklable, "errors", [ImportError("no module"), ImportError("no module")])
        with pytest.raises(exceptions.RaySystemError, match="could not be unpickled here") as caught:
            session.objects.values.load(entry)
        assert f"the value of ObjectRef({entry.id.hex()}) could not be unpickled here" in str(caught.value)
        assert str(caught.value).endswith("ImportError: no module. Is its module importable in this process?")
        assert isinstance(caught.value.__cause__, ImportError)

    def test_code_of_another_installation_needs_no_hint(
        self, session: Session, entry: Entry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        error = ForeignCodeError((3, 11), (3, 13), "work", "cell")
        monkeypatch.setattr(Unpicklable, "errors", [error, error])
        with pytest.raises(exceptions.RaySystemError, match=r"so that it travels by its name\.$"):
            session.objects.values.load(entry)

    @pytest.mark.parametrize("errors", [["once"], ["another", "once"]], ids=["once", "then another"])
    def test_an_error_that_does_not_come_again_is_a_handler_s(
        self, session: Session, entry: Entry, monkeypatch: pytest.MonkeyPatch, errors: list[str]
    ) -> None:
        kinds = {"once": TimeoutError("a handler's"), "another": LookupError("none")}
        monkeypatch.setattr(Unpicklable, "errors", [kinds[name] for name in errors])
        with pytest.raises(TimeoutError, match="a handler's"):
            session.objects.values.load(entry)
        assert session.objects.values.load(entry) == "unpickled"


def test_a_value_that_is_pickled_already_is_held_like_any_other(session: Session) -> None:
    held = session.objects.values.hold_pickled(pickling.dumps(LARGE))
    assert held.stored is not None
    assert held.stored.size > values_module.INLINE
    assert held.load() == LARGE
