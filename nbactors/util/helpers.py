"""`as_completed` and `map_unordered`: results of remote calls as they come. The names are those of `ray.util`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nbactors.api import get, wait

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
    return _completed(list(refs), chunk_size, yield_obj_refs, options)


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
    return _mapped(fn, items, limit, chunk_size, yield_obj_refs, options)


def _check(chunk_size: int, options: dict[str, Any]) -> None:
    if chunk_size < 1:
        raise ValueError(f"`chunk_size` must be >= 1. Got: {chunk_size}")
    if "num_returns" in options:
        raise ValueError("Use the `chunk_size` argument instead of `num_returns`.")


def _mapped(
    fn: Any, items: Iterable[Any], limit: float, chunk_size: int, yield_obj_refs: bool, options: dict[str, Any]
) -> Iterator[Any]:
    refs: list[Any] = []
    for item in items:
        refs.append(fn.remote(item))
        while len(refs) >= limit:
            ready, refs = wait(refs, num_returns=min(chunk_size, len(refs)), **options)
            yield from _values(ready, yield_obj_refs)
    yield from _completed(refs, chunk_size, yield_obj_refs, options)


def _completed(refs: list[Any], chunk_size: int, yield_obj_refs: bool, options: dict[str, Any]) -> Iterator[Any]:
    while refs:
        ready, refs = wait(refs, num_returns=min(chunk_size, len(refs)), **options)
        yield from _values(ready, yield_obj_refs)


def _values(refs: list[Any], yield_obj_refs: bool) -> Iterator[Any]:
    """Give the values one by one, so that those before a failed call come before its error."""
    for ref in refs:
        yield ref if yield_obj_refs else get(ref)
