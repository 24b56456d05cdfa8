"""The compiled part does what the steps in Python do, and never half of it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import os
import random
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest

from nbactors import speedups
from nbactors.local.connections.connection import Connection
from nbactors.local.connections.intake import Mark
from nbactors.local.connections.peer_connection import PeerConnection
from nbactors.local.reactor.brisk_selector import BriskSelector
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.wire import messages
from nbactors.local.wire.framing import FrameError, peer_codec

pytestmark = pytest.mark.skipif(speedups.compiled is None, reason=f"no compiled part: {speedups.why_not}")

compiled: Any = speedups.compiled
HELLO = messages.Hello(messages.PROTOCOL_VERSION, b"p" * 16, 1, "peer", "1")


def reply(number: int, data: bytes = b"") -> messages.Reply:
    return messages.Reply(number, data)


class Receiver:
    """A connection whose socket a test writes to."""

    def __init__(self) -> None:
        self.reactor = Reactor("test")
        self.far, near = socket.socketpair()
        self.handled: list[Any] = []
        self.closed: list[str] = []
        self.on_message: Callable[[Any], object] = self.handled.append
        self.connection = PeerConnection(self.reactor, near, self._take, self._note_close, self._note_close)
        self.connection.start()
        self.write(peer_codec().encode([HELLO, reply(0)]))
        self.write(peer_codec().encode([reply(0)]))  # the first frame that counts is received by the steps in Python
        self.handled.clear()

    def _take(self, connection: Connection, message: Any) -> None:
        self.on_message(message)

    def _note_close(self, connection: Connection, why: str) -> None:
        self.closed.append(why)

    def write(self, data: bytes) -> None:
        self.far.sendall(data)
        self.reactor.visit()

    def close(self) -> None:
        self.far.close()
        self.connection.close()
        self.reactor.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def quick_receives(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What each call of the compiled receive has returned."""
    returned: list[bool] = []
    quickly = compiled.ConnectionBase._receive_quickly

    def note(connection: PeerConnection) -> bool:
        returned.append(quickly(connection))
        return returned[-1]

    monkeypatch.setattr(PeerConnection, "_receive_quickly", note, raising=False)
    return returned


def test_whole_frames_are_received_quickly_and_their_messages_are_handled_in_order(receiver, quick_receives):
    receiver.write(peer_codec().encode([reply(1), reply(2)], 3) + peer_codec().encode([reply(3)], 5))
    assert [message.number for message in receiver.handled] == [1, 2, 3]
    assert quick_receives == [True]
    assert (receiver.connection.received, receiver.connection._acknowledged) == (3, 5)


def test_a_frame_without_messages_acknowledges_and_does_not_count(receiver, quick_receives):
    receiver.write(peer_codec().encode([], 7))
    assert quick_receives == [True]
    assert (receiver.connection.received, receiver.connection._acknowledged) == (1, 7)


def test_what_ends_in_the_middle_of_a_frame_is_completed_by_the_steps_in_python(receiver):
    frame = peer_codec().encode([reply(1)])
    for split in range(1, len(frame)):
        receiver.write(frame[:split])
        assert not receiver.handled
        receiver.write(frame[split:])
        assert [message.number for message in receiver.handled] == [1]
        receiver.handled.clear()


def test_any_cut_of_the_stream_gives_the_same_messages(receiver):
    rng = random.Random(20)
    for _ in range(100):
        numbers = list(range(rng.randrange(1, 60)))
        frames, rest = [], list(numbers)
        while rest:
            size = rng.randrange(1, 10)
            batch = [reply(number, bytes(rng.choice((0, 10, 5000)))) for number in rest[:size]]
            frames.append(peer_codec().encode(batch))
            rest = rest[size:]
        stream = b"".join(frames)
        cuts = sorted({0, len(stream), *(rng.randrange(len(stream)) for _ in range(rng.randrange(6)))})
        receiver.handled.clear()
        for begin, end in itertools.pairwise(cuts):
            sender = threading.Thread(target=receiver.far.sendall, args=(stream[begin:end],))
            sender.start()
            while sender.is_alive():
                receiver.reactor.visit()
            sender.join()
        until = monotonic() + 10
        while len(receiver.handled) < len(numbers) and monotonic() < until:
            receiver.reactor.visit()
        assert [message.number for message in receiver.handled] == numbers
        assert not receiver.closed


