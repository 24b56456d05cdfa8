"""`get` and `wait`: block the calling thread until objects are there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors import exceptions
from nbactors.engine.unready_list import UnreadyList
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.frontend.user_code import lets_through
from nbactors.local.objects.object_life import READY
from nbactors.local.reactor.waiter import Waiter
from nbactors.object_ref import ObjectRef

if TYPE_CHECKING:
    from nbactors.local.membership import Membership
    from nbactors.local.objects.entry import Entry
    from nbactors.local.objects.home import Interrupting, Loading
    from nbactors.local.objects.references import References
    from nbactors.local.objects.stream_inbox import Inbox
    from nbactors.local.objects.streams import RemoteReader
    from nbactors.local.reactor.reactor import Reactor

PATIENCE_S = 0.005
"""A task that waits longer than this lends its CPUs to others."""


class _OneWaiter(Waiter):
    """Done when the entry or stream that it was added to is ready. `Waiting.visit` may interrupt the main thread's."""

    __slots__ = ()

    def ready(self, entry: Entry | None) -> None:
        self.finish()


class _Several:
    """A `get` of several: it ends as soon as one of them has failed, whichever it waits for just then.

    Attributes:
        failed: The first that is known to have failed.
        waiter: What the thread waits with now.
    """

    __slots__ = ("_entries", "_members", "failed", "waiter")

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
        self._members: frozenset[Entry] | None = None
        self.failed: Entry | None = None
        self.waiter: Waiter | None = None

    def look(self) -> None:
        """Look for one that has failed before `note` was called of it."""
        for entry in self._entries:
            if entry.state > READY:
                self.failed = entry
                break

    def note(self, entry: Entry) -> None:
        """An object has failed, perhaps one of them. Any thread."""
        members = self._members
        if members is None:
            members = self._members = frozenset(self._entries)
        if entry in members and self.failed is None:
            self.failed = entry
            if self.waiter is not None:
                self.waiter.finish()


