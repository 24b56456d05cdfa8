"""Protocols of the parts of a process that entries and streams use. For type checkers only: never imported at run time.

Entries are typed as `Any` here, since their module imports this one.
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
        """The pickled value; empty if `stored` has it."""

    @property
    def buffers(self) -> Sequence[bytes]:
        """The buffers that the pickle leaves out (pickle protocol 5)."""

    @property
    def stored(self) -> Stored | None:
        """The segment in which the value lies; None if it is not in shared memory."""

    @property
    def contained(self) -> Any:
        """The references and handles in the value."""

    @property
    def error(self) -> bool:
        """Whether `data` is a pickled error."""


class Maker(Protocol):
    """The call that makes an object, see `PendingCall`."""

    number: int
    target: Any

    def facts(self) -> CallFacts:
        """Return a summary of the call. Any thread."""

    def cancel(self, mode: CancelMode, recursive: bool, timeout_s: float = 0.0) -> None:
        """Cancel the call, as far as that is possible. Any thread."""

    def tell(self, message: Any) -> None:
        """Send a message about the call to its worker, if the call was sent. Any thread."""


class Interrupting(Protocol):
    """The effect of the user's interrupt on calls whose results were waited for, see `Interruption`."""

    cancels: bool

    def apply(self, error: KeyboardInterrupt, waited: Iterable[Any]) -> None:
        """Name the awaited calls in the error, and cancel them if the user has chosen so. The main thread."""

    def cancel_one(self, entry: Any) -> None:
        """Cancel the call that makes an awaited object. Any thread."""


class Loading(Protocol):
    """Pickles and unpickles values, see `Values`."""

    def hold(self, value: Any) -> Any:
        """Pickle a value."""

    def load(self, entry: Any) -> Any:
        """Return the value of a final entry, or raise its error."""

    def pack_entry(self, connection: Connection, entry: Any) -> tuple[messages.Value, list[int]]:
        """Return a final entry's value for a message, and the descriptors to send with it."""

    def receive(self, connection: Connection, value: messages.Value) -> Any:
        """Take over a value that has arrived in a message."""


class Lending(Protocol):
    """Counts borrowers, see `References`."""

    borrows: bool

    def export(self, entry: Any, ref: ObjectRef[Any]) -> None:
        """Register a reference that is about to travel."""

    def pin(self, ref: ObjectRef[Any]) -> None:
        """Keep a reference for the life of the process."""

    def grant(self, ref: ObjectRef[Any], receiver: bytes) -> bytes:
        """Count a borrower; return the object's id."""

    def exported(self, oid: bytes) -> Any:
        """Return the entry of an own object that a borrower may ask for."""

    def obtain(self, oid: bytes, tokens: int = 0) -> ObjectRef[Any]:
        """Return this process's reference for an id."""

    def canonical(self, entry: Any) -> ObjectRef[Any]:
        """Return this process's one reference to an entry."""

    def release(self, oid: bytes, tokens: int) -> None:
        """Give tokens back after the last local reference to a borrowed object has gone."""


class Asking(Protocol):
    """Asks owners for values, see `Fetching`."""

    def fetch(self, entry: Any) -> None:
        """Ask the owner of an entry for its value."""


class Announcing(Protocol):
    """Wakes the threads that wait for any of many objects, see `Waiting`."""

    news: object

    @property
    def watchers(self) -> Sequence[object]:
        """The waiters of these threads."""

    @property
    def interruption(self) -> Interrupting | None:
        """The effect of the user's interrupt; None in a worker."""

    def stir(self) -> None:
        """Wake the threads: an object has become final."""

    def failed(self, entry: Any) -> None:
        """End each `get` of several objects of which this one has failed."""

    def next_of(self, stream: Any, timeout: float | None) -> Any:
        """Wait for the next entry of a stream, and take it."""


class Streaming(Protocol):
    """The streams that other processes read, and the streams of other processes, see `Streams`."""

    def lend(self, reader: Any) -> None:
        """Register a generator that travels."""

    def ask(self, key: Any, reader: Any) -> None:
        """Ask the owner of a stream for the next reference."""

    def put_back(self, key: ObjectRef[Any], items: Any) -> None:
        """Give references back to the owner of a stream."""


class Home(Protocol):
    """The process of an object, as the object knows it: one record for all objects, see `Objects`."""

    @property
    def process_id(self) -> bytes:
        """The process's id, 16 bytes."""

    @property
    def membership(self) -> Membership:
        """Tells whether the process has left the node."""

    @property
    def reactor(self) -> Reactor:
        """The event loop."""

    @property
    def values(self) -> Loading:
        """Pickles and unpickles values."""

    @property
    def references(self) -> Lending:
        """Counts borrowers."""

    @property
    def fetching(self) -> Asking:
        """Asks owners for values."""

    @property
    def waiting(self) -> Announcing:
        """Wakes waiting threads."""

    @property
    def streams(self) -> Streaming:
        """The streams that cross processes."""


class Source(Protocol):
    """An entry, or a stream: a listener can be added to it."""

    def add_waiter(self, waiter: Any) -> bool:
        """Call `waiter.ready` when the source is ready; return False, without a call, if it is ready already."""

    def remove_waiter(self, waiter: Any) -> None:
        """Forget a listener."""


class Awaited(Source, Protocol):
    """An object that a thread may wait for, see `Entry`."""

    @property
    def state(self) -> int:
        """See `object_life`."""

    @property
    def home(self) -> Home:
        """The process of the object."""

    def request(self) -> None:
        """Have the value sent here."""

    def result(self) -> Any:
        """Return the value of a final object, or raise its error."""