@pytest.mark.parametrize("body", [b"\xc1", b"\x91\x92", b"\x80"], ids=["no-msgpack", "cut-off", "no-list"])
def test_a_malformed_frame_closes_the_connection_with_the_reason(receiver, body):
    receiver.write((8 + len(body)).to_bytes(4, "big") + bytes(8) + body)
    assert "malformed frame" in receiver.closed[0]


@pytest.mark.parametrize("length", [0, 7, 0xFFFFFFFF])
def test_a_frame_of_an_impossible_length_is_left_to_the_steps_in_python(receiver, length):
    receiver.write(length.to_bytes(4, "big") + bytes(12))
    if length > 8:
        assert "exceeds the limit" in receiver.closed[0]
    else:
        assert not receiver.handled


def test_the_end_of_the_stream_is_told(receiver):
    receiver.far.shutdown(socket.SHUT_WR)
    receiver.reactor.visit()
    assert receiver.closed == ["the other side closed the connection"]


def test_an_error_of_the_socket_is_told(receiver, quick_receives):
    receiver.connection.send_now(reply(1))
    receiver.far.close()  # without having read
    receiver.reactor.visit()
    assert receiver.closed == ["the connection broke: Connection reset by peer"]
    assert quick_receives == [True]
    assert receiver.reactor.reading is None


@pytest.mark.parametrize("has_fd", [False, True])
def test_no_lack_of_memory_loses_what_was_received(receiver, has_fd):
    """The handling of a message may be repeated; but no message is lost, and none is out of order."""
    testcapi = pytest.importorskip("_testcapi")
    receive = receiver.connection._receive_quickly

    def handle(message: Any) -> None:
        receiver.handled.append(getattr(message, "number", 0))
        receiver.connection.forget_fd(message)

    receiver.on_message = handle
    opened = os.listdir("/proc/self/fd")
    for first in range(30):
        receiver.handled.clear()
        stream = peer_codec().encode([messages.Arena(1, 1, has_fd)]) + peer_codec().encode([reply(1, bytes(3000))])
        socket.send_fds(receiver.far, [stream], [receiver.far.fileno()] if has_fd else [])
        receiver.connection.go_on = lambda: None  # the steps in Python have memory again
        testcapi.set_nomemory(first, first + 3)
        try:
            receive()
        except MemoryError:
            pass
        finally:
            testcapi.remove_mem_hooks()
        del receiver.connection.go_on
        receiver.reactor.visit()
        receiver.write(peer_codec().encode([reply(2)]))
        assert [number for number, _ in itertools.groupby(receiver.handled)] == [0, 1, 2]
        assert receiver.connection.received == 1 + 3 * (first + 1)
    assert not receiver.closed
    assert len(os.listdir("/proc/self/fd")) == len(opened)


def test_descriptors_are_left_to_the_steps_in_python(receiver):
    taken: list[int] = []
    receiver.on_message = lambda message: taken.append(receiver.connection.take_fd(message))
    reader, writer = os.pipe()
    socket.send_fds(receiver.far, [peer_codec().encode([messages.Arena(1, 1, True)])], [reader])
    receiver.reactor.visit()
    os.close(reader)
    os.write(writer, b"same")
    os.close(writer)
    assert os.read(taken[0], 9) == b"same"
    os.close(taken[0])


