"""Sockets of connections that break while other threads send on them, and that are read in another order."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

import nbactors as ray
from nbactors import engine
from nbactors.local import sockets
from nbactors.local.connections.peer_connection import PeerConnection
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.wire import messages
from nbactors.local.wire.framing import PeerCodec
from nbactors.testing import eventually
from nbactors.version import __version__


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    reactor = Reactor("test-io")
    yield reactor
    reactor.close()


def connection_of(reactor: Reactor) -> PeerConnection:
    connection = PeerConnection(reactor, None, lambda c, m: None, lambda c, w: None, lambda c, w: None)
    connection.is_outgoing = True
    return connection


def test_a_thread_that_waits_for_room_leaves_the_watching_to_the_leader(reactor: Reactor) -> None:
    connection = connection_of(reactor)
    ours, theirs = socket.socketpair()
    with closing(theirs):
        connection.begin(ours)
        number = ours.fileno()

        def fill() -> None:
            while connection._part is None:
                connection.send_now(messages.ReleaseSegment(1))

        sender = threading.Thread(target=fill)
        sender.start()
        sender.join(10)
        # Only this thread leads, and it has not yet: nothing may have changed what it watches.
        selector = reactor._selector
        assert selector.get_key(number).events == 1
        reactor.visit()
        eventually(lambda: reactor.visit() or selector.get_key(number).events == 3)
        connection.close()


def test_a_socket_is_kept_while_another_thread_may_send_on_it(reactor: Reactor) -> None:
    connection = connection_of(reactor)
    ours, theirs = socket.socketpair()
    with closing(theirs), closing(ours):
        connection.begin(ours)
        connection._sender = threading.get_ident() + 1
        connection.lose("it broke")
        assert ours.fileno() >= 0
        assert theirs.recv(1 << 16) == b""
        connection._sender = 0
        connection.close()


def test_the_first_socket_of_a_connection_does_not_replace_a_later_one() -> None:
    ray.init(num_cpus=1)
    try:
        process = engine.current().process  # type: ignore[attr-defined]
        path = sockets.process_socket_path(process.directory, process.process_id)
        hello = messages.Hello(messages.PROTOCOL_VERSION, b"p" * 16, os.getpid(), "peer", __version__)
        with closing(sockets.connect(path, 10)) as later, closing(sockets.connect(path, 10)) as first:
            later.settimeout(10)
            later.sendall(PeerCodec().encode([hello, messages.Attach(7, True, 0)]))
            assert later.recv(1 << 10)  # what has come: nothing
            first.settimeout(10)
            first.sendall(PeerCodec().encode([hello, messages.Attach(7, False, 0)]))
            assert first.recv(1 << 10) == b""
            (connection,) = process.peers._links.values()
            assert not connection.broken
            assert connection.sock is not None
    finally:
        ray.shutdown()
