"""The effect of the user's interrupt on the calls that a session waits for: they are cancelled, or go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from nbactors.local.objects.entry import BorrowedEntry, Entry
from nbactors.local.objects.object_life import READY
from nbactors.local.objects.stream_inbox import Inbox
from nbactors.local.objects.streams import Reader, RemoteReader
from nbactors.local.wire import ids, messages
from nbactors.local.wire.cancel_mode import CancelMode

if TYPE_CHECKING:
    from nbactors.local.connections.peers import Peers
    from nbactors.local.reactor.reactor import Reactor

MODE = CancelMode.INTERRUPT
"""The user of a notebook expects that an interrupt stops the awaited call, even a running method of a plain actor."""


class Interruption:
    """Applies the user's interrupt to the awaited calls.

    Args:
        process_id: This process's id, 16 bytes.
        reactor: The event loop of this process.
        peers: The connections to other processes.
        cancels: Whether an interrupt cancels the awaited calls.
    """

    def __init__(self, process_id: bytes, reactor: Reactor, peers: Peers, cancels: bool) -> None:
        self._process_id = process_id
        self._reactor = reactor
        self._peers = peers
        self.cancels = cancels

    def apply(self, error: KeyboardInterrupt, waited: Iterable[Any]) -> None:
        """Name the awaited calls in the error, and cancel them if the user has chosen so. The main thread. Never waits.

        Args:
            error: The error that is about to be raised.
            waited: The entries and streams for which the thread has waited.
        """
        count, running = self._running(waited)
        if self.cancels and running:
            self.cancel(list(running.values()))
        if not error.args:
            error.args = (_text(count, len(running), self.cancels),)

    def cancel_one(self, entry: Entry) -> None:
        """Cancel the call that makes an awaited object. Any thread."""
        self.cancel(list(self._running([entry])[1].values()))

    def cancel(self, ends: list[Callable[[], None]]) -> None:
        """Run functions that cancel calls on the leader's thread: the user need not wait for thousands of them."""

        def cancel_all() -> None:
            for end in reversed(ends):  # as in `Process.latest_calls_first`
                end()

        if ends:
            self._reactor.discard(cancel_all)

    def _running(self, waited: Iterable[Any]) -> tuple[int, dict[Any, Callable[[], None]]]:
        """Return the number of awaited calls, and for each that has not ended a function that cancels it."""
        seen: set[Any] = set()
        running: dict[Any, Callable[[], None]] = {}
        for thing in waited:
            key, end = self._look_at(thing)
            seen.add(key)
            if end is not None:
                running[key] = end
        return len(seen), running

    def _look_at(self, thing: Any) -> tuple[Any, Callable[[], None] | None]:
        """Return a key for the call of an entry or stream, and a function that cancels it; None if it has ended."""
        if isinstance(thing, RemoteReader):
            key = thing.key
            # The owner cancels a call by the id of its result, which has index 0; the stream has `STREAM_INDEX`.
            oid = ids.object_id(key.owner, key.number, 0)
            return (key.owner, key.number), None if thing.ended else self._by_owner(oid)
        if isinstance(thing, BorrowedEntry):
            return (thing.owner, thing.number), None if thing.state >= READY else self._by_owner(thing.id)
        if isinstance(thing, Reader | Inbox):
            inbox = thing.inbox if isinstance(thing, Reader) else thing
            call, number = inbox.call, inbox.number
        else:
            call, number = thing.call, thing.number
        end = None if call is None else lambda: call.cancel(MODE, True)
        return (self._process_id, number), end

    def _by_owner(self, oid: bytes) -> Callable[[], None]:
        def ask() -> None:
            connection = self._peers.connect(ids.owner_of(oid))
            if connection is not None:
                connection.send_now(messages.CancelObject(oid, False, True, True))

        return ask


def _text(count: int, running: int, cancels: bool) -> str:
    waited = f"waited for {count} call{'s' if count != 1 else ''}"
    if not running:
        return f"{waited}; all had ended"
    if cancels:
        which = "it still ran and was" if count == 1 else f"{running} still ran and {'was' if running == 1 else 'were'}"
        return f'{waited}; {which} cancelled; init(on_interrupt="detach") lets such calls go on'
    which = "it still runs" if count == 1 else f"{running} still run{'s' if running == 1 else ''}"
    return f'{waited}; {which}; cancel(ref) ends a call, and with init(on_interrupt="cancel") an interrupt does'