def test_a_handler_that_raises_is_called_again_and_the_next_messages_are_handled(receiver):
    failures = [LookupError("once")]

    def handle(message: Any) -> None:
        if failures:
            raise failures.pop()
        receiver.handled.append(message.number)

    receiver.on_message = handle
    with pytest.raises(LookupError, match="once"):
        receiver.write(peer_codec().encode([reply(1), reply(2)]))
    receiver.reactor.visit()
    assert receiver.handled == [1, 1, 2]  # again, and once more when the leader goes on, as by the steps in Python
    assert receiver.reactor.reading is None


def test_a_handler_that_refuses_a_message_closes_the_connection(receiver):
    def refuse(message: Any) -> None:
        raise FrameError("not this one")

    receiver.on_message = refuse
    receiver.write(peer_codec().encode([reply(1), reply(2)]))
    assert receiver.closed == ["not this one"]


def test_a_handler_that_waits_inside_handles_the_message_again(receiver):
    """As a signal handler that interrupts the handling of a message, and waits."""
    seen: list[int] = []

    def handle(message: Any) -> None:
        seen.append(message.number)
        if seen == [1]:
            receiver.connection.go_on()

    receiver.on_message = handle
    receiver.write(peer_codec().encode([reply(1), reply(2)]))
    assert seen == [1, 1, 2]


def test_a_mark_that_a_wait_inside_has_left_is_no_message(receiver):
    """As if an exception had ended a wait of a signal handler, which has read the end of the stream."""
    marked: list[str] = []

    def handle(message: Any) -> None:
        receiver.handled.append(message)
        if message == reply(1):
            receiver.connection._messages[:0] = [Mark(lambda: marked.append("mark"))]

    receiver.on_message = handle
    receiver.write(peer_codec().encode([reply(1)]))
    assert marked == ["mark"]
    assert receiver.handled == [reply(1)]
    assert not receiver.closed


def test_a_handler_that_is_replaced_meanwhile_is_called(receiver):
    """As by a finalizer, which runs when the message before is let go."""

    class Last:
        def __del__(self) -> None:
            handlers.clear()

    def handler() -> Callable[[Any, Any], None]:
        return lambda connection, message: receiver.handled.append(message.number)

    handlers: dict[type, Callable[[Any, Any], None]] = {messages.Call: handler()}
    receiver.connection.route(handlers, frozenset({messages.Call}))
    receiver.connection._begun = Last()
    receiver.write(peer_codec().encode([messages.Call(1, "f", b"")]))
    assert receiver.handled == [1]


@pytest.mark.parametrize("name", ["sock", "_outbox", "_chunks", "_messages", "_reactor", "_handlers", "after_batch"])
def test_what_was_deleted_is_left_to_the_steps_in_python(receiver, name):
    def delete(message: Any) -> None:
        delattr(receiver.connection, name)
        assert not receiver.connection._receive_quickly()
        assert not receiver.connection._send_quickly()
        assert receiver.connection._send_now_quickly(reply(1), None) is None

    receiver.on_message = delete
    kept = getattr(receiver.connection, name)
    receiver.far.sendall(peer_codec().encode([reply(1)]))
    try:
        with contextlib.suppress(AttributeError):
            receiver.connection._receive_quickly()
    finally:
        setattr(receiver.connection, name, kept)
        receiver.reactor.reading = None


def test_a_handler_that_closes_the_connection_is_the_last_one(receiver):
    seen: list[int] = []

    def handle(message: Any) -> None:
        seen.append(message.number)
        receiver.connection.close("enough")

    receiver.on_message = handle
    receiver.write(peer_codec().encode([reply(1), reply(2)]))
    assert seen == [1]
    assert receiver.closed == ["enough"]


