"""This process's control connection to the node: requests with answers, and messages that the node sends unasked."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from nbactors import exceptions
from nbactors.exceptions import hints
from nbactors.local.connections.connection import Connection
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.wire import messages
from nbactors.local.wire.framing import control_codec

ANSWER_S = 30.0
"""Seconds after which a request fails. The node answers in well under a second, even under load."""

_ERRORS: dict[str, type[Exception]] = {
    "value": ValueError,
    "type": TypeError,
    "runtime": RuntimeError,
    "version": RuntimeError,
    "internal": exceptions.RaySystemError,
    "taken": exceptions.ActorAlreadyExistsError,
}

_SHOWN = frozenset({messages.Output, messages.Warn, messages.Display, messages.Bar})
"""Messages that the user would see twice if they were handled twice, see `Connection.begin_once`."""


class _Request(Waiter):
    __slots__ = ("answer",)

    def __init__(self) -> None:
        super().__init__()
        self.answer: Any = None


class NodeLink:
    """The control connection. `use` has to be called before any other method.

    Args:
        reactor: Watches the socket.
        on_message: Called on the leader's thread with each message that is no answer to a request.
        on_lost: Called on the leader's thread with the reason when the node is gone.
    """

    _connection: Connection

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

    def use(self, sock: socket.socket) -> None:
        """Take the socket; from now on `close` closes it."""
        self._connection = Connection(self._reactor, sock, control_codec(), self._receive, self._closed)

    def start(self, process_id: bytes, role: str, package_version: str) -> None:
        """Say Hello and begin to receive."""
        self._connection.send_now(
            messages.Hello(messages.PROTOCOL_VERSION, process_id, os.getpid(), role, package_version)
        )
        self._connection.start()

    def send(self, message: Any) -> None:
        """Queue a message that has no answer. Any thread; does nothing when the node is gone."""
        self._connection.send(message)

    def send_now(self, message: Any, fds: Sequence[int] = ()) -> None:
        """Send a message that has no answer at once, with descriptors beside it. Any thread."""
        self._connection.send_now(message, fds)

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
            undo: Called on the leader's thread with the answer, if the user has interrupted the wait for it.

        Raises:
            ValueError, TypeError, RuntimeError: The node has refused; the error's text is the node's.
            RaySystemError: The node is gone, or did not answer in time.
        """
        self.check()
        rid = self.number()
        request = self._waiting[rid] = _Request()
        try:
            self._connection.send_now(make(rid))
            if self.lost:
                request.finish()
            self._reactor.wait(request, timeout)
        except KeyboardInterrupt:
            if undo is not None:
                self._abandon(rid, request, undo)
            raise
        finally:
            self._waiting.pop(rid, None)
        answer = request.answer
        if answer is None:
            self.check()
            raise exceptions.RaySystemError(
                f"the node daemon did not answer within {timeout:g} s. See logs/node.log in its directory, "
                "or end it with `nbactors stop --force`."
            )
        if type(answer) is messages.Refused:
            raise _ERRORS.get(answer.kind, RuntimeError)(answer.text)
        return answer

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
        """Raise RaySystemError if the node is gone."""
        if self.lost:
            raise exceptions.RaySystemError(self.lost)

    def _receive(self, connection: Connection, message: Any) -> None:
        rid = getattr(message, "rid", None)
        if rid is None:
            if type(message) is messages.Welcome:
                self.welcome = message
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
        else:
            self._on_message(message)

    def _closed(self, connection: Connection, why: str) -> None:
        if not self.lost:
            self.lost = (
                f"the node daemon has ended ({why}), and this session's actors with it. "
                "Call shutdown() and then init() to start again."
            )
        for request in list(self._waiting.values()):
            request.finish()
        self._on_lost(self.lost)

    @property
    def unsent(self) -> bool:
        """Whether messages still have to be sent."""
        return self._connection.unsent

    def forget(self) -> None:
        """In a forked child: close the child's copy of the socket."""
        self.lost = self.lost or hints.FORKED
        self._connection.sock.close()

    def close(self) -> None:
        """Close the connection; the node sees its end."""
        self._connection.close("this process leaves")
