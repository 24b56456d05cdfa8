"""This process's control connection to the node: requests with answers, and messages that the node sends unasked."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any, Protocol

import msgspec

from nbactors import exceptions
from nbactors.exceptions import hints
from nbactors.local import sockets
from nbactors.local.connections.connection import Connection, Once
from nbactors.local.connections.stash import Stash
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.wire import messages
from nbactors.local.wire.framing import control_codec
from nbactors.local.wire.ids import TAG_SIZE

PATIENCE_S = 2.0
"""Seconds after the node has crashed for which waits that need a node go on. Then they fail, until there is a node."""

STEP_S = 0.25
"""The length, in seconds, of a step of that wait."""

MAX_CRASHES = 10
"""The most nodes that may crash one after the other before such waits fail."""

ANSWER_S = 30.0
"""Seconds after which a request fails. The node answers in well under a second, even under load."""

_ERRORS: dict[str, type[Exception]] = {
    "value": ValueError,
    "type": TypeError,
    "runtime": RuntimeError,
    "version": RuntimeError,
    "internal": exceptions.RaySystemError,
    "system": exceptions.RaySystemError,
    "taken": exceptions.ActorAlreadyExistsError,
}

_SHOWN = frozenset({messages.Output, messages.Warn, messages.Display, messages.Bar})
"""Messages that the user would see twice if they were handled twice, see `Connection.begin_once`."""


_LATE = frozenset({messages.Display, messages.Bar, messages.Paused})
"""Messages that are sent to the next node if there was none. Its records are made from declarations instead."""

Declaration = tuple[Any, Sequence[int]]
"""A message to the next node, and the descriptors beside it."""


class Returning(Protocol):
    """How a process returns when the node has crashed."""

    def search(self, last: messages.Welcome | None, found: Callable[[socket.socket | None], None]) -> None:
        """Have `found` called with a socket to the next node, on any thread; start that node if need be.

        It gets None if the last node has not crashed, but was told to stop. Returns at once.

        Args:
            last: What the crashed node has greeted with, None if it had not greeted.
            found: Owns the socket.
        """

    def declare(self) -> list[Declaration]:
        """Return what the last node knew of this process. The leader's thread."""


class _Request(Waiter):
    __slots__ = ("answer", "connection", "message")

    def __init__(self) -> None:
        super().__init__()
        self.answer: Any = None
        self.message: Any = None
        self.connection: Any = None


class _Greeting(Once):
    """The Hello to the next node, on a socket that was found.

    Attributes:
        on: The connection with this socket, if it is the one to the next node.
        ends_search: Whether there is no socket, and the search ends for that reason.
        is_out: Whether nothing is left to do for it.
    """

    __slots__ = ("ends_search", "is_out", "on", "sock")

    def __init__(self, sock: socket.socket | None) -> None:
        super().__init__()
        self.sock = sock
        self.on: Connection | None = None
        self.ends_search = False
        self.is_out = False


class _Handover:
    """What the next node is told first. Each message is sent once, although `_return` may run again.

    Attributes:
        connection: The connection to the next node.
        old: What was sent while there was no node.
        fresh: What is sent while the declarations are made.
        declared: The messages that the next node gets first: the declarations; None before they are made.
        asked: Marks of the open requests that the next node gets again, by their numbers.
    """

    __slots__ = ("asked", "connection", "declared", "fresh", "old")

    def __init__(self, connection: Connection, old: Stash) -> None:
        self.connection = connection
        self.old = old
        self.fresh = Stash(connection.tag)
        self.declared: list[tuple[Any, Sequence[int], Once]] | None = None
        self.asked: dict[int, Once] = {}


