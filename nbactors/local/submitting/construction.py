"""The construction of an actor: the message that the creator sends to the fresh worker."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nbactors.local.connections.connection import Sent
from nbactors.local.objects.held import Held
from nbactors.local.submitting import restart_file
from nbactors.local.submitting.arguments import Arguments
from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.objects.entry import Entry
    from nbactors.local.objects.values import Values
    from nbactors.local.reactor.waiter import Waiter


class Concurrency(NamedTuple):
    """How an actor runs its calls; see `messages.Construct`."""

    is_async: bool
    max_concurrency: int
    groups: dict[str, int]


class Link(Protocol):
    """The creator's link to the actor, see `LocalActorLink`."""

    @property
    def actor_id(self) -> bytes:
        """The actor's id, 16 bytes."""

    def pump(self) -> None:
        """Send the calls that can be sent. Any thread."""


class Construction(Sent):
    """An actor's class and constructor arguments, until the creator has sent them. It listens for the arguments.

    Attributes:
        file: The path of the file from which the actor restarts without its creator; empty for no file.
        is_written: Whether the file was written.
        restarts: The restart of the actor that this is for, as in `ActorUp`.
        submitted, parent_id: See `messages.Call`.
        waiter: The wait of a thread for its end; None for none.
    """

    __slots__ = (
        "arguments",
        "cls",
        "concurrency",
        "file",
        "is_written",
        "link",
        "origin",
        "parent_id",
        "restarts",
        "submitted",
        "waiter",
    )

    def __init__(
        self, link: Link, cls: Any, prepared: bytes | Arguments, concurrency: Concurrency, origin: int
    ) -> None:
        self.connection = None
        self.cls = cls
        self.concurrency = concurrency
        self.link = weakref.ref(link)
        self.origin = origin
        self.file = ""
        self.is_written = False
        self.restarts = 0
        self.submitted = 0.0
        self.parent_id = b""
        self.waiter: Waiter | None = None
        if isinstance(prepared, bytes):
            prepared = Arguments(Held(prepared), [])
        self.arguments = prepared

    def ready(self, entry: Entry) -> None:
        """Have the link look whether all arguments are final, since one has become so."""
        link = self.link()
        if link is not None:
            link.pump()

    def let_go(self) -> None:
        """Stop listening for arguments: the construction will not be sent."""
        for entry in self.arguments.missing():
            entry.remove_waiter(self)

    def write(self, creator: bytes) -> None:
        """Write the file, once all arguments are there. A step of the link; blocks the thread. Idempotent.

        Args:
            creator: The id of this process, 16 bytes.

        Raises:
            OSError: The file cannot be written.
        """
        arguments = self.arguments
        if not self.file or self.is_written or arguments.pending() is not None or arguments.failure() is not None:
            return
        parts = restart_file.parts_of
        deps = [(key, parts(ref._entry)) for key, ref in arguments.refs]
        content = (creator, self.concurrency, self.origin, parts(self.cls), parts(arguments.held), deps)
        restart_file.write(self.file, content)
        self.is_written = True

    def pack(self, values: Values, connection: Connection) -> messages.Construct:
        """Return the message."""
        link = self.link()
        assert link is not None
        cls = values.pack(connection, self.cls, False)
        rest, deps = self.arguments.pack(values, connection)
        return messages.Construct(
            link.actor_id, cls, rest, deps, *self.concurrency, self.origin, self.submitted, self.parent_id
        )