class Waiting:
    """Blocks threads of one process.

    Args:
        reactor: The event loop, which the first waiting thread leads.
        membership: Whether this process has left.
        references: Know whether this process has borrowed objects.
        values: Unpack what is there.

    Attributes:
        before_block: Set in an asyncio actor: called on whatever thread is about to wait.
        on_block: Set in a worker: called when its task blocks for long; returns what to call when it runs again.
    """

    def __init__(self, reactor: Reactor, membership: Membership, references: References, values: Loading) -> None:
        self._reactor = reactor
        self._membership = membership
        self._references = references
        self._values = values
        self.before_block: Callable[[], None] | None = None
        self.on_block: Callable[[], Callable[[], None] | None] | None = None
        # `wait` looks through its references again whenever anything has happened, rather than put a waiter on each:
        # the loop `while refs: done, refs = wait(refs)` would do that a thousand times for a thousand references.
        self.watchers: list[Waiter] = []
        self.news = object()
        """Another object whenever something has become ready, so that `wait` knows whether it has to look again."""
        self._several: list[_Several] = []
        """The `get`s of several that wait now."""
        self._visits: deque[Callable[[], None]] = deque()
        self.interruption: Interrupting | None = None
        """Set in a session: what an interrupt does to the calls that were waited for."""

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        """See `Engine.get`.

        Waits for one after the other, in order: results mostly come in that order, many at a time, so that all but a
        few are there when their turn comes. An error of a later one ends the wait at once, as in Ray.
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
                        several.look()  # after that: what fails from now on is noted
                    self._await_turn(entry, several, deadline)
                    if entry.state < READY:
                        self._raise_timeout(entries, timeout)
        except KeyboardInterrupt as error:
            self._interrupted(error, entries)
            raise
        finally:
            if several is not None:
                try:
                    self._several.remove(several)
                except ValueError:  # an exception from outside came before it was in
                    pass
        load = self._values.load
        values = []
        for entry in entries:  # no comprehension: its frame would show in the traceback of an error
            values.append(load(entry))  # noqa: PERF401
        return values

    def _await_turn(self, entry: Entry, several: _Several, deadline: float | None) -> None:
        """Wait for one of several until it is there or the time is up; raise if another one has failed."""
        __tracebackhide__ = True
        while entry.state < READY:
            waiter = _OneWaiter()
            try:
                several.waiter = waiter
                # After the waiter is set: what fails from now on finishes it.
                if several.failed is not None:
                    self._values.load(several.failed)
                if not entry.add_waiter(waiter):
                    return
                self._block(waiter, None if deadline is None else max(deadline - monotonic(), 0))
            finally:
                several.waiter = None
                entry.remove_waiter(waiter)
            if not waiter.done:
                return

    def _raise_timeout(self, entries: list[Entry], timeout: float | None) -> None:
        self._membership.check()
        missing = sum(entry.state < READY for entry in entries)
        which = f"ObjectRef({entries[0].id.hex()})" if len(entries) == 1 else f"{missing} of {len(entries)} objects"
        raise exceptions.GetTimeoutError(
            f"Get timed out: {which} not ready within {timeout} s. The call goes on; call get() again with a longer "
            "timeout, or wait() for those that are ready."
        )

    def get_one(self, entry: Entry, timeout: float | None) -> Any:
        """`get` of one reference, the most frequent one."""
        __tracebackhide__ = True
        if entry.state < READY:
            entry.request()
            waiter = _OneWaiter()
            if entry.add_waiter(waiter):
                try:
                    self._block(waiter, timeout)
                except KeyboardInterrupt as error:
                    self._interrupted(error, [entry])
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
            waiter = _OneWaiter()
            if not stream.add_waiter(waiter):
                continue
            try:
                self._block(waiter, None if deadline is None else max(deadline - monotonic(), 0))
            except KeyboardInterrupt as error:
                self._interrupted(error, [stream])
                raise
            finally:
                stream.remove_waiter(waiter)
            if not waiter.done:
                self._membership.check()
                raise exceptions.GetTimeoutError(f"nothing was yielded within {timeout} s; the generator goes on")

    def failed(self, entry: Entry) -> None:
        """An object has failed: whoever waits for several of which it is one waits no longer. Any thread."""
        for several in tuple(self._several):
            several.note(entry)

    def wait(
        self, refs: list[ObjectRef[Any]], num_returns: int, timeout: float | None
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        """See `Engine.wait`."""
        news = self.news
        split = _split(refs, num_returns)
        if len(split[0]) >= num_returns:
            return split
        if self._references.borrows:
            for ref in refs:
                ref._entry.request()
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            watcher = _OneWaiter()
            try:
                self.watchers.append(watcher)
                # Between the last look and the watcher something may have come.
                if self.news is not news:
                    split = _split(refs, num_returns)
                    if len(split[0]) >= num_returns:
                        return split
                self._block(watcher, None if deadline is None else max(deadline - monotonic(), 0))
            except KeyboardInterrupt as error:
                self._interrupted(error, [ref._entry for ref in refs])
                raise
            finally:
                try:
                    self.watchers.remove(watcher)
                except ValueError:  # `stir` has it, or takes it on another thread just now
                    pass
            news = self.news
            split = _split(refs, num_returns)
            if len(split[0]) >= num_returns or not watcher.done:
                self._membership.check()
                return split

    def stir(self) -> None:
        """An object became final: wake those who look at many. Any thread."""
        watchers = self.watchers
        while watchers:
            try:
                watcher = watchers[0]
                watcher.finish()
                watchers.remove(watcher)  # at last, so that no exception from outside leaves it asleep
            except (IndexError, ValueError):  # another thread was faster
                pass

    def visit(self, callback: Callable[[], None]) -> bool:
        """See `Engine.call_in_wait`."""
        sleeper = INTERRUPTS.sleeper
        if not isinstance(sleeper, _OneWaiter):  # other waits, such as for the node's answer, do not go on
            return False
        self._visits.append(callback)
        sleeper.interrupt()  # it finds no signal due, and leaves the reactor
        return True

    def _interrupted(self, error: KeyboardInterrupt, waited: Sequence[Any]) -> None:
        """The user does not want to wait any more. The main thread."""
        if self.interruption is not None:
            self.interruption.apply(error, waited)

    def _block(self, waiter: Waiter, timeout: float | None) -> None:
        if self.before_block is not None:
            self.before_block()
        reactor = self._reactor
        on_block = self.on_block
        start = monotonic()
        if on_block is None or (timeout is not None and timeout <= PATIENCE_S):
            reactor.wait(waiter, timeout)
            while waiter.interrupted and not waiter.done:
                waiter.interrupted = False  # before the look for callbacks: `visit` adds one, and then interrupts
                while self._visits:
                    _call(self._visits.popleft())
                reactor.wait(waiter, None if timeout is None else max(timeout - (monotonic() - start), 0))
            return
        if reactor.wait(waiter, PATIENCE_S):
            return
        resume = on_block()
        try:
            reactor.wait(waiter, None if timeout is None else max(timeout - (monotonic() - start), 0))
        finally:
            if resume is not None:
                resume()


@lets_through
def _call(callback: Callable[[], None]) -> None:
    """Call what was asked for in a wait, which may be interrupted."""
    callback()


def _split(refs: list[ObjectRef[Any]], num_returns: int) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
    """Return the first `num_returns` ready references, in order, and the others."""
    if num_returns == 1:
        # The loop `while refs: done, refs = wait(refs)` makes this quadratic: do the common case by slicing.
        for index, ref in enumerate(refs):
            if ref._entry.state >= READY:
                # By a slice: making a list of a subclass of list goes through its iterator, five times slower.
                if not index:
                    return [ref], UnreadyList(refs[1:])
                rest = refs[:]
                del rest[index]
                return [ref], UnreadyList(rest)
        return [], list(refs)
    ready: list[ObjectRef[Any]] = []
    rest = []
    for ref in refs:
        if len(ready) < num_returns and ref._entry.state >= READY:
            ready.append(ref)
        else:
            rest.append(ref)
    return ready, rest
