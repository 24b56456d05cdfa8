"""The control connection when the node crashes: the process is away, declares itself to the next node, and goes on."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import msgspec
import pytest
from members import Node
from stepped_reactor import SteppedReactor

from nbactors import exceptions
from nbactors.local.connections import node_link
from nbactors.local.connections.node_link import MAX_CRASHES, PATIENCE_S, NodeLink
from nbactors.local.connections.stash import Stash
from nbactors.local.wire import ids, messages
from nbactors.local.wire.framing import control_codec

PROCESS_ID = b"p" * 16


def welcome(node: int) -> messages.Welcome:
    return messages.Welcome(messages.PROTOCOL_VERSION, bytes([node]) * 28, node, "1.2")


class Process:
    """A process with a link, which can return to another node. It declares a `SetTitle` with `declared`."""

    def __init__(self, reactor: SteppedReactor) -> None:
        self.reactor = reactor
        self.lost: list[str] = []
        self.has_searched = threading.Event()
        self.searches: list[messages.Welcome] = []
        self.found: Callable[[socket.socket | None], None] = lambda _: None
        self.declared: Callable[[], list[tuple[Any, list[int]]]] = lambda: [(messages.SetTitle("declared"), [])]
        self.link = NodeLink(reactor, lambda _: None, self.lost.append)
        self.node = Node.of(self.link)
        self.link.start(PROCESS_ID, "session", "1.2")
        self.link.returning = self
        self.node.tell(welcome(1))
        self.reactor.settle()

    def search(self, last: messages.Welcome, found: Callable[[socket.socket | None], None]) -> None:
        self.searches.append(last)
        self.found = found
        self.has_searched.set()

    def declare(self) -> list[tuple[Any, list[int]]]:
        return self.declared()

    def lose_node(self) -> None:
        self.node.close()
        self.reactor.settle()

    def meet(self, node: int = 2) -> Node:
        """Have the search find a node, which greets."""
        ours, theirs = socket.socketpair()
        self.found(theirs)
        self.node = Node(ours)
        self.reactor.settle()
        hello = self.node.expect(messages.Hello)
        assert (hello.process_id, hello.role, hello.returns) == (PROCESS_ID, "session", True)
        self.node.tell(welcome(node))
        self.reactor.settle()
        return self.node

    def meet_one_that_crashes(self) -> None:
        """Have the search find a node that ends before it greets."""
        ours, theirs = socket.socketpair()
        self.found(theirs)
        self.reactor.settle()
        ours.close()
        self.reactor.settle()

    def close(self) -> None:
        self.link.close()
        self.node.close()


@pytest.fixture
def process(reactor: SteppedReactor) -> Iterator[Process]:
    made = Process(reactor)
    yield made
    made.close()


def texts(node: Node) -> list[str]:
    return [message.label for message in node.arrived() if isinstance(message, messages.SetTitle)]


def test_a_process_searches_for_the_next_node(process: Process) -> None:
    process.lose_node()
    assert process.link.is_away
    assert process.searches == [welcome(1)]
    assert process.link.lost == ""
    process.meet()
    assert not process.link.is_away
    assert process.link.welcome == welcome(2)


def test_what_is_sent_while_no_node_lives_is_declared_instead(process: Process) -> None:
    process.lose_node()
    process.link.send(messages.SetTitle("dropped"))
    node = process.meet()
    process.link.send_now(messages.SetTitle("later"))
    assert texts(node) == ["declared", "later"]


def test_a_display_is_kept(process: Process) -> None:
    process.lose_node()
    display = messages.Display(0, 1, b"figure", "show")
    process.link.send_now(display)
    assert process.meet().expect(messages.Display) == display


def test_what_is_sent_during_the_declarations_comes_behind_them(process: Process) -> None:
    """As another thread does."""

    def declare() -> list[tuple[Any, list[int]]]:
        process.link.send_now(messages.SetTitle("meanwhile"))
        return [(messages.SetTitle("declared"), [])]

    process.declared = declare
    process.lose_node()
    assert texts(process.meet()) == ["declared", "meanwhile"]


def test_descriptors_are_declared_too(process: Process) -> None:
    reader, writer = os.pipe()
    process.declared = lambda: [(messages.OutputPipes(0), [reader])]
    process.lose_node()
    os.write(writer, b"x")
    ours, theirs = socket.socketpair()
    process.found(theirs)
    ours.sendall(control_codec().encode([welcome(2)]))
    process.reactor.settle()
    received: list[int] = []
    while not received:
        _, received, _, _ = socket.recv_fds(ours, 1 << 16, 4)
    assert os.read(received[0], 1) == b"x"
    for descriptor in (reader, writer, *received):
        os.close(descriptor)
    ours.close()


def test_a_display_whose_sender_waits_is_shown_once(process: Process) -> None:
    process.lose_node()

    def be_the_next_node() -> None:
        """On a thread of its own; this thread leads the reactor while it waits for the answer."""
        ours, theirs = socket.socketpair()
        process.found(theirs)
        process.node = node = Node(ours)
        node.expect(messages.Hello)
        node.tell(welcome(2))
        display = node.expect(messages.Display)
        node.tell(messages.Done(display.rid))

    thread = threading.Thread(target=be_the_next_node)
    thread.start()
    process.link.request(lambda rid: messages.Display(rid, 1, b"figure", "show"))
    thread.join()
    process.link.send_now(messages.SetTitle("last"))
    process.reactor.settle()
    assert not [message for message in process.node.arrived() if isinstance(message, messages.Display)]


@pytest.mark.parametrize("crashes", ["before", "meanwhile"])
def test_a_request_is_answered_by_the_next_node(process: Process, crashes: str) -> None:
    requests: list[messages.GetActor] = []

    def be_both_nodes() -> None:
        """On a thread of its own; this thread leads the reactor while it waits for the answer."""
        if crashes == "meanwhile":
            requests.append(process.node.expect(messages.GetActor))
            process.node.close()
        process.has_searched.wait(10)
        ours, theirs = socket.socketpair()
        process.found(theirs)
        process.node = node = Node(ours)
        node.expect(messages.Hello)
        node.tell(welcome(2))
        requests.append(node.expect(messages.GetActor))
        node.tell(messages.Done(requests[-1].rid))

    if crashes == "before":
        process.lose_node()
    thread = threading.Thread(target=be_both_nodes)
    thread.start()
    answer = process.link.request(lambda rid: messages.GetActor(rid, "name", ""))
    thread.join()
    assert isinstance(answer, messages.Done)
    assert set(requests) == {requests[0]}


def kills(node: Node) -> list[messages.KillActor]:
    return [message for message in node.arrived() if isinstance(message, messages.KillActor)]


@pytest.mark.parametrize("lives", [True, False])
def test_each_next_node_gets_what_is_insisted_on_until_one_has_answered(process: Process, lives: bool) -> None:
    if not lives:
        process.lose_node()
    process.link.insist(lambda rid: messages.KillActor(rid, b"a" * 16, True))
    if lives:
        assert len(kills(process.node)) == 1
        process.lose_node()
    for number in (2, 3):
        (kill,) = kills(process.meet(number))
        assert (kill.actor_id, kill.no_restart) == (b"a" * 16, True)
        if number == 3:
            process.node.tell(messages.Done(kill.rid))
            process.reactor.settle()
        process.lose_node()
    assert kills(process.meet(4)) == []


def test_what_is_insisted_on_comes_behind_the_declarations(process: Process) -> None:
    process.lose_node()
    process.link.insist(lambda rid: messages.KillActor(rid, b"a" * 16, True))
    *_, declared, last = process.meet().arrived()
    assert (type(declared), type(last)) == (messages.SetTitle, messages.KillActor)


def test_patience_ends_and_a_node_that_comes_later_is_welcome(process: Process) -> None:
    process.lose_node()
    process.reactor.discard(lambda: process.reactor.pass_time(PATIENCE_S))
    with pytest.raises(exceptions.RaySystemError, match="no other one could be started within 2 s"):
        process.link.request(lambda rid: messages.GetActor(rid, "name", ""))
    assert len(process.lost) == 1
    process.meet()
    assert process.link.lost == ""
    process.link.check()


def test_a_process_that_stood_still_searches_on(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code has kept the lock of the interpreter, so no thread could find the next node."""
    process.lose_node()
    process.reactor.pass_time(PATIENCE_S - 0.1)
    monkeypatch.setattr(node_link, "monotonic", lambda: monotonic() + 5.0)
    process.reactor.pass_time(0.2)
    assert process.link.lost == ""
    process.reactor.pass_time(0.2)
    assert "no other one could be started" in process.link.lost