def test_nothing_is_lost_where_the_socket_is_full(receiver):
    receiver.far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    read = bytearray()

    def collect() -> None:
        while data := receiver.far.recv(1 << 16):
            read.extend(data)

    reader = threading.Thread(target=collect)
    sizes = [10, 300_000, 0, 70_000, 10]
    for number, size in enumerate(sizes):
        receiver.connection.send_now(reply(number, bytes(size)))
    assert receiver.connection.unsent
    reader.start()
    until = monotonic() + 10
    while receiver.connection.unsent and monotonic() < until:
        receiver.reactor.visit()
    receiver.connection.close()
    reader.join()
    found, rest = [], bytes(read)
    while rest:
        length = int.from_bytes(rest[:4], "big") + 4
        found += peer_codec().decode(rest[4:length])
        rest = rest[length:]
    assert [(message.number, len(message.data)) for message in found] == list(enumerate(sizes))


def test_a_forked_child_sends_on_no_other_file_of_the_same_number(receiver):
    number = receiver.connection.sock.fileno()
    receiver.reactor.unregister(number)
    receiver.connection.forget()
    ends = socket.socketpair()
    near, far = ends if ends[0].fileno() == number else ends[::-1]
    assert near.fileno() == number
    receiver.connection.send_now(reply(1))
    assert not select.select([far], [], [], 0)[0]
    far.send(b"of another one")
    receiver.connection._on_ready(selectors.EVENT_READ)
    assert near.recv(99) == b"of another one"
    near.close()
    far.close()


def test_text_that_no_encoding_knows_is_escaped_by_the_steps_in_python(receiver):
    receiver.connection.send_now(messages.Call(1, "f\ud800", b""))
    assert b"f\\ud800" in receiver.far.recv(1 << 16)


def test_round_trips_leave_no_object_behind(receiver):
    def trips(count: int) -> None:
        for number in range(count):
            receiver.write(peer_codec().encode([reply(number), reply(number)], receiver.connection._forgotten))
            receiver.connection.send_now(reply(number))
            receiver.far.recv(1 << 16)
            receiver.handled.clear()
            receiver.connection._kept.clear()

    trips(200)
    gc.collect()
    before = sys.getallocatedblocks()
    trips(2000)
    gc.collect()
    assert sys.getallocatedblocks() - before < 200


@pytest.mark.parametrize("collects", [True, False])
def test_the_garbage_collector_is_as_it_was(receiver, collects):
    was = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        receiver.write(peer_codec().encode([reply(1)]))
        receiver.write(b"\0\0\0\x09" + bytes(8) + b"\xc1")
        receiver.connection.send_now(reply(1))
        assert gc.isenabled() == collects
    finally:
        (gc.enable if was else gc.disable)()


# ------------------------------------------------------------------------------------------------------------- polling


