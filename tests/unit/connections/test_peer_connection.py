"""A connection of two peers whose socket holds: frames, acknowledgements, descriptors."""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import Any

import pytest
from interrupting import interrupted, probe_socket, raising
from stepped_reactor import SteppedReactor
from two_sides import FarEnd, Files, Line, Side, arenas, call, reply, size_of

from nbactors.local.connections import connection as connection_module
from nbactors.local.connections.connection import Connection
from nbactors.local.connections.intake import MISSING
from nbactors.local.connections.outbox import MAX_FDS
from nbactors.local.connections.peer_connection import ACKNOWLEDGE_BYTES, ACKNOWLEDGE_S, FORGET, PeerConnection
from nbactors.local.wire import messages
from nbactors.local.wire.framing import FrameError

Pair = tuple[socket.socket, socket.socket]


class Spoken:
    """One side of a connection; the test speaks for the other side."""

    def __init__(self, reactor: SteppedReactor, pair: Pair) -> None:
        self.side = Side(reactor, pair[0])
        self.connection = self.side.connection
        self.connection.start()
        self.far = FarEnd(pair[1])


@pytest.fixture
def spoken(reactor: SteppedReactor, pair: Pair) -> Spoken:
    return Spoken(reactor, pair)


def kept(connection: PeerConnection) -> int:
    """Return how many frames a side keeps until the other side acknowledges the frames."""
    return len(connection._kept)


# ----------------------------------------------------------------------------------------------------------- frames


def test_calls_go_there_and_answers_come_back(line: Line) -> None:
    for number in range(3):
        line.caller.connection.send(call(number))
    line.reactor.settle()
    assert line.worker.arrived == [call(0), call(1), call(2)]
    line.worker.connection.send_now(reply(0))
    line.reactor.settle()
    assert line.caller.arrived == [reply(0)]


def test_each_frame_tells_how_many_frames_have_come(spoken: Spoken, reactor: SteppedReactor) -> None:
    spoken.far.write(call(1))
    spoken.far.write(call(2), call(3))
    reactor.settle()
    spoken.connection.send_now(reply(1))
    assert spoken.far.read() == [(2, [reply(1)])]


def test_a_frame_that_arrives_in_pieces_counts_once(reactor: SteppedReactor, pair: Pair) -> None:
    left, right = socket.socketpair()
    FarEnd(left).write(call(1), call(2))
    FarEnd(left).write(call(3))
    left.close()
    side = Side(reactor, pair[0])
    side.connection.start()
    while byte := right.recv(1):
        pair[1].sendall(byte)
        reactor.settle()
    right.close()
    assert side.numbers == [1, 2, 3]
    assert side.connection.received == 2


def test_a_hello_is_not_counted(spoken: Spoken, reactor: SteppedReactor) -> None:
    """Both sides count from the first frame behind the Hello."""
    hello = messages.Hello(messages.PROTOCOL_VERSION, b"p" * 16, 1, "peer", "1")
    spoken.far.write(hello, messages.Attach(1, False, 0))
    reactor.settle()
    assert spoken.connection.received == 0
    spoken.far.write(call(1))
    reactor.settle()
    assert spoken.connection.received == 1


def test_a_malformed_small_frame_closes_the_connection(spoken: Spoken, reactor: SteppedReactor, pair: Pair) -> None:
    spoken.far.write(call(1))
    reactor.settle()
    pair[1].sendall(b"\0\0\0\x09" + bytes(8) + b"\xc1")
    reactor.settle()
    assert spoken.side.numbers == [1]
    assert len(spoken.side.closed) == 1
    assert "malformed frame" in spoken.side.closed[0]
    assert not spoken.side.broken


def test_a_malformed_first_frame_closes_the_connection(spoken: Spoken, reactor: SteppedReactor, pair: Pair) -> None:
    pair[1].sendall(b"\0\0\0\x09" + bytes(8) + b"\xc1")
    reactor.settle()
    assert "malformed frame" in spoken.side.closed[0]


