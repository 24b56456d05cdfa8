"""A socket that breaks is made anew, and no frame is lost or comes twice."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
from interrupting import interrupted, raising
from stepped_reactor import SteppedReactor
from test_peer_connection import kept, take_all
from two_sides import FarEnd, Files, Line, Side, arenas, call, reply

from nbactors.local.connections import peer_connection
from nbactors.local.connections.peer_connection import GIVEN_UP, PeerConnection
from nbactors.local.wire import failures, messages

Pair = tuple[socket.socket, socket.socket]

LONG = 500_000
"""Bytes that no socket of these tests takes at once."""


# ----------------------------------------------------------------------------------------------------------- resuming


def test_unread_frames_are_sent_again_on_the_new_socket(line: Line) -> None:
    for number in range(3):
        line.caller.connection.send_now(call(number))
        line.worker.connection.send_now(reply(number))
    line.cut()
    assert line.worker.arrived == line.caller.arrived == []
    line.mend()
    assert line.worker.numbers == [0, 1, 2]
    assert line.caller.numbers == [0, 1, 2]


def test_received_frames_are_not_sent_again(line: Line) -> None:
    """The other side has not acknowledged the frames yet."""
    for number in range(3):
        line.caller.connection.send_now(call(number))
    line.reactor.settle()
    assert kept(line.caller.connection) == 3
    line.cut()
    line.caller.connection.send_now(call(3))
    line.mend()
    assert line.worker.numbers == [0, 1, 2, 3]


def test_messages_without_a_socket_are_sent_on_the_new_socket(line: Line) -> None:
    line.cut()
    for number in range(3):
        line.caller.connection.send(call(number))
        line.worker.connection.send_now(reply(number))
    line.reactor.settle()
    assert line.caller.connection.unsent
    assert line.worker.connection.unsent
    line.mend()
    assert line.worker.numbers == line.caller.numbers == [0, 1, 2]
    assert not line.caller.connection.unsent


def test_frames_stay_in_order_over_many_sockets(line: Line) -> None:
    for number in range(40):
        line.caller.connection.send_now(call(number))
        if number % 2:
            line.reactor.settle()
        line.worker.connection.send_now(reply(number))
        if number % 3 == 0:
            line.cut()
            line.mend()
        if number % 5 == 0:
            line.reactor.pass_time(2)
    line.reactor.settle()
    assert line.worker.numbers == line.caller.numbers == list(range(40))
    assert len(line.caller.broken) == 14


def test_a_break_in_the_midst_of_a_long_frame_loses_nothing(line: Line) -> None:
    line.caller.connection.send_now(call(1, bytes(LONG)))
    line.caller.connection.send_now(call(2))
    line.reactor.visit()
    assert line.worker.arrived == [], "a part of the frame was read"
    line.cut()
    line.mend()
    assert line.worker.arrived == [call(1, bytes(LONG)), call(2)]


def test_several_breaks_before_a_resume_lose_nothing(line: Line) -> None:
    line.caller.connection.send_now(call(1))
    for _ in range(3):
        line.cut()
        ours, theirs = socket.socketpair()
        line.caller.connection.offer(ours)
        theirs.close()
        line.reactor.settle()
        assert line.caller.connection.broken
    line.mend()
    assert line.worker.numbers == [1]


def test_a_failed_write_is_repeated_on_the_new_socket(line: Line) -> None:
    """The write fails before the reader has seen the end of the stream."""
    worker_sock = line.worker.connection.sock
    line.worker.connection.lose("the network is lost")
    assert worker_sock.fileno() < 0
    line.caller.connection.send_now(call(1))
    line.caller.connection.send_now(call(2))
    assert line.caller.connection.broken
    line.reactor.settle()
    assert line.caller.broken == ["the other side closed the connection"]
    line.mend()
    assert line.worker.numbers == [1, 2]


def test_descriptors_are_sent_again_with_the_frame(line: Line, files: Files) -> None:
    taken = take_all(line.caller)
    arenas(line.worker.connection, files, 1, 2)
    arenas(line.worker.connection, files, *range(100))
    line.cut()
    arenas(line.worker.connection, files, 3)
    line.mend()
    assert taken == [1, 2, *range(100), 3]


def test_decoded_messages_and_descriptors_survive_the_break(line: Line, files: Files) -> None:
    taken = take_all(line.caller)
    take = line.caller.connection._on_message

    def cut_first(connection: Any, message: Any) -> None:
        line.caller.connection.hand_to(take)
        line.cut()
        take(connection, message)

    line.caller.connection.hand_to(cut_first)
    arenas(line.worker.connection, files, 1, 2)
    line.reactor.settle()
    assert taken == [1, 2]
    line.mend()
    assert taken == [1, 2]


def test_descriptors_of_an_incomplete_frame_are_closed_at_the_break(reactor: SteppedReactor, pair: Pair) -> None:
    side = Side(reactor, pair[0])
    side.connection.start()
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    socket.send_fds(pair[1], [b"\0\0\1"], [writer])
    os.close(writer)
    reactor.settle()
    side.connection.lose("the network is lost")
    assert os.read(reader, 1) == b"", "no copy of the write end is left"
    os.close(reader)


def test_a_second_loss_keeps_the_frames(line: Line) -> None:
    line.caller.connection.send_now(call(1))
    line.cut()
    line.cut()
    line.mend()
    assert line.worker.numbers == [1]


def test_a_loss_after_the_close_is_ignored(line: Line) -> None:
    line.caller.connection.close()
    line.caller.connection.lose("the network is lost")
    assert line.caller.broken == []


def test_progress_resets_the_number_of_tries(line: Line) -> None:
    for _ in range(3):
        line.caller.connection.lose("it could not be reached")
    assert line.caller.connection.tries == 3
    line.worker.connection.lose("the network is lost")
    line.mend()
    line.worker.connection.send_now(reply(1))
    line.reactor.settle()
    line.caller.connection.lose("the network is lost")
    assert line.caller.connection.tries == 0


def test_the_connecting_side_waits_for_the_received_count(reactor: SteppedReactor, line: Line) -> None:
    line.caller.connection.send_now(call(1))
    line.caller.connection.send_now(call(2))
    line.cut()
    ours, theirs = socket.socketpair()
    line.caller.connection.offer(ours)
    reactor.settle()
    far = FarEnd(theirs)
    assert far.read() == []
    far.write(received=1)
    reactor.settle()
    assert far.read() == [(0, [call(2)])]
    far.write(received=1)
    reactor.settle()
    assert far.read() == [], "only the first empty frame resumes"
    theirs.close()


@pytest.mark.parametrize("told", [GIVEN_UP, 3, 0], ids=["given-up", "more-than-was-sent", "less-than-was-forgotten"])
def test_an_impossible_received_count_closes_the_connection(reactor: SteppedReactor, line: Line, told: int) -> None:
    """A call would run twice, or never."""
    line.caller.connection.send_now(call(1))
    line.caller.connection.send_now(call(2))
    reactor.pass_time(5)
    assert kept(line.caller.connection) == 0
    line.cut()
    ours, theirs = socket.socketpair()
    line.caller.connection.offer(ours)
    FarEnd(theirs).write(received=told)
    reactor.settle()
    assert line.caller.closed == ["the other side has given this connection up"]
    theirs.close()


def test_a_small_empty_frame_resumes_the_connection(reactor: SteppedReactor, line: Line) -> None:
    """Small frames take a shorter path in the code after the first received frame."""
    line.worker.connection.send_now(reply(1))
    reactor.settle()
    line.caller.connection.send_now(call(1))
    line.cut()
    line.mend()
    assert line.worker.numbers == [1]


# ----------------------------------------------------------------------------------------------------------- sockets


def test_a_second_socket_is_closed(line: Line) -> None:
    for take in (line.caller.connection.begin, line.caller.connection.offer):
        ours, theirs = socket.socketpair()
        take(ours)
        assert theirs.recv(1) == b""
        theirs.close()
    line.caller.connection.send_now(call(1))
    line.reactor.settle()
    assert line.worker.numbers == [1]


@pytest.mark.parametrize("take", [PeerConnection.begin, PeerConnection.offer])
def test_a_socket_for_a_closed_connection_is_closed(
    line: Line, take: Callable[[PeerConnection, socket.socket], None]
) -> None:
    line.caller.connection.close()
    ours, theirs = socket.socketpair()
    take(line.caller.connection, ours)
    assert theirs.recv(1) == b""
    theirs.close()


def test_messages_before_the_first_socket_are_sent_on_the_socket(reactor: SteppedReactor, pair: Pair) -> None:
    side = Side(reactor, None)
    assert side.connection.broken
    side.connection.send_now(call(1))
    side.connection.send_now(call(2))
    side.connection.begin(pair[0])
    assert FarEnd(pair[1]).read() == [(0, [call(1)]), (0, [call(2)])]
    side.connection.close()


def test_confirm_tells_a_received_count_of_zero(reactor: SteppedReactor, pair: Pair) -> None:
    side = Side(reactor, pair[0])
    side.connection.start()
    side.connection.confirm(0)
    assert FarEnd(pair[1]).read() == [(0, [])]


# ----------------------------------------------------------------------------------------------------- interruptions


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_handler_that_interrupts_the_resume_may_send(line: Line, after: bool) -> None:
    line.worker.connection.send_now(reply(1))
    line.cut()
    connection = line.worker.connection
    connection._encode_batch = interrupted(connection._peer_codec.encode, lambda: connection.send_now(reply(2)), after)
    line.mend()
    assert line.caller.numbers == [1, 2]


@pytest.mark.usefixtures("in_python")
def test_an_exception_from_outside_in_the_resume_loses_and_repeats_nothing(line: Line) -> None:
    line.worker.connection.send_now(reply(1))
    line.caller.connection.send_now(call(1))
    line.cut()
    connection = line.worker.connection
    connection._encode_batch = interrupted(connection._peer_codec.encode, raising(LookupError("from outside")))
    with pytest.raises(LookupError, match="from outside"):
        line.mend()
    line.reactor.settle()
    assert line.caller.numbers == line.worker.numbers == [1]


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("size", [0, 30_000], ids=["small", "long"])
def test_a_break_during_the_encoding_keeps_the_frame(line: Line, size: int) -> None:
    connection = line.caller.connection
    connection._encode_batch = interrupted(connection._peer_codec.encode, line.cut)
    connection.send_now(call(1, bytes(size)))
    assert connection.broken
    line.mend()
    assert line.worker.numbers == [1]


# --------------------------------------------------------------------------------------------- answers kept for long


@pytest.fixture
def few_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limit of bytes that are kept for an unreachable caller."""
    monkeypatch.setattr(peer_connection, "KEPT_BYTES", 12_000)


