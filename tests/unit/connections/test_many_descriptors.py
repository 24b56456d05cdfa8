"""A connection of two peers: messages and their descriptors arrive in order, however many there are."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from nbactors.local.connections.connection import MAX_FDS, Connection
from nbactors.local.connections.peer_connection import PeerConnection
from nbactors.local.reactor import background
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.wire import messages
from nbactors.local.wire.framing import peer_codec


class Ends:
    """Two connected sides on one reactor. What arrives: the bytes of each message with the files that came with it."""

    def __init__(self) -> None:
        self.reactor = Reactor("test-io")
        left, self.right = socket.socketpair()
        left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.sender = Connection(self.reactor, left, peer_codec(), self._ignore, self._note_close)
        self.receiver = PeerConnection(self.reactor, self.right, self._take, self._note_close, self._note_close)
        self.arrived: list[tuple[int, list[int]]] = []
        self.closed: list[str] = []
        self.all_here = threading.Event()
        self.sender.start()
        background.start(self.reactor)

    def _ignore(self, connection: Connection, message: Any) -> None:
        raise AssertionError(message)

    def _note_close(self, connection: Connection, why: str) -> None:
        self.closed.append(why)

    def _take(self, connection: Connection, message: messages.Results) -> None:
        files = []
        first, *values = message.values
        for value in values:
            fd = connection.take_fd(value)
            files.append(os.fstat(fd).st_size)
            os.close(fd)
            connection.forget_fd(value)
        self.arrived.append((len(first.data), files))
        if first.data == b"last":
            self.all_here.set()

    def close(self) -> None:
        self.sender.close()
        self.receiver.close()
        self.reactor.close()


def told(count: int, data: bytes) -> messages.Results:
    """Return a message of some bytes, with so many values that each have a descriptor."""
    values = [messages.Value(b"", segment=messages.Segment(1, 1, [])) for _ in range(count)]
    return messages.Results(1, [messages.Value(data), *values])


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


@pytest.fixture
def files() -> Iterator[list[int]]:
    """Files that are told apart by their sizes: 0, 1, 2 and so on."""
    made = []
    for size in range(5 * MAX_FDS):
        fd = os.memfd_create("test")
        os.ftruncate(fd, size)
        made.append(fd)
    yield made
    for fd in made:
        os.close(fd)


@pytest.mark.parametrize("count", [1, MAX_FDS - 1, MAX_FDS, MAX_FDS + 1, 2 * MAX_FDS, 4 * MAX_FDS + 1])
@pytest.mark.parametrize("length", [1000, 1_000_000], ids=["short", "longer-than-the-socket-takes"])
def test_a_message_brings_all_its_descriptors_however_many(
    ends: Ends, files: list[int], count: int, length: int
) -> None:
    ends.receiver.start()
    ends.sender.send_now(told(count, bytes(length)), files[:count])
    ends.sender.send_now(told(0, b"last"))
    assert ends.all_here.wait(10), ends.closed
    assert ends.arrived == [(length, list(range(count))), (4, [])]


def test_messages_that_are_sent_together_keep_their_own_descriptors(ends: Ends, files: list[int]) -> None:
    ends.receiver.start()
    few = MAX_FDS // 2 - 1
    ends.sender.send(told(few, b""), files[:few])
    ends.sender.send(told(MAX_FDS, b"last"), files[few : few + MAX_FDS])
    assert ends.all_here.wait(10), ends.closed
    assert ends.arrived == [(0, list(range(few))), (4, list(range(few, few + MAX_FDS)))]


def test_messages_behind_a_backlog_keep_their_own_descriptors(ends: Ends, files: list[int]) -> None:
    ends.sender.send_now(told(1, bytes(1_000_000)), files[7:8])
    assert ends.sender.unsent  # nobody reads yet
    for start in (0, 100, 200):
        ends.sender.send_now(told(100, b""), files[start : start + 100])
    ends.sender.send_now(told(0, b"last"))
    ends.receiver.start()
    assert ends.all_here.wait(10), ends.closed
    assert ends.arrived == [
        (1_000_000, [7]),
        (0, list(range(100))),
        (0, list(range(100, 200))),
        (0, list(range(200, 300))),
        (4, []),
    ]
    assert not ends.sender.unsent


@pytest.mark.parametrize("length", [1000, 1_000_000], ids=["short", "longer-than-the-socket-takes"])
def test_descriptors_may_be_closed_at_once(ends: Ends, files: list[int], length: int) -> None:
    """Also where the socket is full at that moment, as it is for the second one of those that are long."""
    for number in (3, 4):
        lent = os.dup(files[number])
        ends.sender.send_now(told(1, bytes(length)), [lent])
        os.close(lent)
    ends.sender.send_now(told(0, b"last"))
    ends.receiver.start()
    assert ends.all_here.wait(10), ends.closed
    assert ends.arrived == [(length, [3]), (length, [4]), (4, [])]


@pytest.mark.parametrize("length", [1000, 1_000_000], ids=["short", "longer-than-the-socket-takes"])
def test_descriptors_that_are_never_received_are_closed(ends: Ends, files: list[int], length: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    ends.sender.send_now(told(0, bytes(1_000_000)))
    ends.sender.send_now(told(300, bytes(length)), files[:300])
    ends.sender.close()
    assert len(os.listdir("/proc/self/fd")) == before - 1


def test_descriptors_for_a_peer_that_is_gone_are_closed(ends: Ends, files: list[int]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    ends.right.close()
    ends.sender.send_now(told(300, b""), files[:300])
    assert len(os.listdir("/proc/self/fd")) <= before - 1


def test_descriptors_that_wait_at_the_close_are_closed_once(ends: Ends, files: list[int]) -> None:
    """The second time they would be whatever the process has opened since."""
    before = len(os.listdir("/proc/self/fd"))
    ends.sender.send(told(20, b""), files[:20])
    ends.sender.close()
    opened = [os.dup(files[0]) for _ in range(20)]
    ends.sender.send(told(1, b""), files[:1])
    ends.sender.flush()
    for fd in opened:
        os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before - 1
