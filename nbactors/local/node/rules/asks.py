"""Requests of clients, until they are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.node.rules.records import Process


class Ask:
    """One request of a client. It is answered exactly once: by its handler, or else when this object is freed.

    The handler of a request gets this object. A handler that cannot answer yet stores the object in a record (a lease,
    a session) and answers later. If a handler raises, or a record is dropped, the last reference to the object is gone,
    and the client gets `Refused`. So no bug in the node's rules can leave a client waiting for ever.

    Args:
        send: Sends a message to a process; does nothing if the process is gone.
        asker: The client.
        message: The request. Without `rid`, or with rid 0, it needs no answer, except for `CreateActor`: the creator of
            an actor waits for `ActorUp` or `ActorDown`.
    """

    __slots__ = ("_message", "_send", "asker", "is_open", "rid")

    def __init__(
        self, send: Callable[[Process, messages.Message], None], asker: Process, message: messages.Message
    ) -> None:
        self.asker = asker
        self.rid: int = getattr(message, "rid", 0)
        # The `rid` of CancelLease is the one of the request to cancel.
        wants_answer = self.rid != 0 and not isinstance(message, messages.CancelLease)
        self.is_open = wants_answer or isinstance(message, messages.CreateActor)
        self._send = send
        self._message = message

    def answer(self, message: messages.Message) -> None:
        """Send the answer, unless one was sent."""
        if self.is_open:
            self.is_open = False
            self._send(self.asker, message)

    def done(self) -> None:
        """Answer that the request was carried out."""
        self.answer(messages.Done(self.rid))

    def refuse(self, kind: str, text: str) -> None:
        """Answer that the request is refused, and why. For `kind` see `Refused`."""
        asked = self._message
        if self.rid or not isinstance(asked, messages.CreateActor):
            self.answer(messages.Refused(self.rid, kind, text))
        else:
            self.answer(messages.ActorDown(asked.actor_id, "refused", text, asked.class_name, asked.name, 0))

    def fail(self, why: str) -> None:
        """Answer that the node itself has failed."""
        name = type(self._message).__name__
        self.refuse("internal", f"the node has failed to serve {name} ({why}). See logs/node.log in its directory.")

    def withdraw(self) -> None:
        """Note that the client no longer waits for an answer."""
        self.is_open = False

    def __del__(self) -> None:
        if self.is_open:
            self.fail("the request was dropped")