def error_of(message: Any) -> Exception | None:
    """Return the error in an answer; None for an answer with a value."""
    if isinstance(message, messages.Reply) or (isinstance(message, messages.Yielded) and message.value is None):
        return None
    value = message.value if isinstance(message, messages.Yielded) else message.values[0]
    return failures.decode(value.data) if value.error else None  # type: ignore[return-value]


@pytest.mark.usefixtures("few_kept")
def test_the_oldest_kept_answers_become_errors(line: Line) -> None:
    line.cut()
    sent = [
        messages.Fetched(b"o" * 16, messages.Value(bytes(100))),
        reply(0, bytes(4000)),
        messages.Results(1, [messages.Value(bytes(4000)), messages.Value(b"")]),
        messages.Yielded(2, 5, bytes(4000)),
        reply(3, bytes(4000)),
        reply(4, bytes(4000)),
    ]
    for message in sent:
        line.worker.connection.send_now(message)
    line.mend()
    first, *arrived = line.caller.arrived
    assert first == sent[0], "it is no answer to a call"
    assert len(arrived) == 5
    assert [type(message) for message in arrived[:3]] == [messages.Results, messages.Results, messages.Yielded]
    assert [message.number for message in arrived[:3]] == [0, 1, 2]
    assert arrived[2].index == 5
    for message in arrived[:3]:
        assert "too many answers" in str(error_of(message))
    assert arrived[3:] == sent[4:]


