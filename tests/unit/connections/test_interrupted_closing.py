"""A handler or an exception that comes at any place of the closing of a connection: its end is told nevertheless."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial

import pytest
from interrupting import raising
from parties import Party
from places import Event, Injected
from stepped_reactor import SteppedReactor

from nbactors.local.connections.connection import Connection
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.wire import messages
from nbactors.local.wire.framing import control_codec

FEWEST = 20
"""Fewer places would mean that the event comes nowhere."""

LOST = "the other side closed the connection"
GONE = "it has ended"


class Closing:
    """A connection whose other side has closed it, which the reactor has not read yet."""

    def __init__(self, reactor: SteppedReactor) -> None:
        self.reactor = reactor
        self.closed: list[str] = []
        self.sock, other = socket.socketpair()
        self.connection = Connection(reactor, self.sock, control_codec(), lambda c, m: None, self._on_close)
        self.connection.start()
        other.close()

    def _on_close(self, connection: Connection, why: str) -> None:
        self.closed.append(why)

    def read(self) -> None:
        self.reactor.visit()

    def check(self) -> None:
        """Check what there is at the end."""
        assert set(self.closed) == {LOST}
        assert self.sock.fileno() < 0


class ClosingPeer:
    """A connection to a process that has ended, as the node has told."""

    def __init__(self, reactor: SteppedReactor) -> None:
        self.reactor = reactor
        self.party, self._other = Party(reactor), Party(reactor)
        self.party.others[self._other.process_id] = self._other
        self.closed = self.party.closed
        self.connection = self.party.to(self._other)
        reactor.settle()
        self.party.others.clear()
        self._other.close()
        self.party.node_end.tell(messages.ProcessGone(self._other.process_id, GONE))

    def read(self) -> None:
        self.reactor.visit()
        self.reactor.visit()

    def check(self) -> None:
        """Check what there is at the end."""
        assert set(self.closed) <= {LOST, GONE}
        assert self.closed
        assert set(self.party.gone) == {self._other.process_id}
        assert self.party.peers.outgoing() == []
        assert self.connection.sock is None
        self.party.close()


def at_all_places(reactor: SteppedReactor, kind: Callable[[SteppedReactor], Closing | ClosingPeer], act: Act) -> int:
    """Tell of a closing with an event at one place after the other; return how many places there are."""
    number = 0
    while True:
        number += 1
        closing = kind(reactor)
        event = Event(number, partial(act, closing))
        try:
            with event.may_come():
                closing.read()
        except Injected:
            pass
        reactor.settle()
        closing.check()
        if not event.place:
            return number - 1


Act = Callable[["Closing | ClosingPeer"], None]
kinds = pytest.mark.parametrize("kind", [Closing, ClosingPeer])


@kinds
def test_the_end_is_told_where_an_exception_comes(
    reactor: SteppedReactor, kind: Callable[[SteppedReactor], Closing | ClosingPeer]
) -> None:
    throw = raising(Injected())
    assert at_all_places(reactor, kind, lambda closing: throw()) > FEWEST


@kinds
def test_a_handler_that_waits_is_told_the_end(
    reactor: SteppedReactor, kind: Callable[[SteppedReactor], Closing | ClosingPeer]
) -> None:
    waited: list[bool] = []

    def wait(closing: Closing | ClosingPeer) -> None:
        is_closed = closing.connection.closed
        reactor.wait(Waiter(), 0)
        if is_closed:
            assert closing.closed
            waited.append(True)

    assert at_all_places(reactor, kind, wait) > FEWEST
    assert waited
