"""One connection of two ends: what is sent arrives once and in order, whoever interrupts, and it ends once."""

from __future__ import annotations

import errno
import gc
import os
import selectors
import socket
from collections.abc import Callable, Iterator
from threading import get_ident
from typing import Any

import pytest
from interrupting import Pause, Probe, interrupted, probe_socket, raising
from stepped_reactor import SteppedReactor

from nbactors.local.connections.connection import CLOSE_S, GATHER, Connection, Sent
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.wire import messages
from nbactors.local.wire.framing import FrameError, TooLongError, control_codec

Pair = tuple[socket.socket, socket.socket]

LONG = 1_000_000
"""Bytes that no socket of these tests takes at once."""


class Ends:
    """Two connected ends on one reactor.

    Attributes:
        arrived: The messages that the receiver has handled: the numbers of `Done`, the texts of `Warn`.
        closed: The reasons of the receiver's `on_close`.
    """

    def __init__(self, reactor: SteppedReactor) -> None:
        self.reactor = reactor
        left, right = socket.socketpair()
        left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.arrived: list[Any] = []
        self.closed: list[str] = []
        self.sender = Connection(reactor, left, control_codec(), lambda c, m: None, lambda c, why: None)
        self.receiver = Connection(reactor, right, control_codec(), self.take, lambda c, why: self.closed.append(why))
        self.sender.start()
        self.receiver.start()

    def take(self, connection: Connection, message: Any) -> None:
        self.arrived.append(message.rid if isinstance(message, messages.Done) else message.text)


@pytest.fixture
def ends(reactor: SteppedReactor) -> Iterator[Ends]:
    made = Ends(reactor)
    yield made
    made.sender.close()
    made.receiver.close()


# ---------------------------------------------------------------------------------------------------------- sending


def test_messages_of_several_sends_arrive_in_order(ends: Ends) -> None:
    for number in range(3):
        ends.sender.send(messages.Done(number))
    ends.sender.send_now(messages.Done(3))
    ends.sender.send(messages.Done(4))
    ends.reactor.settle()
    assert ends.arrived == [0, 1, 2, 3, 4]


def test_a_queued_message_goes_out_with_the_next_flush(ends: Ends) -> None:
    ends.sender.send(messages.Done(1))
    assert ends.sender.unsent
    ends.sender.flush()
    assert not ends.sender.unsent
    ends.reactor.settle()
    assert ends.arrived == [1]


def test_many_queued_messages_go_out_without_a_flush(ends: Ends) -> None:
    for number in range(GATHER - 1):
        ends.sender.send(messages.Done(number))
    assert ends.sender.unsent
    ends.sender.send(messages.Done(GATHER - 1))
    assert not ends.sender.unsent
    ends.reactor.settle()
    assert ends.arrived == list(range(GATHER))


def test_send_within_sends_after_the_given_time(ends: Ends) -> None:
    ends.sender.send_within(messages.Done(1), 0.5)
    ends.sender.send_within(messages.Done(2), 0.5)
    ends.reactor.pass_time(0.4)
    assert ends.arrived == []
    ends.reactor.pass_time(0.1)
    assert ends.arrived == [1, 2]
    assert ends.reactor.delays == [0.5], "one timer does for both"


def test_a_delayed_message_is_sent_with_the_next_message(ends: Ends) -> None:
    ends.sender.send_within(messages.Done(1), 0.5)
    ends.sender.send_now(messages.Done(2))
    ends.reactor.settle()
    assert ends.arrived == [1, 2]
    ends.reactor.pass_time(1)
    assert ends.arrived == [1, 2]


def test_many_delayed_messages_are_sent_at_once(ends: Ends) -> None:
    for number in range(GATHER):
        ends.sender.send_within(messages.Done(number), 0.5)
    ends.reactor.settle()
    assert ends.arrived == list(range(GATHER))


@pytest.mark.parametrize("send", [Connection.send, Connection.send_now])
def test_a_call_that_was_sent_by_a_handler_is_not_sent_again(
    ends: Ends, send: Callable[[Connection, Any, tuple[()], Sent], None]
) -> None:
    call = Sent()
    call.connection = None
    send(ends.sender, messages.Done(1), (), call)
    assert call.connection is ends.sender
    send(ends.sender, messages.Done(1), (), call)
    ends.reactor.settle()
    assert ends.arrived == [1]


def test_a_full_socket_takes_the_rest_when_the_other_side_has_read(ends: Ends) -> None:
    ends.sender.send_now(messages.Warn("x" * LONG))
    assert ends.sender.unsent
    ends.sender.send_now(messages.Done(1))
    ends.reactor.settle()
    assert ends.arrived == ["x" * LONG, 1]
    assert not ends.sender.unsent


