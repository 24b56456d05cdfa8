"""A handler that interrupts the making of a connection, and waits there for an answer on the same connection.

It leads in the place of the interrupted code. So it gets its answer, although that code does not go on meanwhile.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from interrupting import Probe, interrupted
from parties import Party
from stepped_reactor import SteppedReactor
from two_sides import call, reply

from nbactors.local.connections.peer_connection import PeerConnection
from nbactors.local.wire import messages

Parties = tuple[Party, Party]

SOON_S = 0.1


@pytest.fixture
def parties(reactor: SteppedReactor) -> Iterator[Parties]:
    """A session, and a worker that answers each call."""
    session, worker = Party(reactor), Party(reactor)
    session.others[worker.process_id] = worker

    def answer(connection: Any, message: messages.Call) -> None:
        worker.arrived.append((connection.peer_id, message))
        connection.send(reply(message.number))

    worker.peers.handlers[messages.Call] = answer
    yield session, worker
    session.close()
    worker.close()


class Handler:
    """A handler that calls the worker and waits for the answer.

    Attributes:
        answers: The numbers of the answered calls at the end of the wait.
    """

    def __init__(self, parties: Parties, reactor: SteppedReactor) -> None:
        self._session, self._worker = parties
        self._reactor = reactor
        self.answers: list[int] | None = None

    def __call__(self) -> None:
        self._session.to(self._worker).send(call(7))
        if self._reactor.reading is not None:  # as a wait does
            self._reactor.reading.go_on()
        self._reactor.pass_time(SOON_S)
        self.answers = list(self._session.numbers)


@pytest.fixture
def handler(parties: Parties, reactor: SteppedReactor) -> Handler:
    return Handler(parties, reactor)


def before_reach(session: Party, handler: Handler) -> None:
    session.reach = interrupted(session.reach, handler)  # type: ignore[method-assign]


def after_reach(session: Party, handler: Handler) -> None:
    session.reach = interrupted(session.reach, handler, after=True)  # type: ignore[method-assign]


def before_hello(session: Party, handler: Handler) -> None:
    reach = session.reach

    def reach_once(process_id: bytes, timeout: float) -> Any:
        session.reach = reach  # type: ignore[method-assign]
        return Interrupted(reach(process_id, timeout), handler, after=False)

    session.reach = reach_once  # type: ignore[method-assign]


def after_hello(session: Party, handler: Handler) -> None:
    reach = session.reach

    def reach_once(process_id: bytes, timeout: float) -> Any:
        session.reach = reach  # type: ignore[method-assign]
        return Interrupted(reach(process_id, timeout), handler, after=True)

    session.reach = reach_once  # type: ignore[method-assign]


class Interrupted(Probe):
    """A socket whose first `sendall` is interrupted."""

    def __init__(self, sock: socket.socket, handler: Callable[[], object], after: bool) -> None:
        super().__init__(sock, "", handler)
        self.sendall = interrupted(sock.sendall, handler, after)


def before_start(session: Party, handler: Handler) -> None:
    def equip(connection: PeerConnection) -> None:
        connection.start = interrupted(connection.start, handler)  # type: ignore[method-assign]

    session.on_equip = equip


def within_start(session: Party, handler: Handler) -> None:
    def equip(connection: PeerConnection) -> None:
        connection._reactor = Probe(connection._reactor, "register", handler)

    session.on_equip = equip


def before_flush(session: Party, handler: Handler) -> None:
    def equip(connection: PeerConnection) -> None:
        connection.flush = interrupted(connection.flush, handler)  # type: ignore[method-assign]

    session.on_equip = equip


PLACES = [before_reach, after_reach, before_hello, after_hello, before_start, within_start, before_flush]


@pytest.mark.parametrize("place", PLACES)
def test_while_a_connection_is_made(
    parties: Parties, reactor: SteppedReactor, handler: Handler, place: Callable[[Party, Handler], None]
) -> None:
    session, worker = parties
    place(session, handler)
    session.to(worker).send(call(8))
    reactor.pass_time(SOON_S)
    assert handler.answers == [7]
    assert sorted(worker.numbers) == sorted(session.numbers) == [7, 8]
    assert session.closed == []


@pytest.mark.parametrize("place", PLACES[:4])
def test_while_a_broken_socket_is_made_anew(
    parties: Parties, reactor: SteppedReactor, handler: Handler, place: Callable[[Party, Handler], None]
) -> None:
    session, worker = parties
    session.to(worker)
    reactor.settle()
    place(session, handler)
    session.cut(worker)
    session.to(worker).send(call(8))
    reactor.pass_time(SOON_S)
    assert handler.answers is not None
    assert sorted(handler.answers) == sorted(worker.numbers) == sorted(session.numbers) == [7, 8]
    assert session.closed == []


@pytest.mark.parametrize("name", ["start", "flush"])
def test_before_a_new_socket_is_used(parties: Parties, reactor: SteppedReactor, handler: Handler, name: str) -> None:
    session, worker = parties
    connection = session.to(worker)
    reactor.settle()
    session.cut(worker)
    setattr(connection, name, interrupted(getattr(connection, name), handler))
    reactor.pass_time(SOON_S)
    assert handler.answers == [7]
    assert worker.numbers == session.numbers == [7]


def test_while_a_broken_socket_is_given_up(parties: Parties, reactor: SteppedReactor, handler: Handler) -> None:
    session, worker = parties
    connection = session.to(worker)
    reactor.settle()
    session.node.send_now = interrupted(session.node.send_now, handler)  # type: ignore[method-assign]

    class Broken:
        def __next__(self) -> Any:
            raise ConnectionResetError(104, "reset")

        def __iter__(self) -> Any:
            return self

    connection._receiver = Broken()
    connection._receive()
    reactor.pass_time(SOON_S)
    assert handler.answers == [7]
    assert worker.numbers == session.numbers == [7]


def test_threads_that_find_a_connection_in_the_making_wait_for_the_thread_that_makes_it(
    parties: Parties, reactor: SteppedReactor
) -> None:
    session, worker = parties
    found: list[PeerConnection] = []
    session.reach = interrupted(session.reach, lambda: found.append(session.to(worker)))  # type: ignore[method-assign]
    session.to(worker).send(call(1))
    reactor.pass_time(SOON_S)
    assert found == [session.to(worker)]
    assert worker.numbers == [1]
    assert session.reached == 1
