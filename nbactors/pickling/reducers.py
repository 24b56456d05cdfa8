"""How instances of certain classes are pickled: by serializers that the user has registered, and through Arrow.

A reducer gets an instance, and returns what `__reduce__` returns. Only this very class counts, not its subclasses.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from typing import Any

from nbactors.definitions.serializers import SERIALIZERS, Serializer
from nbactors.frontend.user_code import lets_through
from nbactors.pickling import arrow

_Reducer = Callable[[Any], Any]

# Replaced as a whole by each change, so that a pickler on another thread has one state of it.
_registered: dict[type, _Reducer] = {}


def register(kind: type, serializer: Callable[[Any], Any], deserializer: Callable[[Any], Any]) -> None:
    """Pickle instances of a class as `deserializer` and the value that `serializer` returns. Any thread."""
    global _registered

    @lets_through
    def reduce(value: Any) -> Any:
        return deserializer, (serializer(value),)

    _registered = {**_registered, kind: reduce}


def deregister(kind: type) -> None:
    """Undo `register`. Any thread."""
    global _registered
    _registered = {other: reduce for other, reduce in _registered.items() if other is not kind}


def dispatch_table() -> dict[type, _Reducer] | None:
    """Return the reducers for pickle, None if it needs no others than its own."""
    table = arrow.dispatch_table()
    if not _registered:
        return table
    return {**(copyreg.dispatch_table if table is None else table), **_registered}


def reducer(kind: type) -> _Reducer | None:
    """Return the reducer of a class, None if it needs none. For classes that plain pickle could not pickle, too."""
    return _registered.get(kind) or arrow.reducer(kind)


def registered() -> dict[type, _Reducer]:
    """Return the reducers that the user has registered: they come before all others."""
    return _registered


def _on_change(kind: type, made: Serializer | None) -> None:
    if made is None:
        deregister(kind)
    else:
        register(kind, made.serializer, made.deserializer)


SERIALIZERS.follow(_on_change)
