"""`get` and `wait`: block the calling thread until objects are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors import exceptions
from nbactors.local.client.reactor import CountWaiter, Waiter
from nbactors.local.store.object_life import READY
from nbactors.object_ref import ObjectRef

if TYPE_CHECKING:
    from nbactors.local.client.entries import Entry
    from nbactors.local.client.process import Process

PATIENCE_S = 0.005
"""A task that waits longer than this lends its CPUs to others."""


class _AllWaiter(CountWaiter):
    """Done when all are ready, or one has failed: `get` raises the first error without waiting for the rest."""

    __slots__ = ()

    def ready(self, entry: Entry) -> None:
        if entry.state > READY:
            self.finish()
        else:
            super().ready(entry)


class Waiting:
    """Blocks threads of one process.

    Attributes:
        on_block: Set in a worker: called when its task blocks for long; returns what to call when it runs again.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.on_block: Callable[[], Callable[[], None] | None] | None = None
        # `wait` looks through its references again whenever anything has happened, rather than put a waiter on each:
        # the loop `while refs: done, refs = wait(refs)` would do that a thousand times for a thousand references.
        self.watchers: list[Waiter] = []

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        """See `Engine.get`."""
        entries: list[Entry] = [ref._entry for ref in refs]
        pending = [entry for entry in entries if entry.state < READY]
        if pending:
            self._await(pending, len(pending), timeout, _AllWaiter)
            for entry in pending:
                if entry.state > READY:
                    self._process.values.load(entry)
            missing = sum(entry.state < READY for entry in pending)
            if missing:
                self._process.check_alive()
                raise exceptions.GetTimeoutError(
                    f"Get timed out: {missing} of {len(entries)} objects were not ready within {timeout} s. The calls "
                    "go on; call get() again with a longer timeout, or wait() for those that are ready."
                )
        load = self._process.values.load
        return [load(entry) for entry in entries]

    def get_one(self, entry: Entry, timeout: float | None) -> Any:
        """`get` of one reference, the most frequent one."""
        if entry.state < READY:
            self._await([entry], 1, timeout, _AllWaiter)
            if entry.state < READY:
                self._process.check_alive()
                raise exceptions.GetTimeoutError(
                    f"Get timed out: ObjectRef({entry.id.hex()}) was not ready within {timeout} s. The call goes on; "
                    "call get() again with a longer timeout."
                )
        return self._process.values.load(entry)

    def wait(
        self, refs: list[ObjectRef[Any]], num_returns: int, timeout: float | None
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        """See `Engine.wait`."""
        split = _split(refs, num_returns)
        if len(split[0]) >= num_returns:
            return split
        if self._process.references.borrows:
            for ref in refs:
                ref._entry.request()
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            watcher = Waiter()
            self.watchers.append(watcher)
            try:
                # Between the first look and the watcher something may have come.
                split = _split(refs, num_returns)
                if len(split[0]) >= num_returns:
                    return split
                self._block(watcher, None if deadline is None else max(deadline - monotonic(), 0))
            finally:
                if not watcher.done and watcher in self.watchers:
                    self.watchers.remove(watcher)
            split = _split(refs, num_returns)
            if len(split[0]) >= num_returns or not watcher.done:
                self._process.check_alive()
                return split

    def stir(self) -> None:
        """An object became final: wake those who look at many. Any thread."""
        watchers = self.watchers
        while watchers:
            try:
                watchers.pop().finish()
            except IndexError:  # another thread was faster
                return

    def _await(self, pending: list[Entry], count: int, timeout: float | None, kind: type[CountWaiter]) -> None:
        waiter = kind(count)
        for entry in pending:
            entry.request()
            if not entry.add_waiter(waiter):
                waiter.ready(entry)
        try:
            self._block(waiter, timeout)
        finally:
            for entry in pending:
                if entry.state < READY:
                    entry.remove_waiter(waiter)

    def _block(self, waiter: Waiter, timeout: float | None) -> None:
        reactor = self._process.reactor
        on_block = self.on_block
        if on_block is None or (timeout is not None and timeout <= PATIENCE_S):
            reactor.wait(waiter, timeout)
            return
        start = monotonic()
        if reactor.wait(waiter, PATIENCE_S):
            return
        resume = on_block()
        try:
            reactor.wait(waiter, None if timeout is None else max(timeout - (monotonic() - start), 0))
        finally:
            if resume is not None:
                resume()


def _split(refs: list[ObjectRef[Any]], num_returns: int) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
    """Return the first `num_returns` ready references, in order, and the others."""
    if num_returns == 1:
        # The loop `while refs: done, refs = wait(refs)` makes this quadratic: do the common case by slicing.
        for index, ref in enumerate(refs):
            if ref._entry.state >= READY:
                return [ref], refs[:index] + refs[index + 1 :] if index else refs[1:]
        return [], list(refs)
    ready: list[ObjectRef[Any]] = []
    rest: list[ObjectRef[Any]] = []
    for ref in refs:
        if len(ready) < num_returns and ref._entry.state >= READY:
            ready.append(ref)
        else:
            rest.append(ref)
    return ready, rest