class Watched:
    """A pipe that a selector watches."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.selector: Any = BriskSelector()
        self.key = self.selector.register(self.reader, selectors.EVENT_READ, "data")
        self.look = self.selector._look_quickly
        self.select = self.selector._select_quickly

    def spin_for(self, seconds: float, *, aside: float = 10.0) -> None:
        """Have the next `select` spin for this time, unless the processor comes back later than after `aside`."""
        self.selector._may_spin = self.selector._is_brisk = True
        self.selector._spin_s, self.selector._aside_s = seconds, aside

    def close(self) -> None:
        self.selector.close()
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.close()


def test_a_poll_returns_keys_and_masks(watched):
    assert watched.look(0) == []
    os.write(watched.writer, b"x")
    assert watched.look(None) == watched.select(None) == [(watched.key, selectors.EVENT_READ)]


def test_a_descriptor_without_a_key_is_left_out(watched):
    os.write(watched.writer, b"x")
    watched.selector._fd_to_key.clear()
    assert watched.look(0) == []


@pytest.mark.parametrize("seconds", [0.0001, 0.02])
def test_a_poll_is_never_shorter_than_its_timeout(watched, seconds):
    began = monotonic()
    assert watched.look(seconds) == []
    assert seconds <= monotonic() - began < 5


def test_other_threads_run_while_a_poll_sleeps(watched):
    writer = threading.Thread(target=os.write, args=(watched.writer, b"x"))
    writer.start()
    assert watched.look(10)
    writer.join()


def test_a_signal_handler_runs_in_a_poll_that_goes_on(watched):
    ran: list[int] = []

    def handle(number: int, frame: object) -> None:
        ran.append(number)
        os.write(watched.writer, b"x")

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert watched.look(10)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ran == [signal.SIGALRM]


def test_what_a_signal_handler_raises_ends_a_poll(watched):
    def handle(number: int, frame: object) -> None:
        raise LookupError("from the handler")

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(LookupError, match="from the handler"):
            watched.look(10)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signal_that_comes_while_it_spins_does_not_wait_for_the_end_of_the_sleep(watched):
    def handle(number: int, frame: object) -> None:
        raise LookupError("from the handler")

    watched.spin_for(0.1)
    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(LookupError, match="from the handler"):
            watched.select(10)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_poll_of_what_is_no_epoll_fails(watched):
    watched.selector._epoll_fd = watched.reader
    with pytest.raises(OSError, match="Invalid argument"):
        watched.look(0)
    watched.selector._epoll_fd = -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        watched.select(1)


def test_spinning_finds_at_once_what_is_there(watched):
    watched.spin_for(5.0)
    os.write(watched.writer, b"x")
    assert watched.select(None) == [(watched.key, selectors.EVENT_READ)]
    assert watched.selector.found_at_once


def test_spinning_ends_with_its_time_and_finds_what_comes_meanwhile(watched):
    watched.spin_for(0.005)
    began = monotonic()
    assert watched.select(0.005) == []
    assert 0.005 <= monotonic() - began < 5
    watched.spin_for(10.0)
    writer = threading.Thread(target=os.write, args=(watched.writer, b"x"))
    writer.start()  # it needs the GIL, which a spinning thread does not keep
    assert watched.select(10.0)
    writer.join()


def test_spinning_ends_when_the_processor_was_taken(watched):
    watched.spin_for(0.01, aside=0.0)
    assert watched.select(0.02) == []
    assert watched.selector._rests_until > monotonic()


def test_a_selector_that_rests_glances_and_then_skips_waits_as_the_steps_in_python(watched):
    def rest(seconds: float) -> None:
        watched.spin_for(0.001)
        watched.selector._rests_until = monotonic() + 1000
        watched.selector._glance_s = seconds

    def select(timeout: float) -> bool:
        rest(0.003)
        began = monotonic()
        before = watched.selector._skips
        assert watched.select(timeout) == []
        assert monotonic() - began >= timeout
        return bool(before == 0)

    assert [next(n for n in itertools.count() if select(0.01)) for _ in range(4)] == [0, 1, 2, 4]
    watched.selector._last_skips, watched.selector._skips = 48, 0
    assert select(0.02)
    assert watched.selector._skips == 64
    watched.selector._skips = 0
    os.write(watched.writer, b"x")
    rest(10.0)
    assert watched.select(None)
    assert watched.selector.found_at_once
    os.read(watched.reader, 1)
    assert (watched.selector._skips, watched.selector._last_skips) == (0, 0)
    rest(10.0)
    writer = threading.Thread(target=os.write, args=(watched.writer, b"x"))
    writer.start()  # it needs the GIL, which a glance does not keep
    assert watched.select(10.0)
    writer.join()


# ------------------------------------------------------------------------------------------------------------- waiting

ATTRIBUTES = [
    "_selector",
    "leader",
    "reading",
    "followers",
    "dirty",
    "trash",
    "left_steps",
    "_timers",
    "guard",
    "shelter",
]
"""The attributes of a reactor that are objects."""


@pytest.fixture(params=[True, False], ids=["compiled", "in-python"])
def waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reactor]:
    """A reactor in one of the two forms."""
    if not request.param:
        monkeypatch.setattr(Reactor, "_wait_quickly", lambda *_: None)
        monkeypatch.setattr(Reactor, "_poll_quickly", lambda *_: False)
        monkeypatch.setattr(Reactor, "_visit_quickly", lambda *_: None)
    made = Reactor("test")
    yield made
    made.close()


class Shelter:
    """A handler of SIGINT that is noted, as the runtime's are."""

    def __init__(self) -> None:
        self.handler = self._on_signal
        self.due = False
        self.sleeper: Any = None
        self.error: BaseException | None = KeyboardInterrupt("due")

    def _on_signal(self, number: int, frame: object) -> None:
        self.due = True
        if self.sleeper is not None:
            self.sleeper.interrupt()

    def raise_due(self) -> None:
        self.due = False
        if self.error is not None:
            raise self.error


