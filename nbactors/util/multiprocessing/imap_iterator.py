"""The iterators of `Pool.imap` and `Pool.imap_unordered`."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from nbactors import api
from nbactors.util.multiprocessing.pool_actor import Form, Outcome
from nbactors.util.multiprocessing.pool_workers import PoolWorkers, Ref, outcomes


class IMapIterator:
    """Yields the results of a function for each item of an iterable. Used by one thread at a time.

    Items are taken from the iterable as results are read, so that it may be endless; `Pool.close` takes all that are
    left. An exception of the function is raised in the place of its result, and the iterator goes on. An exception of
    the iterable is raised after the results of the whole chunks before it, and ends the iterator.
    """

    def __init__(self, workers: PoolWorkers, function: Callable[..., Any], iterable: Iterable[Any], size: int) -> None:
        self._workers = workers
        self._function = function
        self._items = iter(iterable)
        self._size = size
        self._has_more = True
        self._error: Exception | None = None
        self._pending: list[Ref] = []
        self._read: deque[Outcome] = deque()
        self._submit(2 * workers.count)

    def __iter__(self) -> IMapIterator:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self, timeout: float | None = None) -> Any:
        """Return the next result.

        Args:
            timeout: Seconds; None for no limit.

        Raises:
            StopIteration: There is no further result.
            multiprocessing.TimeoutError: There is no result in time. The iterator can be used further.
            Exception: What the function or the iterable has raised.
        """
        while not self._read:
            if not self._pending:
                self._end()
            ref = self._ready(None if timeout is None else max(0.0, timeout))
            if ref is None:
                raise multiprocessing.TimeoutError(f"There is no result after {timeout} s; the calls go on")
            self._pending.remove(ref)
            self._submit(2 * self._workers.count)
            self._read.extend(outcomes(ref))
        is_good, value = self._read.popleft()
        if not is_good:
            raise value
        return value

    def submit_all(self) -> None:
        """Submit all chunks that are left. Called by `Pool.close`."""
        self._submit(None)

    def _end(self) -> None:
        error, self._error = self._error, None
        raise error or StopIteration

    def _submit(self, most: int | None) -> None:
        """Submit chunks until `most` are pending; None for all."""
        while self._has_more and (most is None or len(self._pending) < most):
            try:
                chunk = list(islice(self._items, self._size))
            except Exception as error:  # noqa: BLE001 - the iterable's own, raised in its place
                self._error, self._has_more = error, False
                return
            self._has_more = bool(chunk)
            if chunk:
                self._pending.append(self._workers.submit(self._function, chunk, Form.ITEM))

    def _ready(self, timeout: float | None) -> Ref | None:
        """Wait for the chunk whose results come next; None after the timeout."""
        ready, _ = api.wait(self._pending[:1], timeout=timeout)
        return ready[0] if ready else None


class UnorderedIMapIterator(IMapIterator):
    """Yields the results of chunks in the order in which these end."""

    def _ready(self, timeout: float | None) -> Ref | None:
        ready, _ = api.wait(self._pending, timeout=timeout)
        return ready[0] if ready else None
