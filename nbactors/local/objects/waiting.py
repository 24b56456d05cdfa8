"""`get` and `wait`: block the calling thread until objects are final."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from nbactors.exceptions import reasons
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.frontend.user_code import lets_through
from nbactors.local.objects.object_life import READY
from nbactors.local.objects.splitting import split
from nbactors.local.reactor.waiter import Waiter
from nbactors.object_ref import ObjectRef
from nbactors.speedups.caller import load_atoms

if TYPE_CHECKING:
    from nbactors.local.membership import Membership
    from nbactors.local.objects.entry import Entry
    from nbactors.local.objects.home import Interrupting, Loading
    from nbactors.local.objects.references import References
    from nbactors.local.objects.stream_inbox import Inbox
    from nbactors.local.objects.streams import RemoteReader
    from nbactors.local.objects.unread import Unread
    from nbactors.local.reactor.reactor import Reactor

PATIENCE_S = 0.005
"""Seconds after which a waiting task lends its CPUs to other tasks."""


class Noting(Protocol):
    """Notes where threads wait, see `Waits`."""

    def begin(self, kind: str, start: float) -> None:
        """Note that this thread is about to wait."""

    def end(self, kind: str, start: float) -> None:
        """Note that this thread waits no more."""


class OneWaiter(Waiter):
    """A waiter that is done when its entry or stream is `ready`. `Waiting.visit` may interrupt the main thread's."""

    __slots__ = ()


class Watcher(OneWaiter):
    """The waiter of a `wait`.

    Attributes:
        due: The value of `Waiting.news` from which on the awaited objects may be final.
    """

    __slots__ = ("due",)

    def __init__(self, due: int) -> None:
        super().__init__()
        self.due = due


class _Several:
    """A `get` of several objects. It ends when one of them fails, even while it waits for another one.

    Attributes:
        entries: The objects.
        failed: The object whose failure was noticed first.
        waiter: The waiter of the thread at the moment.
    """

    __slots__ = ("_members", "entries", "failed", "waiter")

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self._members: frozenset[Entry] | None = None
        self.failed: Entry | None = None
        self.waiter: Waiter | None = None

    def look(self) -> None:
        """Look for an object that has failed before this `get` was registered for `note`."""
        for entry in self.entries:
            if entry.state > READY:
                self.failed = entry
                break

    def note(self, entry: Entry) -> None:
        """End the `get` if the object that has failed is one of its objects. Any thread."""
        members = self._members
        if members is None:
            members = self._members = frozenset(self.entries)
        if entry in members and self.failed is None:
            self.failed = entry
            if self.waiter is not None:
                self.waiter.finish()


