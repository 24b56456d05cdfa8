"""A handler or an exception that comes at any place while a process returns to the next node.

A handler that waits there for the node gets its answer, and the process returns nevertheless.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from interrupting import raising
from members import Node
from places import Event, Injected
from stepped_reactor import SteppedReactor

from nbactors.local.connections.node_link import NodeLink
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.wire import messages

FEWEST = 100
"""Fewer places would mean that the event comes nowhere."""

TURNS = 8
"""How often each side gets its turn: more often than a return takes."""

AGAIN = "declared"
LATE = messages.Display(0, 1, b"figure", "show")


def _welcome(node: int) -> messages.Welcome:
    return messages.Welcome(messages.PROTOCOL_VERSION, bytes([node]) * 28, node, "1.2")


class Away:
    """A process whose node has crashed, which it has not read yet. The test plays the next nodes.

    Args:
        crashes: How many of the next nodes crash before they greet.
    """

    def __init__(self, reactor: SteppedReactor, crashes: int) -> None:
        self.reactor = reactor
        self._crashes = crashes
        self.lost: list[str] = []
        self.answered: list[int] = []
        self._searches: list[Callable[[socket.socket | None], None]] = []
        self._nodes: list[Node] = []
        self.got: list[Any] = []
        """What has come to the nodes, in order."""
        self.link = NodeLink(reactor, lambda _: None, self.lost.append)
        first = Node.of(self.link)
        self.link.start(b"p" * 16, "session", "1.2")
        self.link.returning = self
        first.tell(_welcome(1))
        reactor.settle()
        self.link.insist(lambda rid: messages.KillActor(rid, b"a" * 16, True))
        first.close()

    def search(self, last: messages.Welcome | None, found: Callable[[socket.socket | None], None]) -> None:
        self._searches.append(found)

    def declare(self) -> list[tuple[Any, list[int]]]:
        if self.link.is_away and self.link.tag == _welcome(1).node_id[: len(self.link.tag)]:
            raise AssertionError("what is sent now would be lost")
        return [(messages.SetTitle(AGAIN), []), (messages.SetTitle("the rest"), [])]

    def play(self) -> None:
        """Do what the nodes do, as other processes."""
        while self._searches:
            found = self._searches.pop()
            ours, theirs = socket.socketpair()
            found(theirs)
            if self._crashes:
                self._crashes -= 1
                ours.close()
            else:
                self._nodes.append(Node(ours))
        for node in list(self._nodes):
            arrived = node.arrived()
            node._arrived.clear()
            for message in arrived:
                self.got.append(message)
                if type(message) is messages.Hello:
                    node.tell(_welcome(2))
                elif type(message) is messages.KillActor:
                    node.tell(messages.Done(message.rid))

    def wait_in_handler(self) -> None:
        """Ask the node, and wait for the answer."""
        self.link.insist(lambda rid: messages.KillActor(rid, b"b" * 16, True))
        self.link.send_now(LATE)
        rid = max(self.link._waiting)
        reading = self.reactor.reading
        if reading is not None and self.reactor.leader is not None:  # as a wait does
            reading.go_on()
        for _ in range(TURNS):
            self.play()
            self.reactor.wait(Waiter(), 0)
        assert rid not in self.link._waiting, "the handler has got no answer"

    def close(self) -> None:
        self.link.close()
        for node in self._nodes:
            node.close()


def tell(reactor: SteppedReactor, number: int, act: Callable[[Away], None], crashes: int) -> Event:
    """Tell of a return with an event at one place."""
    away = Away(reactor, crashes)
    event = Event(number, lambda: act(away))
    for _ in range(TURNS):
        try:
            with event.may_come():
                reactor.visit()
        except Injected:
            pass
        away.play()
    reactor.settle()
    try:
        assert not away.link.is_away
        assert away.link.lost == ""
        assert away.lost == []
        assert all(request.answer is not None for request in away.link._waiting.values())
        away.link.send_now(messages.SetTitle("last"))
        away.play()
        titles = [message.label for message in away.got if type(message) is messages.SetTitle]
        assert titles == [AGAIN, "the rest", "last"]
        first, second, *rest = [type(message) for message in away.got]
        assert (first, second) == (messages.Hello, messages.SetTitle)
        assert messages.Hello not in rest
        kills = [message.actor_id for message in away.got if type(message) is messages.KillActor]
        assert len(kills) == len(set(kills)), "a request has come twice"
    except AssertionError as error:
        raise AssertionError(f"at place {number}: {event.place}") from error
    finally:
        away.close()
    return event


def at_all_places(reactor: SteppedReactor, act: Callable[[Away], None], crashes: int) -> int:
    """Tell of a return with an event at one place after the other; return how many places there are."""
    number = 1
    while tell(reactor, number, act, crashes).place:
        number += 1
    return number - 1


# An exception that comes just when a socket was made leaves it to Python, which closes it and warns.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("crashes", [0, 1])
def test_a_process_returns_where_an_exception_comes(reactor: SteppedReactor, crashes: int) -> None:
    throw = raising(Injected())
    assert at_all_places(reactor, lambda away: throw(), crashes) > FEWEST


@pytest.mark.parametrize("crashes", [0, 1])
def test_a_handler_that_waits_for_the_node_gets_its_answer(reactor: SteppedReactor, crashes: int) -> None:
    assert at_all_places(reactor, Away.wait_in_handler, crashes) > FEWEST


def test_the_end_of_the_search_is_told_where_an_exception_comes(reactor: SteppedReactor) -> None:
    number, place = 0, "any"
    while place:
        number += 1
        away = Away(reactor, 0)
        reactor.visit()
        away._searches.pop()(None)
        event = Event(number, raising(Injected()))
        try:
            with event.may_come():
                reactor.visit()
        except Injected:
            pass
        reactor.settle()
        place = event.place
        assert not away.link.is_away
        assert set(away.lost) == {away.link.lost}, place
        assert "it was stopped" in away.link.lost
        away.close()
    assert number > 10