def test_a_node_that_was_told_to_stop_has_not_crashed(process: Process) -> None:
    process.node.tell(messages.NodeStopped("it was stopped"))
    process.lose_node()
    assert process.searches == []
    assert "it was stopped" in process.link.lost
    assert len(process.lost) == 1


def test_a_node_that_was_killed_on_purpose_has_not_crashed(process: Process) -> None:
    process.lose_node()
    process.found(None)
    process.reactor.settle()
    assert "it was stopped" in process.link.lost
    assert not process.link.is_away


def test_the_same_node_is_not_the_next_one(process: Process) -> None:
    """The node has closed the connection for a reason, and has ended what belongs to this process."""
    process.lose_node()
    process.meet(node=1)
    assert "it has closed the connection" in process.link.lost
    assert not process.link.is_away


def test_a_node_that_refuses_ends_the_search(process: Process) -> None:
    process.lose_node()
    ours, theirs = socket.socketpair()
    process.found(theirs)
    node = Node(ours)
    node.tell(messages.Refused(0, "version", "another version"))
    node.close()
    process.reactor.settle()
    assert (process.link.lost, process.link.refused, process.link.is_away) == ("another version", "version", False)


def test_a_node_that_crashes_before_it_has_greeted_is_followed_by_another(process: Process) -> None:
    process.lose_node()
    process.meet_one_that_crashes()
    assert texts(process.meet(node=3)) == ["declared"]


