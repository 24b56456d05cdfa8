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
from nbactors.testing import eventually


class Ends:
    """Two connected sides on one reactor. What arrives: bytes, and the files that came before them."""

    def __init__(self) -> None:
        self.reactor = Reactor("test-io")
        left, self.right = socket.socketpair()
        left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.sender = Connection(self.reactor, left, peer_codec(), self._ignore, self._note_close)
        self.receiver = PeerConnection(self.reactor, self.right, self._take, self._note_close, self._note_close)
        self.arrived: list[tuple[int, list[int]]] = []
        self.files: list[int] = []
        self.closed: list[str] = []
        self.all_here = threading.Event()
        self.sender.start()
        background.start(self.reactor)

    def _ignore(self, connection: Connection, message: Any) -> None:
        raise AssertionError(message)

    def _note_close(self, connection: Connection, why: str) -> None:
        self.closed.append(why)

    def _take(self, connection: Connection, message: Any) -> None:
        if type(message) is messages.Arena:
            fd = connection.take_fd(message)
            self.files.append(os.fstat(fd).st_size)
            os.close(fd)
            connection.forget_fd(message)
            return
        files, self.files = self.files, []
        self.arrived.append((len(message.data), files))
        if message.data == b"last":
            self.all_here.set()

    def close(self) -> None:
        self.sender.close()
        self.receiver.close()
        self.reactor.close()


def send(connection: Connection, data: bytes, files: list[int], *, at_once: bool = True) -> None:
    """Send descriptors, each beside its message, and behind them a message of some bytes."""
    for fd in files:
        connection.send(messages.Arena(1, 1), (fd,))
    (connection.send_now if at_once else connection.send)(messages.Reply(1, data))


def eventually_open(count: int, *, or_less: bool = False) -> None:
    """Wait until this process has that many open descriptors.

    The leader may be the sender when a test sends or closes. Then the leader drops what is queued, a moment later.
    """

    def is_so() -> bool:
        found = len(os.listdir("/proc/self/fd"))
        return found <= count if or_less else found == count

    eventually(is_so)


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
    send(ends.sender, bytes(length), files[:count])
    send(ends.sender, b"last", [])
    assert ends.all_here.wait(10), ends.closed
    assert ends.arrived == [(length, list(range(count))), (4, [])]


def test_messages_that_are_sent_together_keep_their_own_descriptors(ends: Ends, files: list[int]) -> None:
    ends.receiver.start()
    few = MAX_FDS // 2 - 1
    send(ends.sender, b"", files[:few], at_once=False)
    send(ends.sender, b"last", files[few : few + MAX_FDS], at_once=False)
    assert ends.all_here.wait(10), ends.closed
    assert ends.arrived == [(0, list(range(few))), (4, list(range(few, few + MAX_FDS)))]


def test_messages_behind_a_backlog_keep_their_own_descriptors(ends: Ends, files: list[int]) -> None:
    send(ends.sender, bytes(1_000_000), files[7:8])
    assert ends.sender.unsent  # nobody reads yet
    for start in (0, 100, 200):
        send(ends.sender, b"", files[start : start + 100])
    send(ends.sender, b"last", [])
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
        send(ends.sender, bytes(length), [lent])
        os.close(lent)
    send(ends.sender, b"last", [])
    ends.receiver.start()
    assert ends.all_here.wait(10), ends.closed
    assert ends.arrived == [(length, [3]), (length, [4]), (4, [])]


@pytest.mark.parametrize("length", [1000, 1_000_000], ids=["short", "longer-than-the-socket-takes"])
def test_descriptors_that_are_never_received_are_closed(ends: Ends, files: list[int], length: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    send(ends.sender, bytes(1_000_000), [])
    send(ends.sender, bytes(length), files[:300])
    ends.sender.close()
    eventually_open(before - 1)


def test_descriptors_for_a_peer_that_is_gone_are_closed(ends: Ends, files: list[int]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    ends.right.close()
    send(ends.sender, b"", files[:300])
    eventually_open(before - 1, or_less=True)


def test_descriptors_that_wait_at_the_close_are_closed_once(ends: Ends, files: list[int]) -> None:
    """The second time they would be whatever the process has opened since."""
    before = len(os.listdir("/proc/self/fd"))
    send(ends.sender, b"", files[:20], at_once=False)
    ends.sender.close()
    opened = [os.dup(files[0]) for _ in range(20)]
    send(ends.sender, b"", files[:1], at_once=False)
    ends.sender.flush()
    for fd in opened:
        os.close(fd)
    eventually_open(before - 1)