@pytest.fixture
def shelter(waiting: Reactor) -> Iterator[Shelter]:
    made = Shelter()
    before = signal.signal(signal.SIGINT, made.handler)
    waiting.shelter = made
    yield made
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGINT, before)


def test_a_wait_ends_with_its_result_its_time_or_its_reactor(waiting, shelter):
    done, late, over = Waiter(), Waiter(), Waiter()
    waiting.call_later(0.001, done.finish)
    assert waiting.wait(done, None) is True
    assert (waiting.leader, shelter.sleeper, done.led is waiting) == (None, None, True)
    began = monotonic()
    assert waiting.wait(late, 0.01) is False
    assert monotonic() - began >= 0.01
    assert waiting.wait(late, 0) is False
    waiting.call_later(0.001, lambda: setattr(waiting, "closed", True))
    assert waiting.wait(over, None) is False
    assert (waiting.leader, shelter.sleeper) == (None, None)


def test_a_signal_that_is_due_ends_a_wait(waiting, shelter):
    waiter = Waiter()
    waiting.call_later(0.001, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match="due"):
        waiting.wait(waiter, 30)
    assert (waiting.leader, shelter.sleeper, shelter.due, waiter.interrupted) == (None, None, False, False)
    shelter.due = True
    with pytest.raises(KeyboardInterrupt, match="due"):
        waiting.wait(waiter, 30)


def test_a_wait_goes_on_after_a_signal_that_raises_nothing(waiting, shelter):
    shelter.error = None
    waiter = Waiter()
    waiting.call_later(0.001, lambda: signal.raise_signal(signal.SIGINT))
    waiting.call_later(0.02, waiter.finish)
    assert waiting.wait(waiter, 30)


def test_a_wait_that_is_interrupted_without_a_signal_ends(waiting, shelter):
    waiter = Waiter()
    waiting.call_later(0.001, waiter.interrupt)
    assert not waiting.wait(waiter, 30)
    assert (waiter.interrupted, waiting.leader, shelter.sleeper) == (True, None, None)


def test_what_a_handler_of_another_signal_raises_ends_a_wait_and_the_leadership(waiting, shelter):
    def handle(number: int, frame: object) -> None:
        raise LookupError("from the handler")

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(LookupError, match="from the handler"):
            waiting.wait(Waiter(), 30)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert (waiting.leader, shelter.sleeper) == (None, None)


def test_an_error_of_the_handing_on_has_the_first_error_as_its_context(waiting, shelter, monkeypatch):
    def handle(number: int, frame: object) -> None:
        raise LookupError("from the handler")

    def fail() -> None:
        raise KeyboardInterrupt("while it handed on")

    before = signal.signal(signal.SIGALRM, handle)
    waiting.parked = True
    monkeypatch.setattr(waiting, "pass_on", fail)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(KeyboardInterrupt, match="while it handed on") as caught:
            waiting.wait(Waiter(), 30)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert isinstance(caught.value.__context__, LookupError)
    assert (waiting.leader, shelter.sleeper) == (None, None)


def test_a_deadline_before_the_clock_began_is_over(waiting, shelter):
    assert waiting.wait(Waiter(), -1e9) is False
    assert waiting.wait(Waiter(), float("-inf")) is False


