"""`as_completed` and `map_unordered`: results of remote calls as they come. The names are those of `ray.util`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from nbactors import engine
from nbactors.api import check_wait_timeout, check_waitables, get
from nbactors.object_ref import ObjectRef

if TYPE_CHECKING:
    from nbactors.engine.unready_set import UnreadySet

__all__ = ["as_completed", "map_unordered"]

_CHUNK_SIZE = 10
_BACKPRESSURE_SIZE = 100


def as_completed(
    refs: Sequence[Any], *, chunk_size: int = _CHUNK_SIZE, yield_obj_refs: bool = False, **options: Any
) -> Iterator[Any]:
    """Return an iterator over the values of references, in chunks of those that are ready.

    Each step blocks its thread until `chunk_size` more references are ready. Any thread.
    Example: `for value in as_completed([f.remote(x) for x in xs], chunk_size=1)`. Source: Ray's page
    "ray.util.as_completed".

    Args:
        refs: References.
        chunk_size: How many references to wait for at a time. With 1, each value comes as soon as it is ready.
        yield_obj_refs: Whether to give the references instead of the values.
        **options: `timeout` and `fetch_local` of `wait`. A time-out only ends a wait early: the ready values come.

    Raises:
        ValueError: `chunk_size` is less than 1, or `num_returns` is given.
        Exception: During the iteration, the error of a failed call.
    """
    _check(chunk_size, options)
    return _completed(list(refs), _Unready(chunk_size, yield_obj_refs, options))


def map_unordered(
    fn: Any,
    items: Iterable[Any],
    *,
    backpressure_size: int | None = _BACKPRESSURE_SIZE,
    chunk_size: int = _CHUNK_SIZE,
    yield_obj_refs: bool = False,
    **options: Any,
) -> Iterator[Any]:
    """Call a remote function for each item, and return an iterator over the results as they come.

    The calls are made during the iteration. Any thread. Example: `for value in map_unordered(f, paths)`. Source: Ray's
    page "ray.util.map_unordered".

    Args:
        fn: A remote function, or the method of a handle.
        items: The argument of each call.
        backpressure_size: Number of unread calls from which on no further call is made; None for no limit.
        chunk_size: See `as_completed`.
        yield_obj_refs: See `as_completed`.
        **options: See `as_completed`.

    Raises:
        ValueError: `backpressure_size` or `chunk_size` is less than 1, or `num_returns` is given.
        Exception: During the iteration, the error of a failed call.
    """
    if backpressure_size is not None and backpressure_size <= 0:
        raise ValueError(f"backpressure_size must be positive. Got: {backpressure_size}")
    _check(chunk_size, options)
    limit = math.inf if backpressure_size is None else backpressure_size
    return _mapped(fn, items, limit, _Unready(chunk_size, yield_obj_refs, options))


def _check(chunk_size: int, options: dict[str, Any]) -> None:
    if chunk_size < 1:
        raise ValueError(f"`chunk_size` must be >= 1. Got: {chunk_size}")
    if "num_returns" in options:
        raise ValueError("Use the `chunk_size` argument instead of `num_returns`.")
    unknown = sorted(options.keys() - {"timeout", "fetch_local"})
    if unknown:
        raise TypeError(f"wait() got an unexpected keyword argument {unknown[0]!r}")
    if options.get("timeout") is not None:
        check_wait_timeout(options["timeout"])


class _Unready:
    """The references whose results were not given yet. Opens a session at the first one, if need be.

    Args:
        chunk_size: How many to wait for at a time.
        yield_obj_refs: Whether to give the references instead of the values.
        options: `timeout` and `fetch_local` of `wait`.
    """

    def __init__(self, chunk_size: int, yield_obj_refs: bool, options: dict[str, Any]) -> None:
        self._chunk_size = chunk_size
        self._yield_obj_refs = yield_obj_refs
        self._timeout: float | None = options.get("timeout")
        self._fetch_local: bool = options.get("fetch_local", True)
        self._set: UnreadySet | None = None

    def add(self, ref: Any) -> None:
        """Add a reference."""
        if self._set is None:
            self._set = engine.current().unready_set()
        self._set.add(ref)

    def results(self, limit: float) -> Iterator[Any]:
        """Give results in chunks as long as at least `limit` references are left.

        The values come one by one, so that those before a failed call come before its error.
        """
        unready = self._set
        while unready and len(unready) >= limit:
            chunk = min(self._chunk_size, len(unready))
            for ref in unready.take(chunk, self._timeout, self._fetch_local):
                yield ref if self._yield_obj_refs else get(ref)

    def close(self) -> None:
        """Forget the references."""
        if self._set is not None:
            self._set.close()


def _completed(refs: list[Any], unready: _Unready) -> Iterator[Any]:
    check_waitables(refs)
    with closing(unready):
        refs.reverse()
        while refs:
            unready.add(refs.pop())  # nothing else here keeps a value after it was given
        yield from unready.results(1)


def _mapped(fn: Any, items: Iterable[Any], limit: float, unready: _Unready) -> Iterator[Any]:
    with closing(unready):
        for item in items:
            ref = fn.remote(item)
            if type(ref) is not ObjectRef:
                check_waitables([ref])
            unready.add(ref)
            del ref
            yield from unready.results(limit)
        yield from unready.results(1)