class Waiting:
    """Blocks threads of one process.

    Args:
        reactor: The event loop, which the first waiting thread leads.
        membership: Tells whether this process has left the node.
        references: Tells whether this process has borrowed objects.
        values: Unpacks the values.
        unread: Notes which errors were read.

    Attributes:
        before_block: Set in an asyncio actor: called on each thread that is about to wait.
        on_block: Set in a worker: called when its task waits for long; returns a function to call after the wait.
        noted: Notes the waits for the task events.
    """

    # Those two are in slots, so that the compiled part finds them at once.
    __slots__ = ("__dict__", "news", "watchers")

    def __init__(
        self, reactor: Reactor, membership: Membership, references: References, values: Loading, unread: Unread
    ) -> None:
        self._reactor = reactor
        self._unread = unread
        self.membership = membership
        self._references = references
        self._values = values
        self.before_block: Callable[[], None] | None = None
        self.on_block: Callable[[], Callable[[], None] | None] | None = None
        self.noted: Noting | None = None
        # `wait` adds no waiter to each reference, but looks through them again when enough objects have become final.
        # In the loop `while refs: done, refs = wait(refs)` a thousand references would get a thousand waiters each.
        self.watchers: list[Watcher] = []
        self.news = 0
        """How often an object has become final, or a stream has got something to read; some count twice. A `wait` that
        lacks n objects has to look again when `news` has grown by n. `news += 1` is atomic, see `local.reactor`."""
        self._several: list[_Several] = []
        """The `get`s of several objects that wait now."""
        self._visits: deque[Callable[[], None]] = deque()
        self.interruption: Interrupting | None = None
        """Set in a session: the effect of the user's interrupt on the calls that a thread waits for."""

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        """See `Engine.get`.

        It waits for one object after the other. Results mostly come in that order, many at a time, so most objects are
        final when their turn comes. An error of a later object ends the wait at once, as in Ray.
        """
        __tracebackhide__ = True
        entries: list[Entry] = [ref._entry for ref in refs]
        if self._references.borrows:
            for entry in entries:
                entry.request()
        deadline = None if timeout is None else monotonic() + timeout
        several: _Several | None = None
        try:
            for entry in entries:
                if entry.state < READY:
                    if several is None:
                        several = _Several(entries)
                        self._several.append(several)
                        several.look()  # after the registration: `note` is called for later failures
                    self._await_turn(entry, several, deadline)
                    if entry.state < READY:
                        self._raise_timeout(entries, timeout)
        except KeyboardInterrupt as error:
            self.interrupted(error, entries)
            raise
        finally:
            if several is not None:
                try:
                    self._several.remove(several)
                except ValueError:  # an asynchronous exception came before it was added
                    pass
        load = self._values.load
        values = [] if load_atoms is None else load_atoms(entries)
        try:
            # No comprehension: its frame would show in the traceback of an error.
            for entry in islice(entries, len(values), None):
                values.append(load(entry))
        except BaseException:
            self._unread.read_all(entries)
            raise
        return values

    def _await_turn(self, entry: Entry, several: _Several, deadline: float | None) -> None:
        """Wait until one of several objects is final or the time is up; raise the error of another that has failed."""
        __tracebackhide__ = True
        while entry.state < READY:
            waiter = OneWaiter()
            try:
                several.waiter = waiter
                # `failed` is read after `waiter` is set: `note` stores first and then finishes the waiter it finds.
                if several.failed is not None:
                    self._unread.read_all(several.entries)
                    self._values.load(several.failed)
                if not entry.add_waiter(waiter):
                    return
                self.block(waiter, None if deadline is None else max(deadline - monotonic(), 0))
            finally:
                several.waiter = None
                entry.remove_waiter(waiter)
            if not waiter.done:
                return

    def _raise_timeout(self, entries: list[Entry], timeout: float | None) -> None:
        self.membership.check()
        missing = sum(entry.state < READY for entry in entries)
        which = f"ObjectRef({entries[0].id.hex()})" if len(entries) == 1 else f"{missing} of {len(entries)} objects"
        raise reasons.not_ready(which, timeout, _cancelled(entries), _obstacle(entries))

    def get_one(self, entry: Entry, timeout: float | None) -> Any:
        """Do what `get` does, for one reference: the most frequent case."""
        __tracebackhide__ = True
        if entry.state < READY:
            if self._references.borrows:
                entry.request()
            waiter = OneWaiter()
            if entry.add_waiter(waiter):
                try:
                    self.block(waiter, timeout)
                except KeyboardInterrupt as error:
                    self.interrupted(error, [entry])
                    raise
                finally:
                    if entry.state < READY:
                        entry.remove_waiter(waiter)
                if entry.state < READY:
                    self._raise_timeout([entry], timeout)
        return self._values.load(entry)

    def next_of(self, stream: Inbox | RemoteReader, timeout: float | None) -> Entry:
        """Wait for the next entry of a stream, and take it. See `ObjectRefGenerator._next_sync`."""
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            entry = stream.take()
            if entry is not None:
                return entry
            if stream.ended:
                raise StopIteration
            waiter = OneWaiter()
            if not stream.add_waiter(waiter):
                continue
            try:
                self.block(waiter, None if deadline is None else max(deadline - monotonic(), 0))
            except KeyboardInterrupt as error:
                self.interrupted(error, [stream])
                raise
            finally:
                stream.remove_waiter(waiter)
            if not waiter.done:
                self.membership.check()
                call = stream.call
                raise reasons.none_yielded(timeout, is_cancelled=call is not None and call.canceled is not None)

    def failed(self, entry: Entry) -> None:
        """End each `get` of several objects of which this one has failed. Any thread."""
        for several in tuple(self._several):
            several.note(entry)

    def wait(
        self, refs: list[ObjectRef[Any]], num_returns: int, timeout: float | None
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        """See `Engine.wait`."""
        # Read before the look: what becomes final after the look has not been counted yet.
        news = self.news
        found = split(refs, num_returns)
        missing = num_returns - len(found[0])
        if missing <= 0:
            return found
        if self._references.borrows:
            for ref in refs:
                ref._entry.request()
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            watcher = Watcher(news + missing)
            try:
                self.watchers.append(watcher)
                # Objects may have become final after the last look and before the watcher was added.
                if self.news >= watcher.due:
                    watcher.done = True
                else:
                    self.block(watcher, None if deadline is None else max(deadline - monotonic(), 0), "ray.wait")
            except KeyboardInterrupt as error:
                self.interrupted(error, [ref._entry for ref in refs])
                raise
            finally:
                try:
                    self.watchers.remove(watcher)
                except ValueError:  # `stir` has removed it, perhaps on another thread
                    pass
            news = self.news
            found = split(refs, num_returns)
            missing = num_returns - len(found[0])
            if missing <= 0 or not watcher.done:
                self.membership.check()
                return found

    def stir(self) -> None:
        """Wake the threads in `wait` for which enough objects may have become final. Any thread."""
        watchers = self.watchers
        for watcher in tuple(watchers):
            if watcher.due <= self.news:
                watcher.finish()
                try:
                    watchers.remove(watcher)  # after `finish`: no asynchronous exception leaves its thread asleep
                except ValueError:  # another thread has removed it
                    pass

    def visit(self, callback: Callable[[], None]) -> bool:
        """See `Engine.call_in_wait`."""
        sleeper = INTERRUPTS.sleeper
        if not isinstance(sleeper, OneWaiter):  # other waits, such as for the node's answer, do not go on
            return False
        self._visits.append(callback)
        sleeper.interrupt()  # the sleeper finds no signal due, leaves the reactor and runs the visits
        return True

    def interrupted(self, error: KeyboardInterrupt, waited: Sequence[Any]) -> None:
        """Apply the user's interrupt to the objects that were waited for. The main thread."""
        if self.interruption is not None:
            self.interruption.apply(error, waited)

    def block(self, waiter: Waiter, timeout: float | None, kind: str = "ray.get") -> None:
        """Wait until `waiter` is done, at most `timeout` seconds. `kind` names the wait in the task events."""
        if self.before_block is not None:
            self.before_block()
        start, noted = monotonic(), self.noted
        try:
            if noted is not None:
                noted.begin(kind, start)
            on_block = self.on_block
            if on_block is None or (timeout is not None and timeout <= PATIENCE_S):
                if not self._reactor.wait(waiter, timeout):
                    self._visit_in(waiter, start, timeout)
            elif not self._reactor.wait(waiter, PATIENCE_S):
                self._wait_for_long(waiter, start, timeout, on_block)
        finally:
            if noted is not None:
                noted.end(kind, start)

    def _visit_in(self, waiter: Waiter, start: float, timeout: float | None) -> None:
        """Run the callbacks of `visit` that have ended a wait, and wait on."""
        while waiter.interrupted and not waiter.done:
            waiter.interrupted = False  # before the look for callbacks: `visit` adds one, and then interrupts
            while self._visits:
                _call(self._visits.popleft())
            self._reactor.wait(waiter, None if timeout is None else max(timeout - (monotonic() - start), 0))

    def _wait_for_long(
        self,
        waiter: Waiter,
        start: float,
        timeout: float | None,
        on_block: Callable[[], Callable[[], None] | None],
    ) -> None:
        """Wait on after `PATIENCE_S`, see `on_block`."""
        resume = on_block()
        try:
            self._reactor.wait(waiter, None if timeout is None else max(timeout - (monotonic() - start), 0))
        finally:
            if resume is not None:
                resume()


@lets_through
def _call(callback: Callable[[], None]) -> None:
    """Call a callback of `visit`; the user may interrupt it."""
    callback()


def _cancelled(entries: list[Entry]) -> tuple[str, str] | None:
    """Return which missing call was cancelled, and how; see `reasons.not_ready`."""
    for entry in entries:
        call = entry.call
        if entry.state < READY and call is not None and call.canceled is not None:
            facts = call.facts()
            how = "interrupted" if call.canceled.interrupts_methods else "cancelled"
            return facts.label, how if facts.actor_id else "task"
    return None


def _obstacle(entries: list[Entry]) -> str:
    """Return a sentence about what the first missing call waits for, if its worker has not got it; else nothing."""
    call = next((entry.call for entry in entries if entry.state < READY), None)
    if call is None or call.connection is not None or call.target is None:
        return ""
    name = call.facts().label
    if call.awaited is not None:
        return f"{name} waits for its argument ObjectRef({call.awaited.id.hex()})."
    awaited = call.target.awaited(call)
    if awaited == "actor":
        return f"{name} waits for its actor, which has not started: list_actors() and %actors show what it needs."
    return f"{name} waits for a worker with {awaited}." if awaited else ""