def test_messages_that_are_too_long_together_travel_in_several_frames(line: Line) -> None:
    line.caller.limit_frames(200)
    for number in range(10):
        line.caller.connection.send(call(number, bytes(50)))
    line.reactor.settle()
    assert line.worker.numbers == list(range(10))
    assert line.worker.connection.received > 1


def test_a_message_that_is_too_long_for_one_frame_fails_alone(line: Line) -> None:
    line.caller.limit_frames(200)
    with pytest.raises(FrameError, match="exceeds the limit of 200 bytes"):
        line.caller.connection.send_now(call(1, bytes(500)))
    line.caller.connection.send_now(call(2))
    line.reactor.settle()
    assert line.worker.numbers == [2]


def test_nothing_is_sent_or_kept_after_the_close(line: Line) -> None:
    line.caller.connection.close()
    line.caller.connection.send_now(call(1))
    line.reactor.settle()
    assert not line.caller.connection.unsent
    assert kept(line.caller.connection) == 0
    assert line.worker.broken == ["the other side closed the connection"]


# --------------------------------------------------------------------------------------------------- acknowledgement


def test_a_frame_is_acknowledged_after_a_while_if_no_frame_goes_back(spoken: Spoken, reactor: SteppedReactor) -> None:
    spoken.far.write(call(1))
    reactor.pass_time(ACKNOWLEDGE_S - 0.1)
    assert spoken.far.read() == []
    reactor.pass_time(0.1)
    assert spoken.far.read() == [(1, [])]
    reactor.pass_time(10)
    assert spoken.far.read() == [], "it is told once"


def test_an_answer_acknowledges_the_call_by_the_way(spoken: Spoken, reactor: SteppedReactor) -> None:
    spoken.far.write(call(1))
    reactor.settle()
    spoken.connection.send_now(reply(1))
    reactor.pass_time(10)
    assert spoken.far.read() == [(1, [reply(1)])]


