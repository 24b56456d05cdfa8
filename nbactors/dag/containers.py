"""The nodes of a graph inside nested lists, tuples, dicts and sets. Other objects are not searched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

_PLAIN = (list, tuple, set, frozenset)


def members(value: Any, kind: type) -> Iterator[Any]:
    """Yield all objects of a class in nested containers, in their order. A container inside itself is not followed.

    Args:
        value: A container, or any other object.
        kind: The class, also of the value itself.
    """
    yield from _members(value, kind, frozenset())


def _members(value: Any, kind: type, outer: frozenset[int]) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
        return
    if id(value) in outer:
        return
    if isinstance(value, dict):
        inner: Iterator[Any] = (part for item in value.items() for part in item)
    elif isinstance(value, _PLAIN):
        inner = iter(value)
    else:
        return
    deeper = outer | {id(value)}
    for part in inner:
        yield from _members(part, kind, deeper)


def replaced(value: Any, kind: type, replace: Callable[[Any], Any]) -> Any:
    """Return the value with each object of a class in nested containers replaced.

    Containers with such objects are copied with their class; all others, and all other objects, stay the same.
    """
    if isinstance(value, kind):
        return replace(value)
    if not isinstance(value, (dict, *_PLAIN)) or next(members(value, kind), None) is None:
        return value
    if isinstance(value, dict):
        items = [(replaced(key, kind, replace), replaced(inner, kind, replace)) for key, inner in value.items()]
        if type(value) is dict:
            return dict(items)
        copied = value.copy()  # keeps what a subclass has beside its items, such as the factory of a defaultdict
        copied.clear()
        copied.update(items)
        return copied
    parts = [replaced(part, kind, replace) for part in value]
    if isinstance(value, tuple) and hasattr(value, "_make"):
        return value._make(parts)
    return type(value)(parts)
