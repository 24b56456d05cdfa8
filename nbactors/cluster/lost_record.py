"""`LostRecord`: what this engine knows of an object of which a process has the id alone, so that nobody can find it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbactors import exceptions
from nbactors.cluster.common import current
from nbactors.cluster.object_records import Home, Record
from nbactors.object_ref import ObjectRef


class LostRecord(Record):
    """An object whose owner this process does not know. Ray takes such a reference nowhere, so it is never asked.

    Args:
        home: The objects of this engine.
        ref: Ray's reference, made of the id.
    """

    __slots__ = ()

    def __init__(self, home: Home, ref: Any) -> None:
        super().__init__(home, ref)
        self.is_watched = True
        self.verdict = self.error()

    def error(self) -> exceptions.ObjectLostError:
        """Return the error of whoever needs the value."""
        return exceptions.ObjectLostError(
            self.ref.hex(),
            detail="Its owner freed it, or this process got the id alone: on a Ray cluster an id does not tell who "
            "owns the object. Send the reference itself, as an argument, in a result or by put().",
        )

    def when_done(self, callback: Callable[[], None]) -> None:
        """Run `callback` at once."""
        callback()

    def reduce(self, ref: ObjectRef[Any]) -> tuple[Any, ...]:
        """Return what pickles the id: its receiver may know the owner."""
        return find, (ref.binary(),)


def find(object_id: bytes) -> ObjectRef[Any]:
    """Return this process's reference for an id. Called by `pickle`."""
    found: ObjectRef[Any] = current.of_process().find_object(object_id)
    return found