def test_patience_begins_anew_with_each_node_that_comes(process: Process) -> None:
    process.lose_node()
    for _ in range(3):
        process.reactor.pass_time(PATIENCE_S - 0.1)
        process.meet_one_that_crashes()
        assert process.link.lost == ""
    process.reactor.pass_time(2 * PATIENCE_S)
    assert "no other one could be started" in process.link.lost


def test_the_crashed_node_itself_is_no_node_that_comes(process: Process) -> None:
    """Its socket accepts connections until its process is gone."""
    assert process.link.welcome is not None
    process.link.welcome = msgspec.structs.replace(process.link.welcome, pid=os.getpid())
    process.lose_node()
    process.meet_one_that_crashes()
    assert len(process.searches) == 2
    process.reactor.pass_time(PATIENCE_S)
    assert "no other one could be started" in process.link.lost


def test_patience_ends_if_node_after_node_crashes(process: Process) -> None:
    process.lose_node()
    for _ in range(MAX_CRASHES + 1):
        process.meet_one_that_crashes()
    process.reactor.pass_time(PATIENCE_S)
    assert "no other one could be started" in process.link.lost


def test_each_node_has_a_tag_of_its_own(process: Process) -> None:
    first = process.link.tag
    assert process.link.send_counted(messages.AddHold(b"a" * 16, PROCESS_ID, 1)) == first
    process.lose_node()
    assert process.link.tag == first
    process.meet()
    assert ids.came_before(first, process.link.tag)


def test_a_link_that_is_closed_on_purpose_searches_for_no_node(process: Process) -> None:
    process.link.close()
    assert process.searches == []


def test_a_socket_that_is_found_too_late_is_closed(process: Process) -> None:
    process.lose_node()
    process.meet()
    ours, theirs = socket.socketpair()
    process.found(theirs)
    process.reactor.settle()
    assert theirs.fileno() == -1
    ours.close()


def test_a_stash_sends_what_it_gets_after_its_successor_is_there() -> None:
    class Successor:
        sent: list[Any] = []

        def send(self, message: Any, fds: Any, sent: Any) -> None:
            self.sent.append(message)

    stash = Stash(b"")
    stash.send(messages.SetTitle("before"))
    stash.hand_to(Successor())  # type: ignore[arg-type]
    stash.send_now(messages.SetTitle("after"))
    assert [message.label for message in Successor.sent] == ["before", "after"]