def test_a_message_that_is_too_long_fails_alone(ends: Ends) -> None:
    with pytest.raises(TooLongError, match="exceeds the limit"):
        ends.sender.send_now(messages.Warn("x" * (17 << 20)))
    ends.sender.send_now(messages.Done(1))
    ends.reactor.settle()
    assert ends.arrived == [1]


def test_descriptors_travel_with_their_message_and_may_be_closed_at_once(reactor: SteppedReactor, pair: Pair) -> None:
    left, right = pair
    sender = Connection(reactor, left, control_codec(), lambda c, m: None, lambda c, why: None)
    for send in (sender.send, sender.send_now):
        reader, writer = os.pipe()
        send(messages.OutputPipes(1), [reader])
        os.close(reader)
        sender.flush()
        _, (received,), _, _ = socket.recv_fds(right, 1000, 2)
        os.write(writer, b"printed")
        assert os.read(received, 100) == b"printed"
        os.close(received)
        os.close(writer)
    sender.close()


def test_a_write_that_fails_closes_nothing_by_itself(reactor: SteppedReactor, pair: Pair) -> None:
    closed: list[str] = []
    left, right = pair
    sender = Connection(reactor, left, control_codec(), lambda c, m: None, lambda c, why: closed.append(why))
    sender.start()
    right.close()
    sender.send_now(messages.Done(1))
    assert not sender.closed
    assert not sender.unsent, "what cannot be sent is dropped"
    sender.send_now(messages.Done(2))
    reactor.settle()
    assert closed == ["the other side closed the connection"]
    sender.send_now(messages.Done(3))
    assert not sender.unsent


# ------------------------------------------------------------------------------------------- interruptions of a send


def test_a_handler_that_interrupts_a_send_at_the_socket_repeats_no_message(ends: Ends) -> None:
    """The handler sends the bytes that the thread was about to send. The bytes must not go out twice."""
    probe_socket(ends.sender, "send", lambda: ends.sender.send_now(messages.Done(2)))
    ends.sender.send_now(messages.Done(1))
    ends.reactor.settle()
    assert ends.arrived == [1, 2]


def test_a_handler_sends_on_in_the_midst_of_a_long_message(ends: Ends) -> None:
    ends.sender.send_now(messages.Warn("x" * LONG))
    probe_socket(ends.sender, "send", lambda: ends.sender.send_now(messages.Done(2)))
    ends.sender.send_now(messages.Done(1))
    ends.reactor.settle()
    assert ends.arrived == ["x" * LONG, 1, 2]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_handler_that_interrupts_the_encoding_repeats_no_message(ends: Ends, after: bool) -> None:
    codec = control_codec()
    handler = lambda: ends.sender.send_now(messages.Done(2))  # noqa: E731 - shorter than a function
    codec.encode = interrupted(codec.encode, handler, after)  # type: ignore[method-assign]
    ends.sender._codec = codec
    ends.sender.send_now(messages.Done(1))
    ends.reactor.settle()
    assert ends.arrived == [1, 2]


def test_a_handler_that_interrupts_with_descriptors_sends_each_once(reactor: SteppedReactor, pair: Pair) -> None:
    left, right = pair
    sender = Connection(reactor, left, control_codec(), lambda c, m: None, lambda c, why: None)
    pipes = [os.pipe() for _ in range(2)]
    probe_socket(sender, "sendmsg", lambda: sender.send_now(messages.OutputPipes(2), [pipes[1][0]]))
    sender.send_now(messages.OutputPipes(1), [pipes[0][0]])
    right.setblocking(False)
    for reader, writer in pipes:
        _, (received,), _, _ = socket.recv_fds(right, 1000, 4)
        os.write(writer, b"mine")
        assert os.read(received, 100) == b"mine"
        for fd in (reader, writer, received):
            os.close(fd)
    with pytest.raises(BlockingIOError, match="temporarily unavailable"):
        right.recv(1000)
    sender.close()


@pytest.mark.parametrize("send", [Connection.send_now, lambda connection, message: connection.send(message)])
def test_an_exception_from_outside_at_the_socket_loses_no_message(
    ends: Ends, send: Callable[[Connection, Any], None]
) -> None:
    probe_socket(ends.sender, "send", raising(LookupError("from outside")))
    with pytest.raises(LookupError, match="from outside"):
        send(ends.sender, messages.Done(1))
        ends.sender.flush()
    ends.sender.send(messages.Done(2))
    ends.reactor.settle()
    assert ends.arrived == [1, 2]


