"""Requests to the node: answers, refusals, interruptions, and the node's end."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from members import Node
from stepped_reactor import SteppedReactor

from nbactors import exceptions
from nbactors.exceptions import hints
from nbactors.local.connections.node_link import ANSWER_S, NodeLink
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.wire import messages

PROCESS_ID = b"p" * 16


class Client:
    """A process with a link to the node.

    Attributes:
        node: The link.
        node_end: The node; the test speaks for the node.
        told: The arguments of `on_message`.
        lost: The arguments of `on_lost`.
    """

    def __init__(self, reactor: SteppedReactor) -> None:
        self.reactor = reactor
        self.told: list[Any] = []
        self.lost: list[str] = []
        self.node = NodeLink(reactor, self.told.append, self.lost.append)
        self.node_end = Node.of(self.node)
        self.node.start(PROCESS_ID, "session", "1.2")

    def ask(self, **options: Any) -> Any:
        """Make a request."""
        return self.node.request(lambda rid: messages.GetActor(rid, "name", ""), **options)

    def interrupt_soon(self) -> None:
        """Have the user interrupt the next wait."""
        self.reactor.discard(lambda: signal.raise_signal(signal.SIGINT))

    def close(self) -> None:
        self.node.close()
        self.node_end.close()


@pytest.fixture
def client(reactor: SteppedReactor) -> Iterator[Client]:
    made = Client(reactor)
    yield made
    made.close()


def test_the_hello_is_the_first_message(client: Client) -> None:
    hello = client.node_end.expect(messages.Hello)
    assert hello == messages.Hello(messages.PROTOCOL_VERSION, PROCESS_ID, os.getpid(), "session", "1.2")


def test_the_node_s_welcome_is_kept(client: Client, reactor: SteppedReactor) -> None:
    assert client.node.welcome is None
    welcome = messages.Welcome(messages.PROTOCOL_VERSION, b"n" * 16, 1, "1.2")
    client.node_end.tell(welcome)
    reactor.settle()
    assert client.node.welcome == welcome
    assert client.told == []


def test_messages_without_an_answer_go_out_in_order(client: Client, reactor: SteppedReactor) -> None:
    client.node.send(messages.Blocked())
    assert client.node.unsent
    client.node.send_now(messages.Unblocked())
    assert not client.node.unsent
    assert client.node_end.expect(messages.Hello)
    assert client.node_end.arrived() == [messages.Blocked(), messages.Unblocked()]


def test_messages_that_are_no_answer_are_passed_on(client: Client, reactor: SteppedReactor) -> None:
    gone, granted = messages.ProcessGone(b"q" * 16, "exit code 3"), messages.LeaseGranted(77, 1, b"q" * 16, 1)
    client.node_end.tell(gone, granted)
    reactor.settle()
    assert client.told == [gone, granted], "also the answer to a request that nobody waits for"


@pytest.mark.parametrize(
    ("message", "times"),
    [(messages.Warn("text"), 1), (messages.ProcessGone(b"q" * 16, ""), 2)],
    ids=["what-is-shown", "what-is-no-harm-twice"],
)
def test_a_handler_that_waits_shows_nothing_twice(
    client: Client, reactor: SteppedReactor, message: messages.Control, times: int
) -> None:
    def take(told: Any) -> None:
        client.told.append(told)
        if len(client.told) == 1:
            reactor.wait(Waiter(), 0)

    client.node._on_message = take
    client.node_end.tell(message, messages.ListenAgain())
    reactor.settle()
    assert client.told == [message] * times + [messages.ListenAgain()]


# ---------------------------------------------------------------------------------------------------------- requests


def test_a_request_returns_its_answer(client: Client) -> None:
    client.node_end.tell(messages.Done(1), messages.Done(2))
    assert client.ask() == messages.Done(1)
    assert client.node_end.expect(messages.GetActor) == messages.GetActor(1, "name", "")
    assert client.told == [messages.Done(2)]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("value", ValueError),
        ("type", TypeError),
        ("runtime", RuntimeError),
        ("version", RuntimeError),
        ("internal", exceptions.RaySystemError),
        ("taken", exceptions.ActorAlreadyExistsError),
        ("of a later version", RuntimeError),
    ],
)
def test_a_refusal_raises_the_error_of_its_kind(client: Client, kind: str, error: type[Exception]) -> None:
    client.node_end.tell(messages.Refused(1, kind, "for this reason"))
    with pytest.raises(error, match="for this reason") as caught:
        client.ask()
    assert type(caught.value) is error


def test_a_request_that_is_not_answered_in_time_fails_and_says_how_to_go_on(client: Client) -> None:
    with pytest.raises(exceptions.RaySystemError, match=r"did not answer within 0 s.*node.log.*nbactors stop --force"):
        client.ask(timeout=0)
    client.node_end.tell(messages.Done(1), messages.Done(2))
    assert client.ask() == messages.Done(2), "a late answer is no other request's"


def test_a_request_waits_for_the_node_for_half_a_minute(client: Client, reactor: SteppedReactor) -> None:
    waited: list[float | None] = []
    reactor.wait = lambda waiter, timeout: waited.append(timeout)  # type: ignore[method-assign,assign,func-returns-value]
    with pytest.raises(exceptions.RaySystemError, match="did not answer within 30 s"):
        client.ask()
    assert waited == [ANSWER_S]


def test_an_interrupted_request_is_undone_when_its_answer_comes(client: Client, reactor: SteppedReactor) -> None:
    undone: list[Any] = []
    client.interrupt_soon()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        client.ask(undo=undone.append)
    assert undone == []
    client.node_end.tell(messages.Done(1), messages.Done(1))
    reactor.settle()
    assert undone == [messages.Done(1)]
    assert client.told == [messages.Done(1)], "it is undone once"


def test_a_request_is_undone_if_the_interrupt_comes_with_the_answer(client: Client, reactor: SteppedReactor) -> None:
    undone: list[Any] = []
    client.node_end.tell(messages.Done(1))
    client.interrupt_soon()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        client.ask(undo=undone.append)
    reactor.settle()
    assert undone == [messages.Done(1)]


def test_an_interrupted_request_that_changes_nothing_is_not_undone(client: Client, reactor: SteppedReactor) -> None:
    client.interrupt_soon()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        client.ask()
    client.node_end.tell(messages.Done(1))
    reactor.settle()
    assert client.told == [messages.Done(1)]


# ------------------------------------------------------------------------------------------------------ the node's end


def test_the_end_of_the_node_ends_a_waiting_request(client: Client) -> None:
    client.node_end.close()
    with pytest.raises(exceptions.RaySystemError, match=r"node daemon has ended.*shutdown\(\) and then init\(\)"):
        client.ask()
    assert client.lost == [client.node.lost]


def test_after_the_end_of_the_node_a_request_fails_at_once(client: Client, reactor: SteppedReactor) -> None:
    client.node_end.close()
    reactor.settle()
    for act in (client.node.check, client.ask):
        with pytest.raises(exceptions.RaySystemError, match="node daemon has ended"):
            act()
    client.node.send(messages.Blocked())
    reactor.settle()
    assert not client.node.unsent
    assert len(client.lost) == 1


def test_a_request_does_not_wait_if_the_node_ends_during_the_send(client: Client, reactor: SteppedReactor) -> None:
    def make(rid: int) -> messages.Control:
        client.node.lost = "the node daemon has ended"
        return messages.GetActor(rid, "name", "")

    with pytest.raises(exceptions.RaySystemError, match="the node daemon has ended"):
        client.node.request(make)


def test_a_refused_process_is_told_the_reason(client: Client, reactor: SteppedReactor) -> None:
    client.node_end.tell(messages.Refused(0, "version", "it speaks another version"))
    client.node_end.close()
    reactor.settle()
    assert client.lost == ["it speaks another version"]
    assert client.node.refused == "version"


def test_a_request_in_a_forked_child_fails_and_tells_the_reason(client: Client) -> None:
    sock = client.node._connection.sock
    client.node.forget()
    assert sock.fileno() < 0
    with pytest.raises(exceptions.RaySystemError, match=re.escape(hints.FORKED)):
        client.ask()
    client.node._connection.sock = None


def test_a_link_that_is_closed_on_purpose_sends_nothing_more(client: Client, reactor: SteppedReactor) -> None:
    client.node.close()
    assert client.lost == [client.node.lost]
    assert "this process leaves" in client.node.lost
    client.node_end.expect(messages.Hello)
    with pytest.raises(EOFError, match="closed its control connection"):
        client.node_end.expect(messages.Done)