class NodeLink:
    """The control connection. `use` has to be called before any other method.

    When the node crashes, this process is *away*: it searches for the next node, and declares there what the last node
    knew of it. Messages that nobody waits for are dropped meanwhile: their effects are part of the declarations. Those
    whose effects are not go by `insist`.

    Args:
        reactor: Watches the socket.
        on_message: Called on the leader's thread with each message that is no answer to a request.
        on_lost: Called on the leader's thread with the reason when the node is gone.
    """

    _connection: Connection | Stash

    def __init__(self, reactor: Reactor, on_message: Callable[[Any], None], on_lost: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Request] = {}
        self._abandoned: dict[int, Callable[[Any], None]] = {}
        self._on_message = on_message
        self._on_lost = on_lost
        self.lost = ""
        """Why the node is gone; empty as long as it is there."""
        self.refused = ""
        """The kind of the `Refused` by which the node has turned this process away; `lost` has its text."""
        self.welcome: messages.Welcome | None = None
        self.returning: Returning | None = None
        """Set to have this process return to the next node when the node has crashed."""
        self.is_away = False
        self._crashes = 0
        """The nodes that have crashed before they greeted, since this process is away."""
        self._next: Connection | None = None
        """The connection to the next node, until the return to that node is complete."""
        self._search_due: object = None
        """Identifies the search that has to begin; None if there is none."""
        self._handover: _Handover | None = None
        """What the return to the next node has done so far; None if there is none."""
        self._is_of_last = False
        """Whether that connection is to the process of the last node."""

    @property
    def tag(self) -> bytes:
        """What tells this node from the nodes before and after it. Empty before the first node has greeted."""
        return self._connection.tag

    def use(self, sock: socket.socket) -> None:
        """Take the socket; from now on `close` closes it."""
        self._connection = Connection(self._reactor, sock, control_codec(), self._receive, self._closed)

    def start(self, process_id: bytes, role: str, package_version: str, is_spare: bool = False) -> None:
        """Say Hello and begin to receive."""
        connection = self._connection
        assert isinstance(connection, Connection), "the process was not away yet"
        self._hello = messages.Hello(messages.PROTOCOL_VERSION, process_id, os.getpid(), role, package_version)
        connection.send_now(msgspec.structs.replace(self._hello, is_spare=True) if is_spare else self._hello)
        connection.start()

    def say_hello_again(self) -> None:
        """Tell the node that this process is no spare any more. Any thread."""
        self._connection.send_now(self._hello)

    def send(self, message: Any) -> None:
        """Queue a message that has no answer. Any thread; does nothing when the node is gone."""
        self._connection.send(message)

    def send_now(self, message: Any, fds: Sequence[int] = ()) -> None:
        """Send a message that has no answer at once, with descriptors beside it. Any thread."""
        self._connection.send_now(message, fds)

    def send_counted(self, message: Any) -> bytes:
        """Send a message that has the node count a token. Any thread.

        Returns:
            The tag of the node that gets the message.
        """
        connection = self._connection
        connection.send_now(message)
        return connection.tag

    def number(self) -> int:
        """Return a fresh request number."""
        return next(self._numbers)

    def request(
        self, make: Callable[[int], Any], timeout: float = ANSWER_S, undo: Callable[[Any], None] | None = None
    ) -> Any:
        """Send `make(rid)` and return the answer. Any thread but the background one.

        Args:
            make: Makes the message from the request's number.
            timeout: Seconds to wait for the answer.
            undo: Called on the leader's thread with the answer, if the wait for it has ended before: the user has
                interrupted it, the handler of another signal has raised, or the answer comes too late.

        Raises:
            ValueError, TypeError, RuntimeError: The node has refused; the error's text is the node's.
            RaySystemError: The node is gone, or did not answer in time.
        """
        self.check()
        rid = self.number()
        request = self._waiting[rid] = _Request()
        try:
            request.message = make(rid)
            connection = request.connection = self._connection
            connection.send_now(request.message)
            if self.lost:
                request.finish()
            self._reactor.wait(request, timeout)
        except BaseException:
            if undo is not None and request.message is not None:
                self._abandon(rid, request, undo)
            raise
        finally:
            self._waiting.pop(rid, None)
        answer = request.answer
        if answer is None:
            self.check()
            if undo is not None:
                self._abandon(rid, request, undo)
            raise exceptions.RaySystemError(
                f"the node daemon did not answer within {timeout:g} s. See logs/node.log in its directory, "
                "or end it with `nbactors stop --force`."
            )
        if type(answer) is messages.Refused:
            raise _ERRORS.get(answer.kind, RuntimeError)(answer.text)
        return answer

    def insist(self, make: Callable[[int], Any]) -> None:
        """Send `make(rid)` at once, and wait for no answer. Any thread; does not block.

        A node that crashes may not have read what was sent last. No declaration says what such a message has asked for,
        and nobody would ask again. So it is a request: each next node gets it, too, until a node has answered.
        """
        rid = self.number()

        def end(answer: Any) -> None:
            self._waiting.pop(rid, None)

        request = _Request()
        request.message = make(rid)
        self._abandoned[rid] = end
        self._waiting[rid] = request  # before the look at the connection: `_return` replaces it, then looks here
        connection = request.connection = self._connection
        connection.send_now(request.message)

    def _abandon(self, rid: int, request: _Request, undo: Callable[[Any], None]) -> None:
        """Have `undo` called with the answer to a request, whether the answer has come or is still to come."""
        self._abandoned[rid] = undo
        self._waiting.pop(rid, None)
        # The leader stores the answer, then looks into `_abandoned`; this thread has stored there, and looks for the
        # answer now. So at least one of the two sees the other's store.
        if request.answer is not None:
            self._reactor.discard(lambda: self._undo(rid, request.answer))

    def _undo(self, rid: int, answer: Any) -> None:
        undo = self._abandoned.pop(rid, None)
        if undo is not None:
            undo(answer)

    def check(self) -> None:
        """Raise RaySystemError if the node is gone, and no other one came."""
        if self.lost:
            raise exceptions.RaySystemError(self.lost)

    def _receive(self, connection: Connection, message: Any) -> None:
        rid = getattr(message, "rid", None)
        if rid is None:
            if type(message) is messages.Welcome:
                self._greeted(connection, message)
            elif type(message) is messages.NodeStopped:
                self.lost = _ended(message.text)
            elif type(message) not in _SHOWN or connection.begin_once(message):
                self._on_message(message)
            return
        request = self._waiting.get(rid)
        if request is not None:
            request.answer = message
            request.finish()
            self._undo(rid, message)
        elif rid in self._abandoned:
            self._undo(rid, message)
        elif rid == 0 and type(message) is messages.Refused:
            self.lost = message.text
            self.refused = message.kind
            self.is_away = False
        else:
            self._on_message(message)

    def _greeted(self, connection: Connection, welcome: messages.Welcome) -> None:
        """Handle the Welcome, more than once where that is interrupted: the return is complete when `_next` is None."""
        last, returns = self.welcome, connection is self._next
        if returns and last is not None and last is not welcome and last.node_id == welcome.node_id:
            # The node lives, and has ended the connection: by its records this process is gone.
            self._stay_without("it has closed the connection")
            self._next = None
            connection.close(self.lost)
            return
        self.welcome = welcome
        connection.tag = welcome.node_id[:TAG_SIZE]
        if returns:
            self._return(connection)

    def _closed(self, connection: Connection, why: str) -> None:
        returning = None if self.lost else self.returning
        if connection is self._next:
            # A node that has just been killed accepts connections until its process is gone. That is no node that has
            # come and crashed: patience would begin anew, and what needs a node fail twice as late.
            crashes = self._crashes if self._is_of_last else self._crashes + 1
            if returning is not None:
                self._search(None, why, connection, crashes)
                return
        elif connection is not self._connection:
            return
        elif returning is not None:
            self._search(Stash(self.tag), why, connection, 0)
            return
        if not self.lost:
            self.lost = _ended(why)
        self._give_up()
        if connection is self._next:  # last: this is run again if an exception aborts it
            self._next = None

    def _give_up(self) -> None:
        """Fail what needs a node. The leader's thread."""
        for request in list(self._waiting.values()):
            request.finish()
        self._on_lost(self.lost)

    # ---------------------------------------------------------------------------------------------------- returning

    def _search(self, stash: Stash | None, why: str, closed: Connection, crashes: int) -> None:
        """Search for the next node, since the node has crashed. The leader's thread.

        Args:
            stash: Takes the place of the connection; None if this process was away already.
            why: How the connection has ended.
            closed: The connection that has ended, to the node or to the next node.
            crashes: The new value of `_crashes`.
        """
        due = object()
        begin = partial(self._begin_search, due, stash, why)
        trash = self._reactor.trash
        # The stores and the call are one step. The leader begins the search once more before its next poll, in case
        # that an exception aborts it here, or a handler interrupts it and waits for the next node.
        if stash is not None:
            if self._connection is not closed:  # a handler has interrupted this, and has come here first
                return
            self.is_away = True
            self._connection = stash
        elif self._next is not closed:
            return
        self._next = None
        self._crashes = crashes
        self._search_due = due
        trash.append(begin)
        begin()

    def _begin_search(self, due: object, stash: Stash | None, why: str) -> None:
        returning = self.returning
        if self._search_due is due and returning is not None:
            if stash is not None:
                self._be_patient(stash, why)
            returning.search(self.welcome, self._found)
            self._search_due = None

    def _stay_without(self, why: str) -> None:
        """End the search, since there is no next node for this process. The leader's thread."""
        self.is_away = False
        self.lost = _ended(why)
        self._give_up()

    def _be_patient(self, stash: Stash, why: str) -> None:
        """Wait for the next node, in steps.

        Native code may keep the lock of the interpreter for seconds. Then the search stands still, too, and may find
        the next node right after that. So a step that takes much longer than planned does not count.
        """
        crashes, left, late = self._crashes, PATIENCE_S, monotonic() + 2 * STEP_S

        def step() -> None:
            nonlocal left, late
            if self._connection is not stash or self.lost:
                return
            if monotonic() <= late:
                left -= STEP_S
            if left > 0:
                late = monotonic() + 2 * STEP_S
                self._reactor.call_later(STEP_S, step)
            else:
                self._lose_patience(stash, crashes, why)

        self._reactor.call_later(STEP_S, step)

    def _lose_patience(self, stash: Stash, crashes: int, why: str) -> None:
        if crashes < self._crashes <= MAX_CRASHES:  # a node came meanwhile, and has crashed, too
            self._be_patient(stash, why)
        else:
            self.lost = (
                f"the node daemon has ended ({why}), and no other one could be started within {PATIENCE_S:g} s. See "
                "logs/node.log in its directory. Actors that run go on, and this process still tries to start a node."
            )
            self._give_up()

    def _found(self, sock: socket.socket | None) -> None:
        """Greet the next node. Any thread."""
        greet = partial(self._greet, _Greeting(sock))
        # A handler that interrupts the first, and waits for the node, runs the second.
        self._reactor.discard(greet)
        self._reactor.discard(greet)

    def _greet(self, greeting: _Greeting) -> None:
        """Use a socket that was found, unless it comes too late. Run more than once."""
        sock = greeting.sock
        if greeting.is_out:
            return
        if sock is None:
            if self.is_away or greeting.ends_search:
                greeting.ends_search = True
                self._stay_without("it was stopped")
            greeting.is_out = True
            return
        if greeting.on is None:
            if not self.is_away or self._next is not None or self._reactor.closed:
                sock.close()
                return
            is_of_last = self._is_last(sock)
            try:
                made = Connection(self._reactor, sock, control_codec(), self._receive, self._closed)
            except OSError:  # a handler has interrupted this, and has used the socket, which is closed again
                return
            if self._next is None and greeting.on is None:  # one step with the stores
                self._next = greeting.on = made
                self._is_of_last = is_of_last
        connection = greeting.on
        if connection is None:  # another one was found meanwhile
            sock.close()
            return
        if connection is not self._next:  # it has greeted already
            return
        try:
            connection.start()
        except AttributeError:  # this process leaves, and another thread has closed the connection
            return
        if self.returning is None:  # it leaves just now, and has not seen the connection
            connection.close("this process leaves")
        connection.send_now(msgspec.structs.replace(self._hello, returns=True), sent=greeting)
        greeting.is_out = True

    def _is_last(self, sock: socket.socket) -> bool:
        """Return whether the process at the other end of a socket is that of the last node."""
        try:
            pid = sockets.peer_pid(sock)
        except OSError:  # it has gone again
            pid = 0
        return self.welcome is not None and pid == self.welcome.pid

    def _return(self, connection: Connection) -> None:
        """Declare what the last node knew, and go on with the next node. The leader's thread.

        From the moment when the fresh stash is there, messages go to the next node. They come after the declarations,
        and what they say may be declared already: the node takes that for no mistake.

        Run again where an exception aborts it, or where a handler interrupts it and waits: then it goes on.
        """
        known = self._handover
        if known is None or known.connection is not connection:
            old = self._connection
            if not isinstance(old, Stash):  # a handler has interrupted this, and has done all of it
                return
            made = _Handover(connection, old)
            if self._handover is known and self._next is connection:  # one step with the stores
                self._handover = made
                self._connection = made.fresh
        handover = self._handover
        if handover is None or handover.connection is not connection:  # a handler has done all that
            return
        if handover.declared is None:
            assert self.returning is not None, "the process was away"
            declared = [(message, fds, Once()) for message, fds in self.returning.declare()]
            # A request is sent below, if its answer is still wanted.
            late = [message for message in handover.old.of_kinds(_LATE) if not getattr(message, "rid", 0)]
            declared += [(message, (), Once()) for message in late]
            if handover.declared is None:
                handover.declared = declared
        for message, fds, once in handover.declared:
            connection.send(message, fds, once)
        if self._next is connection:
            self._connection = connection
        handover.fresh.hand_to(connection)
        if self._next is connection:
            self.is_away = False
            if not self.refused:
                self.lost = ""
        for rid, request in list(self._waiting.items()):
            is_open = request.message is not None and request.answer is None
            if is_open and request.connection not in (connection, handover.fresh):
                connection.send(request.message, sent=handover.asked.setdefault(rid, Once()))
                if self._connection is connection:
                    request.connection = connection
        connection.flush()
        if self._next is connection:
            self._next = self._handover = None

    @property
    def unsent(self) -> bool:
        """Whether messages still have to be sent."""
        return self._connection.unsent

    def forget(self) -> None:
        """In a forked child: close the child's copy of the socket."""
        self.lost = self.lost or hints.FORKED
        for connection in (self._connection, self._next):
            if isinstance(connection, Connection) and connection.sock is not None:
                connection.sock.close()

    def close(self) -> None:
        """Close the connection; the node sees its end."""
        self.returning = None
        for connection in (self._connection, self._next):
            if connection is not None:
                connection.close("this process leaves")


def _ended(why: str) -> str:
    return (
        f"the node daemon has ended, and this session's actors with it: {why.rstrip('.')}. "
        "Call shutdown() and then init() to start again."
    )