def test_an_exception_from_outside_in_the_encoding_loses_no_message(ends: Ends) -> None:
    ends.sender._codec = Probe(ends.sender._codec, "encode", raising(LookupError("from outside")))
    with pytest.raises(LookupError, match="from outside"):
        ends.sender.send_now(messages.Done(1))
    ends.reactor.settle()
    assert ends.arrived == [1], "the reactor flushes what the exception has left"


def test_a_thread_leaves_its_message_to_the_thread_that_sends(ends: Ends) -> None:
    pause = Pause()
    probe_socket(ends.sender, "send", pause)
    thread = pause.run(lambda: ends.sender.send_now(messages.Done(1)))
    ends.sender.send_now(messages.Done(2))
    assert not ends.sender.serve(), "the other thread sends"
    pause.end(thread)
    assert not ends.sender.unsent, "it has looked at the outbox again before it has left"
    ends.reactor.settle()
    assert ends.arrived == [1, 2]


def test_the_reactor_serves_messages_that_a_thread_has_left(ends: Ends) -> None:
    """The sending thread may wait in a handler before the thread looks at the outbox again."""
    pause = Pause()
    probe_socket(ends.sender, "send", pause)
    thread = pause.run(lambda: ends.sender.send_now(messages.Done(1)))
    ends.sender.send(messages.Done(2))
    ends.sender.flush()
    ends.reactor.visit()
    assert ends.reactor.left_steps.targets == [ends.sender]
    pause.end(thread)
    ends.reactor.settle()
    assert ends.reactor.left_steps.targets == []
    assert ends.arrived == [1, 2]


def test_before_the_start_a_flush_sends_the_rest(reactor: SteppedReactor, pair: Pair) -> None:
    left, right = pair
    sender = Connection(reactor, left, control_codec(), lambda c, m: None, lambda c, why: None)
    sender.send_now(messages.Warn("x" * LONG))
    reactor.settle()
    assert sender.unsent
    received = 0
    while sender.unsent:
        received += len(right.recv(LONG))
        sender.flush()
    assert received > 0
    sender.close()


def test_a_send_on_a_copy_of_the_socket_that_was_closed_fails_nobody(ends: Ends) -> None:
    """A forked child closes the copy."""
    ends.sender.sock.close()
    ends.sender.send_now(messages.Done(1))
    assert not ends.sender.unsent
    ends.sender.sock = None


# -------------------------------------------------------------------------------------------------------- receiving


def test_messages_arrive_whether_the_garbage_collector_runs_or_not(ends: Ends) -> None:
    assert gc.isenabled()
    ends.sender.send_now(messages.Done(1))
    ends.reactor.settle()
    assert gc.isenabled(), "it is switched off only for the step that must not be torn"
    gc.disable()
    try:
        ends.sender.send_now(messages.Done(2))
        ends.reactor.settle()
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert ends.arrived == [1, 2]


def test_a_message_arrives_in_pieces(reactor: SteppedReactor, pair: Pair) -> None:
    left, right = pair
    arrived: list[int] = []
    receiver = Connection(reactor, right, control_codec(), lambda c, m: arrived.append(m.rid), lambda c, why: None)
    receiver.start()
    frames = control_codec().encode([messages.Done(1)]) + control_codec().encode([messages.Done(2), messages.Done(3)])
    for position in range(len(frames)):
        left.sendall(frames[position : position + 1])
        reactor.settle()
    assert arrived == [1, 2, 3]
    receiver.close()


def test_after_batch_runs_once_for_all_messages_that_had_arrived(ends: Ends) -> None:
    seen: list[int] = []
    ends.receiver.after_batch = lambda connection: seen.append(len(ends.arrived))
    for number in range(3):
        ends.sender.send_now(messages.Done(number))
    ends.reactor.settle()
    assert seen == [3]


def test_hand_to_changes_the_handler_of_messages(ends: Ends) -> None:
    others: list[Any] = []
    ends.receiver.hand_to(lambda connection, message: others.append(message))
    ends.sender.send_now(messages.Done(1))
    ends.reactor.settle()
    assert (ends.arrived, others) == ([], [messages.Done(1)])


