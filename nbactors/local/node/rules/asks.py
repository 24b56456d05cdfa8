"""Requests of clients, until they are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.node.rules.records import Process


class Ask:
    """One request. It is answered exactly once: by a handler, or else by itself.

    The handler of a request gets this object. A handler that cannot answer yet keeps the object in a record (a lease, a
    session) and answers later. A handler that raises, and a record that is dropped, drop the last reference to it:
    then the asker gets `Refused`. So no mistake in the node's rules can leave a client waiting for ever.

    Args:
        send: Sends a message to a process; does nothing if that has gone.
        asker: The client.
        message: The request. One without `rid`, or with rid 0, wants no answer, except `CreateActor`: the creator of
            an actor waits for `ActorUp` or `ActorDown`.
    """

    __slots__ = ("_message", "_send", "asker", "is_open", "rid")

    def __init__(
        self, send: Callable[[Process, messages.Message], None], asker: Process, message: messages.Message
    ) -> None:
        self.asker = asker
        self.rid: int = getattr(message, "rid", 0)
        # The `rid` of CancelLease is that of another request.
        wants_answer = self.rid != 0 and not isinstance(message, messages.CancelLease)
        self.is_open = wants_answer or isinstance(message, messages.CreateActor)
        self._send = send
        self._message = message

    def answer(self, message: messages.Message) -> None:
        """Answer, if that has not been done."""
        if self.is_open:
            self.is_open = False
            self._send(self.asker, message)

    def done(self) -> None:
        """Answer that it was carried out."""
        self.answer(messages.Done(self.rid))

    def refuse(self, kind: str, text: str) -> None:
        """Answer that it cannot be met, and why. `kind` is that of `Refused`."""
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
        """Nobody waits for an answer any more."""
        self.is_open = False

    def __del__(self) -> None:
        if self.is_open:
            self.fail("the request was dropped")
