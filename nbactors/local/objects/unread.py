"""`Unread`: the failed calls of this process whose errors no code has read. A call that succeeds costs nothing here.

`get`, `await` and futures read an error. It also counts as read when it goes to another process, or becomes the error
of a call that depends on it. `wait` reads nothing. If the last reference to the results of a failed call goes before,
no code can ever read the error, so the user is told.
"""

from __future__ import annotations

import pickle
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbactors import exceptions
from nbactors.exceptions.one_line import brief
from nbactors.exceptions.source_lines import raised
from nbactors.frontend.sink import DROPPED, HELD, READ, UnreadError
from nbactors.frontend.unread_printer import are_off
from nbactors.local.objects.object_life import READY
from nbactors.local.wire import ids
from nbactors.local.wire.cancel_mode import CancelMode

if TYPE_CHECKING:
    from nbactors.local.membership import Membership
    from nbactors.local.objects.entry import Entry
    from nbactors.local.objects.home import Maker
    from nbactors.local.reactor.reactor import Reactor

_REPORTED = (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError, exceptions.CallTimeoutError)
"""The runtime's errors that are reported. The others tell of an order of the user's, such as a cancelled call, or of a
dead actor, as every later call to the actor does. Ray makes the same choice."""


_BY_USERS = (CancelMode.CANCEL, CancelMode.INTERRUPT, CancelMode.FORCE)


class _Failed:
    """A failed call: its error, and weak references to the entries that hold the error."""

    __slots__ = ("actor_id", "entries", "error")

    def __init__(self, error: UnreadError, actor_id: bytes) -> None:
        self.error = error
        self.actor_id = actor_id
        self.entries: list[weakref.ref[Entry]] = []


class Unread:
    """The table of one process. Methods run on any thread.

    Args:
        membership: Knows the process's id.
        reactor: Runs `tell` on the leader's thread.

    Attributes:
        tell: Called with an error, and what has become of it. The leader's thread, in the order of the events.
        is_ignored: Whether errors are not reported; None for what the environment variable says.
        session_ends: Whether the session is about to end. Then a call that fails because an actor is dead is not
            reported: the end has ended that actor a little earlier than the caller.
    """

    def __init__(self, membership: Membership, reactor: Reactor) -> None:
        self._membership = membership
        self._reactor = reactor
        self._failed: dict[int, _Failed] = {}
        self._events: deque[tuple[UnreadError, str]] = deque()
        self.tell: Callable[[UnreadError, str], None] | None = None
        self.is_ignored: bool | None = None
        self.session_ends = False

    def note(self, entry: Entry, call: Maker, data: bytes) -> None:
        """Note a result that is about to get the pickled error `data`, before any thread can read it. Idempotent."""
        if self.tell is None or (are_off() if self.is_ignored is None else self.is_ignored):
            return
        number = call.number
        failed = self._failed.get(number)
        if failed is None:
            error = _describe(call, data)
            if error is None or (self.session_ends and error.kind.endswith(exceptions.ActorDiedError.__name__)):
                return
            failed = _Failed(error, getattr(call.target, "actor_id", b""))
            self._failed[number] = failed
            self._post(error, HELD)
        # A finalizer may run at any bytecode, so it only posts an action.
        failed.entries.append(weakref.ref(entry, lambda _: self._reactor.discard(lambda: self._drop(number))))

    def read(self, entry: Entry) -> None:
        """Note that an error was read: whichever result of a call has it, it is the call's."""
        if entry.owner == self._membership.process_id:
            failed = self._failed.pop(entry.number, None)
            if failed is not None:
                self._post(failed.error, READ)

    def read_all(self, entries: list[Entry]) -> None:
        """Note that a `get` of several objects has raised an error: the user has asked for all of them."""
        for entry in entries:
            if entry.state > READY:
                self.read(entry)
            elif entry.state < READY and not entry.add_waiter(_LATER):
                self.read(entry)  # it has failed meanwhile, or has a value

    def of_actor(self, actor_id: bytes) -> int:
        """Return the number of failed calls to an actor whose errors are unread."""
        return sum(failed.actor_id == actor_id for failed in list(self._failed.values()))

    def _drop(self, number: int) -> None:
        """Report a call if no result of it is left. The leader's thread."""
        failed = self._failed.get(number)
        if failed is not None and all(entry() is None for entry in failed.entries):
            self._post(failed.error, DROPPED)
            self._failed.pop(number, None)

    def _post(self, error: UnreadError, state: str) -> None:
        """Tell on the leader's thread. This one may be in the midst of a change, or the user's."""
        self._events.append((error, state))
        self._reactor.discard(self._tell)

    def _tell(self) -> None:
        """Tell the events; repeated after an asynchronous exception, which costs one event at most."""
        while self._events and self.tell is not None:
            self.tell(*self._events.popleft())


class _Later:
    """A listener that counts an error as read as soon as it comes."""

    def ready(self, entry: Entry) -> None:
        if entry.state > READY:
            entry.home.unread.read(entry)


_LATER = _Later()


def _describe(call: Maker, data: bytes) -> UnreadError | None:
    """Return the error of a call, without unpickling the user's exception; None if it is not to be reported."""
    if call.canceled in _BY_USERS:
        return None
    kind, *parts = pickle.loads(data)
    cell = ids.cell_of(call.origin)
    if kind == "task":
        _, function, trace, pid = parts
        line = brief(raised(trace))
        return UnreadError(cell, function, line.partition(":")[0], line, trace, pid)
    error: Any = pickle.loads(parts[0])
    if not isinstance(error, _REPORTED):
        return None
    name = type(error).__name__
    return UnreadError(cell, call.facts().label, name, f"{name}: {brief(str(error))}", f"{name}: {error}")