def test_a_handler_that_waits_goes_on_with_the_same_message(ends: Ends, reactor: SteppedReactor) -> None:
    """A step that must not run twice asks `begin_once`."""
    begun: list[int] = []

    def take(connection: Connection, message: Any) -> None:
        if connection.begin_once(message):
            begun.append(message.rid)
            reactor.wait(Waiter(), 0)
        ends.take(connection, message)

    ends.receiver.hand_to(take)
    ends.sender.send(messages.Done(1))
    ends.sender.send_now(messages.Done(2))
    reactor.settle()
    assert begun == [1, 2]
    assert ends.arrived == [1, 2, 2, 1], "in the wait the same message is handled again, then the next one"


def test_unpacked_values_are_kept_until_the_handling_ends(ends: Ends, reactor: SteppedReactor) -> None:
    made: list[object] = []

    def take(connection: Connection, message: Any) -> None:
        first_time = id(message) not in connection.unpacked
        value = connection.unpacked.setdefault(id(message), object())
        if first_time:
            reactor.wait(Waiter(), 0)
        made.append(value)

    ends.receiver.hand_to(take)
    ends.sender.send_now(messages.Done(1))
    reactor.settle()
    assert len(made) == 2
    assert made[0] is made[1]
    assert ends.receiver.unpacked == {}


def test_an_exception_from_outside_in_a_handler_loses_no_message(ends: Ends) -> None:
    torn = interrupted(ends.take, raising(LookupError("from outside")))
    ends.receiver.hand_to(torn)
    for number in range(3):
        ends.sender.send(messages.Done(number))
    with pytest.raises(LookupError, match="from outside"):
        ends.reactor.settle()
    ends.reactor.settle()
    assert sorted(set(ends.arrived)) == [0, 1, 2]
    assert ends.arrived[-2:] == [1, 2]


def test_a_handler_s_own_error_is_told_and_the_next_message_is_handled(
    ends: Ends, capfd: pytest.CaptureFixture[str]
) -> None:
    def take(connection: Connection, message: Any) -> None:
        if message.rid == 0:
            raise LookupError("of the handler")
        ends.take(connection, message)

    ends.receiver.hand_to(take)
    ends.sender.send(messages.Done(0))
    ends.sender.send(messages.Done(1))
    ends.reactor.settle()
    assert ends.arrived == [1]
    assert "of the handler" in capfd.readouterr().err


def test_an_exception_from_outside_after_a_batch_is_raised_and_the_rest_is_done(ends: Ends) -> None:
    seen: list[int] = []
    ends.receiver.after_batch = interrupted(
        lambda connection: seen.append(len(ends.arrived)), raising(LookupError("from outside"))
    )
    ends.sender.send(messages.Done(1))
    with pytest.raises(LookupError, match="from outside"):
        ends.reactor.settle()
    ends.reactor.settle()
    assert ends.arrived == [1]
    assert set(seen) == {1}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_handler_that_interrupts_the_decoding_handles_each_message_once(ends: Ends, after: bool) -> None:
    codec = control_codec()
    codec.decode = interrupted(codec.decode, lambda: ends.receiver.go_on(), after)  # type: ignore[method-assign]
    ends.receiver._codec = codec
    ends.sender.send(messages.Done(1))
    ends.sender.send(messages.Done(2))
    ends.reactor.settle()
    assert ends.arrived == [1, 2]


def test_an_exception_from_outside_in_the_decoding_loses_no_message(ends: Ends) -> None:
    ends.receiver._codec = Probe(ends.receiver._codec, "decode", raising(LookupError("from outside")))
    ends.sender.send(messages.Done(1))
    with pytest.raises(LookupError, match="from outside"):
        ends.reactor.settle()
    ends.reactor.settle()
    assert ends.arrived == [1]


# ----------------------------------------------------------------------------------------------------------- ending


def test_the_end_of_the_stream_closes_the_connection_after_the_last_message(ends: Ends) -> None:
    ends.sender.send_now(messages.Done(1))
    ends.sender.close()
    ends.reactor.settle()
    assert ends.arrived == [1]
    assert ends.closed == ["the other side closed the connection"]


@pytest.mark.parametrize(
    ("sent", "why"),
    [(b"\0\0\0\1\xc1", "malformed frame"), (b"\xff\xff\xff\xff", "exceeds the limit")],
    ids=["no-array-of-messages", "a-length-beyond-the-limit"],
)
def test_a_malformed_frame_closes_the_connection_after_the_messages_before(
    reactor: SteppedReactor, pair: Pair, sent: bytes, why: str
) -> None:
    left, right = pair
    told: list[Any] = []
    receiver = Connection(reactor, right, control_codec(), lambda c, m: told.append(m.rid), lambda c, w: told.append(w))
    receiver.start()
    left.sendall(control_codec().encode([messages.Done(1)]))
    reactor.settle()
    left.sendall(sent)
    reactor.settle()
    assert told[0] == 1
    assert why in told[1]
    assert len(told) == 2


