"""Who connects to whom, who connects anew, and what a process's end does to its connections."""

from __future__ import annotations

import gc
import socket
import weakref
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from interrupting import Probe, interrupted, raising
from members import Node
from parties import Party
from stepped_reactor import SteppedReactor
from two_sides import FarEnd, call, reply

from nbactors.local.connections import peers as peers_module
from nbactors.local.connections.connection import Connection
from nbactors.local.connections.peer_connection import ACKNOWLEDGE_S, GIVEN_UP, PeerConnection
from nbactors.local.connections.peers import (
    CONNECT_S,
    FIRST_DELAY_S,
    HELLO_WITHIN_S,
    LAST_DELAY_S,
    READ_OUT_S,
    RECONNECT_S,
)
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.wire import messages

Parties = tuple[Party, Party]

SOON_S = 0.1
"""A first try to make a socket anew is over by then."""


@pytest.fixture
def parties(reactor: SteppedReactor) -> Iterator[Parties]:
    """A session and a worker that can reach each other."""
    session, worker = Party(reactor), Party(reactor)
    session.others[worker.process_id] = worker
    worker.others[session.process_id] = session
    yield session, worker
    session.close()
    worker.close()


def hello(process_id: bytes = b"p" * 16, version: int = messages.PROTOCOL_VERSION) -> messages.Hello:
    return messages.Hello(version, process_id, 1, "peer", "1")


def end(node: Node, other: Party) -> None:
    """Have the node tell that a process has ended."""
    node.tell(messages.ProcessGone(other.process_id, "exit code 3"))


# ------------------------------------------------------------------------------------------------------- connecting


