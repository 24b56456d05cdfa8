"""A call or task in the eyes of who submitted it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.local.client.arguments import Arguments
from nbactors.local.client.call_life import FAIL, QUEUED, READY, REPLY, RETURN, SEND, TABLE, WAITING
from nbactors.local.client.entries import Entry
from nbactors.object_ref import ObjectRef

if TYPE_CHECKING:
    from nbactors.local.client.process import Process


class PendingCall:
    """A call that has not returned. It keeps alive what it needs: its target, its arguments, its results' entries.

    Attributes:
        number: The call number, of which the results' ids are made.
        entries: One per return value.
        target: Who sends it: the actor's link, or the queue of its kind of task.
        message: What to send, if it does not depend on the receiver.
        arguments: None when `message` holds all.
        retries: Times it may be tried again after a crash or a retriable exception; -1 for ever.
        details: What the target needs to make the message, and to run it again.
    """

    __slots__ = ("arguments", "details", "entries", "message", "number", "retries", "state", "target")

    def __init__(
        self, number: int, entries: tuple[Entry, ...], target: Any, message: Any, arguments: Arguments | None = None
    ) -> None:
        self.number = number
        self.entries = entries
        self.target = target
        self.message = message
        self.arguments = arguments
        self.retries = 0
        self.details: Any = None
        self.state = QUEUED

    def await_arguments(self) -> None:
        """Begin to wait for the references among the arguments, if there are any. Under the target's lock."""
        if self.arguments is None:
            return
        pending = self.arguments.pending()
        if pending:
            self.state = WAITING
            for entry in pending:
                entry.request()
                entry.add_waiter(self)

    def ready(self, entry: Entry) -> None:
        """An argument is there. The thread that made it so."""
        target = self.target
        if target is not None:
            target.pump()

    def settled(self) -> bool:
        """Return whether all arguments are there, and if so move on. Under the target's lock."""
        if self.state == WAITING:
            assert self.arguments is not None
            if self.arguments.pending():
                return False
            self.state = TABLE[WAITING, READY]
        return True

    def sent(self) -> None:
        """It is on its way."""
        self.state = TABLE[self.state, SEND]

    def returned(self) -> None:
        """It comes back to the queue."""
        self.state = TABLE[self.state, RETURN]

    def finish(self) -> None:
        """Its answer is there; drop what it kept alive."""
        self.state = TABLE[self.state, REPLY]
        self.release()

    def fail(self, error: bytes) -> None:
        """It will not return; `error` is the pickled reason."""
        self.state = TABLE[self.state, FAIL]
        for entry in self.entries:
            entry.resolve(error, error=True)
        self.release()

    def release(self) -> None:
        """Let go of target and arguments."""
        self.arguments = None
        self.details = None
        self.message = None
        self.target = None


def make_results(process: Process, number: int, num_returns: int) -> tuple[tuple[Entry, ...], Any]:
    """Return the entries of a call's results, and what `.remote()` returns for them."""
    if num_returns == 1:
        entry = Entry(process, number)
        return (entry,), ObjectRef(entry)
    entries = tuple(Entry(process, number, index) for index in range(num_returns))
    if num_returns == 0:
        return entries, None
    return entries, [ObjectRef(entry) for entry in entries]