def test_a_signal_that_is_due_is_raised_though_the_handler_has_changed(waiting, shelter):
    left: list[int] = []

    class Guard:
        def nudge(self) -> None:
            pass

        def left(self) -> None:
            left.append(1)

    def change() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.signal(signal.SIGINT, lambda *_: None)

    waiting.guard = Guard()
    waiting.call_later(0, change)
    before = waiting.stints
    with pytest.raises(KeyboardInterrupt, match="due"):
        waiting.wait(Waiter(), 30)
    assert (len(left), waiting.stints - before) == (1, 1)


def contexts(error: BaseException | None) -> list[type[BaseException]]:
    found = []
    while error is not None:
        found.append(type(error))
        error = error.__context__
    return found


def test_an_error_of_a_callback_keeps_its_own_context(waiting):
    reader, writer = os.pipe()
    tries: list[int] = []

    def fail(mask: int) -> None:
        if not tries:
            tries.append(os.read(reader, 1)[0])
            try:
                raise KeyError("first")
            except KeyError:
                raise KeyboardInterrupt("from a handler")  # noqa: B904 - the context is meant

    waiting.register(reader, selectors.EVENT_READ, fail)
    os.write(writer, b"x")
    with pytest.raises(KeyboardInterrupt, match="from a handler") as caught:
        try:
            raise LookupError("the user's")
        except LookupError:
            waiting.visit()
    assert contexts(caught.value) == [KeyboardInterrupt, KeyError, LookupError]
    waiting.unregister(reader)
    os.close(reader)
    os.close(writer)


def test_the_handing_on_after_an_error_sees_it_and_keeps_all_contexts(waiting, monkeypatch):
    seen: list[type | None] = []

    def settle() -> None:
        raise KeyboardInterrupt("from a handler")

    def fail() -> None:
        seen.append(sys.exc_info()[0])
        try:
            raise KeyError("why")
        except KeyError:
            raise OSError("while it handed on")  # noqa: B904 - the context is meant

    waiting.trash.append(int)
    waiting.parked = True
    with monkeypatch.context() as patch:
        patch.setattr(waiting, "_settle", settle)
        patch.setattr(waiting, "pass_on", fail)
        with pytest.raises(OSError, match="while it handed on") as caught:
            waiting.visit()
    assert seen == [KeyboardInterrupt]
    assert contexts(caught.value) == [OSError, KeyError, KeyboardInterrupt]


class Interruption(BaseException):
    """What another thread raises."""


