"""What the creator of an actor sends to its fresh worker."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from nbactors.local.connections.connection import Sent
from nbactors.local.objects.values import Held
from nbactors.local.submitting.arguments import Arguments
from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.member import Process
    from nbactors.local.objects.entry import Entry
    from nbactors.local.submitting.actor_link import LocalActorLink


class Concurrency(NamedTuple):
    """How an actor runs its calls; see `messages.Construct`."""

    is_async: bool
    max_concurrency: int
    groups: dict[str, int]


class Construction(Sent):
    """What the creator sends to a fresh actor."""

    __slots__ = ("arguments", "cls", "concurrency", "link", "origin")

    def __init__(
        self, link: LocalActorLink, cls: Any, prepared: bytes | Arguments, concurrency: Concurrency, origin: int
    ) -> None:
        self.connection = None
        self.cls = cls
        self.concurrency = concurrency
        self.link = weakref.ref(link)
        self.origin = origin
        if isinstance(prepared, bytes):
            prepared = Arguments(Held(prepared), [])
        self.arguments = prepared

    def ready(self, entry: Entry) -> None:
        """A constructor argument is there."""
        link = self.link()
        if link is not None:
            link.pump()

    def let_go(self) -> None:
        """It will not be sent: be told of no argument any more."""
        for entry in self.arguments.missing():
            entry.remove_waiter(self)

    def pack(self, process: Process, connection: Connection) -> tuple[messages.Construct, list[int]]:
        """Make the message."""
        link = self.link()
        assert link is not None
        cls, fds = process.values.pack(connection, self.cls, False)
        rest, deps, more = self.arguments.pack(process, connection)
        return messages.Construct(link.actor_id, cls, rest, deps, *self.concurrency, self.origin), fds + more
