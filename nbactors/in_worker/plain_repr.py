"""`PlainRepr`: shortened reprs of values of built-in types. No user code runs."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

_MAX_BITS = 2000
_BRACKETS: dict[Any, Any] = {
    list: "[]",
    tuple: "()",
    set: "{}",
    frozenset: ("frozenset({", "})"),
    deque: ("deque([", "])"),
}


class PlainRepr:
    """Makes the texts of values. It reads only a few items of a value. Any thread.

    Args:
        max_text: The most characters or bytes that are read of a text.
        max_items: The most items that are read of a collection.
        other: Returns the text of a value of another type, or raises.
    """

    def __init__(self, max_text: int, max_items: int, other: Callable[[Any], str]) -> None:
        self._max_text = max_text
        self._max_items = max_items
        self._other = other

    def of(self, value: Any, depth: int) -> str:
        """Return the text of a value, with the items of collections down to a depth.

        Raises:
            RuntimeError: Another thread has changed a collection meanwhile.
        """
        kind: Any = type(value)
        # A type whose metaclass is the user's may have its own `__eq__` and `__hash__`, so no table is asked for it.
        if type(kind) is not type:
            return self._other(value)
        if value is None or kind in (bool, float, complex):
            return repr(value)
        if kind is int:
            bits = value.bit_length()
            return repr(value) if bits <= _MAX_BITS else f"<int of {bits} bits>"
        if kind in (str, bytes, bytearray):
            most = self._max_text
            return repr(value[:most]) + (f"… ({len(value)} in all)" if len(value) > most else "")
        if kind is not dict and kind not in _BRACKETS:
            return self._other(value)
        return self._collection(value, depth) if depth else "…"

    def _collection(self, value: Any, depth: int) -> str:
        kind: Any = type(value)
        if kind is dict:
            items = [
                f"{self.of(key, depth - 1)}: {self.of(item, depth - 1)}"
                for key, item in itertools.islice(value.items(), self._max_items)
            ]
            opening, closing = "{}"
        else:
            items = [self.of(item, depth - 1) for item in itertools.islice(value, self._max_items)]
            opening, closing = _BRACKETS[kind] if value or kind is not set else ("set(", ")")
        if len(value) > self._max_items:
            items.append(f"… ({len(value)} in all)")
        comma = "," if kind is tuple and len(value) == 1 else ""
        return f"{opening}{', '.join(items)}{comma}{closing}"