def test_a_frame_error_of_a_handler_closes_the_connection(ends: Ends) -> None:
    def refuse(connection: Connection, message: Any) -> None:
        raise FrameError("nobody expects this")

    ends.receiver.hand_to(refuse)
    ends.sender.send_now(messages.Done(1))
    ends.reactor.settle()
    assert ends.closed == ["nobody expects this"]


def test_a_failed_read_closes_the_connection_and_tells_the_reason(reactor: SteppedReactor, pair: Pair) -> None:
    left, right = pair
    closed: list[str] = []
    reset = raising(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))

    class Broken:
        def recvmsg(self, *args: Any) -> None:
            reset()

        def __getattr__(self, name: str) -> Any:
            return getattr(right, name)

    receiver = Connection(reactor, Broken(), control_codec(), lambda c, m: None, lambda c, why: closed.append(why))  # type: ignore[arg-type]
    receiver.start()
    left.sendall(b"x")
    reactor.settle()
    assert closed == ["the connection broke: Connection reset by peer"]


def test_no_message_is_handled_after_the_close(ends: Ends) -> None:
    def take(connection: Connection, message: Any) -> None:
        ends.take(connection, message)
        connection.close("it has had enough")

    ends.receiver.hand_to(take)
    after_batch: list[Connection] = []
    ends.receiver.after_batch = after_batch.append
    ends.sender.send(messages.Done(1))
    ends.sender.send(messages.Done(2))
    ends.reactor.settle()
    assert (ends.arrived, ends.closed, after_batch) == ([1], ["it has had enough"], [])


def test_on_close_is_called_once(ends: Ends) -> None:
    ends.receiver.close("first")
    ends.receiver.close("second")
    assert ends.closed == ["first"]
    assert ends.receiver.closed


def test_a_connection_may_be_closed_while_the_socket_is_full(ends: Ends) -> None:
    """The reactor was asked to watch the socket, and finds no socket."""
    ends.sender.send_now(messages.Warn("x" * LONG))
    ends.sender.close()
    assert not ends.sender.unsent
    ends.reactor.settle()
    assert ends.arrived == []


def test_a_socket_stays_open_for_a_while_if_another_thread_sends(ends: Ends) -> None:
    """The thread might send to another connection whose socket has the same number."""
    pause = Pause()
    probe_socket(ends.sender, "send", pause)
    sock = ends.sender.sock
    thread = pause.run(lambda: ends.sender.send_now(messages.Done(1)))
    ends.sender.close()
    assert sock.fileno() >= 0
    pause.end(thread)
    ends.reactor.pass_time(CLOSE_S)
    assert sock.fileno() < 0
    assert ends.arrived == []
    assert ends.closed == ["the other side closed the connection"]


def test_the_close_closes_descriptors_that_were_not_taken(reactor: SteppedReactor, pair: Pair) -> None:
    left, right = pair
    receiver = Connection(reactor, right, control_codec(), lambda c, m: None, lambda c, why: None)
    receiver.start()
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    socket.send_fds(left, [control_codec().encode([messages.OutputPipes(1)])], [writer])
    os.close(writer)
    reactor.settle()
    receiver.close()
    assert os.read(reader, 1) == b"", "no copy of the write end is left"
    os.close(reader)


def test_the_close_closes_descriptors_of_chunks_that_were_not_decoded(reactor: SteppedReactor, pair: Pair) -> None:
    left, right = pair
    receiver = Connection(reactor, right, control_codec(), lambda c, m: None, lambda c, why: None)
    receiver.start()
    receiver._codec = Probe(receiver._codec, "decode", raising(LookupError("from outside")))
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    socket.send_fds(left, [control_codec().encode([messages.OutputPipes(1)])], [writer])
    os.close(writer)
    with pytest.raises(LookupError, match="from outside"):
        reactor.settle()
    receiver.close()
    assert os.read(reader, 1) == b"", "no copy of the write end is left"
    os.close(reader)


def test_a_handler_that_finds_the_socket_full_has_the_leader_wait_for_room(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender that it has interrupted cannot: the handler may wait for an answer."""
    watched: list[int] = []
    monkeypatch.setattr(ends.reactor, "modify", lambda fd, events, callback: watched.append(events))
    ends.sender._sender = get_ident()
    ends.sender.send_now(messages.Warn("x" * LONG))
    ends.reactor.visit()
    assert watched == [selectors.EVENT_READ | selectors.EVENT_WRITE]
    ends.sender._sender = 0