@pytest.mark.usefixtures("few_kept")
def test_answers_from_before_the_break_do_not_count(line: Line) -> None:
    for number in range(4):
        line.worker.connection.send_now(reply(number, bytes(4000)))
    line.reactor.settle()
    line.cut()
    for number in range(4, 8):
        line.worker.connection.send_now(reply(number, bytes(4000)))
    line.mend()
    assert line.caller.numbers == list(range(8))
    assert [message.number for message in line.caller.arrived if error_of(message) is not None] == []


@pytest.mark.usefixtures("few_kept")
def test_a_resume_resets_the_count_of_kept_bytes(line: Line) -> None:
    for first in (0, 10):
        line.cut()
        for number in range(first, first + 4):
            line.worker.connection.send_now(reply(number, bytes(4000)))
        line.mend()
        line.reactor.pass_time(5)
    lost = [message.number for message in line.caller.arrived if error_of(message) is not None]
    assert lost == [0, 1, 10, 11]


@pytest.mark.usefixtures("few_kept")
def test_too_many_small_answers_close_the_connection(line: Line) -> None:
    line.cut()
    for number in range(200):
        line.worker.connection.send_now(reply(number))
    line.reactor.settle()
    assert line.worker.closed == ["too many answers were kept for a caller out of reach"]


@pytest.mark.usefixtures("few_kept")
def test_kept_calls_are_never_evicted(line: Line) -> None:
    line.cut()
    for number in range(100):
        line.caller.connection.send_now(call(number, bytes(1000)))
    line.reactor.settle()
    line.mend()
    assert line.worker.arrived == [call(number, bytes(1000)) for number in range(100)]


@pytest.mark.usefixtures("few_kept")
def test_answers_shorter_than_an_error_are_kept(line: Line) -> None:
    """An error instead of such an answer would save no memory."""
    line.cut()
    for number in range(50):
        line.worker.connection.send_now(reply(number))
    line.mend()
    assert line.caller.arrived == [reply(number) for number in range(50)]


@pytest.mark.usefixtures("few_kept")
def test_a_frame_of_an_evicted_answer_keeps_its_descriptors(line: Line, files: Files) -> None:
    taken = take_all(line.caller)
    line.cut()
    for number, fd in enumerate(files.of_sizes(*range(4))):
        line.worker.connection.send(messages.Arena(number, number), (fd,))
        line.worker.connection.send_now(messages.Results(number, [messages.Value(bytes(4000))]))
    line.mend()
    answers = [message for message in line.caller.arrived if type(message) is messages.Results]
    assert [error_of(message) is not None for message in answers] == [True, True, False, False]
    assert taken == [0, 1, 2, 3]