def test_an_asynchronous_exception_is_not_lost_where_the_handing_on_fails(waiting, monkeypatch):
    def enter() -> None:
        pass

    def settle() -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(threading.get_ident()), ctypes.py_object(Interruption)
        )
        enter()

    def fail() -> None:
        raise OSError("while it handed on")

    def once() -> list[type[BaseException]]:
        waiting.trash.append(int)
        waiting.parked = True
        with monkeypatch.context() as patch:
            patch.setattr(waiting, "_settle", settle)
            patch.setattr(waiting, "pass_on", fail)
            with pytest.raises(OSError, match="while it handed on") as caught:
                waiting.visit()
        return contexts(caught.value)

    assert once() == [OSError, Interruption]
    gc.collect()
    before = sys.getrefcount(Interruption)
    for _ in range(50):
        once()
    gc.collect()
    assert sys.getrefcount(Interruption) - before < 10


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_callback_may_delete_what_the_reactor_has(name):
    program = f"""
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.reactor.waiter import Waiter
for lead in (Reactor.visit, lambda reactor: reactor.wait(Waiter(), 0.01)):
    reactor = Reactor("test")
    reactor.call_later(0, lambda: delattr(reactor, {name!r}))
    try:
        lead(reactor)
    except AttributeError:
        pass
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "alive\n", done.stderr


def test_a_handler_of_another_signal_may_wait_in_a_wait(waiting, shelter):
    inner, outer = Waiter(), Waiter()
    seen: list[object] = []

    def handle(number: int, frame: object) -> None:
        seen.append(shelter.sleeper is outer)
        waiting.call_later(0.001, inner.finish)
        seen.append(waiting.wait(inner, 30))
        seen.append(shelter.sleeper is outer)
        outer.finish()

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert waiting.wait(outer, 30)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert seen == [True, True, True]
    assert (waiting.leader, shelter.sleeper) == (None, None)


def test_an_error_of_a_callback_is_blamed_on_it_and_the_others_run(waiting, shelter, capfd):
    ends = [os.pipe() for _ in range(2)]
    waiter = Waiter()

    tries: list[int] = []

    def fail(mask: int) -> None:
        if not tries:
            os.read(ends[0][0], 1)
        tries.append(mask)
        raise ValueError("of a callback")

    waiting.register(ends[0][0], selectors.EVENT_READ, fail)
    waiting.register(ends[1][0], selectors.EVENT_READ, lambda mask: waiter.finish())
    for _, writer in ends:
        os.write(writer, b"x")
    assert waiting.wait(waiter, 30)
    assert "ValueError: of a callback" in capfd.readouterr().err
    assert tries == [selectors.EVENT_READ] * 2  # once more, as after an asynchronous exception
    for pair in ends:
        waiting.unregister(pair[0])
        for end in pair:
            os.close(end)


def test_a_visit_leads_for_a_moment(waiting):
    seen: list[object] = []

    def look() -> None:
        seen.append((waiting.leads(), waiting.visit()))

    waiting.call_later(0, look)
    stints = waiting.stints
    assert waiting.visit() is True
    assert (seen, waiting.leader, waiting.stints) == ([(True, False)], None, stints + 1)
    waiting.discard(lambda: seen.append("settled"))
    waiting.look_in()
    assert (seen[1:], waiting.stints) == (["settled"], stints + 1)


def test_a_pool_thread_waits_and_is_interrupted(waiting, shelter):
    waiter, interrupted = Waiter(), threading.Event()

    def run() -> None:
        try:
            waiting.wait(waiter, 30)
        except KeyboardInterrupt:
            interrupted.set()

    thread = threading.Thread(target=run)
    thread.start()
    while not waiting.thread_waits.interrupt(thread.ident or 0):
        pass
    thread.join()
    assert interrupted.is_set()


def test_waits_leave_no_object_behind(waiting, shelter):
    def rounds(count: int) -> None:
        for _ in range(count):
            waiter = Waiter()
            waiting.call_later(0, waiter.finish)
            assert waiting.wait(waiter, 30)

    rounds(100)
    gc.collect()
    before = len(gc.get_objects())
    rounds(1000)
    gc.collect()
    assert len(gc.get_objects()) - before < 50


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_what_was_deleted_of_a_reactor_is_left_to_the_steps_in_python(name):
    reactor = Reactor("test")
    kept = getattr(reactor, name)
    delattr(reactor, name)
    assert reactor._poll_quickly(0, None) is False
    assert reactor._wait_quickly(Waiter(), 0.0) is None
    assert reactor._visit_quickly(1) is None
    setattr(reactor, name, kept)
    assert reactor._poll_quickly(0, None) is True
    reactor.close()


# ------------------------------------------------------------------------------------------------------------- loading


def form(*lines: str, **variables: str) -> str:
    program = "\n".join([*lines, "from nbactors import speedups", "print(speedups.compiled is None, speedups.why_not)"])
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_variable_turns_the_compiled_part_off():
    assert form(NBACTORS_SPEEDUPS="0") == "True NBACTORS_SPEEDUPS is 0"


def test_a_module_of_another_version_is_not_used():
    other = "sys.modules['nbactors.speedups._compiled'] = types.SimpleNamespace(VERSION=0)"
    assert "install again" in form("import sys, types", other)


def test_a_missing_module_is_told_of():
    assert "C compiler" in form("import sys", "sys.modules['nbactors.speedups._compiled'] = None")