@pytest.mark.parametrize("size", [1000, 100_000], ids=["small-frames", "long-frames"])
def test_many_bytes_are_acknowledged_without_delay(spoken: Spoken, reactor: SteppedReactor, size: int) -> None:
    for number in range(ACKNOWLEDGE_BYTES // size + 1):
        spoken.far.write(call(number, bytes(size)))
        reactor.settle()
    (told,) = spoken.far.read()
    assert told[1] == []
    assert told[0] > ACKNOWLEDGE_BYTES // size // 2


def test_acknowledged_frames_are_forgotten_in_groups(spoken: Spoken, reactor: SteppedReactor) -> None:
    for number in range(FORGET):
        spoken.connection.send_now(reply(number))
    spoken.far.write(call(1), received=FORGET - 1)
    reactor.settle()
    spoken.far.write(call(2), received=FORGET - 1)
    reactor.settle()
    assert kept(spoken.connection) == 1, "the first frame starts the books, which forget at once"
    for number in range(FORGET):
        spoken.connection.send_now(reply(number))
    spoken.far.write(call(3), received=2 * FORGET - 2)
    reactor.settle()
    assert kept(spoken.connection) == FORGET + 1
    spoken.far.write(call(4), received=2 * FORGET)
    reactor.settle()
    assert kept(spoken.connection) == 0


def test_few_acknowledged_frames_are_forgotten_after_a_while(line: Line) -> None:
    for number in range(3):
        line.caller.connection.send_now(call(number))
        line.reactor.settle()
        line.worker.connection.send_now(reply(number))
        line.reactor.settle()
    assert kept(line.worker.connection) > 0
    line.reactor.pass_time(2 * ACKNOWLEDGE_S)
    assert kept(line.caller.connection) == kept(line.worker.connection) == 0


# ------------------------------------------------------------------------------------------------------- descriptors


def take_all(side: Side) -> list[int]:
    """Have a side take the file of each arena. Returns a list, which gets the files' sizes."""
    taken: list[int] = []

    def take(connection: Connection, message: Any) -> None:
        side.arrived.append(message)
        if type(message) is messages.Arena:
            taken.append(size_of(connection, message))

    side.connection.hand_to(take)
    return taken


@pytest.mark.parametrize("count", [1, 3, MAX_FDS + 1])
def test_each_message_has_its_descriptor(line: Line, files: Files, count: int) -> None:
    taken = take_all(line.caller)
    arenas(line.worker.connection, files, *range(count))
    arenas(line.worker.connection, files, 200, 201)
    line.reactor.settle()
    assert taken == [*range(count), 200, 201]


def test_the_descriptors_of_messages_in_one_frame_stay_with_their_messages(line: Line, files: Files) -> None:
    taken = take_all(line.caller)
    first, second = files.of_sizes(1, 2)
    line.worker.connection.send(messages.Arena(1, 1), (first,))
    line.worker.connection.send(messages.Results(2, [messages.Value(b"small")]))
    line.worker.connection.send(messages.Arena(2, 2), (second,))
    line.reactor.settle()
    assert taken == [1, 2]
    assert line.caller.connection.received == 1


def test_the_descriptors_stay_with_their_messages_where_a_frame_is_divided(line: Line, files: Files) -> None:
    taken = take_all(line.caller)
    line.worker.limit_frames(20)
    arenas(line.worker.connection, files, *range(6))
    line.reactor.settle()
    assert taken == list(range(6))
    assert line.caller.connection.received > 1


def test_a_descriptor_that_was_announced_and_not_sent_closes_the_connection(line: Line) -> None:
    take_all(line.caller)
    line.worker.connection.send_now(messages.Arena(1, 1))
    line.reactor.settle()
    assert line.caller.closed == ["a message announced a file descriptor that was not sent"]


class CutOff:
    """A socket of a process without a free descriptor: the kernel drops arriving descriptors."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.is_full = True

    def recvmsg(self, *args: Any) -> Any:
        data, ancillary, flags, address = self._sock.recvmsg(*args)
        if self.is_full and ancillary:
            for _, _, numbers in ancillary:
                for fd in memoryview(numbers).cast("i"):
                    os.close(fd)
            return data, [], flags | socket.MSG_CTRUNC, address
        return data, ancillary, flags, address

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def test_a_process_without_a_free_descriptor_misses_the_files_and_not_the_messages(
    reactor: SteppedReactor, pair: Pair, files: Files
) -> None:
    cut_off = CutOff(pair[0])
    receiver, sender = Side(reactor, cut_off), Side(reactor, pair[1])  # type: ignore[arg-type]
    taken = take_all(receiver)
    receiver.connection.start()
    arenas(sender.connection, files, 1, 2)
    reactor.settle()
    cut_off.is_full = False
    arenas(sender.connection, files, 3)
    reactor.settle()
    assert taken == [MISSING, MISSING, 3]


def test_a_descriptor_that_cannot_be_duplicated_is_missing(
    line: Line, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []

    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def dup(self, fd: int) -> int:
            raise OSError("no descriptor is left")

    monkeypatch.setattr(connection_module, "os", Full())
    line.caller.connection.hand_to(lambda c, message: taken.append(c.take_fd(message)))
    arenas(line.worker.connection, files, 1)
    line.reactor.settle()
    assert taken == [MISSING]


def test_a_handler_that_waits_takes_the_same_file_again(line: Line, files: Files) -> None:
    found: list[int] = []

    def take(connection: Connection, message: messages.Arena) -> None:
        first_time = connection.begin_once(message)
        fd = connection.take_fd(message)
        found.append(os.fstat(fd).st_size)
        os.close(fd)
        if first_time:
            connection.go_on()  # as a handler does that waits
            connection.forget_fd(message)

    line.caller.connection.hand_to(take)
    arenas(line.worker.connection, files, 7)
    line.reactor.settle()
    assert found == [7, 7]


# ----------------------------------------------------------------------------------------------------- interruptions


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_handler_that_interrupts_the_encoding_repeats_no_message(line: Line, after: bool) -> None:
    connection = line.caller.connection
    connection._encode_batch = interrupted(connection._peer_codec.encode, lambda: connection.send_now(call(2)), after)
    connection.send_now(call(1))
    line.reactor.settle()
    assert line.worker.numbers == [1, 2]
    assert line.worker.connection.received == 2


@pytest.mark.usefixtures("in_python")
def test_a_handler_that_interrupts_the_encoding_repeats_no_file(line: Line, files: Files) -> None:
    taken = take_all(line.caller)
    connection = line.worker.connection
    second = files.of_sizes(2)
    connection._encode_batch = interrupted(
        connection._peer_codec.encode, lambda: connection.send_now(messages.Arena(2, 2), second)
    )
    arenas(connection, files, 1)
    line.reactor.settle()
    assert taken == [1, 2]


def test_a_handler_that_interrupts_a_send_at_the_socket_repeats_no_message(line: Line) -> None:
    connection = line.caller.connection
    probe_socket(connection, "send", lambda: connection.send_now(call(2)))
    connection.send_now(call(1))
    line.reactor.settle()
    assert line.worker.numbers == [1, 2]


@pytest.mark.usefixtures("in_python")
def test_a_handler_may_interrupt_an_acknowledgement(line: Line) -> None:
    line.caller.connection.send_now(call(1))
    line.reactor.settle()
    connection = line.worker.connection
    connection._encode_batch = interrupted(connection._peer_codec.encode, lambda: connection.send_now(reply(1)))
    line.reactor.pass_time(ACKNOWLEDGE_S)
    assert line.caller.numbers == [1]
    line.reactor.pass_time(ACKNOWLEDGE_S)
    assert kept(line.caller.connection) == 0


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("before", [0, 1], ids=["the-first-frame", "a-small-frame"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_handler_that_interrupts_the_decoding_handles_each_message_once(line: Line, before: int, after: bool) -> None:
    for number in range(before):
        line.caller.connection.send_now(call(number))
    line.reactor.settle()
    connection = line.worker.connection
    connection._decode_batch = interrupted(connection._peer_codec.decode, connection.go_on, after)
    line.caller.connection.send(call(10))
    line.caller.connection.send(call(11))
    line.reactor.settle()
    assert line.worker.numbers == [*range(before), 10, 11]
    assert connection.received == before + 1


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("before", [0, 1], ids=["the-first-frame", "a-small-frame"])
def test_an_exception_from_outside_in_the_decoding_loses_no_message(line: Line, before: int) -> None:
    for number in range(before):
        line.caller.connection.send_now(call(number))
    line.reactor.settle()
    connection = line.worker.connection
    connection._decode_batch = interrupted(connection._peer_codec.decode, raising(LookupError("from outside")))
    line.caller.connection.send_now(call(10))
    with pytest.raises(LookupError, match="from outside"):
        line.reactor.settle()
    line.reactor.settle()
    assert line.worker.numbers == [*range(before), 10]
    assert connection.received == before + 1


@pytest.mark.usefixtures("in_python")
def test_an_exception_from_outside_in_the_encoding_loses_and_repeats_nothing(line: Line) -> None:
    connection = line.caller.connection
    connection._encode_batch = interrupted(connection._peer_codec.encode, raising(LookupError("from outside")), True)
    with pytest.raises(LookupError, match="from outside"):
        connection.send_now(call(1))
    connection.send_now(call(2))
    line.reactor.settle()
    assert line.worker.numbers == [1, 2]


def test_a_handler_that_forgets_frames_while_frames_are_forgotten_counts_each_once() -> None:
    class Kept(deque[str]):
        def popleft(self) -> str:
            gone = super().popleft()
            if not nested:
                nested.append(True)
                connection._forget(2)  # a signal handler that waits acknowledges the same frames
            return gone

    nested: list[bool] = []
    connection: Any = PeerConnection.__new__(PeerConnection)
    connection._kept, connection._forgotten, connection._evicted = Kept("abcd"), 0, 0
    connection._forget(2)
    assert (connection._forgotten, list(connection._kept)) == (2, ["c", "d"])
