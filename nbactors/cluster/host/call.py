"""`Call`: what a caller tells a host about a call, and which call the present code belongs to."""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple


class Call(NamedTuple):
    """A call on its way to a host. It travels as bytes, which Ray sends as they are: it pickles tuples, which is slow.

    Attributes:
        method: The name of the method, or of a task's function.
        names: The names of the keyword arguments, whose values are the last ones.
        cell: The number of the calling cell, 0 for none.
        hub: The name of the hub of the session that the call works for.
        label: The name of the call in listings.
        submitted: When it was submitted, in seconds since 1970; 0 if it is not to be reported, KNOWN if the
            process that has submitted it reports the time and the parent.
        parent: The id of the call that has made it, empty for none.
        group: The concurrency group that it runs in; empty for the default one.
        number: Ray's id of the call, 24 bytes, the same in each run of it. It does not travel: the host asks Ray.
    """

    method: str
    names: tuple[str, ...]
    cell: int
    hub: str
    label: str
    submitted: float = 0.0
    parent: bytes = b""
    group: str = ""
    number: bytes = b""

    def packed(self) -> bytes:
        """Return the call as bytes, for workers of the same version of Python, which Ray demands."""
        return marshal.dumps(self[:-1])

    @classmethod
    def unpacked(cls, data: bytes, number: bytes) -> Call:
        """Return the call that `packed` has made bytes of."""
        return cls._make((*marshal.loads(data), number))

    def split(self, values: Sequence[Any]) -> tuple[Sequence[Any], dict[str, Any]]:
        """Return the positional and the keyword arguments among the values."""
        if not self.names:
            return values, {}
        count = len(values) - len(self.names)
        return values[:count], dict(zip(self.names, values[count:], strict=True))


CURRENT: ContextVar[Call | None] = ContextVar("nbactors_call", default=None)
"""The call that the present code works for; None in a session."""
