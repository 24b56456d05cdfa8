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
    def data(self) -> bytes: ...
    @property
    def buffers(self) -> Sequence[bytes]: ...
    @property
    def stored(self) -> Stored | None: ...
    @property
    def contained(self) -> Any: ...
    @property
    def error(self) -> bool: ...


class Maker(Protocol):
    """The call that makes an object, see `PendingCall`."""

    number: int
    target: Any
    connection: Any
    awaited: Any
    origin: int
    canceled: CancelMode | None

    def facts(self) -> CallFacts: ...
    def cancel(self, mode: CancelMode, recursive: bool, timeout_s: float = 0.0) -> None: ...
    def tell(self, message: Any) -> None: ...


class Interrupting(Protocol):
    """The effect of the user's interrupt on calls whose results were waited for, see `Interruption`."""

    cancels: bool

    def apply(self, error: KeyboardInterrupt, waited: Iterable[Any]) -> None: ...
    def cancel_one(self, awaited: Any) -> None: ...


class Loading(Protocol):
    """Pickles and unpickles values, see `Values`."""

    def hold(self, value: Any) -> Any: ...
    def load(self, entry: Any) -> Any: ...
    def pack_entry(self, connection: Connection, entry: Any) -> messages.Value: ...


class Lending(Protocol):
    """Counts borrowers, see `References`."""

    borrows: bool

    def export(self, entry: Any, ref: ObjectRef[Any]) -> None: ...
    def pin(self, ref: ObjectRef[Any]) -> None: ...
    def grant(self, ref: ObjectRef[Any], receiver: bytes) -> bytes: ...
    def canonical(self, entry: Any) -> ObjectRef[Any]: ...
    def release(self, oid: bytes, tokens: int) -> None: ...


class Asking(Protocol):
    """Asks owners for values, see `Fetching`."""

    def fetch(self, entry: Any) -> None: ...


class Announcing(Protocol):
    """Wakes the threads that wait for any of many objects, see `Waiting`."""

    news: int

    @property
    def watchers(self) -> Sequence[object]: ...
    @property
    def interruption(self) -> Interrupting | None: ...
    def stir(self) -> None: ...
    def failed(self, entry: Any) -> None: ...
    def next_of(self, stream: Any, timeout: float | None) -> Any: ...


class Watching(Protocol):
    """Notes which errors were read, see `Unread`."""

    def note(self, entry: Any, call: Any, data: bytes) -> None: ...
    def read(self, entry: Any) -> None: ...
    def of_actor(self, actor_id: bytes) -> int: ...


class Streaming(Protocol):
    """The streams that other processes read, and the streams of other processes, see `Streams`."""

    def lend(self, reader: Any) -> None: ...
    def ask(self, key: Any, reader: Any) -> None: ...
    def put_back(self, key: ObjectRef[Any], items: Any) -> None: ...


class Home(Protocol):
    """The process of an object, as the object knows it: one record for all objects, see `Objects`."""

    @property
    def process_id(self) -> bytes: ...
    @property
    def membership(self) -> Membership: ...
    @property
    def reactor(self) -> Reactor: ...
    @property
    def values(self) -> Loading: ...
    @property
    def references(self) -> Lending: ...
    @property
    def fetching(self) -> Asking: ...
    @property
    def waiting(self) -> Announcing: ...
    @property
    def streams(self) -> Streaming: ...
    @property
    def unread(self) -> Watching: ...


class Source(Protocol):
    """An entry, or a stream: a listener can be added to it."""

    def add_waiter(self, waiter: Any) -> bool: ...
    def remove_waiter(self, waiter: Any) -> None: ...


class Awaited(Source, Protocol):
    """An object that a thread may wait for, see `Entry`."""

    @property
    def state(self) -> int: ...
    @property
    def home(self) -> Home: ...
    def request(self) -> None: ...
    def result(self) -> Any: ...
