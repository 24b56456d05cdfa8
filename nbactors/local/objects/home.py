"""What objects know of the process that they are in. For type checkers: nothing imports this when it runs.

Entries stand here as `Any`: they know of their home, and so it cannot know of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.membership import Membership
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.store.segments import Stored
    from nbactors.local.wire import messages
    from nbactors.local.wire.cancel_mode import CancelMode
    from nbactors.object_ref import ObjectRef
    from nbactors.views.summaries import CallFacts


class Outcome(Protocol):
    """A value, or an error, that an entry can hold: a `Held`."""

    @property
    def data(self) -> bytes:
        """Pickled."""

    @property
    def buffers(self) -> Sequence[bytes]:
        """What the pickle leaves out."""

    @property
    def stored(self) -> Stored | None:
        """Where the value is, if it lies in shared memory."""

    @property
    def contained(self) -> Any:
        """The references and handles in it."""

    @property
    def error(self) -> bool:
        """Whether it is an error."""


class Maker(Protocol):
    """The call that makes an object, see `PendingCall`."""

    number: int
    target: Any

    def facts(self) -> CallFacts:
        """Return what there is to say of it. Any thread."""

    def cancel(self, mode: CancelMode, recursive: bool, timeout_s: float = 0.0) -> None:
        """Cancel it, as far as that is possible. Any thread."""

    def tell(self, message: Any) -> None:
        """Send the worker that runs it a message about it, if it was sent. Any thread."""


class Interrupting(Protocol):
    """What the user's interrupt does to calls that were waited for, see `Interruption`."""

    cancels: bool

    def apply(self, error: KeyboardInterrupt, waited: Iterable[Any]) -> None:
        """Say in the error what was waited for, and cancel it if that is wanted. The main thread."""

    def cancel_one(self, entry: Any) -> None:
        """Cancel the call that makes an awaited object. Any thread."""


class Loading(Protocol):
    """Pickles and unpickles values, see `Values`."""

    def hold(self, value: Any) -> Any:
        """Pickle a value."""

    def load(self, entry: Any) -> Any:
        """Return what an entry that is final holds, or raise it."""

    def pack_entry(self, connection: Connection, entry: Any) -> tuple[messages.Value, list[int]]:
        """Make a message of what an entry holds, and its descriptors."""

    def receive(self, connection: Connection, value: messages.Value) -> Any:
        """Take over a value that came with a message."""


class Lending(Protocol):
    """Counts who else holds references, see `References`."""

    borrows: bool

    def export(self, entry: Any, ref: ObjectRef[Any]) -> None:
        """A reference is about to travel."""

    def pin(self, ref: ObjectRef[Any]) -> None:
        """Keep a reference for the life of the process."""

    def grant(self, ref: ObjectRef[Any], receiver: bytes) -> bytes:
        """Count a borrower; return the id."""

    def exported(self, oid: bytes) -> Any:
        """Return the entry of an own object that others may ask for."""

    def obtain(self, oid: bytes, tokens: int = 0) -> ObjectRef[Any]:
        """Return this process's reference for an id."""

    def canonical(self, entry: Any) -> ObjectRef[Any]:
        """Return this process's one reference to an entry."""

    def release(self, oid: bytes, tokens: int) -> None:
        """The last local reference to a borrowed object is gone."""


class Asking(Protocol):
    """Asks owners for values, see `Fetching`."""

    def fetch(self, entry: Any) -> None:
        """Ask the owner of an entry for its value."""


class Announcing(Protocol):
    """Wakes who waits for any of many objects, see `Waiting`."""

    news: object

    @property
    def watchers(self) -> Sequence[object]:
        """Who waits."""

    @property
    def interruption(self) -> Interrupting | None:
        """What the user's interrupt does."""

    def stir(self) -> None:
        """An object has become ready."""

    def failed(self, entry: Any) -> None:
        """An object has failed."""

    def next_of(self, stream: Any, timeout: float | None) -> Any:
        """Wait for the next entry of a stream, and take it."""


class Streaming(Protocol):
    """The streams that other processes read, and those of others, see `Streams`."""

    def lend(self, reader: Any) -> None:
        """A generator travels."""

    def ask(self, key: Any, reader: Any) -> None:
        """Ask the owner of a stream for the next reference."""

    def put_back(self, key: ObjectRef[Any], items: Any) -> None:
        """Give the owner of a stream back what it has sent."""


class Home(Protocol):
    """What an object knows of the process that it is in: one record for all objects, see `Objects`."""

    @property
    def process_id(self) -> bytes:
        """16 bytes."""

    @property
    def membership(self) -> Membership:
        """Whether the process has left."""

    @property
    def reactor(self) -> Reactor:
        """The event loop."""

    @property
    def values(self) -> Loading:
        """Pickles and unpickles values."""

    @property
    def references(self) -> Lending:
        """Counts who else holds references."""

    @property
    def fetching(self) -> Asking:
        """Asks owners for values."""

    @property
    def waiting(self) -> Announcing:
        """Wakes who waits."""

    @property
    def streams(self) -> Streaming:
        """The streams that are read elsewhere, or come from there."""


class Source(Protocol):
    """What a listener can be added to: an entry, or a stream."""

    def add_waiter(self, waiter: Any) -> bool:
        """Call `waiter.ready` once; return False if there is something already."""

    def remove_waiter(self, waiter: Any) -> None:
        """Forget a listener."""


class Awaited(Source, Protocol):
    """An object that may be waited for, see `Entry`."""

    @property
    def state(self) -> int:
        """See `object_life`."""

    @property
    def home(self) -> Home:
        """Where it is."""

    def request(self) -> None:
        """Make the value come."""

    def result(self) -> Any:
        """Return the value of an object that is ready, or raise it."""
