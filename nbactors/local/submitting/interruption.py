"""The effect of the user's interrupt on the calls that a session waits for: they are cancelled, or go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from nbactors.engine import interrupt_text
from nbactors.frontend.shutdown_request import SHUTDOWN_REQUEST
from nbactors.local.objects.entry import BorrowedEntry
from nbactors.local.objects.object_life import READY
from nbactors.local.objects.stream_inbox import Inbox
from nbactors.local.objects.streams import Reader, RemoteReader
from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.wire import ids, messages
from nbactors.local.wire.cancel_mode import CancelMode

if TYPE_CHECKING:
    from nbactors.local.connections.peers import Peers
    from nbactors.local.objects.home import Maker
    from nbactors.local.reactor.reactor import Reactor

MODE = CancelMode.INTERRUPT
"""The user of a notebook expects that an interrupt stops the awaited call, even a running method of a plain actor."""

_NAMED = 3
"""The most detached actors that the error's text names."""


class _Running(NamedTuple):
    """An awaited call that has not ended.

    Attributes:
        cancel: Cancels the call.
        survives: Whether the call may go on after the end of this process.
        actor: The name of the detached actor that runs the call; empty if another process made the call.
    """

    cancel: Callable[[], None]
    survives: bool
    actor: str = ""


class Interruption:
    """Applies the user's interrupt to the awaited calls.

    A front end interrupts a kernel before it restarts or ends the kernel. The calls that may survive this are cancelled
    later than the others, unless the front end has asked for the end meanwhile, see `SHUTDOWN_REQUEST`: the calls of
    detached actors, and calls that other processes have made, since only their makers know their actors.

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
        if self.cancels:
            self._cancel(running)
        if not error.args:
            error.args = (
                _text(count, running) if self.cancels else interrupt_text.of_uncancelled(count, len(running)),
            )

    def cancel_one(self, awaited: Any) -> None:
        """Cancel the call that makes an awaited object or stream. Any thread."""
        self._cancel(self._running([awaited])[1])

    def _cancel(self, running: list[_Running]) -> None:
        """Have the leader's thread cancel calls: the user need not wait for thousands of them."""

        def cancel_all(calls: list[_Running]) -> None:
            for call in reversed(calls):  # as in `Process.latest_calls_first`
                call.cancel()

        def cancel_survivors() -> None:
            if not SHUTDOWN_REQUEST.is_seen:
                cancel_all(later)

        later = [call for call in running if _is_late(call)]
        if later:
            self._reactor.call_later(SHUTDOWN_REQUEST.grace_s, cancel_survivors)
        at_once = [call for call in running if not _is_late(call)]
        if at_once:
            self._reactor.discard(lambda: cancel_all(at_once))

    def _running(self, waited: Iterable[Any]) -> tuple[int, list[_Running]]:
        """Return the number of awaited calls, and those of them that have not ended."""
        calls = dict(map(self._look_at, waited))
        return len(calls), [call for call in calls.values() if call is not None]

    def _look_at(self, thing: Any) -> tuple[Any, _Running | None]:
        """Return a key for the call of an entry or stream, and the call; None if it has ended."""
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
        return (self._process_id, number), None if call is None else _of_own(call)

    def _by_owner(self, oid: bytes) -> _Running:
        def ask() -> None:
            connection = self._peers.connect(ids.owner_of(oid))
            if connection is not None:
                connection.send_now(messages.CancelObject(oid, False, True, True))

        return _Running(ask, survives=True)


def _of_own(call: Maker) -> _Running:
    target = call.target
    actor = target.detached if isinstance(target, LocalActorLink) else ""
    return _Running(lambda: call.cancel(MODE, True), bool(actor), actor)


def _is_late(call: _Running) -> bool:
    """Return whether a call is cancelled only if no shutdown request follows the interrupt."""
    return call.survives and SHUTDOWN_REQUEST.grace_s > 0


def _text(count: int, running: list[_Running]) -> str:
    """Return what an interrupt does that cancels the running ones of `count` calls."""
    later = [call for call in running if _is_late(call)]
    ended = len(running) - len(later)
    if not later:
        return interrupt_text.of_cancelled(count, ended)
    parts = [interrupt_text.waited_for(count)]
    if ended:
        parts.append(interrupt_text.cancelled(count, ended))
    which = "it still runs" if count == 1 else f"{len(later)} still run{'s' if len(later) == 1 else ''}"
    are, they, go = ("is", "it", "goes") if len(later) == 1 else ("are", "they", "go")
    parts.append(f"{which}{_where(later)} and {are} cancelled in {SHUTDOWN_REQUEST.grace_s:g} s")
    parts.append(f"if the kernel restarts, {they} {go} on{_attached(later)}")
    return interrupt_text.with_hint(parts)


def _where(calls: list[_Running]) -> str:
    names = sorted({call.actor for call in calls if call.actor})
    if not names:
        return ""
    more = ", …" if len(names) > _NAMED else ""
    return f" in the detached actor{'s' if len(names) > 1 else ''} {', '.join(map(repr, names[:_NAMED]))}{more}"


def _attached(calls: list[_Running]) -> str:
    name = min((call.actor for call in calls if call.actor), default="")
    return f" there, and %attach {name if name.isidentifier() else repr(name)} gets a handle" if name else ""