def test_a_call_arrives_with_the_id_of_the_calling_process(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    session.to(worker).send(call(1))
    reactor.settle()
    assert worker.arrived == [(session.process_id, call(1))]


def test_a_process_keeps_one_connection_to_each_other_process(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    assert session.to(worker) is session.to(worker)
    reactor.settle()
    assert session.reached == 1
    assert session.peers.outgoing() == [session.to(worker)]
    assert len(worker.peers.incoming()) == 1


def test_two_processes_that_call_each_other_have_two_connections(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    session.to(worker).send(call(1))
    worker.to(session).send(call(2))
    reactor.settle()
    assert (worker.numbers, session.numbers) == ([1], [2])
    assert len(session.peers.outgoing()) == len(session.peers.incoming()) == 1


def test_an_answer_travels_on_the_connection_of_the_call(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    worker.peers.handlers[messages.Call] = lambda connection, message: connection.send(reply(message.number))
    session.to(worker).send(call(1))
    reactor.settle()
    assert session.arrived == [(worker.process_id, reply(1))]
    assert session.batches > 0
    assert worker.peers.outgoing() == []


def test_unsent_lists_the_connections_with_output(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    session.to(worker).send(call(1))
    assert session.peers.unsent() == [session.to(worker)]
    reactor.settle()
    assert session.peers.unsent() == []


def test_a_handler_that_interrupts_the_connecting_connects_once(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    inner: list[Connection] = []
    session.on_equip = interrupted(lambda connection: None, lambda: inner.append(session.to(worker)))
    assert session.to(worker) is inner[0]
    inner[0].send(call(1))
    reactor.settle()
    assert worker.numbers == [1]
    assert session.reached == 1


def test_a_handler_that_interrupts_the_connecting_may_send(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    reach = session.reach
    session.reach = interrupted(reach, lambda: session.to(worker).send(call(1)))  # type: ignore[method-assign]
    session.to(worker).send(call(2))
    reactor.settle()
    assert worker.numbers == [1, 2]
    assert session.reached == 1


def test_after_an_exception_from_outside_the_reactor_connects(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    session.reach = interrupted(session.reach, raising(KeyboardInterrupt()))  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        session.peers.connect(worker.process_id)
    session.to(worker).send(call(1))
    reactor.settle()
    assert worker.numbers == [1]


def test_a_handler_that_interrupts_the_close_of_a_connection_makes_another(
    parties: Parties, reactor: SteppedReactor
) -> None:
    session, worker = parties
    first = session.to(worker)
    reactor.settle()
    second: list[Connection] = []
    first._let_go = interrupted(first._let_go, lambda: second.append(session.to(worker)))  # type: ignore[method-assign]
    first.close("given up")
    assert second[0] is session.to(worker) is not first
    second[0].send(call(1))
    reactor.settle()
    assert worker.numbers == [1]


def test_a_socket_that_breaks_before_the_hello_is_made_anew(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    reach = session.reach

    def reach_in_vain(process_id: bytes, timeout: float) -> Any:
        session.reach = reach  # type: ignore[method-assign]
        return Probe(reach(process_id, timeout), "sendall", raising(BrokenPipeError()))

    session.reach = reach_in_vain  # type: ignore[method-assign]
    session.to(worker).send(call(1))
    reactor.settle()
    assert worker.numbers == [1]
    assert session.reached == 2


def test_the_reactor_waits_less_long_for_a_full_queue_than_a_caller(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    limits: list[float] = []
    reach = session.reach

    def reach_and_note(process_id: bytes, timeout: float) -> socket.socket:
        limits.append(timeout)
        return reach(process_id, timeout)

    session.reach = reach_and_note  # type: ignore[method-assign]
    session.to(worker)
    reactor.settle()
    session.cut(worker)
    reactor.pass_time(SOON_S)
    assert limits == [CONNECT_S, RECONNECT_S]


# --------------------------------------------------------------------------------------------------------- accepting


class Stranger:
    """A process that has connected; the test speaks for the process."""

    def __init__(self, party: Party) -> None:
        self.sock, theirs = socket.socketpair()
        party._sockets += (self.sock, theirs)
        party.peers.admit(theirs)
        self.far = FarEnd(self.sock)

    @property
    def is_dismissed(self) -> bool:
        self.sock.setblocking(False)
        try:
            return self.sock.recv(1) == b""
        except BlockingIOError:
            return False
        finally:
            self.sock.setblocking(True)


def test_calls_may_come_in_one_frame_with_the_hello(parties: Parties, reactor: SteppedReactor) -> None:
    _, worker = parties
    Stranger(worker).far.write(hello(b"s" * 16), messages.Attach(1, False, 0), call(1))
    reactor.settle()
    assert worker.arrived == [(b"s" * 16, call(1))]


@pytest.mark.parametrize("first", [hello(version=0), call(1)], ids=["another-version", "no-hello"])
def test_a_process_without_a_hello_of_this_version_is_dismissed(
    parties: Parties, reactor: SteppedReactor, first: messages.Message
) -> None:
    _, worker = parties
    stranger = Stranger(worker)
    stranger.far.write(first)
    reactor.settle()
    assert stranger.is_dismissed
    assert worker.closed == ["the peer did not say Hello in this protocol's version"]
    assert worker.peers.incoming() == []


@pytest.mark.parametrize("waits", [False, True], ids=["an-exception", "a-handler-that-waits"])
def test_an_interrupted_hello_is_handled_again(parties: Parties, reactor: SteppedReactor, waits: bool) -> None:
    session, worker = parties

    def handler() -> None:
        if not waits:
            raise LookupError("from outside")
        reactor.wait(Waiter(), 0)

    def interrupt(connection: PeerConnection) -> None:
        connection.hand_to = interrupted(connection.hand_to, handler)  # type: ignore[method-assign]

    worker.on_equip = interrupt
    session.to(worker).send(call(1))
    with nullcontext() if waits else pytest.raises(LookupError, match="from outside"):
        reactor.settle()
    reactor.settle()
    assert worker.closed == []
    assert worker.numbers == [1]


def test_a_silent_process_is_dismissed_after_a_while(parties: Parties, reactor: SteppedReactor) -> None:
    _, worker = parties
    silent, speaking = Stranger(worker), Stranger(worker)
    speaking.far.write(hello())
    reactor.pass_time(HELLO_WITHIN_S - 1)
    assert not silent.is_dismissed
    reactor.pass_time(1)
    assert silent.is_dismissed
    assert not speaking.is_dismissed
    assert len(worker.closed) == 1
    assert "has not said within 10 s which one it is" in worker.closed[0]


def test_a_connection_that_has_ended_is_not_kept_for_the_dismissal(parties: Parties, reactor: SteppedReactor) -> None:
    _, worker = parties
    stranger = Stranger(worker)
    there = weakref.ref(worker.peers.incoming()[0])
    stranger.sock.close()
    reactor.pass_time(ACKNOWLEDGE_S)
    gc.collect()
    assert there() is None
    reactor.pass_time(HELLO_WITHIN_S)


def test_a_connection_stays_that_of_the_process_that_said_hello(parties: Parties, reactor: SteppedReactor) -> None:
    _, worker = parties
    Stranger(worker).far.write(hello(b"p" * 16), messages.Attach(1, False, 0), hello(b"q" * 16))
    reactor.settle()
    assert worker.closed == ["the peer said Hello for another process"]


def test_an_unexpected_message_closes_the_connection(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    session.to(worker).send(messages.StopStream(1))
    reactor.settle()
    assert worker.closed == ["unexpected message StopStream"]


def test_a_connection_without_a_link_ends_with_the_socket(parties: Parties, reactor: SteppedReactor) -> None:
    """A command that asks a worker for its stacks makes such a connection. No process makes that socket anew."""
    _, worker = parties
    stranger = Stranger(worker)
    stranger.far.write(hello(), messages.Fetch(b"o"))
    reactor.settle()
    stranger.sock.close()
    reactor.settle()
    assert worker.closed == ["the other side closed the connection"]
    assert worker.node_end.arrived()[1:] == [], "the node is not asked"


# ------------------------------------------------------------------------------------------------ handling only once


@pytest.mark.parametrize(("message", "times"), [(call(1), 1), (messages.Run(1, b"", b""), 1), (reply(1), 2)])
def test_a_handler_that_waits_handles_a_call_once_and_an_answer_again(
    parties: Parties, reactor: SteppedReactor, message: Any, times: int
) -> None:
    session, worker = parties

    def take(connection: Connection, message: Any) -> None:
        worker.take(connection, message)
        if len(worker.arrived) == 1:
            reactor.wait(Waiter(), 0)

    worker.peers.handlers[type(message)] = take
    session.to(worker).send(message)
    session.to(worker).send(messages.Fetch(b"o"))
    reactor.settle()
    assert [each for _, each in worker.arrived] == [message] * times + [messages.Fetch(b"o")]


def test_after_an_exception_from_outside_a_call_is_handled_again(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    worker.peers.handlers[messages.Call] = interrupted(worker.take, raising(LookupError("from outside")))
    session.to(worker).send(call(1))
    session.to(worker).send(call(2))
    with pytest.raises(LookupError, match="from outside"):
        reactor.settle()
    reactor.settle()
    assert worker.numbers == [1, 2]


# ---------------------------------------------------------------------------------------------------- broken sockets


def test_the_side_that_has_connected_makes_a_broken_socket_anew(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    session.to(worker).send(call(1))
    reactor.settle()
    worker.peers.incoming()[0].send_now(reply(1))
    session.cut(worker)
    session.to(worker).send_now(call(2))
    worker.peers.incoming()[0].send_now(reply(2))
    reactor.pass_time(SOON_S)
    assert (worker.numbers, session.numbers) == ([1, 2], [1, 2])
    assert session.reached == 2
    assert len(worker.peers.incoming()) == 1
    assert session.closed == []


def test_each_side_asks_the_node_whether_the_other_has_ended(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    session.to(worker).send(call(1))
    reactor.settle()
    session.others.clear()
    session.cut(worker)
    reactor.settle()
    assert session.node_end.expect(messages.Watch).process_id == worker.process_id
    assert worker.node_end.expect(messages.Watch).process_id == session.process_id


def test_the_time_between_two_tries_grows(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    session.others.clear()
    del reactor.delays[:]
    session.to(worker).send(call(1))
    reactor.pass_time(3)
    growing = [FIRST_DELAY_S * 2**power for power in range(1, 6)]
    assert reactor.delays[:8] == [0, *growing, LAST_DELAY_S, LAST_DELAY_S]
    session.others[worker.process_id] = worker
    reactor.pass_time(LAST_DELAY_S)
    assert worker.numbers == [1]


def test_a_call_is_sent_though_the_first_socket_was_never_read(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    worker.admits = False
    session.to(worker).send(call(1))
    reactor.settle()
    worker.waiting.pop(0).close()
    reactor.pass_time(SOON_S)
    worker.admit()
    reactor.settle()
    assert worker.numbers == [1]
    assert session.reached == 2


def test_a_call_runs_once_though_the_first_socket_is_read_after_the_second(
    parties: Parties, reactor: SteppedReactor
) -> None:
    session, worker = parties
    worker.admits = False
    session.to(worker).send(call(1))
    reactor.settle()
    session.cut(worker)
    reactor.pass_time(SOON_S)
    worker.waiting.reverse()
    worker.admit()
    reactor.settle()
    worker.admit()
    reactor.settle()
    assert worker.numbers == [1]
    assert worker.closed == ["another socket has taken its place"]
    session.to(worker).send(call(2))
    reactor.settle()
    assert worker.numbers == [1, 2]
    assert session.closed == []


def test_a_connection_that_the_other_side_has_closed_is_given_up(parties: Parties, reactor: SteppedReactor) -> None:
    """A resumed connection might run calls twice. The owner asks again on another connection."""
    session, worker = parties
    first = session.to(worker)
    first.send(call(1))
    reactor.settle()
    worker.peers.incoming()[0].close("too many answers were kept")
    reactor.pass_time(SOON_S)
    assert session.closed == ["the other side has given this connection up"]
    assert session.lost == [worker.process_id]
    assert session.gone == []
    assert session.to(worker) is not first
    session.to(worker).send(call(2))
    reactor.settle()
    assert worker.numbers == [1, 2]


def test_a_resuming_process_is_told_the_received_count_or_given_up(parties: Parties, reactor: SteppedReactor) -> None:
    _, worker = parties
    first = Stranger(worker)
    first.far.write(hello(), messages.Attach(7, False, 0))
    first.far.write(call(1))
    reactor.settle()
    second = Stranger(worker)
    second.far.write(hello(), messages.Attach(7, True, 0))
    reactor.settle()
    assert second.far.read() == [(1, [])]
    unknown = Stranger(worker)
    unknown.far.write(hello(), messages.Attach(8, True, 0))
    reactor.settle()
    assert unknown.far.read() == [(0, [])]
    worker.peers.close()
    late = Stranger(worker)
    late.far.write(hello(), messages.Attach(7, True, 0))
    reactor.settle()
    assert late.far.read() == [(GIVEN_UP, [])]


def test_a_connection_that_was_closed_is_not_reconnected(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    session.others.clear()
    connection = session.to(worker)
    connection.close("nobody needs it")
    session.others[worker.process_id] = worker
    reactor.pass_time(1)
    assert session.reached == 1


# ------------------------------------------------------------------------------------------------ processes that end


def test_answers_are_read_although_a_send_has_failed_meanwhile(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    connection = session.to(worker)
    connection.send(call(1))
    reactor.settle()
    served = worker.peers.incoming()[0]
    served.send_now(reply(1))
    served.close("it is killed")
    connection.send_now(call(2))
    session.peers.on_process_gone(messages.ProcessGone(worker.process_id, "exit code 3"))
    reactor.settle()
    assert session.numbers == [1]
    assert session.gone == [worker.process_id]


def test_answers_that_a_process_sent_before_the_end_are_read(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    session.to(worker).send(call(1))
    reactor.settle()
    end(session.node_end, worker)
    reactor.settle()
    assert session.gone == []
    worker.peers.incoming()[0].send_now(reply(1))
    reactor.settle()
    assert session.numbers == [1]
    reactor.pass_time(READ_OUT_S)
    assert session.closed == ["exit code 3"]
    assert session.gone == [worker.process_id]
    assert session.peers.connect(worker.process_id) is None


def test_the_end_of_the_stream_ends_the_reading_early(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    session.to(worker).send(call(1))
    reactor.settle()
    end(session.node_end, worker)
    reactor.settle()
    worker.close()
    reactor.settle()
    assert session.gone == [worker.process_id]
    assert session.closed == ["the other side closed the connection"]


@pytest.mark.parametrize("incoming", [False, True], ids=["it-was-called", "it-has-called"])
def test_a_broken_connection_closes_when_the_node_reports_the_end(
    parties: Parties, reactor: SteppedReactor, incoming: bool
) -> None:
    session, worker = parties
    caller, called = (worker, session) if incoming else (session, worker)
    caller.to(called).send(call(1))
    reactor.settle()
    caller.others.clear()
    caller.cut(called)
    reactor.settle()
    end(session.node_end, worker)
    reactor.settle()
    assert session.closed == ["exit code 3"]
    assert session.gone == [worker.process_id]
    reached = caller.reached
    if not incoming:
        reactor.pass_time(5)
        assert caller.reached == reached, "it is tried no more"


def test_the_end_of_a_process_without_a_connection_is_reported_at_once(
    parties: Parties, reactor: SteppedReactor
) -> None:
    session, worker = parties
    end(session.node_end, worker)
    reactor.settle()
    assert session.gone == [worker.process_id]
    assert session.peers.connect(worker.process_id) is None
    assert session.reached == 0


def test_only_the_latest_ended_processes_are_remembered(
    parties: Parties, reactor: SteppedReactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node is asked again about the other processes."""
    session, worker = parties
    monkeypatch.setattr(peers_module, "REMEMBERED", 2)
    others = [Party(reactor) for _ in range(2)]
    for each in (worker, *others):
        end(session.node_end, each)
    reactor.settle()
    assert not session.peers.is_final(worker.process_id)
    assert all(session.peers.is_final(each.process_id) for each in others)
    for each in others:
        each.close()


def test_a_process_that_has_connected_and_ended_leaves_no_record(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    session.to(worker).send(call(1))
    reactor.settle()
    worker.peers.incoming()[0].close("given up")
    end(worker.node_end, session)
    reactor.settle()
    session.close()
    reactor.pass_time(READ_OUT_S)
    assert session.process_id in worker.gone
    peers = worker.peers
    assert (peers._incoming, peers._links, peers._callers, peers._given_up) == (set(), {}, {}, {})


def test_without_a_node_a_broken_connection_ends(parties: Parties, reactor: SteppedReactor) -> None:
    """Only the node could tell whether the other process lives."""
    session, worker = parties
    third = Party(reactor)
    session.to(worker).send(call(1))
    out_of_reach = session.to(third)
    reactor.settle()
    session.node_end.close()
    reactor.settle()
    assert out_of_reach.closed
    assert session.gone == [third.process_id]
    session.to(worker).send(call(2))
    reactor.settle()
    assert worker.numbers == [1, 2], "what holds stays"
    assert session.peers.connect(third.process_id) is None
    session.cut(worker)
    assert session.closed[-1] == "the network is lost"
    third.close()


def test_a_leaving_process_closes_all_connections(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    session.to(worker).send(call(1))
    worker.to(session).send(call(2))
    reactor.settle()
    session.membership.has_left = True
    session.peers.close()
    assert session.closed == ["this process leaves"] * 2
    reached = session.reached
    reactor.settle()
    assert session.reached == reached
    assert session.peers.outgoing() == session.peers.incoming() == []


def test_a_forked_child_closes_its_copies_of_the_sockets(parties: Parties, reactor: SteppedReactor) -> None:
    session, worker = parties
    third = Party(reactor)
    session.to(worker)
    session.to(third)
    worker.to(session)
    reactor.settle()
    socks = [connection.sock for connection in (*session.peers.outgoing(), *session.peers.incoming())]
    session.peers.forget()
    assert [sock is None or sock.fileno() < 0 for sock in socks] == [True] * 3
    assert session.closed == []
    third.close()
    for connection in (*session.peers.outgoing(), *session.peers.incoming()):
        connection.sock = None
